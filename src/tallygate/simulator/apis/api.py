"""What an API is: how a request is read and how an answer is put into its words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from tallygate.simulator.answer import Answer, Ask, Usage

encode = msgspec.json.encode
JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    data: bytes
    name: bytes = b""
    """The event's name; b'' for a stream without names."""
    usage: Usage | None = None
    """The usage that this event tells."""
    content: bool = False
    """Whether it is a content delta: text, tool call or reasoning."""
    comment: bool = False
    """A comment line, no event for the client."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error reply."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b"application/json"
    usage: Usage | None = None


class InvalidRequest(Exception):
    """A request that the API refuses: the message, and the parameter that is wrong."""

    def __init__(self, message: str, parameter: str = "") -> None:
        super().__init__(message)
        self.parameter = parameter


class Api(Protocol):
    """One API."""

    name: str
    """openai_chat, openai_completions, openai_responses, openai_embeddings, anthropic_messages, gemini_generate ..."""
    generates: bool
    """False for embeddings."""
    writes_cache: bool
    """Whether its usage tells tokens written to the prompt cache."""
    newline: bytes
    """How its event streams end lines."""
    stream_type: bytes
    """Content type of its event streams."""

    def read(self, body: JSON, model: str, query: Mapping[str, str]) -> Ask:
        """Read a request; ``model`` is the one named in the path, or ''. Raises InvalidRequest."""

    def reply(self, answer: Answer, text: str) -> bytes:
        """The whole reply, with ``text`` in place of the answer's own."""

    def events(self, answer: Answer) -> Iterator[Event]:
        """The stream, closing event included."""

    def ping(self) -> Event:
        """What keeps a stream alive."""

    def error_events(self, answer: Answer, sent: int) -> Iterator[Event]:
        """How an error is told after ``sent`` events of a stream."""

    def refusal(self, behaviour: str, answer: Answer) -> Refusal:
        """The error reply of a behaviour out of ``behaviours.REFUSALS``, html_error apart."""

    def invalid(self, status: int, message: str, parameter: str) -> Refusal:
        """The error reply to a request that cannot be answered: 400, 404, 405."""

    def headers(self, answer: Answer) -> tuple[tuple[bytes, bytes], ...]:
        """Request id and rate limits."""


def text_field(body: JSON, name: str) -> str:
    """A string of a request. Raises InvalidRequest when it is absent or something else."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{name}: a non-empty string is required", name)
    return value


def limit_field(body: JSON, *names: str) -> int | None:
    """The first token limit that a request sets. Raises InvalidRequest when it is no positive integer."""
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InvalidRequest(f"{name}: must be an integer above 0", name)
        return value
    return None
