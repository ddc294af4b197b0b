"""Who comes most often, in bounded memory: a stream summary after Metwally, Agrawal and El Abbadi (Space-Saving)."""

from __future__ import annotations

from threading import RLock
from typing import Final

OTHER: Final = "other"
"""Stands for all that have no name of their own."""


class Frequent:
    """Names the most frequent of ever so many values; the rest is ``other``.

    The first ``size`` values have their names at once. As many more are given later, each to a value that has proved
    to be among the ``size`` most frequent. A name once given stays: at most ``2 * size`` are there in the life of a
    process. It remembers ``4 * size`` values, so one that makes up more than ``1 / (4 * size)`` of all is never missed.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._named: set[str] = set()
        self._counts: dict[str, tuple[int, int]] = {}
        """How often each was seen, and by how much that may be too many."""
        self._by_count: dict[int, dict[str, None]] = {}
        self._least = 0
        self._bar = 0
        self._lock = RLock()

    def name(self, value: str) -> str:
        """The value itself, or ``other``."""
        with self._lock:
            full = len(self._named) >= 2 * self._size
            if value in self._named:
                if not full:
                    self._seen(value)
                return value
            if full:
                return OTHER
            surely = self._seen(value)
            if len(self._named) < self._size or self._is_high(surely):
                self._named.add(value)
                return value
            return OTHER

    def _seen(self, value: str) -> int:
        """Count it; how often it was seen at least."""
        count, error = self._counts.get(value, (0, 0))
        if count:
            self._leave(value, count)
        elif len(self._counts) < 4 * self._size:
            self._least = 1
        else:  # it takes the place of one of the rarest, and may have been seen as often as that
            rarest = next(iter(self._by_count[self._least]))
            del self._counts[rarest]
            self._leave(rarest, self._least)
            count = error = self._least
        self._counts[value] = count + 1, error
        self._by_count.setdefault(count + 1, {})[value] = None
        if self._least not in self._by_count:
            self._least += 1
        return count + 1 - error

    def _leave(self, value: str, count: int) -> None:
        alike = self._by_count[count]
        del alike[value]
        if not alike:
            del self._by_count[count]

    def _is_high(self, count: int) -> bool:
        """Whether only the ``size`` most frequent were seen so often. The bar only rises, so an old one may say no."""
        if count <= self._bar:
            return False
        self._bar = sorted((count for count, _ in self._counts.values()), reverse=True)[self._size - 1]
        return count > self._bar
