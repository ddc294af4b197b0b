"""OpenAI responses: /v1/responses."""

from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from tallygate.wire.error_bodies import openai_error
from tallygate.wire.meter import WireMeter
from tallygate.wire.partial import Partial, Unreadable
from tallygate.wire.plain import PlainWire
from tallygate.wire.skim import Path
from tallygate.wire.tokens import openai_usage


class Incomplete(msgspec.Struct):
    """``incomplete_details``."""

    reason: str | None = None


class Response(msgspec.Struct):
    """A response, whole or as an event tells its state."""

    status: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    incomplete_details: Incomplete | None = None
    output: list[Raw] | None = None


class Event(msgspec.Struct):
    """An event of a stream."""

    type: str | None = None
    delta: str | dict[str, Raw] | list[Raw] | None = None
    response: Response | None = None
    error: Any = None


_responses, _events = Partial(Response), Partial(Event)
_decode = _events.decode_strictly
_LAST = frozenset(("response.completed", "response.incomplete", "response.failed", "response.cancelled"))


class ResponsesMeter(WireMeter):
    """Reads replies of the responses API."""

    __slots__ = ()

    paths: ClassVar[tuple[Path, ...]] = (
        ("type",),
        ("delta",),
        ("code",),
        ("message",),
        ("response", "status"),
        ("response", "model"),
        ("response", "usage"),
        ("response", "error"),
        ("response", "incomplete_details"),
        # A reply that is not streamed.
        ("status",),
        ("model",),
        ("usage",),
        ("error",),
        ("incomplete_details",),
        ("output",),
    )
    content_paths: ClassVar[frozenset[Path]] = frozenset({("delta",), ("output",)})

    def read_event(self, data: bytes) -> bool:
        """As WireMeter.read_event; nothing is ever hidden."""
        try:
            event = _decode(data)
        except (ValueError, RecursionError):
            if data.startswith(b"[DONE]"):
                return False
            try:
                event = _events.decode_leniently(data)
            except Unreadable:
                self.garbled()
                return False
        if event.delta:
            self.contents += 1
        elif event.response is not None:
            self._read_response(event.response)
            if event.type in _LAST:
                self.complete = True
                if event.type == "response.failed":
                    self.fail_with({"error": event.response.error or {}})
        elif event.type == "error" or event.error:
            self.fail_with(msgspec.json.decode(data) if event.error is None else {"error": event.error})
        return False

    def read_document(self, data: bytes) -> None:
        """As WireMeter.read_document."""
        response = _responses.decode(data)
        self._read_response(response)
        if response.error or response.status == "failed":
            self.fail_with({"error": response.error or {}})

    def _read_response(self, response: Response) -> None:
        self.response_model = response.model or self.response_model
        self.usage = openai_usage(response.usage) or self.usage
        stopped = response.incomplete_details
        if stopped is not None and stopped.reason == "content_filter":
            self.filtered(bool(self.said_something or self.contents or response.output), "content_filter")


OPENAI_RESPONSES = PlainWire("openai_responses", "chat", "openai", "/responses", ResponsesMeter, openai_error)
