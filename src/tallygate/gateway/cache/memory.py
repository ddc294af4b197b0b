"""Answers in the memory of one worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from cachetools import TLRUCache

from tallygate.gateway.accounts.revision import RevisionFile
from tallygate.gateway.cache.interface import Fill, Found

if TYPE_CHECKING:
    from pathlib import Path

    from tallygate.gateway.cache.answer import Answer

OVERHEAD = 600
"""Bytes of memory that an entry takes beside its answer: its key and its places in the cache's books."""
PURGES = "cache.purges"
"""Name of the file with the number of times that all was forgotten."""


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
        directory: Path | None = None,
    ) -> None:
        """capacity: bytes. time_to_live, time_to_idle: seconds, by ``clock``.

        directory: what the machine's workers share; by it they learn that all answers are to be forgotten.
        """
        self._live, self._idle, self._clock = time_to_live, time_to_idle, clock
        self._directory = directory
        self._purges: RevisionFile | None = None
        self._heeded = 0
        self._kept: TLRUCache[bytes, _Kept] = TLRUCache(capacity, self._ends, clock, _weight)

    async def start(self) -> None:
        """As Store.start. Raises OSError."""
        if self._directory is not None:
            self._purges = RevisionFile(self._directory, PURGES)
            self._heeded = self._purges.numbers[0]

    async def close(self) -> None:
        """As Store.close."""
        if self._purges is not None:
            self._purges.close()
            self._purges = None

    async def get(self, key: bytes, max_age: int | None) -> Found | None:
        """As Store.get."""
        self._heed()
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
        self._heed()
        kept = _Kept(answer, self._clock(), answer.weight() + OVERHEAD)
        if kept.weight > self._kept.maxsize:
            self._kept.pop(key, None)
        else:
            self._kept[key] = kept

    async def fill(self) -> Fill:
        """As Store.fill."""
        self._heed()
        self._kept.expire()
        return Fill(int(self._kept.currsize), len(self._kept))

    async def purge(self) -> None:
        """As Store.purge, on this machine."""
        self._kept.clear()
        if self._purges is not None:
            self._heeded = self._purges.numbers[0] + 1
            self._purges.tell(self._heeded)

    def _heed(self) -> None:
        """Forget all if another worker was told to."""
        if self._purges is not None and self._purges.numbers[0] != self._heeded:
            self._heeded = self._purges.numbers[0]
            self._kept.clear()

    def _ends(self, _: bytes, kept: _Kept, now: float) -> float:
        ends = kept.since + self._live
        return ends if self._idle is None else min(ends, now + self._idle)


def _weight(kept: _Kept) -> int:
    return kept.weight
