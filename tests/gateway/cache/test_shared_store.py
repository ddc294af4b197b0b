"""Answers in Redis or Valkey: bounded by bytes, ended by age and idleness, the same for all who share it."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tallygate.gateway.cache.answer import Answer
from tallygate.gateway.cache.shared import KEYS, OVERHEAD, TELLS_MILLISECONDS, SharedStore
from tallygate.gateway.state import redis as connection
from tests.gateway.cache.stores import Clock, answer, key
from tests.services.redis import Redis, running_redis

pytestmark = pytest.mark.xdist_group("redis")


class Shared:
    """Stores on one server, and what they said has failed."""

    def __init__(self, url: str) -> None:
        self.url, self.failures, self.clock = url, list[str](), Clock()
        self._open: list[SharedStore] = []
        self.redis = connection.Redis(url, 5.0)

    async def store(
        self, capacity: int = 100_000, live: float = 60, idle: float | None = None, real: bool = False
    ) -> SharedStore:
        """real: by the server's clock."""
        made = connection.Redis(self.url, 5.0)
        store = SharedStore(made, capacity, live, idle, self.failures.append, None if real else self.clock)
        await store.start()
        self._open.append(store)
        return store

    async def put(self, store: SharedStore, number: int, one: Answer) -> None:
        """Keep it, and wait until it is there."""
        store.put(key(number), one)
        await store.written()

    async def close(self) -> None:
        for store in self._open:
            await store.close()
        await self.redis.close()


@pytest_asyncio.fixture
async def shared(redis_server: Redis) -> AsyncIterator[Shared]:
    shared = Shared(redis_server.url)
    await shared.redis.start()
    await shared.redis.call("FLUSHALL")
    yield shared
    await shared.close()


def weight(one: Answer) -> int:
    """What the server is reckoned to need: the next of four sizes between two powers of two."""
    size = 16 + len(one.pack())
    power = 1
    while power * 2 <= size:
        power *= 2
    step = power // 4
    return -(-size // step) * step + OVERHEAD


async def test_what_one_worker_puts_another_finds_with_its_age(shared: Shared) -> None:
    one, other = await shared.store(), await shared.store()
    assert await other.get(key(1), None) is None
    await shared.put(one, 1, answer("one"))
    shared.clock.now += 2.5
    found = await other.get(key(1), None)
    assert found is not None
    assert (found.answer, found.age) == (answer("one"), 2.5)
    assert await other.get(key(2), None) is None
    assert await one.fill() == (weight(answer("one")), 1)
    assert shared.failures == []


async def test_by_the_servers_own_clock(shared: Shared) -> None:
    store = await shared.store(real=True)
    await shared.put(store, 1, answer("one"))
    found = await store.get(key(1), None)
    assert found is not None
    assert 0 <= found.age < 60
    assert [await shared.redis.call("PTTL", name) > 0 for name in KEYS[:4]] == [True] * 4


async def test_answers_of_any_bytes(shared: Shared) -> None:
    store = await shared.store(10_000_000)
    one = Answer(((b"\x00\xff", bytes(range(256))),), (os.urandom(100_000), b"\r\n", bytes(range(256))))
    await shared.put(store, 1, one)
    found = await store.get(key(1), None)
    assert found is not None
    assert found.answer == one


async def test_the_last_one_put_counts(shared: Shared) -> None:
    store = await shared.store()
    await shared.put(store, 1, answer("one"))
    await shared.put(store, 1, answer("longer", 500))
    found = await store.get(key(1), None)
    assert found is not None
    assert found.answer == answer("longer", 500)
    assert await store.fill() == (weight(answer("longer", 500)), 1)


async def test_an_answer_lives_no_longer_than_its_time_however_often_it_is_asked_for(shared: Shared) -> None:
    store = await shared.store(live=60, idle=20)
    await shared.put(store, 1, answer("one"))
    for _ in range(5):
        shared.clock.now += 11.9
        assert await store.get(key(1), None) is not None
    shared.clock.now += 0.5
    assert await store.get(key(1), None) is None
    assert await store.fill() == (0, 0)


@pytest.mark.parametrize(("idle", "there"), [(19.9, True), (20.0, False)])
async def test_an_idle_answer_ends(shared: Shared, idle: float, there: bool) -> None:
    store = await shared.store(live=60, idle=20)
    await shared.put(store, 1, answer("one"))
    shared.clock.now += 19
    assert await store.get(key(1), None) is not None
    shared.clock.now += idle
    assert (await store.get(key(1), None) is not None) == there
    fill = await store.fill()
    assert fill is not None
    assert fill.entries == there


async def test_without_a_time_to_idle_nothing_ends_before_its_time(shared: Shared) -> None:
    store = await shared.store(live=60)
    await shared.put(store, 1, answer("one"))
    shared.clock.now += 59.9
    assert await store.get(key(1), None) is not None
    shared.clock.now += 0.1
    assert await store.get(key(1), None) is None


async def test_what_ended_is_let_go_though_nobody_asks_for_it(shared: Shared) -> None:
    store = await shared.store(live=60)
    await shared.put(store, 1, answer("one"))
    shared.clock.now += 30
    await shared.put(store, 2, answer("two"))
    shared.clock.now += 30
    assert await store.fill() == (weight(answer("two")), 1)
    assert await shared.redis.call("HLEN", KEYS[0]) == 1
    assert [await shared.redis.call("ZCARD", name) for name in KEYS[1:3]] == [1, 1]


async def test_an_answer_older_than_asked_for_is_not_found_and_stays(shared: Shared) -> None:
    store = await shared.store()
    await shared.put(store, 1, answer("one"))
    shared.clock.now += 10
    assert await store.get(key(1), 9) is None
    assert await store.get(key(1), 10) is not None


async def test_the_least_recently_used_makes_room(shared: Shared) -> None:
    one = answer("1", 100)
    store = await shared.store(3 * weight(one))
    for number in (1, 2, 3):
        await shared.put(store, number, one)
        shared.clock.now += 1
    await store.get(key(1), None)
    await shared.put(store, 4, one)
    there = [number for number in (1, 2, 3, 4) if await store.get(key(number), None)]
    assert there == [1, 3, 4]
    assert await store.fill() == (3 * weight(one), 3)


async def test_an_answer_larger_than_the_whole_is_not_kept_nor_is_what_it_replaces(shared: Shared) -> None:
    store = await shared.store(2000)
    await shared.put(store, 1, answer("1"))
    await shared.put(store, 1, answer("1", 3000))
    assert await store.get(key(1), None) is None
    assert await store.fill() == (0, 0)


async def test_purge(shared: Shared) -> None:
    store, other = await shared.store(), await shared.store()
    await shared.put(store, 1, answer("one"))
    await other.purge()
    assert await store.get(key(1), None) is None
    assert await store.fill() == (0, 0)


@pytest.mark.parametrize("idle", [None, 3.0])
async def test_the_books_are_right_under_random_load(shared: Shared, idle: float | None) -> None:
    dice = random.Random(1)
    capacity = 15_000
    stores = [await shared.store(capacity, 10, idle) for _ in range(2)]
    known: dict[int, tuple[Answer, float, float]] = {}
    hits = evicted = 0
    for step in range(1500):
        shared.clock.now += round(dice.random() / 4, 3)
        store, number = dice.choice(stores), min(int(dice.expovariate(0.05)), 200)
        if dice.random() < 0.5:
            one = answer(str(step), dice.randrange(3000))
            await shared.put(store, number, one)
            known[number] = (one, shared.clock.now, shared.clock.now)
        else:
            found = await store.get(key(number), None)
            kept, since, used = known.get(number, (None, 0.0, 0.0))
            now = shared.clock.now
            if found is None:
                evicted += kept is not None and now - since < 9.9 and (idle is None or now - used < idle - 0.1)
            else:
                assert found.answer == kept
                assert found.age == pytest.approx(now - since, abs=0.002)
                assert now - since < 10.01
                assert idle is None or now - used < idle + 0.01
                known[number] = (found.answer, since, now)
                hits += 1
        assert int(await shared.redis.call("GET", KEYS[3]) or 0) <= capacity
    assert hits > 100
    assert evicted > 20
    there = [one for number, (one, _, _) in known.items() if await stores[0].get(key(number), None)]
    fill = await stores[0].fill()
    assert fill == (sum(map(weight, there)), len(there))
    assert await shared.redis.call("HLEN", KEYS[0]) == len(there)


async def test_what_is_counted_covers_what_the_server_takes(shared: Shared) -> None:
    async def taken() -> int:
        said = (await shared.redis.call("INFO", "memory")).decode()
        return int(said.split("used_memory_dataset:")[1].split()[0])

    store = await shared.store(100_000_000)
    await shared.put(store, 1, answer("1"))  # the script, and the tables' beginnings
    before = await taken()
    for number in range(2, 2002):
        store.put(key(number), answer("x", number))
    await store.written()
    fill = await store.fill()
    assert fill is not None
    assert fill.entries == 2001
    assert fill.used * 0.8 < await taken() - before <= fill.used


# What others do to the keys


@pytest.mark.parametrize("damage", ["truncated", "empty", "changed", "text", "not a time"])
async def test_a_damaged_answer_is_a_miss_and_can_be_kept_anew(shared: Shared, damage: str) -> None:
    store = await shared.store()
    await shared.put(store, 1, answer("one"))
    whole = await shared.redis.call("HGET", KEYS[0], key(1))
    poison = {
        "truncated": whole[:-1],
        "empty": b"",
        "changed": whole[:-1] + b"!",
        "text": whole[:16] + b"not an answer",
        "not a time": b"x" * len(whole),
    }[damage]
    await shared.redis.call("HSET", KEYS[0], key(1), poison)
    assert await store.get(key(1), None) is None
    assert shared.failures == ([] if damage in ("empty", "not a time") else ["read"])
    await shared.put(store, 1, answer("two"))
    found = await store.get(key(1), None)
    assert found is not None
    assert found.answer == answer("two")


@pytest.mark.parametrize("lost", range(4))
async def test_tables_that_somebody_took_away(shared: Shared, lost: int) -> None:
    one = answer("1", 100)
    store = await shared.store(3 * weight(one))
    for number in (1, 2, 3):
        await shared.put(store, number, one)
    await shared.redis.call("DEL", KEYS[lost])
    for number in range(4, 10):
        await shared.put(store, number, one)
    found = await store.get(key(9), None)
    assert found is not None
    assert found.answer == one
    fill = await store.fill()
    assert fill is not None
    assert await shared.redis.call("HLEN", KEYS[0]) <= 3
    assert fill.used <= 3 * weight(one)


async def test_keys_of_another_kind_are_a_miss_until_an_answer_is_kept(shared: Shared) -> None:
    store = await shared.store()
    await shared.redis.call("SET", KEYS[2], "mine")
    assert await store.get(key(1), None) is None
    assert shared.failures == ["read"]
    await shared.put(store, 1, answer("one"))
    assert await store.get(key(1), None) is not None
    assert shared.failures == ["read"]


# A server that is away


async def test_a_server_that_is_away_is_a_miss_and_is_found_again(redis_server: Redis) -> None:
    with running_redis() as server:
        shared = Shared(server.url)
        store = await shared.store(real=True)
        await shared.put(store, 1, answer("one"))
        assert await store.get(key(1), None) is not None
    try:
        assert await store.get(key(1), None) is None
        await shared.put(store, 1, answer("two"))
        assert await store.fill() is None
        assert shared.failures == ["read", "store"]
        with pytest.raises(connection.StoreAway):
            await store.purge()
    finally:
        await shared.close()


# Who tells how full it is


async def test_one_worker_tells_how_full_it_is_until_it_leaves_or_dies(shared: Shared) -> None:
    first, second, third = [await shared.store() for _ in range(3)]
    assert await first.fill() == (0, 0)
    assert await second.fill() is None
    assert await first.fill() == (0, 0)
    assert 0 < await shared.redis.call("PTTL", KEYS[4]) <= TELLS_MILLISECONDS
    await first.close()
    assert await second.fill() == (0, 0)
    assert await third.fill() is None
    await shared.redis.call("PEXPIRE", KEYS[4], 0)  # it has not been heard of for so long
    assert await third.fill() == (0, 0)
    assert await second.fill() is None
