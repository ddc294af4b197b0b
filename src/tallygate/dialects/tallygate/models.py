"""Calls of models, the way to their providers, and the gateway's own steps."""

from tallygate.declare import CUSTOM_LABELS
from tallygate.dialects.families import Counter, Gauge, Histogram, Info, StateSet, split
from tallygate.errors import domain_of
from tallygate.facts import (
    CoolDown,
    DeploymentBreaker,
    GatewayPhase,
    LLMCall,
    LLMInFlight,
    LLMOutputChunk,
    ModelFallback,
    ProviderHealth,
    ProviderInfo,
    UpstreamAttempt,
    UpstreamRetry,
)

called = (LLMCall.provider, LLMCall.model, LLMCall.operation, LLMCall.route, CUSTOM_LABELS)
by_caller = (LLMCall.provider, LLMCall.model, LLMCall.route, LLMCall.agent_name, LLMCall.source, CUSTOM_LABELS)
ended = (LLMCall.endpoint, LLMCall.stream, LLMCall.status_code, LLMCall.outcome)
error = (LLMCall.error_type.as_(domain_of).named("domain"), LLMCall.error_type.from_zero())

CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
FIRST_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)
PAUSE_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
RETRIED = (
    "provider_rate_limit",
    "provider_overloaded",
    "provider_server_error",
    "provider_timeout",
    "provider_network",
)
"""Reasons of retries that are shown at 0 before they happen."""
TOKENS_PER_SECOND = (1, 5, 10, 25, 50, 75, 100, 150, 200, 300, 500, 1000)
OVERHEAD_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)

LLM = (
    Counter(
        "tallygate_llm_calls_total",
        LLMCall.count,
        by=(LLMCall.operation, *ended, *by_caller),
        help="LLM calls that ended, retries included in the call they belong to",
    ),
    Gauge(
        "tallygate_llm_calls_in_flight",
        LLMInFlight.now,
        by=(LLMInFlight.provider, LLMInFlight.model, LLMInFlight.endpoint, LLMInFlight.route, LLMInFlight.stream),
        help="LLM calls going on now; a stream counts until it closes",
    ),
    Histogram(
        "tallygate_llm_call_duration_seconds",
        LLMCall.duration,
        by=(*called, LLMCall.stream),
        buckets=CALL_SECONDS,
        help="Time from dispatch to the last byte of an LLM call, in seconds",
    ),
    Histogram(
        "tallygate_llm_time_to_first_token_seconds",
        LLMCall.time_to_first_token,
        by=called,
        buckets=FIRST_TOKEN_SECONDS,
        help="Time from dispatch to the first content delta of a streamed LLM call, in seconds",
    ),
    Histogram(
        "tallygate_llm_time_per_output_token_seconds",
        LLMCall.time_per_output_token,
        by=called,
        buckets=TOKEN_SECONDS,
        help="Time per output token after the first of a streamed LLM call, in seconds",
    ),
    Histogram(
        "tallygate_llm_output_chunk_gap_seconds",
        LLMOutputChunk.gap,
        by=(LLMOutputChunk.provider, LLMOutputChunk.model, LLMOutputChunk.operation),
        buckets=TOKEN_SECONDS,
        help="Time between two content deltas of a stream, in seconds",
    ),
    Histogram(
        "tallygate_llm_output_tokens_per_second",
        LLMCall.output_tokens_per_second,
        by=called,
        buckets=TOKENS_PER_SECOND,
        help="Output tokens of an LLM call over its whole duration",
    ),
    Counter(
        "tallygate_llm_tokens_total",
        split(
            "type",
            input=LLMCall.input_tokens,
            output=LLMCall.output_tokens,
            cache_read=LLMCall.cache_read_tokens,
            cache_write=LLMCall.cache_write_tokens,
            reasoning=LLMCall.reasoning_tokens,
        ),
        by=by_caller,
        help="Tokens as providers report them; input holds cache_read and cache_write, output holds reasoning",
    ),
    Counter(
        "tallygate_llm_cost_usd_total",
        LLMCall.cost,
        by=by_caller,
        help="Price of LLM calls in USD; see tallygate_llm_unpriced_calls_total for what has none",
    ),
    Counter(
        "tallygate_llm_unmetered_calls_total",
        LLMCall.unmetered,
        by=(LLMCall.provider, LLMCall.model, LLMCall.route),
        help="LLM calls that completed without the provider reporting usage",
    ),
    Counter(
        "tallygate_llm_unpriced_calls_total",
        LLMCall.unpriced,
        by=(LLMCall.provider, LLMCall.model, LLMCall.route),
        help="LLM calls with usage whose model has no known price",
    ),
    Counter(
        "tallygate_llm_errors_total",
        LLMCall.count.where(LLMCall.error_type.not_among("")),
        by=(LLMCall.provider, LLMCall.model, LLMCall.route, *error),
        help="LLM calls that failed, by whose fault and why",
    ),
    Counter(
        "tallygate_llm_rate_limit_events_total",
        LLMCall.rate_limit_events,
        by=(LLMCall.provider, LLMCall.model),
        help="Answers of a provider that told to slow down (429), those retried included",
    ),
    Counter(
        "tallygate_llm_blocked_tools_total",
        LLMCall.blocked_tools,
        by=by_caller,
        help="Tool calls in replies that a policy blocked",
    ),
)

GATEWAY = (
    Histogram(
        "tallygate_gateway_overhead_seconds",
        LLMCall.gateway_overhead,
        by=(LLMCall.provider, LLMCall.endpoint, LLMCall.stream),
        buckets=OVERHEAD_SECONDS,
        help="Time of an LLM call in which no upstream was being waited for, in seconds",
    ),
    Counter(
        "tallygate_upstream_attempts_total",
        UpstreamAttempt.count,
        by=(
            UpstreamAttempt.provider,
            UpstreamAttempt.model,
            UpstreamAttempt.endpoint,
            UpstreamAttempt.status_code,
            UpstreamAttempt.error_type,
        ),
        help="Requests on the wire to providers; a call that retries or falls back makes several",
    ),
    Histogram(
        "tallygate_upstream_attempt_duration_seconds",
        UpstreamAttempt.duration,
        by=(UpstreamAttempt.provider, UpstreamAttempt.model, UpstreamAttempt.endpoint),
        buckets=CALL_SECONDS,
        help="Time from dispatch to the last byte or failure of one request to a provider, in seconds",
    ),
    Histogram(
        "tallygate_upstream_time_to_headers_seconds",
        UpstreamAttempt.time_to_headers,
        by=(UpstreamAttempt.provider, UpstreamAttempt.model, UpstreamAttempt.endpoint),
        buckets=FIRST_TOKEN_SECONDS,
        help="Time from dispatch to the head of the provider's reply, in seconds",
    ),
    Counter(
        "tallygate_upstream_retries_total",
        UpstreamRetry.count,
        by=(
            UpstreamRetry.provider,
            UpstreamRetry.model,
            UpstreamRetry.reason.from_zero(*RETRIED),
            UpstreamRetry.step,
        ),
        help="Attempts that followed a failed one of the same call, by whose failed and why, and who was asked then",
    ),
    Histogram(
        "tallygate_upstream_retry_pause_seconds",
        UpstreamRetry.pause,
        by=(UpstreamRetry.provider, UpstreamRetry.step),
        buckets=PAUSE_SECONDS,
        help="Time waited between a failed attempt and the next, in seconds",
    ),
    Counter(
        "tallygate_model_fallbacks_total",
        ModelFallback.count,
        by=(ModelFallback.from_model, ModelFallback.to_model),
        help="Calls for which another model was asked, as the one asked for could not be served",
    ),
    Counter(
        "tallygate_upstream_cooldowns_total",
        CoolDown.count,
        by=(CoolDown.provider, CoolDown.model),
        help="Times that a deployment was spared because its provider said to slow down",
    ),
    Counter(
        "tallygate_upstream_cooldown_seconds_total",
        CoolDown.spared,
        by=(CoolDown.provider, CoolDown.model),
        help="Time for which deployments were to be spared, in seconds",
    ),
    StateSet(
        "tallygate_breaker_state",
        DeploymentBreaker.holds,
        by=(DeploymentBreaker.provider, DeploymentBreaker.model),
        state=DeploymentBreaker.state,
        help="Circuit breaker of a deployment, in the worker where one changed last",
    ),
    Counter(
        "tallygate_breaker_changes_total",
        DeploymentBreaker.count,
        by=(DeploymentBreaker.provider, DeploymentBreaker.model, DeploymentBreaker.state),
        help="Times that the circuit breaker of a deployment came into a state",
    ),
    Histogram(
        "tallygate_gateway_phase_duration_seconds",
        GatewayPhase.duration,
        by=(GatewayPhase.endpoint, GatewayPhase.phase, GatewayPhase.status, GatewayPhase.stream),
        buckets=OVERHEAD_SECONDS,
        help="Time spent in one step of a request's way through the gateway, in seconds",
    ),
    Info(
        "tallygate_provider_info",
        ProviderInfo.present,
        by=(ProviderInfo.provider, ProviderInfo.kind, ProviderInfo.model),
        help="Configured providers and the models they serve",
    ),
    Gauge(
        "tallygate_provider_available",
        ProviderHealth.available,
        by=(ProviderHealth.provider,),
        help="Whether a provider can be called: 1 or 0",
    ),
    Gauge(
        "tallygate_provider_error_ratio",
        ProviderHealth.error_rate,
        by=(ProviderHealth.provider,),
        help="Share of a provider's calls that failed, 0 to 1",
    ),
)
