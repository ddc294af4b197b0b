"""What a wire format is: one API of one family of providers, as far as the tally needs to read it.

It observes and does not translate: a wire format reads the head of a request, reads usage, errors and the first token
of a reply on the side, and writes an error in the API's own shape. Bytes pass through.
"""

from dataclasses import dataclass
from typing import Protocol

from tallygate.errors import ErrorType


@dataclass(slots=True)
class Head:
    """What is to be known of a request."""

    model: str
    stream: bool = False
    reports_usage: bool = True
    """False for a stream that will report usage only if somebody asks on the client's behalf."""
    max_output_tokens: int | None = None
    """How many tokens may be written, all choices together; None when the request does not say."""


@dataclass(slots=True)
class Usage:
    """Tokens of one call as the provider reported them, in one taxonomy that never counts twice."""

    input_tokens: int = 0
    """All input, whether read from a cache, written to one or neither."""
    output_tokens: int = 0
    """All output, reasoning included."""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(slots=True)
class Failure:
    """An error that a reply carried."""

    error_type: ErrorType
    code: str = ""
    """The provider's own word for it, for logs only."""


class BadRequest(Exception):
    """The request's head cannot be read; the message says why and is safe to show to the client."""


class Meter(Protocol):
    """Reads one reply on the side, in O(1) memory whatever its length."""

    usage: Usage | None
    """What the provider reported so far; None when it has not."""
    failure: Failure | None
    """An error body, or an error event in the stream."""
    response_model: str
    """The model the reply names; '' when it names none."""
    contents: int
    """How many content deltas (text, tool call, reasoning; no role chunk, no ping) were seen so far; streams only."""
    complete: bool
    """Whether the reply's own end was seen (closing event, or a whole JSON document)."""
    ends_with_body: bool
    """Whether more that counts may come until the body ends: there is no closing event, or none after which nothing
    follows."""

    def feed(self, data: bytes) -> bytes:
        """Read the next bytes of the body; returns what to relay: ``data`` unless some of it must not pass (yet)."""

    def close(self) -> bytes:
        """The body has ended: read what is left; returns what was held back and must still be relayed."""


class Wire(Protocol):
    """One wire format."""

    name: str
    """openai_chat, openai_completions, openai_responses, openai_embeddings, anthropic_messages, gemini_generate."""
    operation: str
    """In the words of the GenAI conventions: chat, text_completion, embeddings, generate_content."""
    kind: str
    """Which kind of provider speaks it: openai, anthropic, gemini (Azure speaks openai)."""
    endpoint: str
    """The provider's path as a label: /chat/completions, /messages, /models/{model}:generateContent ..."""

    def read_head(self, body: bytes, path_model: str, path_stream: bool) -> Head:
        """``path_model``, ``path_stream``: for formats that have these in the path. Raises BadRequest."""

    def rewrite(self, body: bytes, *, model: str | None, ask_usage: bool) -> bytes:
        """The body with another model name, and with usage asked for; everything else as it came."""

    def meter(self, *, stream: bool, status: int, content_encoding: str, hide_usage: bool) -> Meter:
        """A meter for one reply. ``hide_usage``: usage was asked for on the client's behalf: it is not relayed."""

    def error_body(self, status: int, error_type: ErrorType, message: str) -> bytes:
        """An error of whoever stands between, in the shape this API's clients know (JSON)."""
