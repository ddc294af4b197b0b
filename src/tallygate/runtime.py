"""How the worker itself is doing: its process, its event loop, its garbage collector, sampled once a second."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
import time
from types import ModuleType
from typing import Any, Final

from tallygate.declare import Fact
from tallygate.facts import EventLoop, GarbageCollection, Process
from tallygate.ledger.interface import Row
from tallygate.record.recorder import Recorder

resource: ModuleType | None
try:
    import resource
except ImportError:  # not a Unix
    resource = None

LAG_INTERVAL: Final = 0.1
"""Seconds between two measurements of the loop's lag."""
MOST_TIME_ON_TASKS: Final = 0.001
"""Share of the loop's time that counting tasks may take: with very many of them they are counted less often."""


def _index(fact: type[Fact], measure: str) -> int:
    return [candidate.name for candidate in fact.measures].index(measure)


class ProcessSampler:
    """Samples this process into ``facts.Process``. What the system does not tell stays unset."""

    def __init__(self, recorder: Recorder) -> None:
        self._row = recorder.tables[Process].row()
        self._pid = 0
        self._user = self._system = 0.0

    def sample(self) -> None:
        """Take a sample now."""
        if self._pid != os.getpid():
            self._begin()
        user, system = cpu_times()
        self._add("cpu_user", user - self._user)
        self._add("cpu_system", system - self._system)
        self._user, self._system = user, system
        self._set("workers", 1)
        if resource is not None:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            if limit != resource.RLIM_INFINITY:
                self._set("max_fds", limit)
        if sys.platform == "linux":
            with open("/proc/self/statm", "rb") as file:
                virtual, resident = file.read().split()[:2]
            page = os.sysconf("SC_PAGE_SIZE")
            self._set("virtual_memory", int(virtual) * page)
            self._set("resident_memory", int(resident) * page)
            self._set("threads", int(_stat()[17]))
            self._set("open_fds", open_fds())
        else:
            self._set("threads", threading.active_count())

    def _begin(self) -> None:
        """A process that was not sampled before: this one, or the child it has become by a fork."""
        self._pid, self._user, self._system = os.getpid(), 0.0, 0.0
        self._set("start_time", start_time())

    def _add(self, measure: str, value: float) -> None:
        self._row.add(_index(Process, measure), max(0.0, value))

    def _set(self, measure: str, value: float) -> None:
        self._row.set(_index(Process, measure), value)


def cpu_times() -> tuple[float, float]:
    """User and system CPU time of this process, seconds."""
    if resource is not None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime, usage.ru_stime
    times = os.times()
    return times.user, times.system


def open_fds() -> int:
    """Open file descriptors of this process, on Linux."""
    known = os.stat("/proc/self/fd").st_size  # the number itself since Linux 6.2, and 0 before
    return known or len(os.listdir("/proc/self/fd")) - 1


def start_time() -> float:
    """Unix time at which this process started, seconds; outside Linux, when it is first asked."""
    if sys.platform != "linux":
        return time.time()
    since_boot = int(_stat()[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot


def _stat() -> list[bytes]:
    """The fields of /proc/self/stat from the third (state) on."""
    with open("/proc/self/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


class CollectorSampler:
    """Records every pass of the garbage collector, as a callback of it."""

    def __init__(self, recorder: Recorder) -> None:
        table = recorder.tables[GarbageCollection]
        self._rows: list[Row] = [table.row(str(generation)) for generation in range(3)]
        self._began = 0

    def start(self) -> None:
        if self not in gc.callbacks:
            gc.callbacks.append(self)

    def stop(self) -> None:
        if self in gc.callbacks:
            gc.callbacks.remove(self)

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter_ns()
        elif self._began:
            seconds = (time.perf_counter_ns() - self._began) * 1e-9
            self._rows[info["generation"]].record(seconds, info["collected"], info["uncollectable"])


class LoopSampler:
    """Samples the running event loop into ``facts.EventLoop``."""

    def __init__(self, recorder: Recorder) -> None:
        self._row = recorder.tables[EventLoop].row()
        self._loop = asyncio.get_running_loop()
        self._busy = time.thread_time()
        self._next_count = 0.0

    async def nap(self, seconds: float) -> None:
        """Sleep, and record how much too late the loop let it end."""
        due = self._loop.time() + seconds
        await asyncio.sleep(seconds)
        lag = max(0.0, self._loop.time() - due)
        self._row.record(lag)
        self._row.set(_index(EventLoop, "latest_lag"), lag)

    def sample(self) -> None:
        """Take a sample now, in the loop's thread."""
        busy = time.thread_time()
        self._row.add(_index(EventLoop, "busy"), max(0.0, busy - self._busy))
        self._busy = busy
        ready: Any = getattr(self._loop, "_ready", None)  # asyncio's own loops have it; uvloop does not
        if ready is not None:
            self._row.set(_index(EventLoop, "ready"), len(ready))
        began = time.perf_counter()
        if began >= self._next_count:
            self._row.set(_index(EventLoop, "tasks"), len(asyncio.all_tasks(self._loop)))
            ended = time.perf_counter()
            self._next_count = ended + (ended - began) / MOST_TIME_ON_TASKS


class RuntimeSampler:
    """Samples process, event loop and garbage collector of a worker, until it is stopped. Never disturbs the worker.

    ``start`` inside the event loop and ``await stop()``; without a loop, ``start_thread`` and ``stop_thread``.
    """

    def __init__(self, recorder: Recorder, interval: float = 1.0) -> None:
        """interval: seconds between two samples."""
        self._recorder, self._interval = recorder, interval
        self._collector = CollectorSampler(recorder) if recorder.enabled else None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin, as a task of the running loop. Again is once."""
        if self._collector is not None and self._task is None:
            self._collector.start()
            self._task = asyncio.get_running_loop().create_task(self._run(), name="tallygate runtime sampler")

    async def stop(self) -> None:
        """End the task and the watching of the collector."""
        if self._collector is not None:
            self._collector.stop()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def start_thread(self) -> None:
        """Begin, as a daemon thread: process and collector only. Again is once."""
        if self._collector is not None and self._thread is None:
            self._collector.start()
            self._stop.clear()
            self._thread = threading.Thread(target=self._run_thread, name="tallygate runtime sampler", daemon=True)
            self._thread.start()

    def stop_thread(self) -> None:
        """End the thread and the watching of the collector."""
        if self._collector is not None:
            self._collector.stop()
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join()

    async def _run(self) -> None:
        process, loop = ProcessSampler(self._recorder), LoopSampler(self._recorder)
        naps = max(1, round(self._interval / LAG_INTERVAL))
        while True:
            self._sample(Process, process)
            self._sample(EventLoop, loop)
            for _ in range(naps):
                await loop.nap(self._interval / naps)

    def _run_thread(self) -> None:
        process = ProcessSampler(self._recorder)
        while True:
            self._sample(Process, process)
            if self._stop.wait(self._interval):
                return

    def _sample(self, fact: type[Fact], sampler: ProcessSampler | LoopSampler) -> None:
        try:
            sampler.sample()
        except Exception as problem:  # /proc may be hidden, or descriptors used up
            self._recorder.failed(fact, problem)
