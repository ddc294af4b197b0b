"""OpenAI chat completions: /v1/chat/completions, spoken by almost everybody."""

from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from tallygate.errors import ErrorType
from tallygate.wire.error_bodies import openai_error
from tallygate.wire.framing import framing_of
from tallygate.wire.heads import NOT_THERE, HeadReader, checked_model, most_output, splice
from tallygate.wire.interface import Head
from tallygate.wire.meter import WireMeter
from tallygate.wire.partial import Partial, Unreadable
from tallygate.wire.skim import Path
from tallygate.wire.tokens import openai_usage

Text = str | list[Raw] | None
"""Text as OpenAI writes it, or in parts as others do."""
Members = dict[str, Raw] | None


class StreamOptions(msgspec.Struct):
    """``stream_options`` of a request."""

    include_usage: bool | None = None


class Request(msgspec.Struct):
    """The head of a request; completions have the same."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: Raw = NOT_THERE
    max_tokens: Raw = NOT_THERE
    n: Raw = NOT_THERE


class Message(msgspec.Struct):
    """A message, or the part of one that a chunk adds."""

    content: Text = None
    reasoning_content: Text = None
    reasoning: Text = None
    refusal: str | None = None
    tool_calls: list[Raw] | None = None
    function_call: Members = None
    audio: Members = None

    def says_something(self) -> bool:
        """Whether it has any text, tool call or reasoning."""
        return bool(
            self.content
            or self.tool_calls
            or self.reasoning_content
            or self.reasoning
            or self.refusal
            or self.function_call
            or self.audio
        )


class Choice(msgspec.Struct):
    """A choice of a reply or chunk, of chat completions or of completions."""

    delta: Message | None = None
    message: Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class GroqMembers(msgspec.Struct):
    """``x_groq``, where Groq tells usage and errors of a stream."""

    usage: dict[str, Any] | None = None
    error: Any = None


class Chunk(msgspec.Struct):
    """A reply or a chunk of one."""

    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    model: str | None = None
    error: Any = None
    x_groq: GroqMembers | None = None


_chunks = Partial(Chunk)
_decode = _chunks.decode_strictly


class ChatMeter(WireMeter):
    """Reads replies of chat completions and of completions."""

    __slots__ = ()

    paths: ClassVar[tuple[Path, ...]] = (
        ("model",),
        ("usage",),
        ("error",),
        ("x_groq",),
        ("choices", "*", "delta"),
        ("choices", "*", "message"),
        ("choices", "*", "text"),
        ("choices", "*", "finish_reason"),
    )
    content_paths: ClassVar[frozenset[Path]] = frozenset(path for path in paths if path[0] == "choices")

    def read_event(self, data: bytes) -> bool:
        """As WireMeter.read_event."""
        try:
            chunk = _decode(data)
        except (ValueError, RecursionError):
            if data.startswith(b"[DONE]"):
                self.complete = True
                return False
            try:
                chunk = _chunks.decode_leniently(data)
            except Unreadable:
                self.garbled()
                return False
        choices = chunk.choices
        if choices:
            for choice in choices:
                delta = choice.delta
                if (delta is not None and (delta.content or delta.says_something())) or choice.text:
                    self.contents += 1
                    break
        if not self.response_model and chunk.model:
            self.response_model = chunk.model
        if choices and choices[0].finish_reason == "content_filter":
            self.filtered(bool(self.contents), "content_filter")
        if chunk.usage is None and chunk.error is None and chunk.x_groq is None:
            return False
        self._read_rest(chunk)
        return not choices and chunk.usage is not None and chunk.error is None

    def read_document(self, data: bytes) -> None:
        """As WireMeter.read_document."""
        chunk = _chunks.decode(data)
        self.response_model = chunk.model or ""
        for choice in chunk.choices or ():
            if choice.finish_reason == "content_filter":
                said = choice.text or (choice.message is not None and choice.message.says_something())
                self.filtered(self.said_something or bool(said), "content_filter")
        self._read_rest(chunk)

    def _read_rest(self, chunk: Chunk) -> None:
        """Usage and errors, where this or that provider puts them. The last usage counts."""
        usage = openai_usage(chunk.usage)
        groq = chunk.x_groq
        if groq is not None:
            usage = usage or openai_usage(groq.usage)
            if groq.error:
                self.fail_with({"error": groq.error})
        if usage is not None:
            self.usage = usage
        if chunk.error:
            self.fail_with({"error": chunk.error})


_requests = HeadReader(Request, "model", "stream", "stream_options")


class OpenAIChat:
    """Chat completions."""

    name = "openai_chat"
    operation = "chat"
    kind = "openai"
    endpoint = "/chat/completions"

    def read_head(self, body: bytes, path_model: str, path_stream: bool) -> Head:
        """As Wire.read_head."""
        request = _requests.read(body)
        most = most_output(request.max_completion_tokens, request.n)
        if most is None:
            most = most_output(request.max_tokens, request.n)
        if not request.stream:
            return Head(checked_model(request.model), False, True, most)
        options = request.stream_options
        reports_usage = options is not None and options.include_usage is True
        return Head(checked_model(request.model), True, reports_usage, most)

    def rewrite(self, body: bytes, *, model: str | None, ask_usage: bool) -> bytes:
        """As Wire.rewrite."""
        changes: dict[str, Any] = {} if model is None else {"model": model}
        if ask_usage:
            changes["stream_options"] = {"include_usage": True}
        return splice(body, changes) if changes else body

    def meter(self, *, stream: bool, status: int, content_encoding: str, hide_usage: bool) -> WireMeter:
        """As Wire.meter."""
        return ChatMeter(framing_of(stream, status, content_encoding, hide_usage), status)

    def error_body(self, status: int, error_type: ErrorType, message: str) -> bytes:
        """As Wire.error_body."""
        return openai_error(status, error_type, message)
