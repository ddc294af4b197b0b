"""To whom samplers report."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from tallygate.record.recorder import Recorder

T = TypeVar("T")

Where = Callable[[], Recorder]
"""Where facts go now: it may change, from nowhere to the program's tally."""

MOST_TIME: Final = 0.001
"""Share of the time that one expensive question may take."""


class Reporters:
    """Who asked for the numbers of one sampler. A tally is told once, however many ask on its behalf."""

    def __init__(self) -> None:
        self._asked: tuple[Where, ...] = ()

    def add(self, where: Where) -> None:
        """Report there too. Again is once."""
        self.discard(where)
        self._asked += (where,)

    def discard(self, where: Where) -> None:
        self._asked = tuple([other for other in self._asked if other != where])

    def __bool__(self) -> bool:
        return bool(self._asked)

    def recorders(self) -> list[Recorder]:
        """The tallies to be told now, each once; those that record nothing are left out."""
        found: list[Recorder] = []
        for where in self._asked:
            recorder = where()
            if recorder.enabled and recorder not in found:
                found.append(recorder)
        return found


class Sparing(Generic[T]):
    """Asks a question whose answer takes long only so often that it takes a thousandth of the time."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._next = 0.0

    def __call__(self) -> T | None:
        """The answer, or None when it is too early to ask again."""
        began = time.perf_counter()
        if began < self._next:
            return None
        answer = self._ask()
        ended = time.perf_counter()
        self._next = ended + (ended - began) / MOST_TIME
        return answer
