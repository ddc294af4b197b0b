"""Where facts go that name no tally: the program's own, or nowhere before there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tallygate.record.hooks import Hooks

if TYPE_CHECKING:
    from tallygate.exposition.sources import Source
    from tallygate.record.recorder import Recorder


class _Default:
    recorder: Recorder
    """The program's tally; ``nowhere`` before ``init``."""
    nowhere: Recorder
    """Records nothing."""
    sources: tuple[Source, ...] = ()
    """What else is on the page of the program's tally, whenever that is made."""
    hooks: Final = Hooks()
    """What is done before a page of the program's tally is made."""


default: Final = _Default()
