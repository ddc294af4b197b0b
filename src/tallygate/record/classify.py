"""From an exception to how a call ended: the outcome, the error type, the HTTP status.

SDKs are known by what their exceptions look like (names, ``status_code``, ``code``), not by importing them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import CancelledError as FutureCancelled
from typing import Final, NamedTuple

from tallygate.errors import ErrorType, error_type_of_status

CLIENT_GONE: Final = "499"
"""Status of a call that its caller left before there was one."""
NO_STATUS: Final = "network_error"
"""Status of a call to which no reply came."""

OF_CODE: Final = {
    "context_length_exceeded": ErrorType.CALLER_CONTEXT_LENGTH,
    "string_above_max_length": ErrorType.CALLER_CONTEXT_LENGTH,
    "content_filter": ErrorType.POLICY_CONTENT_FILTER,
    "content_policy_violation": ErrorType.POLICY_CONTENT_FILTER,
    "insufficient_quota": ErrorType.PROVIDER_RATE_LIMIT,
    "rate_limit_exceeded": ErrorType.PROVIDER_RATE_LIMIT,
    "model_not_found": ErrorType.PROVIDER_MODEL_UNAVAILABLE,
    "overloaded_error": ErrorType.PROVIDER_OVERLOADED,
}
"""What providers' own error codes mean where they say more than the status."""

NETWORK_NAMES: Final = (
    "ConnectionError",
    "ConnectError",
    "NetworkError",
    "ReadError",
    "ProtocolError",
    "ClientPayloadError",
)
INVALID_NAMES: Final = ("DecodeError", "DecodingError", "ResponseValidationError", "UnknownApiResponseError")


class Ending(NamedTuple):
    """How a call ended, as the dimensions of its fact say it."""

    outcome: str
    status_code: str
    error_type: str


def ending_of(problem: BaseException, replied: bool) -> Ending:
    """How a call that ended with this exception ended. ``replied``: the head of the reply had arrived."""
    if is_cancellation(problem):
        return Ending("cancelled", "200" if replied else CLIENT_GONE, "")
    status = http_status(problem)
    error_type = _error_type(problem, status, replied)
    return Ending("failed", str(status) if status else "200" if replied else NO_STATUS, error_type.value)


def is_cancellation(problem: BaseException) -> bool:
    """Stopped from outside: cancelled tasks, closed generators, Ctrl-C. None of them is an Exception."""
    return not isinstance(problem, Exception) or isinstance(problem, FutureCancelled)


def http_status(problem: BaseException) -> int | None:
    """The HTTP status an SDK's exception carries: ``status_code``, ``status`` (aiohttp) or ``code`` (google-genai)."""
    for name in ("status_code", "status", "code"):
        status = getattr(problem, name, None)
        if isinstance(status, int) and 100 <= status <= 599:
            return int(status)
    return None


def _error_type(problem: BaseException, status: int | None, replied: bool) -> ErrorType:
    told = getattr(problem, "error_type", None)
    if isinstance(told, ErrorType):
        return told
    names = [kind.__name__ for kind in type(problem).__mro__]
    if isinstance(problem, TimeoutError) or _any_ends(names, ("Timeout", "TimeoutError", "TimeoutException")):
        return ErrorType.PROVIDER_TIMEOUT
    if isinstance(problem, ConnectionError) or _any_ends(names, NETWORK_NAMES):
        return ErrorType.PROVIDER_STREAM_CUT if replied else ErrorType.PROVIDER_NETWORK
    if isinstance(problem, json.JSONDecodeError) or _any_ends(names, INVALID_NAMES):
        return ErrorType.PROVIDER_INVALID_RESPONSE
    if _any_ends(names, ("ContentFilterFinishReasonError",)):
        return ErrorType.POLICY_CONTENT_FILTER
    code = _code(problem)
    if code in OF_CODE:
        return OF_CODE[code]
    if status is None:
        return ErrorType.GATEWAY_INTERNAL
    if status == 400 and "prompt is too long" in str(problem):  # Anthropic has no code for it
        return ErrorType.CALLER_CONTEXT_LENGTH
    return error_type_of_status(status)


def _any_ends(names: list[str], endings: tuple[str, ...]) -> bool:
    return any(name.endswith(endings) for name in names)


def _code(problem: BaseException) -> str:
    """The provider's word for the error: ``code``, or the ``type`` in the body (Anthropic)."""
    code = vars(problem).get("code", getattr(type(problem), "code", None))  # not aiohttp's, a property that warns
    if isinstance(code, str):
        return code
    body = getattr(problem, "body", None)
    error = body.get("error") if isinstance(body, Mapping) else None
    kind = error.get("type") if isinstance(error, Mapping) else None
    return kind if isinstance(kind, str) else ""
