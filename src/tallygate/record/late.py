"""Trackers of calls whose rows are not known yet: their labels are new, or there is no tally yet."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tallygate.record.call import LLMCallTracker


class LateCall:
    """An LLMCallTracker in all that is public; becomes a real one when it is first used."""

    __slots__ = ("_call", "_make")

    def __init__(self, make: Callable[[], LLMCallTracker]) -> None:
        self._make = make
        self._call: LLMCallTracker | None = None

    def _made(self) -> LLMCallTracker:
        if self._call is None:
            self._call = self._make()
        return self._call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)

    def start(self) -> LLMCallTracker:
        return self._made().start()

    def __enter__(self) -> LLMCallTracker:
        return self._made().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._made().__exit__(kind, problem, trace)

    async def __aenter__(self) -> LLMCallTracker:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, problem, trace)
