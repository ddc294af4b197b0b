"""What is said of event loops."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop

from tallygate.facts import EventLoop, LoopQueues
from tallygate.runtime import LoopSampler
from tallygate.runtime import loop as module
from tallygate.runtime.loop import lag_gauges
from tallygate.tally import Tally
from tests.record.reading import dropped, rows_of
from tests.runtime.reading import come_true, gauge, reporting, sums


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAG_INTERVAL", 0.001)
    monkeypatch.setattr(module, "SAMPLE_INTERVAL", 0.001)


async def lags(tally: Tally, count: int = 1) -> int:
    """The total lag in cells, as soon as it was measured so often."""
    await come_true(lambda: measured(tally) >= count)
    return sums(tally, EventLoop).get("lag", 0)


def measured(tally: Tally) -> int:
    """How often."""
    (row,) = rows_of(tally, EventLoop, also_empty=True)
    return row.observed.get("lag", 0)


async def test_tasks_and_time(tally: Tally) -> None:
    others = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
    sampler = LoopSampler(asyncio.get_running_loop())
    sampler._tasks = lambda: len(asyncio.all_tasks())  # however soon it is asked again
    with reporting(sampler, tally):
        await lags(tally)
        sampler.sample()
        assert gauge(tally, EventLoop.tasks) == 4
        assert sums(tally, EventLoop)["busy"] > 0
    assert gauge(tally, EventLoop.tasks) == 0
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def test_a_blocked_loop_is_late(tally: Tally) -> None:
    sampler = LoopSampler(asyncio.get_running_loop())
    with reporting(sampler, tally):
        before, times = await lags(tally), measured(tally)
        time.sleep(0.05)  # noqa: ASYNC251  this is what makes it late
        assert await lags(tally, times + 1) - before >= 450_000
        sampler.sample()
    assert gauge(tally, EventLoop.lag_max) >= 450_000
    assert gauge(tally, EventLoop.lag_min) < 450_000


def test_what_the_gauges_say() -> None:
    lags = [n / 1000 for n in range(200, 0, -1)]
    assert {gauge.name: round(value, 6) for gauge, value in lag_gauges(lags).items()} == {
        "lag_min": 0.001,
        "lag_max": 0.2,
        "lag_mean": 0.1005,
        "lag_stddev": 0.057734,
        "lag_p50": 0.1,
        "lag_p90": 0.18,
        "lag_p99": 0.198,
    }
    assert set(lag_gauges([0.25]).values()) == {0.25, 0.0}


async def test_the_executor(tally: Tally) -> None:
    def shown() -> tuple[int, int]:
        sampler.sample()
        return gauge(tally, LoopQueues.executor_threads), gauge(tally, LoopQueues.executor_queue)

    loop = asyncio.get_running_loop()
    sampler = LoopSampler(loop)
    with reporting(sampler, tally), ThreadPoolExecutor(2) as executor:
        await lags(tally)
        assert shown() == (0, 0)
        loop.set_default_executor(executor)
        running, go_on = threading.Barrier(3), threading.Event()

        def work() -> None:
            running.wait()
            go_on.wait()

        calls = [loop.run_in_executor(None, work) for _ in range(2)]
        running.wait()
        calls += [loop.run_in_executor(None, lambda: None) for _ in range(3)]
        assert shown() == (2, 3)
        go_on.set()
        await asyncio.gather(*calls)
        assert shown() == (2, 0)


async def test_ready_callbacks(tally: Tally) -> None:
    loop = asyncio.get_running_loop()
    sampler = LoopSampler(loop)
    with reporting(sampler, tally):
        await lags(tally)
        for _ in range(5):
            loop.call_soon(int)
        sampler.sample()
        assert gauge(tally, LoopQueues.ready) >= 5
        assert b"\ntokio_global_queue_depth " in tally.render(["erato"])


def test_uvloop(tally: Tally) -> None:
    """What it does not tell is not shown."""

    async def main() -> None:
        LoopSampler.of(asyncio.get_running_loop()).report_to(lambda: tally)
        await asyncio.to_thread(int)
        await lags(tally, 3)

    loop = uvloop.new_event_loop()
    loop.run_until_complete(main())
    assert gauge(tally, EventLoop.tasks) == 1
    page = tally.render(["erato", "tallygate"]).decode()
    samples = {line.split()[0] for line in page.splitlines() if not line.startswith("#")}
    assert {"tokio_live_tasks_count", "tallygate_event_loop_tasks"} <= samples
    assert not {"tokio_global_queue_depth", "tallygate_executor_threads", "tallygate_executor_queue_size"} & samples
    assert dropped(tally) == {}
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_two_loops_add_up_and_one_that_is_gone_counts_no_more(tally: Tally) -> None:
    async def main() -> None:
        LoopSampler.of(asyncio.get_running_loop()).report_to(lambda: tally)
        await lags(tally, measured(tally) + 1)

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    for loop in (first, second):
        loop.run_until_complete(main())
    assert gauge(tally, EventLoop.tasks) == 2
    for loop in (first, second):
        loop.close()
    del first, second, loop
    gc.collect()
    assert gauge(tally, EventLoop.tasks) == 0


async def test_trouble_is_counted_and_the_sampler_goes_on(tally: Tally) -> None:
    sampler = LoopSampler(asyncio.get_running_loop())

    def broken() -> int:
        raise RuntimeError("the set changed")

    sampler._tasks = broken
    with reporting(sampler, tally):
        await lags(tally, 3)
    assert set(dropped(tally)) == {("EventLoop", "internal")}
