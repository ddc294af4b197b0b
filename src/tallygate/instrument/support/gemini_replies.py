"""What Gemini's replies say, as google-genai has them: contents and embeddings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tallygate.errors import ErrorType
from tallygate.instrument.support.known_calls import reading
from tallygate.instrument.support.llm_calls import ObservedCall, Reader, members
from tallygate.wire.errors import GEMINI_FILTERED
from tallygate.wire.tokens import gemini_usage

_CONTENT: Final = ("function_call", "inline_data", "file_data", "executable_code", "code_execution_result")


class Generate:
    """generateContent."""

    operation = "generate_content"
    reading = reading(
        "usage_metadata",
        input_tokens=(("prompt_token_count",),),
        output_tokens=(("candidates_token_count",), ("thoughts_token_count",)),
        cache_read=(("cached_content_token_count",),),
        reasoning=(("thoughts_token_count",),),
        must=(
            (("usage_metadata", "tool_use_prompt_token_count"), (None,)),
            (("prompt_feedback",), (None,)),
            (("sdk_http_response", "body"), (None, "")),
        ),
        never=((("candidates", "*", "finish_reason"), tuple(GEMINI_FILTERED)),),
    )

    def __init__(self, method: str) -> None:
        self.endpoint = f"/models/{{model}}:{method}"

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""
        known = members(reply)
        raw = known.get("sdk_http_response")
        if raw is not None and raw.body:  # it was asked for in place of the reply
            try:
                known = _in_snake_case(json.loads(raw.body))
            except (ValueError, RecursionError):
                call.failure = ErrorType.PROVIDER_INVALID_RESPONSE
                return
        self._read(call, known, False)

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event."""
        self._read(call, members(event), True)

    def _read(self, call: ObservedCall, known: dict[str, Any], streamed: bool) -> None:
        said, filtered = False, False
        for candidate in known.get("candidates") or ():
            own = members(candidate)
            content, reason = own.get("content"), own.get("finish_reason")
            if content is not None and not said:
                said = _say_something(members(content).get("parts") or ())
            if reason is not None:
                call.complete = True
                filtered = filtered or reason in GEMINI_FILTERED
        if said and streamed:
            call.content()
        usage = known.get("usage_metadata")
        if usage is not None:
            if call.counts is None:
                call.counts = []
            get = members(usage).get
            told = (
                get("prompt_token_count"),
                get("tool_use_prompt_token_count"),
                get("candidates_token_count"),
                get("thoughts_token_count"),
                get("cached_content_token_count"),
            )
            call.usage(gemini_usage(call.counts, told))
        feedback = known.get("prompt_feedback")
        if feedback is not None and members(feedback).get("block_reason"):
            call.complete = filtered = True
        if filtered:
            call.filtered(said or call.said_something)


def _say_something(parts: Iterable[Any]) -> bool:
    """Whether these parts of a content carry anything; a signature alone is nothing."""
    for part in parts:
        known = members(part)
        if known.get("text"):
            return True
        for name in _CONTENT:
            if known.get(name) is not None:
                return True
    return False


def _in_snake_case(document: Any) -> Any:
    """A JSON document with names as the library's objects have them."""
    if isinstance(document, dict):
        return {
            re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name): _in_snake_case(value)
            for name, value in document.items()
        }
    return [_in_snake_case(item) for item in document] if isinstance(document, list) else document


class Embed:
    """Embeddings, of which Vertex AI alone tells the tokens."""

    operation = "embeddings"

    def __init__(self, method: str) -> None:
        self.endpoint = f"/models/{{model}}:{method}"

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""
        known = members(reply)
        usage = known.get("usage_metadata")
        tokens = None if usage is None else members(usage).get("prompt_token_count")
        if tokens is None:
            counts: list[Any] = []
            for one in known.get("embeddings") or ():
                statistics = members(one).get("statistics")
                counts.append(statistics and members(statistics).get("token_count"))
            if counts and None not in counts:
                tokens = int(sum(counts))
        if tokens is not None:
            call.usage(gemini_usage([], (tokens, None, None, None, None)))

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event; there are none."""


GENERATE: Final = Generate("generateContent")
STREAM: Final = Generate("streamGenerateContent")
BATCH_EMBED: Final = Embed("batchEmbedContents")
EMBED: Final[Mapping[str, Reader]] = {"PREDICT": Embed("predict"), "EMBED_CONTENT": Embed("embedContent")}
