"""What a worker says of itself, against what the system says of it."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tallygate.facts import EventLoop, GarbageCollection, Process
from tallygate.runtime import CollectorSampler, LoopSampler, ProcessSampler, RuntimeSampler, open_fds
from tallygate.tally import Tally
from tests.record.reading import dropped, gauge, rows_of

GAUGES = {
    measure.name: column
    for fact in (Process, EventLoop)
    for column, measure in enumerate(item for item in fact.measures if type(item).__name__ == "Gauge")
}


@pytest.fixture
def tally() -> Iterator[Tally]:
    tally = Tally(capacity_bytes=16 << 20)
    yield tally
    tally.close()


def sums(tally: Tally, fact: type[Process] | type[EventLoop]) -> dict[str, int]:
    return rows_of(tally, fact, also_empty=True)[-1].sums


def test_the_process(tally: Tally) -> None:
    sampler = ProcessSampler(tally)
    sampler.sample()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert 0 < sums(tally, Process)["cpu_user"] <= before * 1e6 + 1
    while resource.getrusage(resource.RUSAGE_SELF).ru_utime < before + 0.02:
        sum(range(1000))
    sampler.sample()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert before * 1e6 + 19_999 <= sums(tally, Process)["cpu_user"] <= after * 1e6 + 1
    assert gauge(tally, Process, GAUGES["workers"]) == 1
    assert gauge(tally, Process, GAUGES["max_fds"]) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_process_on_linux(tally: Tally) -> None:
    ProcessSampler(tally).sample()
    resident, virtual = (gauge(tally, Process, GAUGES[name]) for name in ("resident_memory", "virtual_memory"))
    assert 10 << 20 < resident < virtual
    assert resident % os.sysconf("SC_PAGE_SIZE") == 0
    assert abs(gauge(tally, Process, GAUGES["threads"]) - threading.active_count()) <= 8
    assert gauge(tally, Process, GAUGES["open_fds"]) == open_fds()
    started = gauge(tally, Process, GAUGES["start_time"]) / 1e6
    assert time.time() - 3600 * 12 < started < time.time()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_open_files_are_counted() -> None:
    before = open_fds()
    read, write = os.pipe()
    try:
        assert open_fds() == before + 2
    finally:
        os.close(read)
        os.close(write)


async def test_the_event_loop(tally: Tally) -> None:
    sampler = LoopSampler(tally)
    others = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
    await sampler.nap(0)
    sampler.sample()
    assert gauge(tally, EventLoop, GAUGES["tasks"]) == len(asyncio.all_tasks())
    assert rows_of(tally, EventLoop)[0].observed["lag"] == 1
    assert sums(tally, EventLoop)["busy"] > 0
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def test_a_blocked_loop_is_late(tally: Tally) -> None:
    sampler = LoopSampler(tally)
    asyncio.get_running_loop().call_soon(time.sleep, 0.05)
    await sampler.nap(0.001)
    assert rows_of(tally, EventLoop)[0].sums["lag"] >= 450_000
    assert gauge(tally, EventLoop, GAUGES["latest_lag"]) == rows_of(tally, EventLoop)[0].sums["lag"]


def test_the_collector(tally: Tally) -> None:
    sampler = CollectorSampler(tally)
    gc.collect()
    gc.disable()
    try:
        sampler.start()
        sampler.start()
        for _ in range(3):
            loop: list[object] = []
            loop.append(loop)
        del loop
        assert gc.collect(2) >= 3
        sampler.stop()
        gc.collect(2)
    finally:
        sampler.stop()
        gc.enable()
    (row,) = rows_of(tally, GarbageCollection)
    assert (row.dimensions, row.count, row.observed) == ({"generation": "2"}, 1, {"duration": 1})
    assert row.sums["collected"] >= 3


async def test_the_sampler_runs_and_stops(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    callbacks = list(gc.callbacks)
    napped, nap = asyncio.Event(), LoopSampler.nap

    async def nap_and_tell(self: LoopSampler, seconds: float) -> None:
        await nap(self, seconds)
        napped.set()

    monkeypatch.setattr(LoopSampler, "nap", nap_and_tell)
    sampler = RuntimeSampler(tally, interval=0.01)
    sampler.start()
    sampler.start()
    await napped.wait()
    assert rows_of(tally, EventLoop)[0].observed["lag"] >= 1
    assert gauge(tally, Process, GAUGES["workers"]) == 1
    await sampler.stop()
    await sampler.stop()
    assert gc.callbacks == callbacks
    assert len(asyncio.all_tasks()) == 1
    assert dropped(tally) == {}


def test_the_thread_runs_and_stops(tally: Tally) -> None:
    callbacks = list(gc.callbacks)
    sampler = RuntimeSampler(tally, interval=0.01)
    sampler.start_thread()
    while not gauge(tally, Process, GAUGES["workers"]):
        time.sleep(0)
    sampler.stop_thread()
    sampler.stop_thread()
    assert gc.callbacks == callbacks
    assert "tallygate runtime sampler" not in [thread.name for thread in threading.enumerate()]


async def test_trouble_with_the_system_is_counted(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> tuple[float, float]:
        raise OSError("too many open files")

    monkeypatch.setattr("tallygate.runtime.cpu_times", broken)
    sampler = RuntimeSampler(tally, interval=0.01)
    sampler.start()
    await asyncio.sleep(0)  # its first sample is taken at once
    await sampler.stop()
    assert set(dropped(tally)) == {("Process", "internal")}


async def test_a_disabled_tally_samples_nothing() -> None:
    callbacks = list(gc.callbacks)
    sampler = RuntimeSampler(Tally(enabled=False))
    sampler.start()
    sampler.start_thread()
    assert (gc.callbacks, len(asyncio.all_tasks())) == (callbacks, 1)
    sampler.stop_thread()
    await sampler.stop()
