"""Answers in memory: bounded by bytes, ended by age and idleness."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import tracemalloc
from pathlib import Path

import pytest

from tallygate.gateway.cache.answer import Answer
from tallygate.gateway.cache.memory import OVERHEAD, MemoryStore
from tests.gateway.cache.stores import Clock, answer, key


def weight(one: Answer) -> int:
    return one.weight() + OVERHEAD


async def test_what_was_put_is_found_with_its_age() -> None:
    clock = Clock()
    store = MemoryStore(10_000, 60, None, clock)
    assert await store.get(key(1), None) is None
    store.put(key(1), answer("one"))
    clock.now += 2.5
    found = await store.get(key(1), None)
    assert found is not None
    assert (found.answer, found.age) == (answer("one"), 2.5)
    assert await store.get(key(2), None) is None
    assert await store.fill() == (weight(answer("one")), 1)


async def test_the_last_one_put_counts() -> None:
    store = MemoryStore(10_000, 60)
    store.put(key(1), answer("one"))
    store.put(key(1), answer("longer"))
    found = await store.get(key(1), None)
    assert found is not None
    assert found.answer == answer("longer")
    assert await store.fill() == (weight(answer("longer")), 1)


async def test_an_answer_lives_no_longer_than_its_time_however_often_it_is_asked_for() -> None:
    clock = Clock()
    store = MemoryStore(10_000, 60, 20, clock)
    store.put(key(1), answer("one"))
    for _ in range(5):
        clock.now += 11.9
        assert await store.get(key(1), None) is not None
    clock.now += 0.5
    assert await store.get(key(1), None) is None
    assert await store.fill() == (0, 0)


@pytest.mark.parametrize(("idle", "there"), [(19.9, True), (20.0, False)])
async def test_an_idle_answer_ends(idle: float, there: bool) -> None:
    clock = Clock()
    store = MemoryStore(10_000, 60, 20, clock)
    store.put(key(1), answer("one"))
    clock.now += 19
    assert await store.get(key(1), None) is not None
    clock.now += idle
    assert (await store.get(key(1), None) is not None) == there
    assert (await store.fill()).entries == there


async def test_without_a_time_to_idle_nothing_ends_before_its_time() -> None:
    clock = Clock()
    store = MemoryStore(10_000, 60, None, clock)
    store.put(key(1), answer("one"))
    clock.now += 59.9
    assert await store.get(key(1), None) is not None
    clock.now += 0.1
    assert await store.get(key(1), None) is None


async def test_an_answer_older_than_asked_for_is_not_found_and_stays() -> None:
    clock = Clock()
    store = MemoryStore(10_000, 60, None, clock)
    store.put(key(1), answer("one"))
    clock.now += 10
    assert await store.get(key(1), 9) is None
    assert await store.get(key(1), 10) is not None


async def test_the_least_recently_used_makes_room() -> None:
    one = answer("1", 100)
    store = MemoryStore(3 * weight(one), 60)
    for number in (1, 2, 3):
        store.put(key(number), one)
    await store.get(key(1), None)
    store.put(key(4), one)
    there = [number for number in (1, 2, 3, 4) if await store.get(key(number), None)]
    assert there == [1, 3, 4]
    assert await store.fill() == (3 * weight(one), 3)


async def test_an_answer_larger_than_the_whole_is_not_kept_nor_is_what_it_replaces() -> None:
    store = MemoryStore(2000, 60)
    store.put(key(1), answer("1"))
    store.put(key(1), answer("1", 3000))
    assert await store.get(key(1), None) is None
    assert await store.fill() == (0, 0)


async def test_purge() -> None:
    store = MemoryStore(10_000, 60)
    store.put(key(1), answer("one"))
    await store.purge()
    assert await store.get(key(1), None) is None
    assert await store.fill() == (0, 0)


async def test_a_purge_reaches_the_other_workers_of_the_machine(tmp_path: Path) -> None:
    one, other = [MemoryStore(10_000, 60, directory=tmp_path / "state") for _ in range(2)]
    for store in (one, other):
        await store.start()
        store.put(key(1), answer("one"))
    await one.purge()
    assert [await store.fill() for store in (one, other)] == [(0, 0), (0, 0)]
    for store in (one, other):
        store.put(key(1), answer("one"))
    await other.purge()
    other.put(key(2), answer("two"))
    assert await one.get(key(1), None) is None
    assert await other.get(key(2), None) is not None
    for store in (one, other):
        await store.close()


@pytest.mark.parametrize("idle", [None, 3.0])
async def test_the_books_are_right_under_random_load(idle: float | None) -> None:
    dice, clock = random.Random(1), Clock()
    capacity = 30_000
    store = MemoryStore(capacity, 10, idle, clock)
    known: dict[int, tuple[Answer, float, float]] = {}
    hits = evicted = 0
    for step in range(4000):
        clock.now += dice.random() / 10
        number = min(int(dice.expovariate(0.05)), 200)
        if dice.random() < 0.5:
            one = answer(str(step), dice.randrange(3000))
            store.put(key(number), one)
            known[number] = (one, clock.now, clock.now)
        else:
            found = await store.get(key(number), None)
            kept, since, used = known.get(number, (None, 0.0, 0.0))
            ended = kept is None or clock.now - since >= 10 or (idle is not None and clock.now - used >= idle)
            if found is None:
                evicted += not ended
            else:
                assert not ended
                assert found.answer == kept
                assert found.age == pytest.approx(clock.now - since)
                known[number] = (found.answer, since, clock.now)
                hits += 1
        fill = await store.fill()
        assert fill.used <= capacity
    assert hits > 200
    assert evicted > 20
    there = [one for number, (one, _, _) in known.items() if await store.get(key(number), None)]
    assert fill == (sum(map(weight, there)), len(there))


@pytest.mark.parametrize(("size", "pieces", "gets"), [(100, 1, 0), (100, 1, 3), (100, 20, 1), (5000, 1, 1)])
def test_what_is_counted_covers_what_is_taken(size: int, pieces: int, gets: int) -> None:
    async def go() -> int:
        for number in range(300):
            headers = ((bytes(bytearray(b"content-type")), bytes(bytearray(b"application/json"))),)
            store.put(key(number), Answer(headers, tuple(os.urandom(size) for _ in range(pieces))))
        for _ in range(gets):
            for number in range(300):
                await store.get(key(number), None)
        return (await store.fill()).used

    store = MemoryStore(100_000_000, 3600, 600)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        used = asyncio.run(go())
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used * 0.7 < taken <= used
