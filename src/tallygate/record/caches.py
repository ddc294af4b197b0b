"""Caches: what is looked up in them, and how full they are."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from tallygate.facts import CacheLookup, CacheState
from tallygate.record.recording import Recording, current_route


class CacheTracker:
    """One look into a cache: ``hit()`` or ``miss()``, whichever comes first; a block left without either was a miss.

    An exception that leaves the block before either was no look at all.
    """

    __slots__ = ("_cache", "_over", "_recorder", "_route")

    def __init__(self, recorder: CacheRecording, cache: str, route: str | None) -> None:
        self._recorder, self._cache, self._route = recorder, cache, route
        self._over = False

    def hit(self) -> bool:
        """It was there. False when that was said before."""
        return self._end(hit=True)

    def miss(self) -> bool:
        """It was not there. False when that was said before."""
        return self._end(hit=False)

    def _end(self, *, hit: bool) -> bool:
        if self._over:
            return False
        self._over = True
        self._recorder.cache_lookup(self._cache, hit, self._route)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if problem is None:
            self.miss()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, problem, trace)


class CacheRecording(Recording):
    """Writing facts of caches."""

    def track_cache(self, cache: str, route: str | None = None) -> CacheTracker:
        """A tracker for one look into a cache. route: None for the context's."""
        return CacheTracker(self, cache, route)

    def cache_lookup(self, cache: str, hit: bool, route: str | None = None) -> None:
        """A look into a cache. route: None for the context's."""
        self._count(CacheLookup, (cache, current_route(route), "hit" if hit else "miss"))

    def seed_cache(self, cache: str, route: str = "") -> None:
        """Let a cache show at 0 before it is first looked into, with hits and misses."""
        if not self.enabled:
            return
        try:
            for result in CacheLookup.result.values:
                self.tables[CacheLookup].row(cache, route, result)
        except Exception as problem:
            self.failed(CacheLookup, problem)

    def set_cache_state(
        self,
        cache: str,
        *,
        capacity: float | None = None,
        used: float | None = None,
        entries: float | None = None,
        time_to_live: float | None = None,
        time_to_idle: float | None = None,
    ) -> None:
        """How full this worker's cache is. capacity, used: bytes; the times: seconds, 0 when there is no such limit.

        What is None stays as it was; the fill ratio is set with ``used`` and ``capacity``, which come together.
        """
        ratio = None
        if capacity is not None and used is not None:
            ratio = min(1.0, max(0.0, used / capacity)) if capacity > 0 else 0.0
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
