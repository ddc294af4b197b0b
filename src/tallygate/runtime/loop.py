"""Event loops: how late they are, what they have to do, how busy they are."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from math import ceil, sqrt
from operator import mul
from threading import RLock
from typing import Any, Final
from weakref import WeakKeyDictionary, finalize, ref

from tallygate.declare import Gauge
from tallygate.facts import EventLoop, LoopQueues
from tallygate.ledger.interface import Row
from tallygate.record.recorder import Recorder
from tallygate.record.recording import index_of
from tallygate.runtime.reporting import Reporters, Sparing, Where

LAG_INTERVAL: Final = 0.1
"""Seconds between two measurements of a loop's lag."""
SAMPLE_INTERVAL: Final = 1.0
"""Seconds between two samples of the rest."""
LATEST: Final = round(60 / LAG_INTERVAL)
"""How many lags the latest minute has."""
LATEST_LAG: Final = index_of(EventLoop.latest_lag)
BUSY: Final = index_of(EventLoop.busy)


def lag_gauges(lags: Sequence[float]) -> dict[Gauge, float]:
    """What the gauges say of these lags, in seconds; percentiles are lags that were measured (nearest rank)."""
    ordered, count = sorted(lags), len(lags)
    mean = sum(ordered) / count
    variance = sum(map(mul, ordered, ordered)) / count - mean * mean
    return {
        EventLoop.lag_min: ordered[0],
        EventLoop.lag_max: ordered[-1],
        EventLoop.lag_mean: mean,
        EventLoop.lag_stddev: sqrt(max(0.0, variance)),
        EventLoop.lag_p50: ordered[ceil(count * 0.5) - 1],
        EventLoop.lag_p90: ordered[ceil(count * 0.9) - 1],
        EventLoop.lag_p99: ordered[ceil(count * 0.99) - 1],
    }


class _Report:
    """What one tally was told of one loop. Levels move by their change: the worker's other loops add theirs."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.row = recorder.tables[EventLoop].row()
        self._queues: Row | None = None
        self._levels: dict[Gauge, float] = {}

    def level(self, gauge: Gauge, value: float) -> None:
        row = self.row if gauge.fact is EventLoop else self._queues or self._show_queues()
        row.add(index_of(gauge), value - self._levels.get(gauge, 0))
        self._levels[gauge] = value

    def _show_queues(self) -> Row:
        """A fact that was never recorded is not shown, and is not when no loop tells it."""
        self._queues = self.recorder.tables[LoopQueues].row()
        self._queues.record()
        return self._queues

    def end(self) -> None:
        """The loop has nothing more to do."""
        for gauge in list(self._levels):
            self.level(gauge, 0)


class LoopSampler:
    """Samples one event loop into ``facts.EventLoop``, by timers of its own: no task, and nothing that waits.

    Of several loops in one process, those of lag show the one that was sampled last. Only asyncio's own loops tell
    their ready callbacks and their executor; of uvloop's those are not shown.
    """

    _of: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, LoopSampler]] = WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self._reporters = Reporters()
        self._reports: list[_Report] = []
        self._telling = RLock()
        self._lags: deque[float] = deque(maxlen=LATEST)
        self._tasks: Callable[[], int | None] = Sparing(lambda: len(asyncio.all_tasks(self._loop())))
        self._ticking = False
        self._due = self._next_sample = self._busy = 0.0
        finalize(loop, self._end).atexit = False

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> LoopSampler:
        """The sampler of this loop: one, so that nothing counts twice, whoever asks for it."""
        return cls._of.get(loop) or cls._of.setdefault(loop, cls(loop))

    def report_to(self, where: Where) -> None:
        """Begin to report there, from any thread. Again is once. RuntimeError when the loop is closed."""
        loop = self._loop()
        if loop is not None:
            loop.call_soon_threadsafe(self._begin)
            self._reporters.add(where)

    def stop_reporting_to(self, where: Where) -> None:
        """No more, from any thread; the timer that is set does nothing once there is nobody to tell."""
        self._reporters.discard(where)
        self._settle()

    def _begin(self) -> None:
        if not self._ticking:
            self._ticking = True
            self._busy = time.thread_time()
            self.sample()
            self._wait()

    def _wait(self) -> None:
        loop = self._loop()
        if loop is not None:
            self._due = time.perf_counter() + LAG_INTERVAL
            loop.call_later(LAG_INTERVAL, self._tick)

    def _tick(self) -> None:
        if not self._reporters:
            self._ticking = False
            return
        now = time.perf_counter()
        lag = max(0.0, now - self._due)
        self._lags.append(lag)
        for report in self._reports:
            report.row.record(lag)
            report.row.set(LATEST_LAG, lag)
        if now >= self._next_sample:
            self.sample()
        self._wait()

    def sample(self) -> None:
        """Take a sample now, in the loop's thread."""
        with self._telling:
            self._sample()

    def _sample(self) -> None:
        self._next_sample = time.perf_counter() + SAMPLE_INTERVAL - LAG_INTERVAL / 2
        self._settle()
        busy, self._busy = self._busy, time.thread_time()
        for report in self._reports:
            report.row.add(BUSY, max(0.0, self._busy - busy))
        try:
            levels, lags = self._levels(), lag_gauges(self._lags) if self._lags else {}
        except Exception as problem:
            for report in self._reports:
                report.recorder.failed(EventLoop, problem)
            return
        for report in self._reports:
            for gauge, value in levels.items():
                report.level(gauge, value)
            for gauge, value in lags.items():
                report.row.set(index_of(gauge), value)

    def _levels(self) -> dict[Gauge, float]:
        loop: Any = self._loop()
        found: dict[Gauge, float] = {}
        tasks = self._tasks()
        if tasks is not None:
            found[EventLoop.tasks] = tasks
        ready = getattr(loop, "_ready", None)
        if ready is not None:
            found[LoopQueues.ready] = len(ready)
        executor: Any = getattr(loop, "_default_executor", None)
        if executor is not None:
            found[LoopQueues.executor_threads] = len(executor._threads)
            found[LoopQueues.executor_queue] = executor._work_queue.qsize()
        return found

    def _settle(self) -> None:
        """Report to those who are to be told now."""
        with self._telling:
            recorders = self._reporters.recorders()
            told = {report.recorder: report for report in self._reports}
            for recorder, report in told.items():
                if recorder not in recorders:
                    report.end()
            self._reports = [told.get(recorder) or _Report(recorder) for recorder in recorders]

    def _end(self) -> None:
        """The loop is gone."""
        with self._telling:
            for report in self._reports:
                report.end()
