"""The gateway's own errors in the shapes that each API's clients know; these go by the HTTP status first."""

import msgspec

from tallygate.errors import ErrorType

_encode = msgspec.json.encode

_OPENAI_CODES = {
    ErrorType.CALLER_AUTHENTICATION: "invalid_api_key",
    ErrorType.CALLER_PERMISSION: "permission_denied",
    ErrorType.CALLER_UNKNOWN_MODEL: "model_not_found",
    ErrorType.CALLER_CONTEXT_LENGTH: "context_length_exceeded",
    ErrorType.POLICY_CONTENT_FILTER: "content_filter",
    ErrorType.POLICY_RATE_LIMIT: "rate_limit_exceeded",
    ErrorType.POLICY_BUDGET: "insufficient_quota",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_GEMINI_STATUSES = {
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def openai_error(status: int, error_type: ErrorType, message: str) -> bytes:
    """``{"error": {"message", "type", "param", "code"}}``."""
    match status:
        case 429:
            kind = "rate_limit_error"
        case 401:
            kind = "authentication_error"
        case 402:
            kind = "insufficient_quota"
        case 403:
            kind = "permission_error"
        case _:
            kind = "server_error" if status >= 500 else "invalid_request_error"
    code = _OPENAI_CODES.get(error_type, error_type.value)
    return _encode({"error": {"message": _text(message), "type": kind, "param": None, "code": code}})


def anthropic_error(status: int, error_type: ErrorType, message: str) -> bytes:
    """``{"type": "error", "error": {"type", "message"}}``."""
    kind = _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return _encode({"type": "error", "error": {"type": kind, "message": _text(message)}})


def gemini_error(status: int, error_type: ErrorType, message: str) -> bytes:
    """``{"error": {"code", "message", "status"}}``."""
    word = _GEMINI_STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    return _encode({"error": {"code": status, "message": _text(message), "status": word}})


def _text(message: str) -> str:
    """What a client wrote may be quoted in the message, lone surrogates included: those cannot be sent."""
    return message.encode("utf-8", "replace").decode()
