"""POST /v1/messages."""

from collections.abc import Iterator, Mapping

import msgspec

from tallygate.simulator.answer import Answer, Ask, Usage, tokens_of
from tallygate.simulator.apis.api import JSON, Event, InvalidRequest, Refusal, encode, limit_field, text_field
from tallygate.simulator.apis.openai import retry_headers

_LIMITS = (
    (b"anthropic-ratelimit-requests-limit", b"4000"),
    (b"anthropic-ratelimit-requests-remaining", b"3999"),
    (b"anthropic-ratelimit-requests-reset", b"2030-01-01T00:00:00Z"),
    (b"anthropic-ratelimit-input-tokens-limit", b"400000"),
    (b"anthropic-ratelimit-input-tokens-remaining", b"399000"),
    (b"anthropic-ratelimit-input-tokens-reset", b"2030-01-01T00:00:00Z"),
    (b"anthropic-ratelimit-output-tokens-limit", b"80000"),
    (b"anthropic-ratelimit-output-tokens-remaining", b"79000"),
    (b"anthropic-ratelimit-output-tokens-reset", b"2030-01-01T00:00:00Z"),
)

_EXHAUSTED = tuple(
    (name, b"0" if name == b"anthropic-ratelimit-requests-remaining" else value) for name, value in _LIMITS
)

_REFUSALS: dict[str, tuple[int, str, str]] = {
    "400": (400, "invalid_request_error", "temperature: range: -1 is not between 0 and 1"),
    "401": (401, "authentication_error", "invalid x-api-key"),
    "403": (403, "permission_error", "This key may not use the model."),
    "429": (429, "rate_limit_error", "This request would exceed the organization's rate limit."),
    "500": (500, "api_error", "Internal server error"),
    "503": (503, "api_error", "Service unavailable"),
    "529": (529, "overloaded_error", "Overloaded"),
    "content_filter": (400, "invalid_request_error", "Output blocked by content filtering policy"),
}


class AnthropicMessages:
    """Anthropic's messages."""

    name = "anthropic_messages"
    generates = True
    writes_cache = True
    newline = b"\n"
    stream_type = b"text/event-stream; charset=utf-8"

    def read(self, body: JSON, model: str, query: Mapping[str, str]) -> Ask:
        """Model, messages, system, stream, limit (required), tools."""
        model = model or text_field(body, "model")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise InvalidRequest("messages: at least one message is required", "messages")
        limit = limit_field(body, "max_tokens")
        if limit is None:
            raise InvalidRequest("max_tokens: Field required", "max_tokens")
        return Ask(
            model,
            stream=body.get("stream") is True,
            prompt_tokens=tokens_of(messages, body.get("system")),
            output_limit=limit,
            tool=_tool(body),
        )

    def reply(self, answer: Answer, text: str) -> bytes:
        """A message."""
        content: list[JSON] = []
        if answer.usage.reasoning_tokens:
            content.append({"type": "thinking", "thinking": "".join(answer.reasoning()), "signature": answer.digest})
        if answer.calls_tool:
            arguments = msgspec.json.decode("".join(answer.arguments()))
            content.append(_tool_use(answer) | {"input": arguments})
        elif text:
            content.append({"type": "text", "text": text})
        usage = {"usage": _usage(answer.usage, answer.usage.output_tokens)} if answer.reports_usage else {}
        return encode(_message(answer, content, _stop(answer)) | usage)

    def events(self, answer: Answer) -> Iterator[Event]:
        """message_start with the input's usage, ping, content blocks, message_delta with all usage, message_stop."""
        usage = answer.usage
        at_start = min(1, usage.output_tokens)
        message = _message(answer, [], None)
        told = None
        if answer.reports_usage:
            message["usage"] = _usage(usage, at_start, details=False)
            told = Usage(usage.input_tokens, at_start, usage.cache_read_tokens, usage.cache_write_tokens)
        yield _event("message_start", {"message": message}, told)
        index = 0
        if usage.reasoning_tokens:
            yield _event("content_block_start", _block(index, {"type": "thinking", "thinking": "", "signature": ""}))
            yield self.ping()
            for piece in answer.reasoning():
                yield _delta(index, b'{"type":"thinking_delta","thinking":', piece)
            yield _event(
                "content_block_delta",
                {"index": index, "delta": {"type": "signature_delta", "signature": answer.digest}},
            )
            yield _event("content_block_stop", {"index": index})
            index += 1
        if answer.calls_tool:
            yield _event("content_block_start", _block(index, _tool_use(answer)))
            yield self.ping()
            for piece in answer.arguments():
                yield _delta(index, b'{"type":"input_json_delta","partial_json":', piece)
            yield _event("content_block_stop", {"index": index})
        elif "empty" not in answer.marks:
            yield _event("content_block_start", _block(index, {"type": "text", "text": ""}))
            yield self.ping()
            for piece in answer.pieces():
                yield _delta(index, b'{"type":"text_delta","text":', piece)
            yield _event("content_block_stop", {"index": index})
        closing: JSON = {"delta": {"stop_reason": _stop(answer), "stop_sequence": None}}
        if answer.reports_usage:
            closing["usage"] = _usage(usage, usage.output_tokens)
        yield _event("message_delta", closing, usage if answer.reports_usage else None)
        yield _event("message_stop", {})

    def ping(self) -> Event:
        """A ping event."""
        return Event(b'{"type":"ping"}', b"ping")

    def error_events(self, answer: Answer, sent: int) -> Iterator[Event]:
        """An ``error`` event: overloaded."""
        yield Event(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', b"error")

    def refusal(self, behaviour: str, answer: Answer) -> Refusal:
        """Anthropic's error body."""
        if behaviour == "404":
            return Refusal(404, _error("not_found_error", f"model: {answer.ask.model}", answer.digest))
        if behaviour == "context_length":
            tokens = answer.usage.input_tokens
            message = f"prompt is too long: {tokens} tokens > {tokens - 1} maximum"
            return Refusal(400, _error("invalid_request_error", message, answer.digest))
        status, kind, message = _REFUSALS[behaviour]
        retry: tuple[tuple[bytes, bytes], ...] = retry_headers(behaviour, answer)
        if behaviour == "529":
            retry = ((b"x-should-retry", b"true"),)
        return Refusal(status, _error(kind, message, answer.digest), retry)

    def invalid(self, status: int, message: str, parameter: str) -> Refusal:
        """Anthropic's error body for a request that cannot be read."""
        return Refusal(
            status, _error("not_found_error" if status == 404 else "invalid_request_error", message, "invalid")
        )

    def headers(self, answer: Answer) -> tuple[tuple[bytes, bytes], ...]:
        """Request id and rate limits."""
        return (
            (b"request-id", _request_id(answer.digest).encode()),
            *(_EXHAUSTED if "429" in answer.marks else _LIMITS),
        )


def _request_id(digest: str) -> str:
    return "req_011" + digest[:21]


def _error(kind: str, message: str, digest: str) -> bytes:
    error = {"type": kind, "message": message}
    return encode({"type": "error", "error": error, "request_id": _request_id(digest)})


def _event(name: str, fields: JSON, usage: Usage | None = None) -> Event:
    return Event(encode({"type": name} | fields), name.encode(), usage)


def _delta(index: int, opening: bytes, piece: str) -> Event:
    data = b'{"type":"content_block_delta","index":%d,"delta":%s%s}}' % (index, opening, encode(piece))
    return Event(data, b"content_block_delta", content=True)


def _block(index: int, block: JSON) -> JSON:
    return {"index": index, "content_block": block}


def _message(answer: Answer, content: list[JSON], stop: str | None) -> JSON:
    return {
        "id": "msg_01" + answer.digest[:22],
        "type": "message",
        "role": "assistant",
        "model": answer.ask.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }


def _tool_use(answer: Answer) -> JSON:
    return {"type": "tool_use", "id": "toolu_01" + answer.digest[:22], "name": answer.ask.tool, "input": {}}


def _usage(usage: Usage, output: int, *, details: bool = True) -> JSON:
    document: JSON = {
        "input_tokens": usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write_tokens, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }
    if details and usage.reasoning_tokens:
        document["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return document


def _stop(answer: Answer) -> str:
    return "refusal" if answer.filtered else "tool_use" if answer.calls_tool else "end_turn"


def _tool(body: JSON) -> str:
    match body.get("tools"):
        case [{"name": str(name)}, *_]:
            return name
    return "get_weather"
