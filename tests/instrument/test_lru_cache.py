"""functools: functions that keep what they gave."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path

import cachetools
import pytest

from tallygate import instrument
from tallygate.instrument import NotInstrumentable
from tallygate.instrument.support import polling
from tallygate.record.default import default
from tallygate.tally import Tally
from tests.instrument.db_page import lookups, state


@pytest.fixture
def square() -> Callable[[int], int]:
    @lru_cache(maxsize=4)
    def square(number: int) -> int:
        return number * number

    return square


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    assert not polling._polled


def test_hits_and_misses_are_told_once(square: Callable[[int], int], tally: Tally) -> None:
    square(1)
    with instrument.lru_cache(square, name="squares", tally=tally):
        assert lookups(tally) == {"squares  hit": 0, "squares  miss": 0}
        assert [square(number) for number in (1, 2, 2, 1)] == [1, 4, 4, 1]
        for _ in range(3):
            assert lookups(tally) == {"squares  hit": 3, "squares  miss": 1}
        assert (state(tally, "squares")["entries"], state(tally, "squares")["fill_ratio"]) == (2, 0.5)
        square(1)
    assert lookups(tally) == {"squares  hit": 4, "squares  miss": 1}
    assert state(tally, "squares")["entries"] == 0
    square(1)
    assert lookups(tally) == {"squares  hit": 4, "squares  miss": 1}


def test_clearing_loses_nothing(tally: Tally) -> None:
    @cache
    def double(number: int) -> int:
        return 2 * number

    before = double.cache_clear
    with instrument.lru_cache(double, name="doubles", tally=tally):
        double(1), double(1)
        double.cache_clear()
        assert state(tally, "doubles")["entries"] == 0
        double(1), double(1), double(1)
        double.cache_clear()
        double(1)
        assert lookups(tally) == {"doubles  hit": 3, "doubles  miss": 3}
        assert state(tally, "doubles")["fill_ratio"] == 0
    assert double.cache_clear == before


def test_every_dialect_adds_them_up(square: Callable[[int], int]) -> None:
    tally = Tally(dialects=("gatewayz", "hyperagent"), capacity_bytes=16 << 20)
    with instrument.lru_cache(square, name="squares", tally=tally):
        for number in (1, 1, 1, 2):
            square(number)
        page = tally.render().decode()
    assert 'cache_hits_total{cache_name="squares"} 2\n' in page
    assert 'cache_misses_total{cache_name="squares"} 2\n' in page
    assert 'llm_cache_hits_total{route=""} 2\n' in page
    tally.close()


def test_a_tally_made_later_is_told_all_since(square: Callable[[int], int], monkeypatch: pytest.MonkeyPatch) -> None:
    handle = instrument.lru_cache(square, name="squares")
    square(1), square(1)
    tally = Tally(capacity_bytes=16 << 20)
    monkeypatch.setattr(default, "recorder", tally)
    assert lookups(tally) == {"squares  hit": 1, "squares  miss": 1}
    handle.remove()
    tally.close()


def test_the_thread_tells_too(square: Callable[[int], int], tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a worker that is never asked for a page has its say on the pages of the others."""
    monkeypatch.setattr(polling, "INTERVAL", 0.001)
    told = threading.Event()
    tell = tally.cache_lookups

    def watched(*arguments: str, hits: int, misses: int) -> None:
        tell(*arguments, hits=hits, misses=misses)
        if hits:
            told.set()

    monkeypatch.setattr(tally, "cache_lookups", watched)
    with instrument.lru_cache(square, name="squares", tally=tally):
        square(1), square(1)
        assert told.wait(30)


FORKING = """
import functools, os, sys, threading
from tallygate import instrument
from tallygate.tally import Tally

@functools.lru_cache
def square(number):
    return number * number

tally = Tally(path=sys.argv[1], capacity_bytes=16 << 20)
instrument.lru_cache(square, name="squares", tally=tally)
for _ in range(10):
    square(1)
child = os.fork()
if child == 0:
    square(1)
    tally.render()
    os._exit(threading.active_count())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(tally.render(names=["tallygate_cache_lookups_total"]).decode())
"""


def test_a_forked_child_tells_what_is_its_own(tmp_path: Path) -> None:
    """Both write into one ledger: what was there before the fork is told once. The child has a thread of its own."""
    command = [sys.executable, "-c", FORKING, str(tmp_path / "ledger")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    threads, *page = done.stdout.splitlines()
    assert threads == "2"
    assert 'tallygate_cache_lookups_total{cache="squares",route="",result="hit"} 10' in page
    assert 'tallygate_cache_lookups_total{cache="squares",route="",result="miss"} 1' in page


ENDING = """
import functools, sys
from tallygate import instrument
from tallygate.tally import Tally

same = functools.cache(lambda number: number)
instrument.lru_cache(same, name="same", tally=Tally(path=sys.argv[1], capacity_bytes=16 << 20))
same(1), same(1)
"""


def test_the_end_of_a_program_loses_nothing(tmp_path: Path) -> None:
    tally = Tally(path=tmp_path / "ledger", capacity_bytes=16 << 20)
    subprocess.run([sys.executable, "-c", ENDING, str(tmp_path / "ledger")], check=True, timeout=60)
    assert lookups(tally) == {"same  hit": 1, "same  miss": 1}
    tally.close()


def test_threads_lose_nothing(tally: Tally) -> None:
    """Pages are made while functions run."""

    @lru_cache
    def same(number: int) -> int:
        return number

    with instrument.lru_cache(same, name="same", tally=tally):
        threads = [threading.Thread(target=lambda: [same(n % 7) for n in range(3000)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            tally.render()
        for thread in threads:
            thread.join()
        found = lookups(tally)
    assert found["same  hit"] + found["same  miss"] == 9000
    assert found["same  miss"] == same.cache_info().misses


def test_what_is_not_cached(tally: Tally) -> None:
    with pytest.raises(NotInstrumentable, match=r"a function with a cache, and abs has no cache_info\(\)"):
        instrument.lru_cache(abs, name="abs", tally=tally)


def test_twice_is_a_mistake(square: Callable[[int], int], tally: Tally) -> None:
    handle = instrument.lru_cache(square, name="squares", tally=tally)
    with pytest.raises(NotInstrumentable, match="instrumented already, as 'squares'"):
        instrument.lru_cache(square, name="squares", tally=tally)
    handle.remove()


def test_whatever_has_a_cache_info(tally: Tally) -> None:
    @cachetools.cached(cachetools.LRUCache(8), info=True)
    def triple(number: int) -> int:
        return 3 * number

    with instrument.lru_cache(triple, name="triples", tally=tally):
        triple(1), triple(1)
        assert lookups(tally) == {"triples  hit": 1, "triples  miss": 1}
        assert state(tally, "triples")["fill_ratio"] == 0.125
