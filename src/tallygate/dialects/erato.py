"""The vocabulary of Erato: prefix ``erato_``, seconds, and what of Tokio's runtime families is true of asyncio.

Kept: every documented name, label and unit. Of its source: the seven words of ``error_type``, the two of ``status``,
and that times of a chat are those of streams that came to their end. A caller that aborts is no error.

Better than the original: its four durations are histograms, as its document says, and not summaries, so they have
``_bucket``, can be added up and asked for quantiles; they are not cut to whole milliseconds; all seven error types are
there from 0. ``chat_provider_id`` is the provider's name, ``unknown`` when not told; a provider with several models
has a line for each in ``erato_chat_provider_info``.

What differs: the first token is the first content of any kind (text, reasoning, tool call), where the original waits
for text. A cancelled query counts as ``error``. Queries of PostgreSQL alone are shown.

Of Tokio, ``tokio_workers_count``, ``tokio_live_tasks_count``, ``tokio_global_queue_depth`` and
``tokio_total_busy_duration`` (in microseconds) have an equivalent; uvloop does not tell the third. Left out: the park
counts, and the busy times of the most and the least busy worker; an asyncio loop does not count its sleeps, and there
is one loop per process.
"""

from tallygate.dialects.families import BareCounter, Counter, Dialect, Gauge, Histogram, Info
from tallygate.errors import ERROR_TYPES
from tallygate.facts import (
    BuildInfo,
    CacheState,
    EventLoop,
    LLMCall,
    LoopQueues,
    MCPSessionActive,
    Process,
    ProviderInfo,
    Query,
)

CHAT_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
QUERY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

ERROR_WORDS = {
    "caller_invalid_request": "invalid_request",
    "caller_context_length": "invalid_request",
    "caller_authentication": "invalid_request",
    "caller_permission": "invalid_request",
    "caller_unknown_model": "model_unavailable",
    "policy_content_filter": "content_filter",
    "policy_rate_limit": "rate_limit",
    "policy_budget": "rate_limit",
    "provider_rate_limit": "rate_limit",
    "provider_authentication": "provider_error",
    "provider_model_unavailable": "model_unavailable",
    "provider_overloaded": "model_unavailable",
    "provider_server_error": "provider_error",
    "provider_timeout": "provider_error",
    "provider_network": "internal_error",  # Erato's provider errors are those that a provider told
    "provider_invalid_response": "provider_error",
    "provider_stream_cut": "provider_error",
    "provider_loop": "hallucination_loop",
    "gateway_internal": "internal_error",
    "gateway_serialization": "internal_error",
    "gateway_unavailable": "internal_error",
    "other": "internal_error",
}

chat_provider_id = LLMCall.provider.as_({"": "unknown"}).named("chat_provider_id")
streamed = LLMCall.stream.among("true") & LLMCall.outcome.among("completed")
failed = LLMCall.error_type.not_among("") & LLMCall.operation.not_among("embeddings")
cache = (CacheState.cache,)

CHAT = (
    Info(
        "erato_info",
        BuildInfo.present,
        by=(BuildInfo.version, BuildInfo.environment, BuildInfo.service, BuildInfo.deployment_version),
        help="This build and where it runs",
    ),
    Info(
        "erato_chat_provider_info",
        ProviderInfo.present,
        by=(
            ProviderInfo.provider.named("chat_provider_id"),
            ProviderInfo.kind.named("provider_kind"),
            ProviderInfo.model.named("model_name"),
        ),
        help="Configured chat providers and the models they serve",
    ),
    Histogram(
        "erato_chat_provider_time_to_first_token_seconds",
        LLMCall.time_to_first_token.where(streamed),
        by=(chat_provider_id,),
        buckets=CHAT_SECONDS,
        help="Time from dispatching a chat generation to its first streamed token, in seconds",
    ),
    Histogram(
        "erato_chat_provider_time_to_last_token_seconds",
        LLMCall.duration.where(streamed),
        by=(chat_provider_id,),
        buckets=CHAT_SECONDS,
        help="Time from dispatching a chat generation to its last streamed token, in seconds",
    ),
    Counter(
        "erato_chat_provider_generation_errors_total",
        LLMCall.count.where(failed),
        by=(chat_provider_id, LLMCall.error_type.as_(ERROR_WORDS).from_zero(*ERROR_TYPES)),
        help="Chat generations that failed",
    ),
)

MCP = (
    Gauge(
        "erato_mcp_active_sessions",
        MCPSessionActive.now.where(MCPSessionActive.side.among("client")),
        by=(MCPSessionActive.server.named("server_id"),),
        help="Sessions with each MCP server that are open now",
    ),
)

CACHES = (
    Gauge("erato_cache_max_size_bytes", CacheState.capacity, by=cache, help="Configured capacity of a cache, in bytes"),
    Gauge("erato_cache_used_size_bytes", CacheState.used, by=cache, help="Weight of what a cache holds, in bytes"),
    Gauge(
        "erato_cache_fill_ratio",
        CacheState.fill_ratio,
        by=cache,
        help="Used over configured capacity of a cache, 0 to 1, of the fullest worker",
    ),
    Gauge("erato_cache_entries", CacheState.entries, by=cache, help="How many entries a cache holds"),
    Gauge(
        "erato_cache_time_to_live_seconds",
        CacheState.time_to_live,
        by=cache,
        help="Configured time to live of a cache's entries, in seconds; 0 when disabled",
    ),
    Gauge(
        "erato_cache_time_to_idle_seconds",
        CacheState.time_to_idle,
        by=cache,
        help="Configured time to idle of a cache's entries, in seconds; 0 when disabled",
    ),
)

DATABASE = (
    Histogram(
        "erato_postgres_query_duration_seconds",
        Query.duration.where(Query.system.among("postgresql")),
        by=(Query.query.named("query_id"), Query.status.as_({"cancelled": "error"})),
        buckets=QUERY_SECONDS,
        help="Duration of PostgreSQL queries in seconds",
    ),
)

RUNTIME = (
    Gauge("tokio_workers_count", Process.workers, help="Live worker processes, each with one event loop"),
    Gauge("tokio_live_tasks_count", EventLoop.tasks, help="Live asyncio tasks"),
    Gauge("tokio_global_queue_depth", LoopQueues.ready, help="Callbacks that waited to run when sampled"),
    BareCounter(
        "tokio_total_busy_duration",
        EventLoop.busy * 10**6,
        help="CPU time of the threads that run the event loops, in microseconds",
    ),
)

ERATO = Dialect(
    "erato",
    *CHAT,
    *MCP,
    *CACHES,
    *DATABASE,
    *RUNTIME,
    help="Erato's families, and those of Tokio that have an equivalent in asyncio.",
)
