"""Calls of an SDK like one before: how they are recorded needs no looking up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from tallygate.instrument.support.llm_calls import ObservedCall, Reader
from tallygate.record.measures import USAGE

if TYPE_CHECKING:
    from weakref import WeakSet

    from tallygate.context import Dimensions
    from tallygate.record.binding import Binding
    from tallygate.record.recorder import Recorder

MOST_KNOWN: Final = 1024
"""How many kinds of calls are known at a place; more are looked up again, which is slower and as exact."""


class ReplyReader(Reader, Protocol):
    """Also knows in short what nearly all replies of its API say."""

    def smooth(self, reply: Any) -> tuple[int, int, int, int, int] | None:
        """Tokens of input and output, read from and written to a cache, and of reasoning; None for any other reply than
        a smooth one, which has these and nothing wrong: ``whole`` finds the same then. May raise."""


class ClientPlace:
    """Where a client's calls go, and how smooth ones of before were recorded; it holds until something changes."""

    __slots__ = ("__weakref__", "base_url", "everybody", "known", "program", "provider")

    def __init__(self, base_url: object, provider: str, everybody: WeakSet[Any], program: Recorder) -> None:
        """everybody: who watches. program: the program's tally."""
        self.base_url, self.provider, self.everybody, self.program = base_url, provider, everybody, program
        self.known: dict[CallLabels, Known] = {}
        everybody.add(self)

    def forget(self) -> None:
        """What is known holds no longer, and must not keep its tally."""
        self.known = {}


CallLabels = tuple[str, str, "Dimensions | None"]
"""Path, model and context."""


class Known:
    """How calls like one before are recorded."""

    __slots__ = ("binding", "close", "draft", "reader", "recorder")

    def __init__(self, recorder: Recorder, reader: ReplyReader, binding: Binding) -> None:
        self.recorder, self.reader, self.binding, self.draft = recorder, reader, binding, binding.draft
        rows = ((binding.attempt_row(200, ""), (len(USAGE),)),)
        self.close = binding.form.batch(binding, tuple(zip(USAGE, range(len(USAGE)), strict=True)), rows).close


class SDKCall(ObservedCall):
    """A call of such an SDK."""

    known: Known | None = None
    smooth = False
    """Whether its last request was answered with a 200 that has been read."""
    learns: tuple[ClientPlace, CallLabels] | None = None
    """Where calls like this become known, when it ends smoothly."""


class KnownCall(SDKCall):
    """A call like one before: it needs no looking up. ``SDK.begin`` makes it, without ``__init__``."""

    stream = False
