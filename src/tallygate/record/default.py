"""Where facts go that name no tally."""

from __future__ import annotations

from typing import Final

from tallygate.pricing import PriceList
from tallygate.record.recorder import Recorder

NOWHERE: Final = Recorder({}, PriceList())
"""Records nothing."""


class _Default:
    recorder: Recorder = NOWHERE


default: Final = _Default()
