"""What the exceptions of real SDKs mean."""

from __future__ import annotations

from collections.abc import Callable

import anthropic
import httpx2 as httpx
import openai
import pytest
from google.genai import errors as google

from tallygate.errors import ErrorType
from tallygate.record.classify import Ending, ending_of

REQUEST = httpx.Request("POST", "https://provider.test/v1")


def openai_status(status: int, code: str | None = None) -> openai.APIStatusError:
    response = httpx.Response(status, request=REQUEST)
    return openai.APIStatusError("refused", response=response, body={"code": code} if code else None)


def anthropic_status(status: int, kind: str, message: str = "refused") -> anthropic.APIStatusError:
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return anthropic.APIStatusError(message, response=httpx.Response(status, request=REQUEST), body=body)


@pytest.mark.parametrize(
    ("problem", "status", "error_type"),
    [
        (openai_status(401), "401", ErrorType.PROVIDER_AUTHENTICATION),
        (openai_status(404, "model_not_found"), "404", ErrorType.PROVIDER_MODEL_UNAVAILABLE),
        (openai_status(400, "context_length_exceeded"), "400", ErrorType.CALLER_CONTEXT_LENGTH),
        (openai_status(400, "content_filter"), "400", ErrorType.POLICY_CONTENT_FILTER),
        (openai_status(400), "400", ErrorType.CALLER_INVALID_REQUEST),
        (openai_status(429), "429", ErrorType.PROVIDER_RATE_LIMIT),
        (openai_status(500), "500", ErrorType.PROVIDER_SERVER_ERROR),
        (openai.APITimeoutError(REQUEST), "network_error", ErrorType.PROVIDER_TIMEOUT),
        (openai.APIConnectionError(request=REQUEST), "network_error", ErrorType.PROVIDER_NETWORK),
        (openai.ContentFilterFinishReasonError(), "network_error", ErrorType.POLICY_CONTENT_FILTER),
        (anthropic_status(529, "overloaded_error"), "529", ErrorType.PROVIDER_OVERLOADED),
        (anthropic_status(200, "overloaded_error"), "200", ErrorType.PROVIDER_OVERLOADED),
        (
            anthropic_status(400, "invalid_request_error", "prompt is too long: 9 > 8"),
            "400",
            ErrorType.CALLER_CONTEXT_LENGTH,
        ),
        (anthropic.APIConnectionError(request=REQUEST), "network_error", ErrorType.PROVIDER_NETWORK),
        (google.ClientError(429, {"error": {"message": "slow down"}}), "429", ErrorType.PROVIDER_RATE_LIMIT),
        (google.ServerError(503, {"error": {"message": "busy"}}), "503", ErrorType.PROVIDER_OVERLOADED),
        (httpx.ConnectTimeout("late"), "network_error", ErrorType.PROVIDER_TIMEOUT),
        (httpx.ConnectError("refused"), "network_error", ErrorType.PROVIDER_NETWORK),
        (httpx.RemoteProtocolError("gone"), "network_error", ErrorType.PROVIDER_NETWORK),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, Exception) else str(value),
)
def test_sdk_exceptions(problem: Exception, status: str, error_type: ErrorType) -> None:
    assert ending_of(problem, replied=False) == Ending("failed", status, error_type.value)


@pytest.mark.parametrize("make", [httpx.RemoteProtocolError, httpx.ReadError])
def test_a_reply_that_breaks_off(make: Callable[[str], Exception]) -> None:
    assert ending_of(make("gone"), replied=True) == Ending("failed", "200", "provider_stream_cut")
