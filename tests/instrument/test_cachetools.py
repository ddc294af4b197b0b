"""cachetools: all its caches and decorators."""

from __future__ import annotations

import copy
import gc
import pickle
from threading import Lock
from typing import Any

import cachetools
import pytest

from tallygate import instrument
from tallygate.context import context
from tallygate.instrument import NotInstrumentable
from tallygate.tally import Tally
from tests.instrument.db_page import lookups, state

KINDS: dict[str, Any] = {
    "FIFO": lambda size: cachetools.FIFOCache(size),
    "LFU": lambda size: cachetools.LFUCache(size),
    "LRU": lambda size: cachetools.LRUCache(size),
    "RR": lambda size: cachetools.RRCache(size),
    "TLRU": lambda size: cachetools.TLRUCache(size, lambda key, value, now: now + 60),
    "TTL": lambda size: cachetools.TTLCache(size, 60),
    "plain": lambda size: cachetools.Cache(size),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_looks_are_counted_once(kind: str, tally: Tally) -> None:
    """By item and by ``get``; whatever else goes through the cache, evicts and replaces, is no look."""
    cache = KINDS[kind](2)
    before = type(cache)
    with instrument.cachetools(cache, name="users", tally=tally):
        assert lookups(tally) == {"users  hit": 0, "users  miss": 0}
        with pytest.raises(KeyError):
            cache["a"]
        assert cache.get("a") is None
        assert cache.get("a", 7) == 7
        cache["a"] = 1
        assert (cache["a"], cache.get("a"), "a" in cache) == (1, 1, True)
        assert lookups(tally) == {"users  hit": 2, "users  miss": 3}
        cache["b"] = cache["c"] = cache["d"] = 2
        cache.setdefault("e", 3)
        cache.setdefault("e", 4)
        cache.pop("e")
        cache.pop("e", None)
        cache.popitem()
        cache.update(x=5)
        assert list(cache.items()) == [("x", 5)]
        assert list(cache.values()) == [5]
        assert (5 in cache.values(), ("x", 5) in cache.items(), len(cache.items())) == (True, True, 1)
        assert cache == {"x": 5}
        cache.clear()
        assert lookups(tally) == {"users  hit": 2, "users  miss": 3}
    cache.get("a")
    assert type(cache) is before
    assert lookups(tally) == {"users  hit": 2, "users  miss": 3}


def test_state(tally: Tally) -> None:
    cache: Any = cachetools.TTLCache(8, 60)
    handle = instrument.cachetools(cache, name="users", tally=tally)
    cache["a"] = cache["b"] = 1
    assert state(tally, "users") == {
        "capacity_bytes": 0, "used_bytes": 0, "entries": 2, "fill_ratio": 0.25,
        "time_to_live_seconds": 60, "time_to_idle_seconds": 0,
    }  # fmt: skip
    handle.remove()
    assert state(tally, "users")["entries"] == 0


def test_state_in_bytes(tally: Tally) -> None:
    cache: Any = cachetools.LRUCache(1000, getsizeof=len)
    handle = instrument.cachetools(cache, name="files", tally=tally)
    cache["a"], cache["b"] = b"x" * 100, b"x" * 300
    wanted = {"capacity_bytes": 1000.0, "used_bytes": 400, "entries": 2, "fill_ratio": 0.4}
    assert state(tally, "files") == {**wanted, "time_to_live_seconds": 0, "time_to_idle_seconds": 0}
    handle.remove()
    assert set(state(tally, "files").values()) == {0}


def test_sizes_that_are_no_bytes(tally: Tally) -> None:
    cache: Any = cachetools.LRUCache(1000, getsizeof=len)
    with instrument.cachetools(cache, name="tokens", in_bytes=False, tally=tally):
        cache["a"] = "x" * 500
        assert state(tally, "tokens")["fill_ratio"] == 0.5
        assert state(tally, "tokens")["capacity_bytes"] == 0


def test_without_a_bound(tally: Tally) -> None:
    cache: Any = cachetools.TTLCache(float("inf"), float("inf"))
    with instrument.cachetools(cache, name="all", in_bytes=True, tally=tally):
        cache["a"] = 1
        found = state(tally, "all")
    assert (found["entries"], found["fill_ratio"], found["time_to_live_seconds"]) == (1, 0, 0)


def test_expired_entries_are_misses(tally: Tally) -> None:
    now = [0.0]
    cache: Any = cachetools.TTLCache(8, 10, timer=lambda: now[0])
    with instrument.cachetools(cache, name="users", tally=tally):
        cache["a"] = 1
        assert cache.get("a") == 1
        now[0] = 11.0
        assert cache.get("a") is None
        assert state(tally, "users")["entries"] == 1  # a page takes nothing out
        with pytest.raises(KeyError):
            cache["a"]
        assert lookups(tally) == {"users  hit": 1, "users  miss": 2}


def test_decorated_functions(tally: Tally) -> None:
    cache: Any = cachetools.LRUCache(8)
    calls = []

    @cachetools.cached(cache, lock=Lock(), info=True)
    def square(number: int) -> int:
        calls.append(number)
        return number * number

    with instrument.cachetools(cache, name="squares", tally=tally):
        assert [square(number) for number in (1, 2, 1, 1)] == [1, 4, 1, 1]
        assert lookups(tally) == {"squares  hit": 2, "squares  miss": 2}
        info = square.cache_info()
    assert (info.hits, info.misses, calls) == (2, 2, [1, 2])


def test_a_cache_that_finds_what_is_missing(tally: Tally) -> None:
    class Numbers(cachetools.LRUCache[int, int]):
        def __missing__(self, key: int) -> int:
            if key < 0:
                raise ValueError("below 0")
            self[key] = key if key < 2 else self[key - 1] + self[key - 2]
            return self[key]

    cache = Numbers(64)
    with instrument.cachetools(cache, name="numbers", tally=tally):
        assert cache[3] == 2
        with pytest.raises(ValueError, match="below 0"):
            cache[-1]
    # Misses: 3, 2, 1, 0 and -1. Hits: each of the four again, when it is there, and 1 for 3.
    assert lookups(tally) == {"numbers  hit": 5, "numbers  miss": 5}


def test_a_get_of_ones_own_is_one_look(tally: Tally) -> None:
    class Own(cachetools.LRUCache[str, int]):
        def get(self, key: str, default: Any = None) -> Any:
            try:
                return self[key]
            except KeyError:
                return default

    cache = Own(8)
    cache["a"] = 1
    with instrument.cachetools(cache, name="own", tally=tally):
        assert (cache.get("a"), cache.get("b", 2)) == (1, 2)
    assert lookups(tally) == {"own  hit": 1, "own  miss": 1}


def test_the_route_is_that_of_the_context(tally: Tally) -> None:
    cache: Any = cachetools.LRUCache(8)
    with instrument.cachetools(cache, name="answers", tally=tally), context(route="chat"):
        cache.get("a")
    found = lookups(tally)
    assert (found["answers chat miss"], found["answers  miss"]) == (1, 0)


def test_caches_of_one_name_add_up(tally: Tally) -> None:
    first, second = cachetools.LRUCache[str, int](4), cachetools.LRUCache[str, int](2)
    one = instrument.cachetools(first, name="tenants", tally=tally)
    two = instrument.cachetools(second, name="tenants", tally=tally)
    first["a"] = second["a"] = second["b"] = 1
    assert (state(tally, "tenants")["entries"], state(tally, "tenants")["fill_ratio"]) == (3, 1)
    two.remove()
    assert (state(tally, "tenants")["entries"], state(tally, "tenants")["fill_ratio"]) == (1, 0.25)
    one.remove()


def test_a_cache_that_is_dropped_is_gone(tally: Tally) -> None:
    cache: Any = cachetools.LRUCache(4)
    instrument.cachetools(cache, name="short", tally=tally)
    cache["a"] = 1
    assert state(tally, "short")["entries"] == 1
    del cache
    gc.collect()
    assert state(tally, "short")["entries"] == 0


def test_copies_are_of_the_class_that_it_was(tally: Tally) -> None:
    cache: Any = cachetools.TTLCache(4, 60)
    cache["a"] = 1
    with instrument.cachetools(cache, name="users", tally=tally):
        assert repr(cache).startswith("TTLCache(")
        for other in (copy.copy(cache), copy.deepcopy(cache), *[pickle.loads(pickle.dumps(cache, p)) for p in (2, 5)]):
            assert type(other) is cachetools.TTLCache
            assert other["a"] == 1
        assert lookups(tally) == {"users  hit": 0, "users  miss": 0}


def test_twice_is_a_mistake(tally: Tally) -> None:
    cache: Any = cachetools.LRUCache(4)
    handle = instrument.cachetools(cache, name="users", tally=tally)
    with pytest.raises(NotInstrumentable, match="instrumented already, as 'users'; remove that first"):
        instrument.cachetools(cache, name="others", tally=tally)
    handle.remove()
    instrument.cachetools(cache, name="others", tally=tally).remove()


def test_what_is_no_cache(tally: Tally) -> None:
    with pytest.raises(NotInstrumentable, match=r"takes a cache of cachetools, such as LRUCache, not dict"):
        instrument.cachetools({}, name="dict", tally=tally)  # type: ignore[arg-type]  # as a user may
    with pytest.raises(ValueError, match="name='' is no name of a cache; give one to tell it from others"):
        instrument.cachetools(cachetools.LRUCache(1), name="", tally=tally)


def test_switched_off_nothing_is_touched() -> None:
    cache: Any = cachetools.LRUCache(4)
    instrument.cachetools(cache, name="users", tally=Tally(enabled=False))
    assert type(cache) is cachetools.LRUCache
