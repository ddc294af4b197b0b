"""From the queue to the database: who writes, when it is away, when it is full, at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import lmdb
import pytest
import structlog

from tallygate.gateway.database import Database, DatabaseAway
from tallygate.gateway.settings.usage import UsageSettings
from tallygate.gateway.state.environment import Environment, StateError, Transaction
from tallygate.gateway.usage.entry import Entry, encode
from tallygate.gateway.usage.ledger import Ledger
from tallygate.gateway.usage.spool import Spool
from tallygate.gateway.usage.writing import Writer
from tallygate.tally import Tally
from tests.gateway.running import Page, parsed
from tests.gateway.usage.entries import append, call, positions, written

PATIENCE = 20.0
SOON = UsageSettings(flush_seconds=0.01)
NEVER = UsageSettings(flush_seconds=3600)


@asynccontextmanager
async def opened(
    directory: Path, database: Database, settings: UsageSettings = SOON, tally: Tally | None = None
) -> AsyncIterator[Ledger]:
    ledger = Ledger(directory, database, settings, tally or Tally())
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.close()


def take(ledger: Ledger, *entries: Entry) -> None:
    for entry in entries:
        ledger.add(encode(entry))
        ledger._write_added()


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.001)


def page(tally: Tally) -> Page:
    return Page(parsed(tally.render().decode()))


async def test_calls_reach_the_database_in_their_order(database: Database, tmp_path: Path) -> None:
    calls = [call(input_tokens=index) for index in range(250)]
    async with opened(tmp_path, database, UsageSettings(flush_seconds=0.01, batch_calls=30)) as ledger:
        take(ledger, *calls)
        await until(lambda: ledger.spool.waiting == 0)
        assert await written(database) == calls
        last = ledger.spool.last
    assert await positions(database) == {ledger.spool.source: last}


async def test_the_end_of_a_worker_writes_what_is_there(database: Database, tmp_path: Path) -> None:
    calls = [call(cost=1), call(cost=2)]
    async with opened(tmp_path, database, NEVER) as ledger:
        take(ledger, *calls)
    assert await written(database) == calls


async def test_of_two_workers_one_writes_and_the_other_takes_over(database: Database, tmp_path: Path) -> None:
    async with opened(tmp_path, database) as second:
        async with opened(tmp_path, database, NEVER) as first:
            take(first, call(cost=1))
            await until(lambda: second.spool.waiting == 0)
            take(second, call(cost=2))
            await until(lambda: first.spool.waiting == 0)
        take(second, call(cost=3))
        await until(lambda: second.spool.waiting == 0)
    assert [entry.cost for entry in await written(database)] == [1, 2, 3]


async def test_the_last_of_two_workers_that_end_together_writes_for_both(database: Database, tmp_path: Path) -> None:
    first, second = Ledger(tmp_path, database, NEVER, Tally()), Ledger(tmp_path, database, NEVER, Tally())
    await first.start()
    await second.start()
    take(first, *[call(cost=1)] * 50)
    take(second, *[call(cost=2)] * 50)
    await asyncio.gather(first.close(), second.close())
    assert sorted(entry.cost for entry in await written(database)) == [1] * 50 + [2] * 50


async def test_calls_of_a_worker_that_was_killed_are_written_by_the_next(database: Database, tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    append(environment, Spool(environment), call(cost=7))
    environment.close()
    async with opened(tmp_path, database) as ledger:
        await until(lambda: ledger.spool.waiting == 0)
    assert [entry.cost for entry in await written(database)] == [7]


async def test_killed_between_commit_and_taking_away(database: Database, tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    spool = Spool(environment)
    append(environment, spool, call(cost=1), call(cost=2))
    writer = Writer(database, spool.source)
    await writer.find_position(spool.last)
    await writer.write(spool.read(0, 10), left=0)
    append(environment, spool, call(cost=3))
    assert spool.waiting == 3
    environment.close()
    async with opened(tmp_path, database) as ledger:
        await until(lambda: ledger.spool.waiting == 0)
    assert [entry.cost for entry in await written(database)] == [1, 2, 3]


class Lossy(Database):
    """Fails as it is told to."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.fails: list[str] = []
        """What to do in the next transactions: before, after or '' for nothing."""
        self.away = False
        self.failed = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        how = self.fails.pop(0) if self.fails else ""
        if how == "before" or self.away:
            self.failed += 1
            raise DatabaseAway("the database: connection refused")
        async with super().begin() as connection:
            yield connection
        if how == "after":
            self.failed += 1
            raise DatabaseAway("the database: the connection was lost during COMMIT")


@asynccontextmanager
async def lossy(url: str) -> AsyncIterator[Lossy]:
    database = Lossy(url)
    await database.start()
    try:
        yield database
    finally:
        await database.close()


@pytest.mark.parametrize("fails", [["", "after"], ["", "before", "after", "before"], ["after", "", "after"]])
async def test_a_commit_whose_answer_was_lost_is_not_repeated(
    database_url: str, tmp_path: Path, fails: list[str]
) -> None:
    async with lossy(database_url) as database:
        expected = sum(1 for how in fails if how)
        database.fails = fails
        async with opened(tmp_path, database, UsageSettings(flush_seconds=0.01, batch_calls=2)) as ledger:
            take(ledger, *[call(cost=cost) for cost in range(7)])
            await until(lambda: ledger.spool.waiting == 0)
        assert database.failed == expected
        assert [entry.cost for entry in await written(database)] == list(range(7))


async def test_a_database_that_is_away_is_told_once_and_counted(tmp_path: Path) -> None:
    tally = Tally()
    async with lossy(f"sqlite:///{tmp_path / 'a.db'}") as database:
        database.away = True
        with structlog.testing.capture_logs() as said:
            async with opened(tmp_path, database, tally=tally) as ledger:
                take(ledger, call(), call())
                await until(lambda: database.failed >= 3)
                assert page(tally).total("tallygate_queue_size", queue="usage") == 2
                failures = page(tally).total("tallygate_store_failures_total", store="usage", operation="store")
                assert failures >= 3
                database.away = False
                await until(lambda: ledger.spool.waiting == 0)
                await until(lambda: len(said) == 2)
                assert page(tally).total("tallygate_queue_size", queue="usage") == 0
    assert [(entry["log_level"], entry["event"]) for entry in said] == [
        ("warning", "calls cannot be written to the database; they wait"),
        ("info", "calls are written to the database again"),
    ]
    assert said[0]["problem"] == "DatabaseAway: the database: connection refused"


async def test_too_many_that_wait_keep_new_ones_out(tmp_path: Path) -> None:
    async with lossy(f"sqlite:///{tmp_path / 'a.db'}") as database:
        database.away = True
        async with opened(tmp_path, database, UsageSettings(flush_seconds=0.01, backlog_calls=10)) as ledger:
            for _ in range(10):
                assert not ledger.full
                take(ledger, call())
            # A worker looks after the call that filled the queue, or after the next.
            if not ledger.full:
                take(ledger, call())
            assert ledger.full
            database.away = False
            await until(lambda: ledger.spool.waiting == 0)
            assert not ledger.full


async def test_a_full_queue_is_noticed_at_the_start(tmp_path: Path) -> None:
    async with lossy(f"sqlite:///{tmp_path / 'a.db'}") as database:
        environment = Environment(tmp_path)
        append(environment, Spool(environment), *[call()] * 10)
        database.away = True
        async with opened(tmp_path, database, UsageSettings(flush_seconds=0.01, backlog_calls=10)) as ledger:
            assert ledger.full
        environment.close()


async def test_what_the_queue_does_not_take_is_kept_and_new_calls_are_refused(
    database: Database, tmp_path: Path
) -> None:
    tally = Tally()
    async with opened(tmp_path, database, tally=tally) as ledger:
        with structlog.testing.capture_logs() as said:
            ledger._keep(encode(call(cost=1)), StateError("the disk is full"))
            ledger._keep(encode(call(cost=2)), StateError("the disk is full"))
        assert [entry["event"] for entry in said] == ["the queue of calls takes no more; new calls are refused"]
        # Asked whether new calls may come, it tries again.
        assert not ledger.full
        await until(lambda: ledger.spool.waiting == 0)
        assert page(tally).total("tallygate_store_failures_total", store="usage") == 2
    assert [entry.cost for entry in await written(database)] == [1, 2]


async def test_calls_of_one_turn_join_the_queue_together_and_are_waited_for(database: Database, tmp_path: Path) -> None:
    async with opened(tmp_path, database, NEVER) as ledger:
        settled: list[object] = []
        for cost in (1, 2, 3):
            ledger.add(encode(call(cost=cost)), lambda transaction: settled.append(transaction))
        one, other = [asyncio.create_task(ledger.written()) for _ in range(2)]
        assert ledger.spool.waiting == 0
        await asyncio.sleep(0)
        one.cancel()  # whose client left: the other waits on
        await other
        assert ledger.spool.waiting == 3
        assert len(settled) == 3
        assert None not in settled
        assert settled[0] is settled[1] is settled[2], "one transaction"
        await ledger.written()  # there is nothing to wait for
        ledger.add(encode(call(cost=4)))  # and the worker ends
    assert [entry.cost for entry in await written(database)] == [1, 2, 3, 4]


async def test_calls_of_a_turn_that_the_queue_does_not_take_are_kept_and_settled_without_it(
    database: Database, tmp_path: Path
) -> None:
    async with opened(tmp_path, database, NEVER) as ledger:
        settled: list[bool] = []

        def settle(transaction: Transaction | None) -> None:
            settled.append(transaction is not None)
            if transaction is not None and len(settled) == 2:
                raise lmdb.MapFullError("full")

        with structlog.testing.capture_logs() as said:
            for cost in (1, 2, 3):
                ledger.add(encode(call(cost=cost)), settle)
            await ledger.written()
        assert settled == [True, True, False, False, False]
        assert [entry["problem"] for entry in said] == ["full"]
        assert ledger.spool.waiting == 0
        assert not ledger.full, "asked, it tries again"
        assert ledger.spool.waiting == 3
    assert [entry.cost for entry in await written(database)] == [1, 2, 3]


async def test_what_the_queue_did_not_take_is_written_at_the_end(database: Database, tmp_path: Path) -> None:
    async with opened(tmp_path, database, NEVER) as ledger:
        ledger._keep(encode(call(cost=1)), StateError("the disk is full"))
    assert [entry.cost for entry in await written(database)] == [1]


async def test_a_call_that_the_database_does_not_take_is_set_aside_alone(database: Database, tmp_path: Path) -> None:
    tally = Tally()
    with structlog.testing.capture_logs() as said:
        async with opened(tmp_path, database, tally=tally) as ledger:
            take(ledger, *[call(cost=cost) for cost in range(5)])
            ledger.add(b"[1]")
            take(ledger, *[call(cost=cost) for cost in range(5, 9)])
            await until(lambda: ledger.spool.waiting == 0)
    assert [entry.cost for entry in await written(database)] == list(range(9))
    assert [(entry["event"], entry["call"]) for entry in said] == [
        ("the database does not take a call; it was set aside", "[1]")
    ]
    assert page(tally).total("tallygate_store_failures_total", store="usage") == 1


async def test_a_copy_of_the_state_on_another_machine_takes_a_new_name(database: Database, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as said:
        async with opened(tmp_path, database) as ledger:
            take(ledger, call(cost=1))
            await until(lambda: ledger.spool.waiting == 0)
            copied = Writer(database, ledger.spool.source)
            position = await copied.find_position(0)
            await copied.write([(position + 10**15, encode(call(cost=2)))], left=0)
            name = ledger.spool.source
            take(ledger, call(cost=3))
            await until(lambda: ledger.spool.waiting == 0)
            assert ledger.spool.source != name
            take(ledger, call(cost=4))
            await until(lambda: ledger.spool.waiting == 0)
    assert sorted(entry.cost for entry in await written(database)) == [1, 2, 3, 4]
    assert [entry["log_level"] for entry in said] == ["error"]
    assert "shared.state_directory must not be copied" in said[0]["event"]


async def test_calls_are_kept_so_many_days(database: Database, tmp_path: Path) -> None:
    writer = Writer(database, "another machine's")
    await writer.find_position(0)
    day, now = 86_400 * 10**9, time.time_ns()
    await writer.write([(now - 3 * day, encode(call(cost=1))), (now - day, encode(call(cost=2)))], left=0)
    async with opened(tmp_path, database, UsageSettings(flush_seconds=0.01, retention_days=0)) as ledger:
        take(ledger, call(cost=3))
        await until(lambda: ledger.spool.waiting == 0)
    assert [entry.cost for entry in await written(database)] == [1, 2, 3]
    async with opened(tmp_path, database, UsageSettings(flush_seconds=0.01, retention_days=2)):
        deadline = time.monotonic() + PATIENCE
        while (left := [entry.cost for entry in await written(database)]) == [1, 2, 3]:
            assert time.monotonic() < deadline
    assert left == [2, 3]
