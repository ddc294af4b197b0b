"""``instrument.process``, ``gc``, ``asyncio`` and ``runtime``: on, off, before ``init``, in threads and forks."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tallygate import instrument
from tallygate.facts import EventLoop, GarbageCollection, Process
from tallygate.instrument import NotInstrumentable
from tallygate.record.default import default
from tallygate.tally import Tally
from tests.record.reading import dropped, rows_of
from tests.runtime.reading import come_true, gauge, sums


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("tallygate.runtime.loop.LAG_INTERVAL", 0.001)
    callbacks, recorder = list(gc.callbacks), default.recorder
    yield
    assert gc.callbacks == callbacks
    assert "tallygate process sampler" not in [thread.name for thread in threading.enumerate()]
    default.recorder = recorder


@pytest.fixture
def tally() -> Iterator[Tally]:
    tally = Tally(capacity_bytes=16 << 20)
    yield tally
    tally.close()


def wait_for(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0)


def sampled(tally: Tally) -> bool:
    return gauge(tally, Process.workers) == 1


def test_the_process(tally: Tally) -> None:
    with instrument.process(tally=tally), instrument.process(tally=tally):
        wait_for(lambda: sampled(tally))
    assert 0 < sums(tally, Process)["cpu_user"] <= time.process_time() * 1e6
    assert dropped(tally) == {}


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf")])
def test_an_interval_that_cannot_be(interval: float) -> None:
    with pytest.raises(ValueError, match=rf"interval={interval} cannot be waited for; give the seconds"):
        instrument.process(interval)


def test_before_init_and_after(tally: Tally) -> None:
    """Nothing before; as soon as there is a tally, to it."""
    with instrument.process(0.001), instrument.gc():
        gc.collect()
        default.recorder = tally
        wait_for(lambda: sampled(tally))
        gc.collect()
    (row,) = [row for row in rows_of(tally, GarbageCollection) if row.dimensions == {"generation": "2"}]
    assert row.count == 1


def test_after_the_end_nothing_is_recorded(tally: Tally) -> None:
    handle = instrument.gc(tally=tally)
    gc.collect()
    handle.remove()
    handle.remove()
    before = [row.count for row in rows_of(tally, GarbageCollection)]
    gc.collect()
    assert [row.count for row in rows_of(tally, GarbageCollection)] == before


async def test_the_running_loop(tally: Tally) -> None:
    with instrument.asyncio(tally=tally), instrument.asyncio(tally=tally):
        await come_true(lambda: rows_of(tally, EventLoop))
        assert gauge(tally, EventLoop.tasks) == 1
    assert gauge(tally, EventLoop.tasks) == 0
    assert dropped(tally) == {}


def test_a_loop_in_another_thread(tally: Tally) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with instrument.asyncio(loop, tally=tally):
        wait_for(lambda: rows_of(tally, EventLoop))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    with pytest.raises(NotInstrumentable, match=r"^the event loop is closed: give one that is running, or will be$"):
        instrument.asyncio(loop)


def test_no_loop_at_all() -> None:
    expected = r"^no event loop is running in this thread: call asyncio\(\) inside of one, or give it: asyncio\(loop\)$"
    with pytest.raises(NotInstrumentable, match=expected):
        instrument.asyncio()


def test_all_of_it_without_a_loop(tally: Tally) -> None:
    with instrument.runtime(tally=tally):
        gc.collect()
        wait_for(lambda: sampled(tally))
    assert rows_of(tally, GarbageCollection)
    assert not rows_of(tally, EventLoop)


async def test_all_of_it_in_a_loop(tally: Tally) -> None:
    with instrument.runtime(tally=tally):
        await come_true(lambda: rows_of(tally, EventLoop) and sampled(tally))


FORK = """
import os, time, warnings
from tallygate import instrument
from tallygate.facts import Process
from tallygate.tally import Tally
from tests.runtime.reading import gauge

tally = Tally(path=os.path.abspath("ledger"), capacity_bytes=16 << 20, implementation="native")
instrument.process(0.001, tally=tally)
while gauge(tally, Process.workers) != 1:
    time.sleep(0)
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of a fork beside threads
if (child := os.fork()) == 0:
    while gauge(tally, Process.workers) != 2:
        time.sleep(0)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


def test_a_forked_child_samples_itself(tmp_path: os.PathLike[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    subprocess.run([sys.executable, "-c", FORK], cwd=tmp_path, env=environment, check=True, timeout=60)
