"""Anthropic messages: /v1/messages."""

from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from tallygate.wire.error_bodies import anthropic_error
from tallygate.wire.meter import Framing, WireMeter
from tallygate.wire.partial import Partial, Unreadable
from tallygate.wire.plain import PlainWire
from tallygate.wire.skim import Path
from tallygate.wire.tokens import anthropic_usage


class Delta(msgspec.Struct):
    """``delta`` of content_block_delta and of message_delta. A signature or a citation is no content of its own."""

    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    stop_reason: str | None = None


class Message(msgspec.Struct):
    """A message, whole or as message_start begins it."""

    model: str | None = None
    usage: dict[str, Any] | None = None
    content: str | list[Raw] | None = None
    stop_reason: str | None = None


class Event(msgspec.Struct):
    """An event of a stream."""

    type: str | None = None
    delta: Delta | None = None
    message: Message | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class Reply(Message):
    """A reply that is not streamed."""

    type: str | None = None
    error: Any = None


_events, _replies = Partial(Event), Partial(Reply)
_decode = _events.decode_strictly


class MessagesMeter(WireMeter):
    """Reads replies of the messages API."""

    __slots__ = ("_counts",)

    paths: ClassVar[tuple[Path, ...]] = (
        ("type",),
        ("delta",),
        ("usage",),
        ("error",),
        ("message", "model"),
        ("message", "usage"),
        # A reply that is not streamed.
        ("model",),
        ("stop_reason",),
        ("content",),
    )
    content_paths: ClassVar[frozenset[Path]] = frozenset({("delta",), ("content",)})

    def __init__(self, framing: Framing, status: int) -> None:
        super().__init__(framing, status)
        self._counts: dict[str, int] = {}

    def read_event(self, data: bytes) -> bool:
        """As WireMeter.read_event; nothing is ever hidden."""
        try:
            event = _decode(data)
        except (ValueError, RecursionError):
            try:
                event = _events.decode_leniently(data)
            except Unreadable:
                self.garbled()
                return False
        delta = event.delta
        if delta is not None and (delta.text or delta.partial_json or delta.thinking):
            self.contents += 1
            return False
        if event.message is not None:
            self.response_model = event.message.model or self.response_model
            self._read_usage(event.message.usage)
        if event.usage is not None:
            self._read_usage(event.usage)
        if delta is not None and delta.stop_reason == "refusal":
            self.filtered(bool(self.contents), "refusal")
        if event.type == "message_stop":
            self.complete = True
        elif event.type == "error" or event.error:
            self.fail_with({"error": event.error or {}})
        return False

    def read_document(self, data: bytes) -> None:
        """As WireMeter.read_document."""
        reply = _replies.decode(data)
        self.response_model = reply.model or ""
        self._read_usage(reply.usage)
        if reply.type == "error" or reply.error:
            self.fail_with({"error": reply.error or {}})
        elif reply.stop_reason == "refusal":
            self.filtered(self.said_something or bool(reply.content), "refusal")

    def _read_usage(self, usage: dict[str, Any] | None) -> None:
        self.usage = anthropic_usage(self._counts, usage)


ANTHROPIC_MESSAGES = PlainWire("anthropic_messages", "chat", "anthropic", "/messages", MessagesMeter, anthropic_error)
