"""The sampler of a server's worker, and the watching of the collector."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tallygate.facts import EventLoop, GarbageCollection, Process
from tallygate.runtime import COLLECTOR, RuntimeSampler
from tallygate.tally import Tally
from tests.record.reading import dropped, rows_of
from tests.runtime.reading import come_true, gauge, reporting


def test_the_collector(tally: Tally) -> None:
    gc.collect()
    gc.disable()
    try:
        with reporting(COLLECTOR, tally) as where, reporting(COLLECTOR, tally):  # two on behalf of one tally
            COLLECTOR.report_to(where)
            for _ in range(3):
                loop: list[object] = []
                loop.append(loop)
            del loop
            assert gc.collect(2) >= 3
        gc.collect(2)
    finally:
        gc.enable()
    (row,) = rows_of(tally, GarbageCollection)
    assert (row.dimensions, row.count, row.observed) == ({"generation": "2"}, 1, {"duration": 1})
    assert row.sums["collected"] >= 3


async def test_the_sampler_runs_and_stops(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallygate.runtime.loop.LAG_INTERVAL", 0.001)
    callbacks = list(gc.callbacks)
    sampler = RuntimeSampler(tally)
    sampler.start()
    sampler.start()
    await come_true(lambda: rows_of(tally, EventLoop))
    assert gauge(tally, Process.workers) == 1
    assert gauge(tally, EventLoop.tasks) == 1
    assert len(asyncio.all_tasks()) == 1
    sampler.stop()
    sampler.stop()
    assert gc.callbacks == callbacks
    assert dropped(tally) == {}


async def test_trouble_with_the_system_is_counted(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> tuple[float, float]:
        raise OSError("too many open files")

    monkeypatch.setattr("tallygate.runtime.process.cpu_times", broken)
    sampler = RuntimeSampler(tally)
    sampler.start()
    sampler.stop()
    assert dropped(tally) == {("Process", "internal"): 1}


async def test_a_disabled_tally_samples_nothing() -> None:
    callbacks = list(gc.callbacks)
    sampler = RuntimeSampler(Tally(enabled=False))
    sampler.start()
    assert gc.callbacks == callbacks
    sampler.stop()
