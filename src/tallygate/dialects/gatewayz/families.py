"""Gatewayz's 23 families, in the order of its document, and the process families of a Prometheus client."""

from tallygate.dialects.families import Counter, Dialect, Gauge, Histogram, split
from tallygate.dialects.process import PROCESS
from tallygate.facts import (
    APIKeys,
    APIKeyUse,
    CacheLookup,
    CacheState,
    Connections,
    CreditBalance,
    CreditUse,
    HTTPRequest,
    LLMCall,
    ProviderHealth,
    Query,
    Queue,
    RateLimit,
    RateLimited,
    Subscriptions,
    Trials,
    UpstreamAttempt,
)

HTTP_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
INFERENCE_SECONDS = (0.1, 0.5, 1, 2.5, 5, 10, 25, 60)
RESPONSE_SECONDS = (0.1, 0.5, 1, 2.5, 5, 10)
QUERY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def status_class_of(status_code: str) -> str:
    """2xx, 4xx or 5xx; other for all the rest."""
    known = len(status_code) == 3 and status_code.isdecimal() and status_code[0] in "245"
    return f"{status_code[0]}xx" if known else "other"


endpoint = HTTPRequest.route.named("endpoint")
status_class = HTTPRequest.status_code.as_(status_class_of).named("status_class")
served = HTTPRequest.route.not_among("/metrics")
called = (LLMCall.provider, LLMCall.model)
status = (
    LLMCall.outcome.as_({"completed": "success", "failed": "error", "cancelled": "success"})  # who leaves made no error
    .named("status")
    .from_zero()
)

HTTP = (
    Counter(
        "http_requests_total",
        HTTPRequest.count.where(served),
        by=(HTTPRequest.method, endpoint, HTTPRequest.status_code, status_class),
        zeros=({"status_code": "500", "status_class": "5xx"},),
        help="Total HTTP requests, without those for /metrics",
    ),
    Histogram(
        "http_request_duration_seconds",
        HTTPRequest.duration.where(served),
        by=(HTTPRequest.method, endpoint),
        buckets=HTTP_SECONDS,
        help="HTTP request duration in seconds, to the last byte of a stream, without requests for /metrics",
    ),
)

MODELS = (
    Counter(
        "model_inference_requests_total",
        LLMCall.count,
        by=(*called, status),
        help="Total model inference requests",
    ),
    Histogram(
        "model_inference_duration_seconds",
        LLMCall.duration,
        by=called,
        buckets=INFERENCE_SECONDS,
        help="Duration of model inference requests in seconds",
    ),
    Counter(
        "tokens_used_total",
        split("token_type", input=LLMCall.input_tokens, output=LLMCall.output_tokens),
        by=called,
        help="Total tokens used; input holds those read from or written to a prompt cache",
    ),
    Counter(
        "credits_used_total",
        CreditUse.credits,
        by=(CreditUse.provider, CreditUse.model, CreditUse.user_id),
        help="Total credits used; user_id is empty unless this identity is turned on",
    ),
)

DATABASE = (
    Counter(
        "database_queries_total",
        Query.count,
        by=(Query.table, Query.operation.from_zero()),
        help="Total database queries",
    ),
    Histogram(
        "database_query_duration_seconds",
        Query.duration,
        by=(Query.table,),
        buckets=QUERY_SECONDS,
        help="Duration of database queries in seconds",
    ),
)

CACHES = (
    Counter(
        "cache_hits_total",
        (CacheLookup.count + CacheLookup.more).where(CacheLookup.result.among("hit")),
        by=(CacheLookup.cache.named("cache_name"),),
        help="Total cache hits",
    ),
    Counter(
        "cache_misses_total",
        (CacheLookup.count + CacheLookup.more).where(CacheLookup.result.among("miss")),
        by=(CacheLookup.cache.named("cache_name"),),
        help="Total cache misses",
    ),
    Gauge(
        "cache_size_bytes",
        CacheState.used,
        by=(CacheState.cache.named("cache_name"),),
        help="Weight of what a cache holds, in bytes",
    ),
)

LIMITS = (
    Counter(
        "rate_limited_requests_total",
        RateLimited.count,
        by=(RateLimited.limit_type,),
        help="Total requests that a rate limit refused",
    ),
    Gauge(
        "current_rate_limit",
        RateLimit.remaining,
        by=(RateLimit.limit_type,),
        help="What is left of a rate limit now",
    ),
)

PROVIDERS = (
    Gauge(
        "provider_availability",
        ProviderHealth.available,
        by=(ProviderHealth.provider,),
        help="Whether a provider can be called: 1 or 0",
    ),
    Gauge(
        "provider_error_rate",
        ProviderHealth.error_rate,
        by=(ProviderHealth.provider,),
        help="Share of a provider's calls that failed, 0 to 1",
    ),
    Histogram(
        "provider_response_time_seconds",
        UpstreamAttempt.duration,
        by=(UpstreamAttempt.provider,),
        buckets=RESPONSE_SECONDS,
        help="Time that one request to a provider took, in seconds; every retry is one",
    ),
)

BUSINESS = (
    Counter(
        "api_key_usage_total",
        APIKeyUse.count,
        by=(APIKeyUse.status, APIKeyUse.api_key_id),
        help="Total uses of API keys; api_key_id is empty unless this identity is turned on",
    ),
    Gauge("active_api_keys", APIKeys.now, by=(APIKeys.status,), help="API keys by status"),
    Gauge(
        "user_credit_balance",
        CreditBalance.credits,
        by=(CreditBalance.plan_type, CreditBalance.user_id),
        help="Credits left; user_id is empty for all users of a plan together",
    ),
    Gauge("trial_active", Trials.now, by=(Trials.status,), help="Trials by status"),
    Gauge(
        "subscription_count",
        Subscriptions.now,
        by=(Subscriptions.plan_type, Subscriptions.billing_cycle),
        help="Subscriptions by plan and billing cycle",
    ),
)

SYSTEM = (
    Gauge(
        "active_connections",
        Connections.now,
        by=(Connections.connection_type,),
        help="Open connections, summed over the workers",
    ),
    Gauge("queue_size", Queue.size, by=(Queue.queue.named("queue_name"),), help="How many wait in a queue"),
)

GATEWAYZ = Dialect(
    "gatewayz",
    *HTTP,
    *MODELS,
    *DATABASE,
    *CACHES,
    *LIMITS,
    *PROVIDERS,
    *BUSINESS,
    *SYSTEM,
    *PROCESS,
    help="Gatewayz's 23 documented families, and the process families of a Prometheus client.",
)
