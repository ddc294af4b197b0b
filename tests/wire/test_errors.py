"""Errors: what providers say, in the product's words; and the gateway's own, as each API's SDK understands them."""

from typing import Any

import anthropic
import google.genai.errors
import httpx2
import msgspec
import openai
import pytest

from tallygate.errors import ErrorType
from tallygate.wire.formats import WIRES

from .golden import document


def openai_error(message: str, kind: str | None = "invalid_request_error", code: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic_error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def gemini_error(code: int, status: str, message: str, **members: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, **members}}


LONG = "This model's maximum context length is 128000 tokens. However, your messages resulted in 200000 tokens."
KEY = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]


@pytest.mark.parametrize(
    ("wire", "status", "body", "error_type"),
    [
        ("openai_chat", 400, openai_error("Invalid value"), "caller_invalid_request"),
        ("openai_chat", 400, openai_error(LONG, code="context_length_exceeded"), "caller_context_length"),
        ("openai_chat", 400, {"object": "error", "message": LONG, "type": "BadRequestError"}, "caller_context_length"),
        ("openai_chat", 400, openai_error("filtered", code="content_filter"), "policy_content_filter"),
        (
            "openai_chat",
            400,
            {"error": {"message": "x", "code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            "policy_content_filter",
        ),
        (
            "openai_chat",
            401,
            openai_error("Incorrect API key", code="invalid_api_key"),
            "provider_authentication",
        ),
        ("openai_chat", 403, openai_error("Country not supported", "request_forbidden"), "provider_authentication"),
        ("openai_chat", 404, openai_error("no such model", code="model_not_found"), "provider_model_unavailable"),
        ("openai_chat", 404, {"error": {"code": "DeploymentNotFound", "message": "x"}}, "provider_model_unavailable"),
        ("openai_chat", 400, openai_error("decommissioned", code="model_decommissioned"), "provider_model_unavailable"),
        ("openai_chat", 413, openai_error("too large", "tokens", "rate_limit_exceeded"), "provider_rate_limit"),
        ("openai_chat", 429, openai_error("slow down", "requests", "rate_limit_exceeded"), "provider_rate_limit"),
        (
            "openai_chat",
            429,
            openai_error("no credits", code="insufficient_quota"),
            "provider_rate_limit",
        ),
        ("openai_chat", 402, openai_error("Insufficient credits", None, 402), "provider_rate_limit"),
        ("openai_chat", 422, {"detail": [{"loc": ["body"], "msg": "bad"}]}, "caller_invalid_request"),
        ("openai_chat", 500, openai_error("sorry", "server_error"), "provider_server_error"),
        ("openai_chat", 500, openai_error("busy", "server_error", "overloaded"), "provider_overloaded"),
        ("openai_chat", 503, openai_error("busy", "server_error"), "provider_overloaded"),
        ("openai_chat", 504, {"error": {"code": "Timeout", "message": "x"}}, "provider_timeout"),
        ("openai_chat", 404, {"error": "model 'x' not found, try pulling it first"}, "provider_model_unavailable"),
        (
            "anthropic_messages",
            400,
            anthropic_error("invalid_request_error", "messages"),
            "caller_invalid_request",
        ),
        (
            "anthropic_messages",
            400,
            anthropic_error("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            "caller_context_length",
        ),
        (
            "anthropic_messages",
            400,
            anthropic_error("invalid_request_error", "Your credit balance is too low to access the Claude API."),
            "provider_rate_limit",
        ),
        (
            "anthropic_messages",
            400,
            anthropic_error("invalid_request_error", "Output blocked by content filtering policy"),
            "policy_content_filter",
        ),
        (
            "anthropic_messages",
            401,
            anthropic_error("authentication_error", "invalid"),
            "provider_authentication",
        ),
        ("anthropic_messages", 403, anthropic_error("permission_error", "no"), "provider_authentication"),
        ("anthropic_messages", 404, anthropic_error("not_found_error", "model: x"), "provider_model_unavailable"),
        ("anthropic_messages", 413, anthropic_error("request_too_large", "too large"), "caller_invalid_request"),
        ("anthropic_messages", 429, anthropic_error("rate_limit_error", "slow"), "provider_rate_limit"),
        ("anthropic_messages", 500, anthropic_error("api_error", "Internal server error"), "provider_server_error"),
        ("anthropic_messages", 529, anthropic_error("overloaded_error", "Overloaded"), "provider_overloaded"),
        ("gemini_generate", 400, gemini_error(400, "INVALID_ARGUMENT", "bad"), "caller_invalid_request"),
        ("gemini_generate", 400, gemini_error(400, "FAILED_PRECONDITION", "not here"), "caller_invalid_request"),
        (
            "gemini_generate",
            400,
            gemini_error(400, "INVALID_ARGUMENT", "API key not valid.", details=KEY),
            "provider_authentication",
        ),
        (
            "gemini_generate",
            400,
            gemini_error(
                400,
                "INVALID_ARGUMENT",
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ),
            "caller_context_length",
        ),
        ("gemini_generate", 403, gemini_error(403, "PERMISSION_DENIED", "no"), "provider_authentication"),
        ("gemini_generate", 404, gemini_error(404, "NOT_FOUND", "models/x is not found"), "provider_model_unavailable"),
        ("gemini_generate", 429, gemini_error(429, "RESOURCE_EXHAUSTED", "quota"), "provider_rate_limit"),
        ("gemini_generate", 500, gemini_error(500, "INTERNAL", "sorry"), "provider_server_error"),
        ("gemini_generate", 503, gemini_error(503, "UNAVAILABLE", "overloaded"), "provider_overloaded"),
        ("gemini_generate", 504, gemini_error(504, "DEADLINE_EXCEEDED", "late"), "provider_timeout"),
    ],
)
def test_what_providers_say(wire: str, status: int, body: dict[str, Any], error_type: str) -> None:
    # Google wraps the errors of streams that are arrays.
    raw = msgspec.json.encode([body] if wire == "gemini_generate" and status == 429 else body)
    meter = document(wire, raw, status=status)
    assert meter.failure is not None
    assert meter.failure.error_type.value == error_type
    assert meter.complete


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"{", b"7", b'{"error":7}', b"[]", b"\xff", b"null"])
@pytest.mark.parametrize(("status", "error_type"), [(502, "provider_server_error"), (429, "provider_rate_limit")])
def test_errors_without_words_go_by_their_status(body: bytes, status: int, error_type: str) -> None:
    for wire in WIRES:
        meter = document(wire, body, status=status)
        assert meter.failure is not None
        assert meter.failure.error_type.value == error_type


def test_large_error_body() -> None:
    body = msgspec.json.encode({"padding": "x" * 300_000, **openai_error("x", code="context_length_exceeded")})
    meter = document("openai_chat", body, status=400)
    assert meter.failure is not None
    assert (meter.failure.error_type, meter.failure.code) == (
        ErrorType.CALLER_CONTEXT_LENGTH,
        "context_length_exceeded",
    )


def test_code_is_bounded() -> None:
    meter = document("openai_chat", openai_error("x", code="y" * 5000), status=400)
    assert meter.failure is not None
    assert meter.failure.code == "y" * 100


# Our own


def transport(wire: str, status: int, error_type: ErrorType) -> httpx2.MockTransport:
    body = WIRES[wire].error_body(status, error_type, "what is wrong: \ud800")
    return httpx2.MockTransport(lambda request: httpx2.Response(status, content=body))


OPENAI: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    413: openai.APIStatusError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
    504: openai.InternalServerError,
}
ANTHROPIC = {
    400: (anthropic.BadRequestError, "invalid_request_error"),
    401: (anthropic.AuthenticationError, "authentication_error"),
    403: (anthropic.PermissionDeniedError, "permission_error"),
    404: (anthropic.NotFoundError, "not_found_error"),
    413: (anthropic.APIStatusError, "request_too_large"),
    429: (anthropic.RateLimitError, "rate_limit_error"),
    500: (anthropic.InternalServerError, "api_error"),
    502: (anthropic.InternalServerError, "api_error"),
    503: (anthropic.InternalServerError, "overloaded_error"),
    504: (anthropic.InternalServerError, "timeout_error"),
}
GEMINI = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@pytest.mark.parametrize("status", sorted(OPENAI))
def test_openai_sdk_understands_our_errors(status: int) -> None:
    with httpx2.Client(transport=transport("openai_chat", status, ErrorType.POLICY_BUDGET)) as http:
        client = openai.OpenAI(api_key="k", base_url="http://x", http_client=http, max_retries=0)
        with pytest.raises(OPENAI[status]) as caught:
            client.chat.completions.create(model="m", messages=[])
    assert (caught.value.status_code, caught.value.code) == (status, "insufficient_quota")
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"] == "what is wrong: ?"


@pytest.mark.parametrize("status", sorted(ANTHROPIC))
def test_anthropic_sdk_understands_our_errors(status: int) -> None:
    exception, kind = ANTHROPIC[status]
    with httpx2.Client(transport=transport("anthropic_messages", status, ErrorType.OTHER)) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://x", http_client=http, max_retries=0)
        with pytest.raises(exception) as caught:
            client.messages.create(model="m", messages=[], max_tokens=1)
    assert caught.value.status_code == status
    assert caught.value.body == {"type": "error", "error": {"type": kind, "message": "what is wrong: ?"}}


@pytest.mark.parametrize("status", sorted(GEMINI))
def test_gemini_sdk_understands_our_errors(status: int) -> None:
    body = msgspec.json.decode(WIRES["gemini_generate"].error_body(status, ErrorType.OTHER, "what is wrong"))
    exception = google.genai.errors.ClientError if status < 500 else google.genai.errors.ServerError
    with pytest.raises(exception) as caught:
        google.genai.errors.APIError.raise_error(status, body, None)
    assert (caught.value.code, caught.value.status, caught.value.message) == (status, GEMINI[status], "what is wrong")
