"""Batches in the database: every call once, sums and what users spent with it, whatever goes wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import DBAPIError

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.gateway.usage.entry import Entry, encode
from tallygate.gateway.usage.writing import PositionMoved, Writer
from tests.gateway.usage.entries import DAY, NOON, call, positions, summed, written


def spooled(*entries: Entry, after: int = 0) -> list[tuple[int, bytes]]:
    return [(after + index, encode(entry)) for index, entry in enumerate(entries, 1)]


async def test_calls_are_written_as_they_were(database: Database) -> None:
    writer = Writer(database, "queue")
    assert await writer.find_position(0) == 0
    calls = [
        call(),
        call(time=NOON + 1, key_id="", user_id="", model="ü\"'%s:x?$1", stream=0),
        call(outcome="failed", error_type="provider_stream_cut", reported=0, priced=0, cost=0, estimated_cost=10**17),
        call(input_tokens=10**12, cost=10**17),
    ]
    await writer.write(spooled(*calls), left=3)
    assert await written(database) == calls
    assert await positions(database) == {"queue": 4}


@pytest.mark.parametrize("count", [1, 99, 100, 101, 1000])
async def test_batches_of_any_size(database: Database, count: int) -> None:
    writer = Writer(database, "queue")
    await writer.find_position(0)
    calls = [call(input_tokens=index, model=f"model-{index % 3}") for index in range(count)]
    await writer.write(spooled(*calls), left=0)
    assert await written(database) == calls
    days = await summed(database)
    assert sum(row["calls"] for row in days.values()) == count
    assert sum(row["input_tokens"] for row in days.values()) == sum(range(count))


async def test_days_are_utc_and_sums_grow(database: Database) -> None:
    writer = Writer(database, "queue")
    await writer.find_position(0)
    midnight = NOON + DAY // 2
    calls = [
        call(time=midnight - 1),
        call(time=midnight),
        call(time=midnight + 1, outcome="failed", error_type="provider_timeout", reported=0, input_tokens=0),
        call(time=midnight + 2, outcome="cancelled", estimated_input_tokens=3, estimated_cost=9),
        call(time=midnight + 3, reported=0, priced=0),
        call(time=midnight + 4, priced=0),
    ]
    await writer.write(spooled(*calls[:3]), left=0)
    await writer.write(spooled(*calls[3:], after=3), left=0)
    days = await summed(database)
    one = {
        "calls": 1, "failed": 0, "cancelled": 0, "unreported": 0, "unpriced": 0, "input_tokens": 100,
        "output_tokens": 20, "cache_read_tokens": 30, "cache_write_tokens": 5, "reasoning_tokens": 7, "cost": 12345,
        "estimated_input_tokens": 0, "estimated_output_tokens": 0, "estimated_cost": 0,
    }  # fmt: skip
    five = {
        "calls": 5, "failed": 1, "cancelled": 1, "unreported": 1, "unpriced": 1, "input_tokens": 400,
        "output_tokens": 100, "cache_read_tokens": 150, "cache_write_tokens": 25, "reasoning_tokens": 35,
        "cost": 61725, "estimated_input_tokens": 3, "estimated_output_tokens": 0, "estimated_cost": 9,
    }  # fmt: skip
    assert days == {
        ("2026-11-21", "key_1", "usr_1", "openai", "gpt-4o"): one,
        ("2026-11-22", "key_1", "usr_1", "openai", "gpt-4o"): five,
    }


async def test_users_spend_what_is_charged(database: Database, service: AccountService) -> None:
    ann = await service.create_user(name="ann")
    bob = await service.create_user(name="bob")
    writer = Writer(database, "queue")
    await writer.find_position(0)
    calls = [
        call(user_id=ann.id, cost=5, estimated_cost=2),
        call(user_id=ann.id, cost=10),
        call(user_id=bob.id, cost=100),
        call(user_id="", key_id="", cost=1000),
        call(user_id="usr_gone", cost=10000),
    ]
    await writer.write(spooled(*calls), left=0)
    await writer.write(spooled(call(user_id=ann.id, cost=1), after=5), left=0)
    assert (await service.user("ann")).spent == 18
    assert (await service.user("bob")).spent == 100


async def test_two_writers_of_one_queue_cannot_write_a_call_twice(database: Database) -> None:
    one, other = Writer(database, "queue"), Writer(database, "queue")
    assert await one.find_position(0) == await other.find_position(0) == 0
    await one.write(spooled(call()), left=0)
    with pytest.raises(PositionMoved):
        await other.write(spooled(call()), left=0)
    assert await other.find_position(0) == 1
    await other.write(spooled(call(), after=1), left=0)
    assert len(await written(database)) == 2


async def test_queues_with_the_same_numbers_do_not_disturb_each_other(database: Database) -> None:
    one, other = Writer(database, "one"), Writer(database, "other")
    await one.find_position(0)
    await other.find_position(0)
    await one.write(spooled(call(cost=1)), left=0)
    await other.write(spooled(call(cost=2)), left=0)
    assert sorted(entry.cost for entry in await written(database)) == [1, 2]
    assert await positions(database) == {"one": 1, "other": 1}


async def test_a_batch_that_is_refused_leaves_nothing(database: Database) -> None:
    writer = Writer(database, "queue")
    await writer.find_position(0)
    await writer.write(spooled(call(cost=1)), left=0)
    with pytest.raises(DBAPIError):
        await writer.write([*spooled(call(cost=2), after=1), (3, b"[1]")], left=0)
    assert [entry.cost for entry in await written(database)] == [1]
    assert await positions(database) == {"queue": 1}


async def test_a_queue_that_the_database_does_not_know_begins_where_it_is(database: Database) -> None:
    writer = Writer(database, "queue")
    assert await writer.find_position(41) == 41
    await writer.write(spooled(call(), after=41), left=0)
    assert await positions(database) == {"queue": 42}


async def test_old_calls_are_deleted_and_their_sums_stay(database: Database) -> None:
    writer = Writer(database, "queue")
    await writer.find_position(0)
    calls = [call(cost=1), call(cost=2), call(cost=4)]
    await writer.write([(second * 10**9, encode(entry)) for second, entry in enumerate(calls, 1)], left=0)
    assert await writer.delete_calls_before(datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)) == 1
    assert await written(database) == calls[1:]
    assert await writer.delete_calls_before(datetime(1970, 1, 1, 0, 0, 2, 1, tzinfo=UTC)) == 1
    assert await written(database) == calls[2:]
    assert [row["cost"] for row in (await summed(database)).values()] == [7]
