"""What a process says of itself, against what the system says of it."""

from __future__ import annotations

import mmap
import os
import resource
import sys
import threading
import time

import pytest

from tallygate.facts import Process
from tallygate.runtime import ProcessSampler
from tallygate.runtime.process import open_fds
from tallygate.runtime.reporting import Sparing
from tallygate.tally import Tally
from tests.runtime.reading import gauge, sums

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


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
    assert gauge(tally, Process.workers) == 1
    assert gauge(tally, Process.max_fds) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_cpu_time_counts_once_whoever_samples(tally: Tally) -> None:
    for _ in range(3):
        ProcessSampler.of(tally).sample()
    assert sums(tally, Process)["cpu_user"] <= resource.getrusage(resource.RUSAGE_SELF).ru_utime * 1e6 + 1


@on_linux
def test_the_process_on_linux(tally: Tally) -> None:
    ProcessSampler(tally).sample()
    resident, virtual = gauge(tally, Process.resident_memory), gauge(tally, Process.virtual_memory)
    assert 10 << 20 < gauge(tally, Process.anonymous_memory) < resident < virtual
    assert gauge(tally, Process.anonymous_memory) < gauge(tally, Process.data_memory) < virtual
    assert resident % os.sysconf("SC_PAGE_SIZE") == 0
    assert abs(gauge(tally, Process.threads) - threading.active_count()) <= 8
    assert gauge(tally, Process.open_fds) == open_fds()
    started = gauge(tally, Process.start_time) / 1e6
    assert time.time() - 3600 * 12 < started < time.time()


@on_linux
def test_memory_taken_is_seen(tally: Tally) -> None:
    sampler = ProcessSampler(tally)
    sampler.sample()
    before = {measure: gauge(tally, measure) for measure in (Process.anonymous_memory, Process.data_memory)}
    taken = mmap.mmap(-1, 32 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    taken.write(bytes(8 << 20))
    sampler.sample()
    taken.close()
    assert gauge(tally, Process.data_memory) - before[Process.data_memory] >= 32 << 20
    assert 8 << 20 <= gauge(tally, Process.anonymous_memory) - before[Process.anonymous_memory] < 24 << 20


@on_linux
def test_open_files_are_counted() -> None:
    before = open_fds()
    read, write = os.pipe()
    try:
        assert open_fds() == before + 2
    finally:
        os.close(read)
        os.close(write)


def test_what_takes_long_is_seldom_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)

    def ask() -> str:
        nonlocal now
        now += 0.02
        return "answer"

    sparing = Sparing(ask)
    assert sparing() == "answer"
    now += 19.9
    assert sparing() is None
    now += 0.2
    assert sparing() == "answer"
