"""What a provider's error says, in the product's own vocabulary.

The words of all providers stand in one table, as they do not contradict each other. A specific word (context length,
content filter, quota, model, key, overload) weighs more than the HTTP status, the status more than a general word.
"""

import re
from typing import Any

from tallygate.errors import ErrorType, error_type_of_status
from tallygate.wire.interface import Failure

_SPECIFIC: dict[str, ErrorType] = {
    word: error_type
    for error_type, words in {
        ErrorType.CALLER_CONTEXT_LENGTH: (
            "context_length_exceeded", "context_window_exceeded", "model_context_window_exceeded",
            "string_above_max_length", "max_tokens_exceeded", "input_too_long", "prompt_too_long",
        ),
        ErrorType.POLICY_CONTENT_FILTER: (
            "content_filter", "content_filtered", "content_policy_violation", "image_content_policy_violation",
            "moderation_blocked", "responsibleaipolicyviolation", "bio_policy", "misalignment_policy_violation",
        ),
        ErrorType.PROVIDER_RATE_LIMIT: (
            "insufficient_quota", "rate_limit_exceeded", "rate_limit_error", "rate_limit_reached", "too_many_requests",
            "billing_hard_limit_reached", "billing_not_active", "billing_error", "quota_exceeded", "resource_exhausted",
            "insufficient_balance", "insufficient_credits", "requests", "tokens",
        ),
        ErrorType.PROVIDER_MODEL_UNAVAILABLE: (
            "model_not_found", "model_not_available", "model_decommissioned", "model_deprecated", "invalid_model",
            "deploymentnotfound", "not_found_error", "notfounderror",
        ),
        ErrorType.PROVIDER_AUTHENTICATION: (
            "invalid_api_key", "api_key_invalid", "authentication_error", "permission_error", "permission_denied",
            "unauthenticated", "unauthorized", "invalid_authentication", "account_deactivated", "model_access_denied",
        ),
        ErrorType.PROVIDER_OVERLOADED: (
            "overloaded_error", "overloaded", "server_overloaded", "engine_overloaded", "engine_overloaded_error",
            "unavailable", "service_unavailable", "capacity_exceeded",
        ),
        ErrorType.PROVIDER_TIMEOUT: (
            "timeout", "timeout_error", "deadline_exceeded", "request_timeout", "vector_store_timeout",
        ),
    }.items()
    for word in words
}  # fmt: skip

_GENERAL: dict[str, ErrorType] = {
    "invalid_request_error": ErrorType.CALLER_INVALID_REQUEST,
    "invalid_argument": ErrorType.CALLER_INVALID_REQUEST,
    "failed_precondition": ErrorType.CALLER_INVALID_REQUEST,
    "out_of_range": ErrorType.CALLER_INVALID_REQUEST,
    "request_too_large": ErrorType.CALLER_INVALID_REQUEST,
    "badrequesterror": ErrorType.CALLER_INVALID_REQUEST,
    "invalid_prompt": ErrorType.CALLER_INVALID_REQUEST,
    "not_found": ErrorType.PROVIDER_MODEL_UNAVAILABLE,
}

_MESSAGES: tuple[tuple[re.Pattern[str], ErrorType], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), error_type)
    for pattern, error_type in (
        (
            r"maximum context length|context[ _](length|window|limit)|prompt is too long|input is too long"
            r"|(input|prompt) tokens? (count|limit).{0,40}exceeds?|exceeds? the maximum number of tokens",
            ErrorType.CALLER_CONTEXT_LENGTH,
        ),
        (r"content (filter|management policy|policy)|blocked by .{0,40}polic", ErrorType.POLICY_CONTENT_FILTER),
        (
            r"credit balance is too low|exceeded your current quota|insufficient (balance|credits)",
            ErrorType.PROVIDER_RATE_LIMIT,
        ),
        (r"api key not valid|(invalid|incorrect) api key|invalid x-api-key", ErrorType.PROVIDER_AUTHENTICATION),
    )
)
"""For providers that have no word of their own; asked only when the status is 400, 403, 413 or 422, or none."""

GEMINI_FILTERED = frozenset(
    (
        "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION", "MODEL_ARMOR",
    )
)  # fmt: skip
"""Gemini's finish reasons that are filters."""

_MESSAGE_LIMIT = 2000
_CODE_LIMIT = 100


def failure_of(status: int, document: Any) -> Failure:
    """What a reply with this HTTP status (200 for an error within a stream) and this error body or event says."""
    error = _error_object(document)
    code = _first_word(error)
    words = list(_words(error))
    stated = _stated_status(error) or status
    for word in words:
        if word in _SPECIFIC:
            return Failure(_SPECIFIC[word], code)
    message = error.get("message")
    if isinstance(message, str) and (stated in (400, 403, 413, 422) or stated < 400):
        for pattern, error_type in _MESSAGES:
            if pattern.search(message[:_MESSAGE_LIMIT]):
                return Failure(error_type, code)
    if stated >= 400:
        return Failure(error_type_of_status(stated), code)
    for word in words:
        if word in _GENERAL:
            return Failure(_GENERAL[word], code)
    return Failure(ErrorType.PROVIDER_SERVER_ERROR, code)


def _error_object(document: Any) -> dict[str, Any]:
    """The object that tells the error, out of the wrappings that providers put around it."""
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return {"message": document}
    error = document.get("error")
    if isinstance(error, dict):
        return error
    if error:
        return {"message": error, "code": document.get("code"), "status": document.get("status")}
    return document if "message" in document else {"message": document.get("detail")}


def _words(error: dict[str, Any]) -> "list[str]":
    """Every word that the error is classified by, in lower case, the most telling first."""
    inner = error.get("innererror") or error.get("inner_error")
    sources = [error, inner if isinstance(inner, dict) else {}]
    details = error.get("details")
    if isinstance(details, list):
        sources += [detail for detail in details[:10] if isinstance(detail, dict)]
    found = [source.get(name) for name in ("code", "reason", "type", "status") for source in sources]
    return [word.lower() for word in found if isinstance(word, str) and word]


def _first_word(error: dict[str, Any]) -> str:
    for name in ("code", "type", "status"):
        word = error.get(name)
        if isinstance(word, (str, int)) and word and not isinstance(word, bool):
            return str(word)[:_CODE_LIMIT]
    return ""


def _stated_status(error: dict[str, Any]) -> int:
    """The HTTP status that the error itself names, as it must within a stream; 0 when it names none."""
    for name in ("code", "status", "status_code"):
        value = error.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            return value
    return 0
