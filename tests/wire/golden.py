"""Streams as the providers publish them, with what a meter must read out of them."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from tallygate.errors import ErrorType
from tallygate.wire import Meter, Usage
from tallygate.wire.formats import WIRES

JSON = dict[str, Any]


@dataclass
class Golden:
    """A reply and the truth about it."""

    name: str
    wire: str
    events: list[tuple[str, JSON | str]]
    """Name ('' for none) and data of each event; a text is data as it is."""
    usage: Usage | None
    contents: int
    model: str = ""
    complete: bool = True
    failure: ErrorType | None = None
    comments: dict[int, str] = field(default_factory=dict)
    """Comment lines before the event of this index."""
    hidden: int | None = None
    """Index of the event that a client who did not ask for usage must not see."""

    def body(self, newline: str = "\n", *, without_hidden: bool = False) -> bytes:
        """The stream's bytes."""
        frames = []
        for index, (name, data) in enumerate(self.events):
            if index in self.comments:
                frames.append(f": {self.comments[index]}{newline}{newline}")
            if without_hidden and index == self.hidden:
                continue
            text = data if isinstance(data, str) else msgspec.json.encode(data).decode()
            head = f"event: {name}{newline}" if name else ""
            frames.append(f"{head}data: {text}{newline}{newline}")
        return "".join(frames).encode()

    def meter(self, *, hide_usage: bool = False, content_encoding: str = "") -> Meter:
        """A meter for this stream."""
        return WIRES[self.wire].meter(stream=True, status=200, content_encoding=content_encoding, hide_usage=hide_usage)

    def check(self, meter: Meter) -> None:
        """The meter has read the truth."""
        assert meter.usage == self.usage
        assert meter.contents == self.contents
        assert meter.response_model == self.model
        assert meter.complete is self.complete
        assert (meter.failure.error_type if meter.failure else None) is self.failure


def feed(meter: Meter, body: bytes, size: int | None = None) -> bytes:
    """Feed a body in pieces of ``size`` bytes and close; returns what is relayed."""
    size = size or max(1, len(body))
    relayed = [meter.feed(body[at : at + size]) for at in range(0, len(body), size)]
    return b"".join(relayed) + meter.close()


def document(wire: str, body: bytes | JSON, *, status: int = 200, content_encoding: str = "") -> Meter:
    """A meter that has read a reply that is no stream."""
    meter = WIRES[wire].meter(stream=False, status=status, content_encoding=content_encoding, hide_usage=False)
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    assert feed(meter, raw) == raw
    return meter


def chat(delta: JSON, finish: str | None = None, **members: Any) -> JSON:
    """A chunk of a chat completion."""
    return {
        "id": "chatcmpl-9cz",
        "object": "chat.completion.chunk",
        "created": 1750000000,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "system_fingerprint": "fp_34a54ae93c",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        **members,
    }


def chat_usage(usage: JSON) -> JSON:
    """The extra chunk that tells the usage."""
    return chat({}) | {"choices": [], "usage": usage}


CHAT_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 60,
    "total_tokens": 1060,
    "prompt_tokens_details": {"cached_tokens": 768, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 0},
}
CHAT_MODEL = "gpt-4o-mini-2024-07-18"
ROLE = {"role": "assistant", "content": "", "refusal": None}


def response(**members: Any) -> JSON:
    """A response object within an event."""
    return {"id": "resp_1", "object": "response", "model": "gpt-4.1-2025-04-14", "output": [], "usage": None, **members}


def responses(kind: str, **members: Any) -> tuple[str, JSON]:
    """An event of the responses API, named as its type."""
    return kind, {"type": kind, "sequence_number": 7, **members}


RESPONSE_USAGE = {
    "input_tokens": 37,
    "input_tokens_details": {"cached_tokens": 12},
    "output_tokens": 11,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 48,
}


def anthropic(kind: str, **members: Any) -> tuple[str, JSON]:
    """An event of Anthropic's, named as its type."""
    return kind, {"type": kind, **members}


def block_delta(**delta: Any) -> tuple[str, JSON]:
    """A delta of the first content block."""
    return anthropic("content_block_delta", index=0, delta=delta)


MESSAGE: JSON = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [],
    "model": "claude-sonnet-4-5-20250929",
    "stop_reason": None,
    "usage": {
        "input_tokens": 25,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 400,
        "output_tokens": 1,
    },
}


def gemini(parts: list[JSON] | None, finish: str | None = None, **usage: int) -> JSON:
    """A chunk of Gemini's."""
    candidate: JSON = {"content": {"role": "model"} | ({} if parts is None else {"parts": parts}), "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "r1"}


GOLDEN = [
    Golden(
        "chat",
        "openai_chat",
        [
            ("", chat(ROLE, usage=None)),
            ("", chat({"content": "Hello"}, usage=None)),
            ("", chat({"content": " wörld \n\n"}, usage=None)),
            ("", chat({}, "stop", usage=None)),
            ("", chat_usage(CHAT_USAGE)),
            ("", "[DONE]"),
        ],
        Usage(1000, 60, 768, 0, 40),
        2,
        CHAT_MODEL,
        hidden=4,
    ),
    Golden(
        "chat with tools and reasoning",
        "openai_chat",
        [
            ("", chat(ROLE)),
            ("", chat({"reasoning_content": "Let me"})),
            ("", chat({"reasoning": " see"})),
            ("", chat({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": ""}}]})),
            ("", chat({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]})),
            ("", chat({"refusal": "I cannot"})),
            ("", chat({"content": ""})),
            ("", chat({}, "tool_calls")),
            ("", "[DONE]"),
        ],
        None,
        5,
        CHAT_MODEL,
    ),
    Golden(
        "chat from a router, with comments and usage beside content",
        "openai_chat",
        [
            ("", chat({"content": "a"}, usage={"prompt_tokens": 7, "completion_tokens": 1})),
            ("", chat({"content": "b"}, usage={"prompt_tokens": 7, "completion_tokens": 2})),
            ("", chat({"content": "c"}, "stop", usage={"prompt_tokens": 7, "completion_tokens": 3, "cost": 0.1})),
            ("", "[DONE]"),
        ],
        Usage(7, 3),
        3,
        CHAT_MODEL,
        comments={0: "OPENROUTER PROCESSING", 2: "OPENROUTER PROCESSING"},
    ),
    Golden(
        "chat by Groq",
        "openai_chat",
        [
            ("", chat(ROLE, x_groq={"id": "req_1"})),
            ("", chat({"content": "a"})),
            ("", chat({}, "stop", x_groq={"id": "req_1", "usage": {"prompt_tokens": 9, "completion_tokens": 1}})),
            ("", "[DONE]"),
        ],
        Usage(9, 1),
        1,
        CHAT_MODEL,
    ),
    Golden(
        "chat by Azure",
        "openai_chat",
        [
            ("", {"choices": [], "model": "", "object": "", "prompt_filter_results": [{"prompt_index": 0}]}),
            ("", chat({"content": "a"}, content_filter_results={})),
            ("", chat({}, "stop")),
            ("", chat_usage({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6})),
            ("", "[DONE]"),
        ],
        Usage(5, 1),
        1,
        CHAT_MODEL,
        hidden=3,
    ),
    Golden(
        "chat that fails",
        "openai_chat",
        [
            ("", chat({"content": "a"})),
            ("", {"error": {"message": "The server had an error", "type": "server_error", "code": None}}),
        ],
        None,
        1,
        CHAT_MODEL,
        complete=False,
        failure=ErrorType.PROVIDER_SERVER_ERROR,
    ),
    Golden(
        "chat that is filtered whole",
        "openai_chat",
        [("", chat(ROLE)), ("", chat({}, "content_filter")), ("", "[DONE]")],
        None,
        0,
        CHAT_MODEL,
        failure=ErrorType.POLICY_CONTENT_FILTER,
    ),
    Golden(
        "chat that a filter ends early",
        "openai_chat",
        [("", chat({"content": "a"})), ("", chat({}, "content_filter")), ("", "[DONE]")],
        None,
        1,
        CHAT_MODEL,
    ),
    Golden(
        "chat that is cut",
        "openai_chat",
        [("", chat({"content": "a"})), ("", chat({}, "stop"))],
        None,
        1,
        CHAT_MODEL,
        complete=False,
    ),
    Golden(
        "completions",
        "openai_completions",
        [
            (
                "",
                {
                    "object": "text_completion",
                    "model": "gpt-3.5-turbo-instruct",
                    "choices": [{"text": "Hi", "index": 0}],
                },
            ),
            ("", {"model": "gpt-3.5-turbo-instruct", "choices": [{"text": "", "finish_reason": "stop"}]}),
            ("", {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}}),
            ("", "[DONE]"),
        ],
        Usage(4, 1),
        1,
        "gpt-3.5-turbo-instruct",
        hidden=2,
    ),
    Golden(
        "responses",
        "openai_responses",
        [
            responses("response.created", response=response(status="in_progress")),
            responses("response.output_item.added", item={"type": "message", "content": []}),
            responses("response.reasoning_summary_text.delta", delta="Thinking"),
            responses("response.output_text.delta", delta="Hel", logprobs=[]),
            responses("response.output_text.delta", delta="lo"),
            responses("response.function_call_arguments.delta", delta='{"a"'),
            responses("response.output_text.done", text="Hello"),
            responses("response.completed", response=response(status="completed", usage=RESPONSE_USAGE)),
        ],
        Usage(37, 11, 12, 0, 5),
        4,
        "gpt-4.1-2025-04-14",
    ),
    Golden(
        "responses that end early",
        "openai_responses",
        [
            ("x", {"type": "response.output_text.delta", "delta": "a"}),
            (
                "response.incomplete",
                {
                    "type": "response.incomplete",
                    "response": response(
                        status="incomplete", usage=RESPONSE_USAGE, incomplete_details={"reason": "max_output_tokens"}
                    ),
                },
            ),
        ],
        Usage(37, 11, 12, 0, 5),
        1,
        "gpt-4.1-2025-04-14",
    ),
    Golden(
        "responses that fail",
        "openai_responses",
        [
            (
                "response.failed",
                {
                    "type": "response.failed",
                    "response": response(status="failed", error={"code": "rate_limit_exceeded", "message": "slow"}),
                },
            )
        ],
        None,
        0,
        "gpt-4.1-2025-04-14",
        failure=ErrorType.PROVIDER_RATE_LIMIT,
    ),
    Golden(
        "responses with an error event",
        "openai_responses",
        [("error", {"type": "error", "code": "context_length_exceeded", "message": "too long", "param": None})],
        None,
        0,
        complete=False,
        failure=ErrorType.CALLER_CONTEXT_LENGTH,
    ),
    Golden(
        "messages",
        "anthropic_messages",
        [
            anthropic("message_start", message=MESSAGE),
            anthropic("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
            anthropic("ping"),
            block_delta(type="thinking_delta", thinking="Hm"),
            block_delta(type="signature_delta", signature="EqQB"),
            block_delta(type="text_delta", text="Hello"),
            block_delta(type="text_delta", text=""),
            block_delta(type="input_json_delta", partial_json=""),
            block_delta(type="input_json_delta", partial_json='{"a'),
            anthropic("content_block_stop", index=0),
            anthropic("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 15}),
            anthropic("message_stop"),
        ],
        Usage(525, 15, 400, 100, 0),
        3,
        "claude-sonnet-4-5-20250929",
    ),
    Golden(
        "messages whose last usage tells the input again",
        "anthropic_messages",
        [
            anthropic("message_start", message=MESSAGE),
            block_delta(type="text_delta", text="Hello"),
            anthropic(
                "message_delta",
                delta={"stop_reason": "end_turn"},
                usage={
                    "input_tokens": 30,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 500,
                    "output_tokens": 20,
                    "output_tokens_details": {"thinking_tokens": 8},
                },
            ),
            anthropic("message_stop"),
        ],
        Usage(530, 20, 500, 0, 8),
        1,
        "claude-sonnet-4-5-20250929",
    ),
    Golden(
        "messages that fail",
        "anthropic_messages",
        [
            anthropic("message_start", message=MESSAGE),
            anthropic("error", error={"type": "overloaded_error", "message": "Overloaded"}),
        ],
        Usage(525, 1, 400, 100, 0),
        0,
        "claude-sonnet-4-5-20250929",
        complete=False,
        failure=ErrorType.PROVIDER_OVERLOADED,
    ),
    Golden(
        "gemini",
        "gemini_generate",
        [
            ("", gemini([{"text": "Hm", "thought": True}], promptTokenCount=30, thoughtsTokenCount=4)),
            ("", gemini([{"text": "Hello"}], promptTokenCount=30, candidatesTokenCount=2, thoughtsTokenCount=4)),
            ("", gemini([{"functionCall": {"name": "f", "args": {}}}], promptTokenCount=30)),
            (
                "",
                gemini(
                    [{"text": "", "thoughtSignature": "Eo"}],
                    "STOP",
                    promptTokenCount=30,
                    candidatesTokenCount=9,
                    cachedContentTokenCount=16,
                    toolUsePromptTokenCount=5,
                    totalTokenCount=48,
                ),
            ),
        ],
        Usage(35, 13, 16, 0, 4),
        3,
        "gemini-2.5-flash",
    ),
    Golden(
        "gemini that is blocked",
        "gemini_generate",
        [
            (
                "",
                {
                    "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
                    "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8},
                    "modelVersion": "gemini-2.5-flash",
                },
            )
        ],
        Usage(8, 0),
        0,
        "gemini-2.5-flash",
        failure=ErrorType.POLICY_CONTENT_FILTER,
    ),
    Golden(
        "gemini that fails",
        "gemini_generate",
        [
            ("", gemini([{"text": "a"}], promptTokenCount=3)),
            ("", {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}),
        ],
        Usage(3, 0),
        1,
        "gemini-2.5-flash",
        complete=False,
        failure=ErrorType.PROVIDER_OVERLOADED,
    ),
]
