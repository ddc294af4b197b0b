"""What is around the calls of a model: HTTP, caches, databases, and who may call."""

from tallygate.dialects.families import Counter, Gauge, Histogram
from tallygate.dialects.tallygate.buckets import BYTES
from tallygate.facts import (
    APIKeys,
    APIKeyUse,
    CacheLookup,
    CacheState,
    Connections,
    CreditBalance,
    CreditUse,
    HTTPInFlight,
    HTTPRequest,
    Query,
    RateLimit,
    RateLimited,
    StoreFailure,
    Subscriptions,
    Trials,
)

HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
QUERY_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

cache = (CacheState.cache,)
query = (Query.system, Query.query, Query.table, Query.operation)

HTTP = (
    Counter(
        "tallygate_http_requests_total",
        HTTPRequest.count,
        by=(HTTPRequest.method, HTTPRequest.route, HTTPRequest.status_code),
        help="HTTP requests served",
    ),
    Histogram(
        "tallygate_http_request_duration_seconds",
        HTTPRequest.duration,
        by=(HTTPRequest.method, HTTPRequest.route),
        buckets=HTTP_SECONDS,
        help="Time from the first byte of an HTTP request to the last byte of its answer, in seconds",
    ),
    Histogram(
        "tallygate_http_request_size_bytes",
        HTTPRequest.request_size,
        by=(HTTPRequest.route,),
        buckets=BYTES,
        help="Size of HTTP request bodies, in bytes",
    ),
    Histogram(
        "tallygate_http_response_size_bytes",
        HTTPRequest.response_size,
        by=(HTTPRequest.route,),
        buckets=BYTES,
        help="Size of HTTP answer bodies, in bytes",
    ),
    Gauge("tallygate_http_requests_in_flight", HTTPInFlight.now, zeros=({},), help="HTTP requests being served now"),
)

CACHES = (
    Counter(
        "tallygate_cache_lookups_total",
        CacheLookup.count + CacheLookup.more,
        by=(CacheLookup.cache, CacheLookup.route, CacheLookup.result.from_zero()),
        help="Looks into a cache and what came of them",
    ),
    *(
        Gauge(f"tallygate_cache_{what}", measure, by=cache, help=help)
        for what, measure, help in (
            ("capacity_bytes", CacheState.capacity, "Configured capacity of a cache, in bytes"),
            ("used_bytes", CacheState.used, "Weight of what a cache holds, in bytes"),
            ("entries", CacheState.entries, "How many entries a cache holds"),
            ("fill_ratio", CacheState.fill_ratio, "Used over capacity of a cache, 0 to 1, of the fullest worker"),
            ("time_to_live_seconds", CacheState.time_to_live, "Configured, in seconds; 0 when entries do not age"),
            ("time_to_idle_seconds", CacheState.time_to_idle, "Configured, in seconds; 0 when idle entries stay"),
        )
    ),
)

DATABASES = (
    Counter(
        "tallygate_db_queries_total",
        Query.count,
        by=(*query, Query.status.from_zero()),
        help="Statements sent to databases and how they ended",
    ),
    Histogram(
        "tallygate_db_query_duration_seconds",
        Query.duration,
        by=(*query, Query.status),
        buckets=QUERY_SECONDS,
        help="Time from a statement sent to a database to its end, in seconds",
    ),
    Gauge(
        "tallygate_connections_open",
        Connections.now,
        by=(Connections.connection_type,),
        help="Connections of the workers that are open now",
    ),
    Counter(
        "tallygate_store_failures_total",
        StoreFailure.count,
        by=(StoreFailure.store, StoreFailure.provider, StoreFailure.operation),
        help="Records of ours that could not be stored, in whole or in part",
    ),
)

ACCOUNTS = (
    Counter(
        "tallygate_rate_limited_total",
        RateLimited.count,
        by=(RateLimited.limit_type,),
        help="Requests that a rate limit of ours refused",
    ),
    Gauge(
        "tallygate_rate_limit_remaining",
        RateLimit.remaining,
        by=(RateLimit.limit_type,),
        help="What is left of a rate limit of ours now",
    ),
    Counter(
        "tallygate_api_key_uses_total",
        APIKeyUse.count,
        by=(APIKeyUse.status, APIKeyUse.api_key_id),
        help="Uses of API keys that we gave out; api_key_id is empty unless this identity is turned on",
    ),
    Gauge("tallygate_api_keys", APIKeys.now, by=(APIKeys.status,), help="API keys that we gave out"),
    Counter(
        "tallygate_credits_used_total",
        CreditUse.credits,
        by=(CreditUse.provider, CreditUse.model, CreditUse.user_id),
        help="Credits taken for calls; user_id is empty unless this identity is turned on",
    ),
    Gauge(
        "tallygate_credit_balance",
        CreditBalance.credits,
        by=(CreditBalance.plan_type, CreditBalance.user_id),
        help="Credits left; user_id is empty for all users of a plan together",
    ),
    Gauge("tallygate_trials", Trials.now, by=(Trials.status,), help="Trial accounts"),
    Gauge(
        "tallygate_subscriptions",
        Subscriptions.now,
        by=(Subscriptions.plan_type, Subscriptions.billing_cycle),
        help="Subscriptions",
    ),
)
