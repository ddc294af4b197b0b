"""Windows count as the sliding window counter of ``limits`` does, which is the oracle here."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import limits.storage.memory
import limits.strategies
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from tallygate.gateway.state.environment import Environment
from tallygate.gateway.state.interface import Asked, Granted, WindowAsk
from tallygate.gateway.state.local import LocalStore
from tallygate.gateway.state.rates import PerMinute
from tallygate.gateway.state.redis import Argument, Redis, Script
from tallygate.gateway.state.remote import PREFIX
from tallygate.gateway.state.scripts import ADMIT
from tallygate.gateway.state.storages import LocalStorage
from tallygate.gateway.state.windows import RECORD, Window, corrected, window_at

MINUTE = 60_000
BEGIN = 29_921_000 * MINUTE + 1

steps = st.lists(st.tuples(st.integers(0, 4500), st.integers(0, 12)), max_size=30)
"""How far the clock goes on, in units of 30 ms, and how much is asked for then.

Times are 1 ms beside a multiple of 30: then no weight is a whole number, which floating point could miss.
"""


class Clock:
    """Milliseconds, for us and for the oracle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = BEGIN
        oracle_time = SimpleNamespace(time=lambda: self.now / 1000)
        monkeypatch.setattr(limits.storage.memory, "time", oracle_time)
        monkeypatch.setattr(limits.strategies, "time", oracle_time)

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def oracle(clock: Clock) -> Iterator[SlidingWindowCounterRateLimiter]:
    storage = MemoryStorage()
    yield SlidingWindowCounterRateLimiter(storage)
    storage.timer.join()


names = map("subject-{}".format, itertools.count())


@given(limit=st.integers(1, 25), steps=steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_on_one_machine(
    clock: Clock, oracle: SlidingWindowCounterRateLimiter, tmp_path: Path, limit: int, steps: list[tuple[int, int]]
) -> None:
    environment = Environment(tmp_path / "state")
    store = LocalStore(environment, clock=clock)
    store._worker = SimpleNamespace(number=1)  # type: ignore[assignment]  # windows need none
    item, name = PerMinute(limit), next(names)
    storage = storage_from_string(f"tallygate://{tmp_path}/state")
    assert isinstance(storage, LocalStorage)
    storage.clock = clock
    ours = SlidingWindowCounterRateLimiter(storage)
    for ahead, amount in steps:
        clock.now += ahead * 30
        answer = asyncio.run(store.admit(Asked([WindowAsk(f"{name}/a".encode(), limit, amount)])))
        assert isinstance(answer, Granted) == oracle.hit(item, name, "a", cost=amount)
        left = answer.remaining[0] if isinstance(answer, Granted) else answer.remaining
        assert left == oracle.get_window_stats(item, name, "a").remaining
        # The strategies of the library over our storage see the same windows, and can hit them.
        assert ours.get_window_stats(item, name, "a").remaining == left
        assert ours.hit(item, name, "b", cost=amount) == oracle.hit(item, name, "b", cost=amount)
    storage.close()
    environment.close()


@pytest.mark.xdist_group("redis")
async def test_on_a_shared_server(clock: Clock, oracle: SlidingWindowCounterRateLimiter, redis_url: str) -> None:
    redis = Redis(redis_url, 5.0)
    await redis.start()
    told_time = Script(ADMIT.text.decode().replace("redis.call('TIME')", "cjson.decode(ARGV[#ARGV])"))
    loop = asyncio.get_running_loop()

    async def hit(name: str, limit: int, amount: int) -> list[int]:
        seconds, rest = divmod(clock.now, 1000)
        arguments: list[Argument] = [1, "holder", MINUTE, limit, amount, b"0 0", f"[{seconds}, {rest * 1000}]"]
        reply: list[int] = await redis.run(told_time, [PREFIX + name.encode()], arguments)
        return reply

    @given(limit=st.integers(1, 25), steps=steps)
    @settings(max_examples=30, deadline=None)
    def check(limit: int, steps: list[tuple[int, int]]) -> None:
        item, name = PerMinute(limit), next(names)
        for ahead, amount in steps:
            clock.now += ahead * 30
            reply = asyncio.run_coroutine_threadsafe(hit(name, limit, amount), loop).result()
            assert (reply[0] == 0) == oracle.hit(item, name, cost=amount)
            assert reply[2 if reply[0] else 3] == oracle.get_window_stats(item, name).remaining
            if reply[0] == 1:
                assert (reply[3] == -1) == (amount > limit)
                assert reply[3] <= 2 * MINUTE

    await asyncio.to_thread(check)
    await redis.close()


@given(
    previous=st.integers(0, 40),
    current=st.integers(0, 40),
    left=st.integers(1, 97),
    limit=st.integers(1, 45),
    amount=st.integers(0, 50),
)
def test_the_wait_is_as_long_as_it_must_be(previous: int, current: int, left: int, limit: int, amount: int) -> None:
    window = Window(5, previous, current, left, 97)
    record, now = RECORD.pack(5, previous, current), 6 * 97 - left
    passes = (ahead for ahead in range(3 * 97) if window_at(record, now + ahead, 97).used + amount <= limit)
    assert window.wait(limit, amount) == (next(passes) if amount <= limit else None)
    assert window_at(record, now + window.reset, 97).used == 0


def test_a_clock_that_is_set_back_forgets_nothing_and_stalls_for_a_minute_at_most() -> None:
    record = RECORD.pack(100, 7, 5)
    now = 100 * MINUTE + 20_000
    assert window_at(record, now, MINUTE).used == 7 * 40 // 60 + 5
    # By a little: the step that has begun goes on.
    assert window_at(record, 99 * MINUTE + 59_000, MINUTE) == Window(100, 7, 5, MINUTE, MINUTE)
    # By an hour: what passed, passed just now.
    back = window_at(record, now - 60 * MINUTE, MINUTE)
    assert back == Window(40, 7, 5, 40_000, MINUTE)
    assert window_at(record, now - 58 * MINUTE, MINUTE).used == 9


def test_corrections_go_where_they_belong() -> None:
    record, now = RECORD.pack(100, 50, 20), 100 * MINUTE + 1
    assert corrected(record, now, MINUTE, 100, -15) == RECORD.pack(100, 50, 5)
    assert corrected(record, now, MINUTE, 100, -30) == RECORD.pack(100, 50, 0)
    assert corrected(record, now, MINUTE, 99, -15) == RECORD.pack(100, 35, 20)
    assert corrected(record, now, MINUTE, 98, -15) is None
    assert corrected(record, now, MINUTE, 98, 15) == RECORD.pack(100, 50, 35)
    assert corrected(None, now, MINUTE, 100, 15) == RECORD.pack(100, 0, 15)
    assert corrected(None, now, MINUTE, 100, 10**40) == RECORD.pack(100, 0, 2**62)
