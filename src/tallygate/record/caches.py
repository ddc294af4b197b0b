"""Caches: what is looked up in them, and how full they are."""

from __future__ import annotations

from tallygate.context import current
from tallygate.facts import CacheLookup, CacheState
from tallygate.record.places import Place
from tallygate.record.recording import Recording, current_route
from tallygate.record.tracker import Tracker


class CacheTracker(Tracker):
    """One look into a cache: ``hit()`` or ``miss()``, whichever comes first; a block left without either was a miss.

    An exception that leaves the block before either was no look at all; so is one thrown away.
    """

    fact = CacheLookup
    timed = False
    __slots__ = ()

    def find(self, recorder: Recording) -> Place:
        cache, route = recorder.texts(CacheLookup, self.key[1:])
        table = recorder.tables[CacheLookup]
        place = Place(table, (cache, route), going=("hit",))
        place.ended(("miss",))  # both from 0, so that a hit rate has an answer from the first look on
        return place

    def hit(self) -> bool:
        """It was there. False when that was said before."""
        return self._record(("hit",))

    def miss(self) -> bool:
        """It was not there. False when that was said before."""
        return self._record(("miss",))

    def _end(self, problem: BaseException | None) -> bool:
        return self.miss() if problem is None else self._drop()


class CacheRecording(Recording):
    """Writing facts of caches."""

    def track_cache(self, cache: str, route: str | None = None) -> CacheTracker:
        """A tracker for one look into a cache. route: None for the context's."""
        return CacheTracker(self, (CacheLookup, cache, current_route(route)))

    def cache_lookup(self, cache: str, hit: bool, route: str | None = None) -> None:
        """A look into a cache. route: None for the context's."""
        if not self.enabled:
            return
        if route is None:
            route = "" if current.get() is None else current_route(None)
        result = "hit" if hit else "miss"
        try:
            row = self._rows.get((CacheLookup, cache, route, result))
            if row is not None:
                row.record()
                return
        except TypeError:  # a value that has no hash is looked up as its text
            row = None
        self.count(CacheLookup, (cache, route, result))

    def cache_lookups(self, cache: str, *, hits: int = 0, misses: int = 0, route: str = "") -> None:
        """Looks into a cache that were counted elsewhere: how many since this was called last, not in all."""
        if not self.enabled:
            return
        try:
            for result, looks in (("hit", hits), ("miss", misses)):
                if looks > 0:
                    self.row(CacheLookup, cache, route, result).record(looks - 1)
        except Exception as problem:
            self.failed(CacheLookup, problem)

    def seed_cache(self, cache: str, route: str = "") -> None:
        """Let a cache show at 0 before it is first looked into, with hits and misses."""
        if not self.enabled:
            return
        try:
            for result in CacheLookup.result.values:
                self.row(CacheLookup, cache, route, result)
        except Exception as problem:
            self.failed(CacheLookup, problem)

    def set_cache_state(
        self,
        cache: str,
        *,
        capacity: float | None = None,
        used: float | None = None,
        entries: float | None = None,
        fill_ratio: float | None = None,
        time_to_live: float | None = None,
        time_to_idle: float | None = None,
    ) -> None:
        """How full this worker's cache is. capacity, used: bytes; the times: seconds, 0 when there is no such limit.

        What is None stays as it was. fill_ratio: 0 to 1, of a cache that is not measured in bytes; of one that is, it
        follows from ``used`` and ``capacity``, which come together.
        """
        ratio = fill_ratio
        if ratio is None:
            try:
                ratio = _ratio(used, capacity)
            except (ArithmeticError, TypeError, ValueError):  # no numbers; they are counted as dropped below
                ratio = None
        self._set(
            CacheState,
            (cache,),
            {
                CacheState.capacity: capacity,
                CacheState.used: used,
                CacheState.entries: entries,
                CacheState.fill_ratio: ratio,
                CacheState.time_to_live: time_to_live,
                CacheState.time_to_idle: time_to_idle,
            },
        )


def _ratio(used: float | None, capacity: float | None) -> float | None:
    """How full that is, 0 to 1; 0 without a capacity. Raises ValueError for what is not a number."""
    if capacity is None or used is None:
        return None
    ratio = used / capacity if capacity > 0 else 0.0
    if ratio != ratio or capacity < 0 or used < 0:
        raise ValueError("not a number, or below 0")
    return min(1.0, ratio)
