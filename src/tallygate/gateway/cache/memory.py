"""Answers in the memory of one worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from cachetools import TLRUCache

from tallygate.gateway.cache.interface import Fill, Found

if TYPE_CHECKING:
    from tallygate.gateway.cache.answer import Answer

OVERHEAD = 600
"""Bytes of memory that an entry takes beside its answer: its key and its places in the cache's books."""


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Answer
    since: float
    weight: int


class MemoryStore:
    """A least-recently-used cache by bytes; entries end by age, and when nobody asks for them."""

    def __init__(
        self,
        capacity: int,
        time_to_live: float,
        time_to_idle: float | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """capacity: bytes. time_to_live, time_to_idle: seconds, by ``clock``."""
        self._live, self._idle, self._clock = time_to_live, time_to_idle, clock
        self._kept: TLRUCache[bytes, _Kept] = TLRUCache(capacity, self._ends, clock, _weight)

    async def start(self) -> None:
        """As Store.start."""

    async def close(self) -> None:
        """As Store.close."""

    async def get(self, key: bytes, max_age: int | None) -> Found | None:
        """As Store.get."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        age = self._clock() - kept.since
        if max_age is not None and age > max_age:
            return None
        if self._idle is not None:
            self._kept[key] = kept  # its end is reckoned anew
        return Found(kept.answer, age)

    def put(self, key: bytes, answer: Answer) -> None:
        """As Store.put."""
        kept = _Kept(answer, self._clock(), answer.weight() + OVERHEAD)
        if kept.weight > self._kept.maxsize:
            self._kept.pop(key, None)
        else:
            self._kept[key] = kept

    async def fill(self) -> Fill:
        """As Store.fill."""
        self._kept.expire()
        return Fill(int(self._kept.currsize), len(self._kept))

    async def purge(self) -> None:
        """As Store.purge, in this worker."""
        self._kept.clear()

    def _ends(self, _: bytes, kept: _Kept, now: float) -> float:
        ends = kept.since + self._live
        return ends if self._idle is None else min(ends, now + self._idle)


def _weight(kept: _Kept) -> int:
    return kept.weight
