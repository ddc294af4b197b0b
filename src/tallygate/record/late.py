"""Trackers of the program's own tally, which may not be there yet when they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tallygate.pricing import PriceList
from tallygate.record.call import LLMCallTracker
from tallygate.record.recorder import Recorder

if TYPE_CHECKING:
    from tallygate.record.binding import Key

NOWHERE: Final = Recorder({}, PriceList())
"""Records nothing."""


class _Default:
    """Where facts go that name no tally."""

    recorder: Recorder = NOWHERE


default: Final = _Default()


class LateCallTracker(LLMCallTracker):
    """Goes to the tally that is the default when the call starts; to none before there is one."""

    __slots__ = ()

    def __init__(self, key: Key, custom: dict[str, str | None]) -> None:
        super().__init__(NOWHERE, key, custom)

    def __enter__(self) -> LLMCallTracker:
        if self._activity is None and not self._over:
            self._recorder = default.recorder
        return super().__enter__()
