"""Functions with a cache of ``functools``: ``lru_cache`` and ``cache``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.support.polling import PolledCache, Reading

if TYPE_CHECKING:
    from tallygate.record.recorder import Recorder


def lru_cache(function: Callable[..., Any], *, name: str, tally: Recorder | None = None) -> Instrumentation:
    """Show hits, misses and entries of a cached function, from now on.

    The function is not touched: it counts by itself, and is asked once a second and before every page. Hits and misses
    that are lost when others clear the cache by ``cache_clear`` are told before. Anything else with a ``cache_info``
    like that of functools will do. Raises NotInstrumentable for what has none, or is instrumented already.
    """
    if not callable(getattr(function, "cache_info", None)):
        what = getattr(function, "__qualname__", type(function).__name__)
        raise NotInstrumentable(f"instrument.lru_cache() takes a function with a cache, and {what} has no cache_info()")
    handle = Instrumentation(tally)
    if handle.is_off:
        return handle
    polled = PolledCache(handle, function, name, _read, _count)
    if hasattr(function, "cache_clear"):
        handle.wrap(function, "cache_clear", lambda clear: lambda: polled.clear(clear))
    return handle


def _read(function: Any) -> Reading:
    _, _, limit, entries = function.cache_info()
    return Reading(entries, entries / limit if limit else 0.0)


def _count(function: Any) -> tuple[int, int]:
    hits, misses, _, _ = function.cache_info()
    return hits, misses
