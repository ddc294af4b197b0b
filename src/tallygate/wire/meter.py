"""The part that the meters of all wire formats share: which framing a body has, and what is known when it ends."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

from tallygate.errors import ErrorType, error_type_of_status
from tallygate.wire.errors import failure_of
from tallygate.wire.interface import Failure, Usage
from tallygate.wire.partial import Unreadable, loads
from tallygate.wire.skim import Path, Skimmer

WHOLE = 256 * 1024
"""Bytes of a document or event that are held to be decoded at once; a larger one is skimmed."""


class Framing(Protocol):
    """How a body is cut into what a meter can read. The meter comes with every call, so that they form no cycle."""

    def feed(self, meter: "WireMeter", data: bytes) -> bytes:
        """Read the next bytes; returns what to relay."""

    def close(self, meter: "WireMeter") -> bytes:
        """The body has ended; returns what was held back."""


class WireMeter(ABC):
    """A meter. A wire format says how one event and one document are read."""

    paths: ClassVar[tuple[Path, ...]]
    """What is skimmed from an event or document too large to be held."""
    content_paths: ClassVar[frozenset[Path]]
    """Paths that are content when they are too large to be captured."""

    __slots__ = (
        "complete",
        "contents",
        "ends_with_body",
        "failure",
        "framing",
        "response_model",
        "said_something",
        "status",
        "usage",
    )

    def __init__(self, framing: Framing, status: int) -> None:
        self.framing = framing
        self.status = status
        self.usage: Usage | None = None
        self.failure: Failure | None = Failure(error_type_of_status(status)) if status >= 400 else None
        self.response_model = ""
        self.contents = 0
        self.said_something = False
        """Whether a document has an answer that was too large to be captured."""
        self.complete = self.ends_with_body = False

    def feed(self, data: bytes) -> bytes:
        """As Meter.feed."""
        return self.framing.feed(self, data)

    def close(self) -> bytes:
        """As Meter.close."""
        return self.framing.close(self)

    # What a wire format says

    @abstractmethod
    def read_event(self, data: bytes) -> bool:
        """Read the data of one event; whether it is the usage chunk that a client who did not ask must not see."""

    @abstractmethod
    def read_document(self, data: bytes) -> None:
        """Read a whole reply. Raises Unreadable."""

    # What framings call

    def end_document(self, data: bytes) -> None:
        """A body that is one document has ended."""
        try:
            if self.status >= 400:
                self.failure = failure_of(self.status, loads(data))
            else:
                self.read_document(data)
            self.complete = True
        except Unreadable:
            self.complete = False

    def end_large_document(self, skimmer: Skimmer) -> None:
        """The same for one that was skimmed."""
        if skimmer.complete:
            self.said_something = self.is_content(skimmer.overflowed)
            self.end_document(skimmer.reduced())

    def read_large_event(self, skimmer: Skimmer) -> None:
        """An event that was skimmed."""
        if not skimmer.complete:
            self.garbled()
            return
        before = self.contents
        self.read_event(skimmer.reduced())
        if self.contents == before and self.is_content(skimmer.overflowed):
            self.contents += 1

    def is_content(self, overflowed: set[Path]) -> bool:
        """Whether an event whose ``overflowed`` members are too large to be captured carries content."""
        return not overflowed.isdisjoint(self.content_paths)

    def garbled(self) -> None:
        """What came cannot be read by anybody."""
        self.fail(Failure(ErrorType.PROVIDER_INVALID_RESPONSE))

    def filtered(self, said_something: bool, code: str) -> None:
        """A filter has ended the answer: a failure when it left nothing of it, else an answer that is short."""
        if not said_something:
            self.fail(Failure(ErrorType.POLICY_CONTENT_FILTER, code[:100]))

    def fail(self, failure: Failure) -> None:
        """The first failure stays."""
        if self.failure is None:
            self.failure = failure

    def fail_with(self, error: Any) -> None:
        """An error that came in a body or event."""
        self.fail(failure_of(self.status, error))
