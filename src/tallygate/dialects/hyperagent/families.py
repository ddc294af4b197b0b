"""HyperAgent's ten families."""

from tallygate.dialects.families import Counter, Dialect, Gauge, Histogram
from tallygate.errors import ERROR_TYPES
from tallygate.facts import CacheLookup, LLMCall, LLMInFlight

ERROR_WORDS = {
    "caller_invalid_request": "validation",
    "caller_context_length": "token_limit",
    "caller_authentication": "auth_failed",
    "caller_permission": "auth_failed",
    "caller_unknown_model": "model_unavailable",
    "policy_content_filter": "api_error",
    "policy_rate_limit": "rate_limit",
    "policy_budget": "rate_limit",
    "provider_rate_limit": "rate_limit",
    "provider_authentication": "auth_failed",
    "provider_model_unavailable": "model_unavailable",
    "provider_overloaded": "model_unavailable",
    "provider_server_error": "api_error",
    "provider_timeout": "timeout",
    "provider_network": "network",
    "provider_invalid_response": "invalid_response",
    "provider_stream_cut": "network",
    "provider_loop": "api_error",
    "gateway_internal": "api_error",
    "gateway_serialization": "serialization",
    "gateway_unavailable": "api_error",
    "other": "api_error",
}
LATENCY_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000)

by_route = (LLMCall.route, LLMCall.model)
failed = LLMCall.error_type.not_among("")
error_type = LLMCall.error_type.as_(ERROR_WORDS).from_zero(*ERROR_TYPES)

HYPERAGENT = Dialect(
    "hyperagent",
    Counter(
        "llm_tokens_input_total",
        LLMCall.input_tokens,
        by=by_route,
        help="Total number of input tokens sent to LLM providers",
    ),
    Counter(
        "llm_tokens_output_total",
        LLMCall.output_tokens,
        by=by_route,
        help="Total number of output tokens received from LLM providers",
    ),
    Counter(
        "llm_tokens_total",
        LLMCall.input_tokens + LLMCall.output_tokens,
        by=by_route,
        help="Total number of tokens (input + output) processed",
    ),
    Counter(
        "llm_cost_usd_total",
        LLMCall.cost * 100,  # cents, fractions kept
        by=by_route,
        help="Total cost of LLM operations, in US cents: divide by 100 for USD",
    ),
    Histogram(
        "llm_latency_ms",
        LLMCall.duration * 1000,
        by=by_route,
        buckets=LATENCY_MS,
        help="Latency of LLM requests in milliseconds",
    ),
    Counter(
        "llm_cache_hits_total",
        (CacheLookup.count + CacheLookup.more).where(CacheLookup.result.among("hit")),
        by=(CacheLookup.route,),
        help="Total number of cache hits for LLM requests",
    ),
    Counter(
        "llm_cache_misses_total",
        (CacheLookup.count + CacheLookup.more).where(CacheLookup.result.among("miss")),
        by=(CacheLookup.route,),
        help="Total number of cache misses for LLM requests",
    ),
    Counter(
        "llm_rate_limited_total",
        LLMCall.rate_limit_events,
        by=(LLMCall.provider, LLMCall.model),
        help="Total number of rate limit events from LLM providers",
    ),
    Counter(
        "llm_errors_total",
        LLMCall.count.where(failed),
        by=(*by_route, error_type),
        help="Total number of errors during LLM operations",
    ),
    Gauge(
        "llm_active_requests",
        LLMInFlight.now,
        by=(LLMInFlight.route, LLMInFlight.model),
        help="Current number of active LLM requests",
    ),
    help="HyperAgent's ten families: milliseconds, and cents with their fractions.",
)
