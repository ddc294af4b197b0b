"""Replies that are not streams: usage, model, errors within a 200, what is cut, compressed or too large to hold."""

import gzip
from typing import Any

import msgspec
import pytest

from tallygate.errors import ErrorType
from tallygate.wire import Usage
from tallygate.wire.formats import WIRES

from .golden import CHAT_USAGE, JSON, RESPONSE_USAGE, document, feed, response

CHAT: JSON = {
    "id": "chatcmpl-1",
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": CHAT_USAGE,
}
MESSAGE: JSON = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-opus-4-1",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 5,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 100,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
    },
}
GEMINI: JSON = {
    "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
    "usageMetadata": {
        "promptTokenCount": 20,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 6,
        "cachedContentTokenCount": 8,
        "toolUsePromptTokenCount": 1,
    },
    "modelVersion": "gemini-2.5-pro",
}
EMBEDDINGS: JSON = {
    "object": "list",
    "data": [{"embedding": [0.1, -0.2], "index": 0}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
DOCUMENTS: list[tuple[str, JSON, Usage, str]] = [
    ("openai_chat", CHAT, Usage(1000, 60, 768, 0, 40), "gpt-4o"),
    ("openai_completions", CHAT | {"choices": [{"text": "a"}]}, Usage(1000, 60, 768, 0, 40), "gpt-4o"),
    ("openai_embeddings", EMBEDDINGS, Usage(8, 0), "text-embedding-3-small"),
    (
        "openai_responses",
        response(status="completed", usage=RESPONSE_USAGE, output=[{"type": "message"}]),
        Usage(37, 11, 12, 0, 5),
        "gpt-4.1-2025-04-14",
    ),
    ("anthropic_messages", MESSAGE, Usage(115, 7, 100, 10, 3), "claude-opus-4-1"),
    ("gemini_generate", GEMINI, Usage(21, 10, 8, 0, 6), "gemini-2.5-pro"),
]
EACH = pytest.mark.parametrize(("wire", "reply", "usage", "model"), DOCUMENTS, ids=[case[0] for case in DOCUMENTS])


@EACH
@pytest.mark.parametrize("padding", [0, 300_000], ids=["small", "large"])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_document(wire: str, reply: JSON, usage: Usage, model: str, padding: int, compressed: bool) -> None:
    # The padding stands before what is read, and is full of what could be mistaken for it.
    raw = msgspec.json.encode({"padding": ['"usage":{"x":1}\\'] * (padding // 16)} | reply)
    meter = document(wire, gzip.compress(raw) if compressed else raw, content_encoding="gzip" if compressed else "")
    assert (meter.usage, meter.response_model, meter.complete, meter.failure) == (usage, model, True, None)


@EACH
@pytest.mark.parametrize("padding", [0, 300_000], ids=["small", "large"])
def test_document_that_is_cut(wire: str, reply: JSON, usage: Usage, model: str, padding: int) -> None:
    raw = msgspec.json.encode({"padding": "x" * padding} | reply)
    assert document(wire, raw[:-1]).complete is False
    assert document(wire, raw + b"}").complete is False
    assert document(wire, b"").complete is False
    assert document(wire, b"<html>" + raw).complete is False


@EACH
def test_document_in_single_bytes(wire: str, reply: JSON, usage: Usage, model: str) -> None:
    meter = WIRES[wire].meter(stream=False, status=200, content_encoding="identity", hide_usage=False)
    feed(meter, msgspec.json.encode(reply) + b"\n", 1)
    assert (meter.usage, meter.complete) == (usage, True)


@pytest.mark.parametrize("wire", sorted(WIRES))
@pytest.mark.parametrize("nothing", [None, {}, [], "none", {"prompt_tokens": -1}, {"input_tokens": 1e300}, 7])
def test_no_usage_is_not_zero(wire: str, nothing: Any) -> None:
    meter = document(wire, {"usage": nothing, "usageMetadata": nothing, "model": None})
    assert (meter.usage, meter.complete, meter.response_model) == (None, True, "")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None}, Usage(10, 5)),
        ({"prompt_tokens": 10.0, "completion_tokens": None}, Usage(10, 0)),
        ({"completion_tokens": 5, "prompt_tokens": "many"}, Usage(0, 5)),
        # DeepSeek
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, Usage(10, 5, 4)),
        # OpenRouter
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            },
            Usage(10, 5, 3, 2),
        ),
        # Reasoning beside the completion, as the total shows
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 22,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            Usage(10, 12, 0, 0, 7),
        ),
        # What a cache had cannot be part of the input: it stands beside it
        ({"prompt_tokens": 10, "completion_tokens": 5, "cache_read_input_tokens": 100}, Usage(110, 5, 100)),
    ],
)
def test_usage_of_those_who_speak_openai(usage: JSON, expected: Usage) -> None:
    assert document("openai_chat", CHAT | {"usage": usage}).usage == expected


@pytest.mark.parametrize(
    ("wire", "reply", "error_type", "code"),
    [
        ("openai_chat", {"error": {"message": "x", "code": 502}}, ErrorType.PROVIDER_SERVER_ERROR, "502"),
        ("openai_chat", {"error": {"message": "x", "code": 429}}, ErrorType.PROVIDER_RATE_LIMIT, "429"),
        ("openai_chat", {"error": "overloaded"}, ErrorType.PROVIDER_SERVER_ERROR, ""),
        (
            "openai_responses",
            response(status="failed", error={"code": "server_error", "message": "x"}),
            ErrorType.PROVIDER_SERVER_ERROR,
            "server_error",
        ),
        (
            "anthropic_messages",
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            ErrorType.PROVIDER_OVERLOADED,
            "overloaded_error",
        ),
        (
            "gemini_generate",
            {"promptFeedback": {"blockReason": "SAFETY"}},
            ErrorType.POLICY_CONTENT_FILTER,
            "SAFETY",
        ),
        (
            "gemini_generate",
            {"candidates": [{"finishReason": "PROHIBITED_CONTENT", "content": {}}]},
            ErrorType.POLICY_CONTENT_FILTER,
            "PROHIBITED_CONTENT",
        ),
        (
            "openai_chat",
            {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]},
            ErrorType.POLICY_CONTENT_FILTER,
            "content_filter",
        ),
        (
            "openai_responses",
            response(status="incomplete", incomplete_details={"reason": "content_filter"}),
            ErrorType.POLICY_CONTENT_FILTER,
            "content_filter",
        ),
        (
            "anthropic_messages",
            MESSAGE | {"content": [], "stop_reason": "refusal"},
            ErrorType.POLICY_CONTENT_FILTER,
            "refusal",
        ),
    ],
)
def test_failure_within_a_success(wire: str, reply: JSON, error_type: ErrorType, code: str) -> None:
    meter = document(wire, reply)
    assert meter.failure is not None
    assert (meter.failure.error_type, meter.failure.code) == (error_type, code)


@pytest.mark.parametrize(
    ("wire", "reply"),
    [
        ("openai_chat", {"choices": [{"message": {"content": "some"}, "finish_reason": "content_filter"}]}),
        ("openai_completions", {"choices": [{"text": "some", "finish_reason": "content_filter"}]}),
        ("anthropic_messages", MESSAGE | {"stop_reason": "refusal"}),
        ("gemini_generate", {"candidates": [{"finishReason": "SAFETY", "content": {"parts": [{"text": "some"}]}}]}),
        ("openai_responses", response(output=[{}], incomplete_details={"reason": "content_filter"})),
    ],
)
def test_an_answer_that_a_filter_ends_early_is_an_answer(wire: str, reply: JSON) -> None:
    assert document(wire, reply).failure is None


@pytest.mark.parametrize("padding", [10, 300_000])
def test_a_large_answer_that_a_filter_ends_early_is_an_answer(padding: int) -> None:
    text = "x" * padding
    for wire, reply in (
        ("openai_chat", {"choices": [{"message": {"content": text}, "finish_reason": "content_filter"}]}),
        ("anthropic_messages", MESSAGE | {"content": [{"text": text}], "stop_reason": "refusal"}),
        ("gemini_generate", {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "SAFETY"}]}),
        ("openai_responses", response(output=[{"t": text}], incomplete_details={"reason": "content_filter"})),
    ):
        meter = document(wire, reply)
        assert (meter.complete, meter.failure) == (True, None), wire


# Gemini's array


def array(*events: JSON, between: str = ",\r\n") -> bytes:
    return b"[" + between.encode().join(msgspec.json.format(msgspec.json.encode(event)) for event in events) + b"\n]\n"


@pytest.mark.parametrize("size", [1, 2, 33, 1000, None])
def test_gemini_array(size: int | None) -> None:
    body = array(
        {"candidates": [{"content": {"parts": [{"text": 'a ]}" \\'}]}}], "usageMetadata": {"promptTokenCount": 5}},
        {"candidates": [{"content": {"parts": [{"text": "b"}]}}], "usageMetadata": {"promptTokenCount": 5}},
        GEMINI,
    )
    meter = WIRES["gemini_generate"].meter(stream=True, status=200, content_encoding="", hide_usage=False)
    assert feed(meter, body, size) == body
    assert (meter.contents, meter.complete, meter.failure) == (3, True, None)
    assert (meter.usage, meter.response_model) == (Usage(21, 10, 8, 0, 6), "gemini-2.5-pro")


def test_gemini_array_in_the_usual_pieces() -> None:
    pieces = [b"[" + msgspec.json.encode(GEMINI), b",\r\n" + msgspec.json.encode(GEMINI), b"\n]\n"]
    meter = WIRES["gemini_generate"].meter(stream=True, status=200, content_encoding="", hide_usage=False)
    assert [meter.feed(piece) for piece in pieces] == pieces
    assert meter.close() == b""
    assert (meter.contents, meter.complete, meter.failure) == (2, True, None)


@pytest.mark.parametrize("garbage", [b"[{} x]", b"[{}]]", b"[[]]", b'[{}{"a":]'])
def test_gemini_array_that_is_none(garbage: bytes) -> None:
    meter = WIRES["gemini_generate"].meter(stream=True, status=200, content_encoding="", hide_usage=False)
    feed(meter, garbage, 1)
    assert meter.failure is not None or not meter.complete


def test_gemini_array_with_an_error() -> None:
    error = {"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED"}}
    meter = WIRES["gemini_generate"].meter(stream=True, status=200, content_encoding="", hide_usage=False)
    feed(meter, array(error))
    assert meter.failure is not None
    assert meter.failure.error_type is ErrorType.PROVIDER_RATE_LIMIT
