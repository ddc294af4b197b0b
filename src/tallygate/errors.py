"""The closed vocabulary of what goes wrong with an LLM call, by fault domain.

Every word starts with its domain, so that one regular expression alerts on a domain: ``provider_.*`` is the
provider's bad day, ``gateway_.*`` is ours. ``other`` is what nobody foresaw: above zero it is itself an alarm.
"""

from enum import StrEnum


class ErrorType(StrEnum):
    """Why a call failed. Dialects map these words to their own."""

    CALLER_INVALID_REQUEST = "caller_invalid_request"
    """The provider or the gateway refused the request as malformed (400, 413, 422)."""
    CALLER_CONTEXT_LENGTH = "caller_context_length"
    """The prompt does not fit the model's context window."""
    CALLER_AUTHENTICATION = "caller_authentication"
    """The caller's key to the gateway is missing or wrong."""
    CALLER_PERMISSION = "caller_permission"
    """The caller's key is right, but may not do this: the account is not active, or the model is not for it."""
    CALLER_UNKNOWN_MODEL = "caller_unknown_model"
    """No configured provider serves the model asked for."""
    POLICY_CONTENT_FILTER = "policy_content_filter"
    """A content filter, the provider's or ours, stopped the call."""
    POLICY_RATE_LIMIT = "policy_rate_limit"
    """One of the gateway's own rate limits refused the call."""
    POLICY_BUDGET = "policy_budget"
    """The caller's credits or budget do not cover the call."""
    PROVIDER_RATE_LIMIT = "provider_rate_limit"
    """The provider answered 429, or its quota is used up."""
    PROVIDER_AUTHENTICATION = "provider_authentication"
    """The provider refused our credentials (401, 403)."""
    PROVIDER_MODEL_UNAVAILABLE = "provider_model_unavailable"
    """The provider does not have the model, or not now (404, 410)."""
    PROVIDER_OVERLOADED = "provider_overloaded"
    """The provider says that it is overloaded (503, Anthropic's 529)."""
    PROVIDER_SERVER_ERROR = "provider_server_error"
    """Any other 5xx, or an error event in a stream."""
    PROVIDER_TIMEOUT = "provider_timeout"
    """Connecting, the first byte, the next byte or the whole took too long."""
    PROVIDER_NETWORK = "provider_network"
    """The provider could not be reached, or the connection was refused or reset before the reply's head."""
    PROVIDER_INVALID_RESPONSE = "provider_invalid_response"
    """What the provider sent cannot be read: broken JSON, a broken HTTP message."""
    PROVIDER_STREAM_CUT = "provider_stream_cut"
    """The reply ended before its own end: reset, closed, or without its closing event."""
    PROVIDER_LOOP = "provider_loop"
    """The model was stopped because it repeated itself without end."""
    GATEWAY_INTERNAL = "gateway_internal"
    """A defect of ours, or of the program that records."""
    GATEWAY_SERIALIZATION = "gateway_serialization"
    """The request, or what came of it, could not be put into bytes."""
    GATEWAY_UNAVAILABLE = "gateway_unavailable"
    """What the gateway needs to let calls pass is away: its database, or the store that machines share."""
    OTHER = "other"
    """None of the above."""

    @property
    def domain(self) -> str:
        """Whose fault: caller, policy, provider, gateway or other."""
        return domain_of(self.value)


def domain_of(error_type: str) -> str:
    """The fault domain of an error type's word: the part before the first underscore; '' for no error."""
    return error_type.partition("_")[0]


class ToolErrorType(StrEnum):
    """Why a call of a tool, or any other exchange with an MCP server, failed."""

    TOOL_ERROR = "tool_error"
    """The tool itself says so: it raised, or its result has ``isError``."""
    BLOCKED = "blocked"
    """A policy of ours did not let it happen."""
    TIMEOUT = "timeout"
    """No result in time."""
    TRANSPORT = "transport"
    """The server could not be reached, or the connection broke."""
    PROTOCOL = "protocol"
    """The server answered with a JSON-RPC error: no such tool or method, invalid parameters, ..."""
    OTHER = "other"
    """None of the above."""


ERROR_TYPES: tuple[str, ...] = tuple(error_type.value for error_type in ErrorType)
TOOL_ERROR_TYPES: tuple[str, ...] = tuple(error_type.value for error_type in ToolErrorType)


def error_type_of_status(status: int) -> ErrorType:
    """What an HTTP status says by itself about a provider's reply; wire formats know more from the body."""
    match status:
        case 401 | 403:
            return ErrorType.PROVIDER_AUTHENTICATION
        case 404 | 410:
            return ErrorType.PROVIDER_MODEL_UNAVAILABLE
        case 408 | 504:
            return ErrorType.PROVIDER_TIMEOUT
        case 402 | 429:
            return ErrorType.PROVIDER_RATE_LIMIT
        case 503 | 529:
            return ErrorType.PROVIDER_OVERLOADED
        case _ if 400 <= status < 500:
            return ErrorType.CALLER_INVALID_REQUEST
        case _ if 500 <= status < 600:
            return ErrorType.PROVIDER_SERVER_ERROR
        case _:
            return ErrorType.OTHER
