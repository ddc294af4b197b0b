"""Gemini: /v1beta/models/{model}:generateContent and :streamGenerateContent (events, or a JSON array of them)."""

from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from tallygate.errors import ErrorType
from tallygate.wire.error_bodies import gemini_error
from tallygate.wire.errors import GEMINI_FILTERED
from tallygate.wire.framing import framing_of
from tallygate.wire.heads import NOT_THERE, HeadReader, checked_model, most_output
from tallygate.wire.interface import Head
from tallygate.wire.meter import Framing, WireMeter
from tallygate.wire.partial import Partial, Unreadable
from tallygate.wire.skim import Path
from tallygate.wire.tokens import gemini_usage

Members = dict[str, Raw] | None


class Part(msgspec.Struct, rename="camel"):
    """A part of the content; a signature alone is none."""

    text: str | None = None
    function_call: Members = None
    inline_data: Members = None
    file_data: Members = None
    executable_code: Members = None
    code_execution_result: Members = None

    def says_something(self) -> bool:
        """Whether it carries anything."""
        return bool(
            self.text
            or self.function_call
            or self.inline_data
            or self.file_data
            or self.executable_code
            or self.code_execution_result
        )


class Content(msgspec.Struct):
    """What a candidate says."""

    parts: list[Part] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """One of the answers."""

    content: Content | None = None
    finish_reason: str | None = None

    def says_something(self) -> bool:
        """Whether any of its parts does."""
        if self.content is None or not self.content.parts:
            return False
        return any(part.text or part.says_something() for part in self.content.parts)


class PromptFeedback(msgspec.Struct, rename="camel"):
    """Tells why a prompt was refused."""

    block_reason: str | None = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    """Counts of tokens; in a stream they come again and again."""

    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None


class Chunk(msgspec.Struct, rename="camel"):
    """A reply or a chunk of one."""

    candidates: list[Candidate] | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    prompt_feedback: PromptFeedback | None = None
    error: Any = None


_chunks = Partial(Chunk)
_decode = _chunks.decode_strictly


class GenerateMeter(WireMeter):
    """Reads replies of generateContent and streamGenerateContent."""

    __slots__ = ("_counts",)

    paths: ClassVar[tuple[Path, ...]] = (
        ("usageMetadata",),
        ("modelVersion",),
        ("promptFeedback",),
        ("error",),
        ("candidates", "*", "content"),
        ("candidates", "*", "finishReason"),
    )
    content_paths: ClassVar[frozenset[Path]] = frozenset({("candidates", "*", "content")})

    def __init__(self, framing: Framing, status: int) -> None:
        super().__init__(framing, status)
        self._counts: list[int] = []

    def read_event(self, data: bytes) -> bool:
        """As WireMeter.read_event; nothing is ever hidden."""
        try:
            chunk = _decode(data)
        except (ValueError, RecursionError):
            try:
                chunk = _chunks.decode_leniently(data)
            except Unreadable:
                self.garbled()
                return False
        candidates = chunk.candidates
        if candidates:
            for candidate in candidates:
                if candidate.says_something():
                    self.contents += 1
                    break
        self._read_rest(chunk, bool(self.contents))
        return False

    def read_document(self, data: bytes) -> None:
        """As WireMeter.read_document."""
        chunk = _chunks.decode(data)
        said = any(candidate.says_something() for candidate in chunk.candidates or ())
        self._read_rest(chunk, self.said_something or said)

    def _read_rest(self, chunk: Chunk, said_something: bool) -> None:
        if chunk.usage_metadata is not None:
            self._read_usage(chunk.usage_metadata)
        if chunk.model_version is not None:
            self.response_model = chunk.model_version
        if chunk.error:
            self.fail_with({"error": chunk.error})
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self.filtered(said_something, feedback.block_reason)
            self.complete = self.ends_with_body = True
        for candidate in chunk.candidates or ():
            reason = candidate.finish_reason
            if reason:
                # Other candidates may go on, and the last chunk has the last counts.
                self.complete = self.ends_with_body = True
                if reason in GEMINI_FILTERED:
                    self.filtered(said_something, reason)

    def _read_usage(self, usage: UsageMetadata) -> None:
        self.usage = gemini_usage(
            self._counts,
            (
                usage.prompt_token_count,
                usage.tool_use_prompt_token_count,
                usage.candidates_token_count,
                usage.thoughts_token_count,
                usage.cached_content_token_count,
            ),
        )


class GenerationConfig(msgspec.Struct, rename="camel"):
    """What a request asks of the model's answer."""

    max_output_tokens: Raw = NOT_THERE
    candidate_count: Raw = NOT_THERE


class Request(msgspec.Struct, rename="camel"):
    """The body of a request; model and streaming are in the path."""

    generation_config: Raw = NOT_THERE


_requests = HeadReader(Request)
_decode_configuration = msgspec.json.Decoder(GenerationConfig).decode


class GeminiGenerate:
    """generateContent. It reports usage by itself."""

    name = "gemini_generate"
    operation = "generate_content"
    kind = "gemini"
    endpoint = "/models/{model}:generateContent"

    def read_head(self, body: bytes, path_model: str, path_stream: bool) -> Head:
        """As Wire.read_head."""
        configuration, most = _requests.read(body).generation_config, None
        if configuration is not NOT_THERE:
            try:
                asked = _decode_configuration(configuration)
            except (ValueError, RecursionError):
                pass  # the provider will say what is wrong with it
            else:
                most = most_output(asked.max_output_tokens, asked.candidate_count)
        return Head(checked_model(path_model), path_stream, True, most)

    def rewrite(self, body: bytes, *, model: str | None, ask_usage: bool) -> bytes:
        """As Wire.rewrite; the model is in the path, and usage comes unasked."""
        return body

    def meter(self, *, stream: bool, status: int, content_encoding: str, hide_usage: bool) -> WireMeter:
        """As Wire.meter."""
        return GenerateMeter(framing_of(stream, status, content_encoding, False), status)

    def error_body(self, status: int, error_type: ErrorType, message: str) -> bytes:
        """As Wire.error_body."""
        return gemini_error(status, error_type, message)
