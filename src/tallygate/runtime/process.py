"""The process: CPU time, memory, threads, open files."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from threading import Lock
from types import ModuleType
from typing import Final
from weakref import WeakKeyDictionary

from tallygate.declare import Gauge
from tallygate.facts import Process
from tallygate.record.recorder import Recorder
from tallygate.record.recording import index_of
from tallygate.runtime.reporting import Sparing

resource: ModuleType | None
try:
    import resource
except ImportError:  # not a Unix
    resource = None

STATUS: Final = re.compile(rb"^(VmSize|VmRSS|RssAnon|VmData|Threads):\s+(\d+)", re.MULTILINE)
"""The lines of /proc/self/status that are read."""
MEMORY: Final[Mapping[bytes, Gauge]] = {
    b"VmSize": Process.virtual_memory,
    b"VmRSS": Process.resident_memory,
    b"RssAnon": Process.anonymous_memory,
    b"VmData": Process.data_memory,
}
"""Gauges by their line, which counts in KiB."""

_lock = Lock()
"""Held while a sample is taken: CPU time counts once, whoever asks."""


def _after_fork() -> None:
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class ProcessSampler:
    """Samples this process into ``facts.Process``. What the system does not tell stays unset."""

    _of: Final[WeakKeyDictionary[Recorder, ProcessSampler]] = WeakKeyDictionary()

    def __init__(self, recorder: Recorder) -> None:
        self._row = recorder.tables[Process].row()
        self._pid = 0
        self._user = self._system = 0.0
        self._files = Sparing(open_fds)

    @classmethod
    def of(cls, recorder: Recorder) -> ProcessSampler:
        """The sampler of this tally: one, which knows what CPU time was counted before."""
        return cls._of.get(recorder) or cls._of.setdefault(recorder, cls(recorder))

    def sample(self) -> None:
        """Take a sample now. Safe in any thread."""
        with _lock:
            if self._pid != os.getpid():
                self._begin()
            user, system = cpu_times()
            self._row.add(index_of(Process.cpu_user), max(0.0, user - self._user))
            self._row.add(index_of(Process.cpu_system), max(0.0, system - self._system))
            self._user, self._system = user, system
            self._set(Process.workers, 1)
            if resource is not None:
                limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
                if limit != resource.RLIM_INFINITY:
                    self._set(Process.max_fds, limit)
            if sys.platform == "linux":
                self._read_proc()
            else:
                self._set(Process.threads, threading.active_count())

    def _read_proc(self) -> None:
        with open("/proc/self/status", "rb", buffering=0) as file:
            for line, value in STATUS.findall(file.read(8192)):
                if line == b"Threads":
                    self._set(Process.threads, int(value))
                else:
                    self._set(MEMORY[line], int(value) * 1024)
        files = self._files()
        if files is not None:
            self._set(Process.open_fds, files)

    def _begin(self) -> None:
        """A process that was not sampled before: this one, or the child it has become by a fork."""
        self._pid, self._user, self._system = os.getpid(), 0.0, 0.0
        self._set(Process.start_time, start_time())

    def _set(self, gauge: Gauge, value: float) -> None:
        self._row.set(index_of(gauge), value)


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
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()  # from the third (state) on
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
