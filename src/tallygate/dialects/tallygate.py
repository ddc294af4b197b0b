"""Tallygate's own vocabulary, and the default: prefix ``tallygate_``, base units, names that stay.

Counters that are summed up to a bill or an owner (calls, tokens, cost) also carry who called; histograms, which are
many series each, carry what was called. Errors are there from 0, every type of them, so alerts need no special case.
"""

from tallygate.declare import CUSTOM_LABELS
from tallygate.dialects.families import Computed, Counter, Dialect, Gauge, Histogram, Info, split
from tallygate.dialects.process import PROCESS
from tallygate.errors import domain_of
from tallygate.facts import (
    BuildInfo,
    CacheLookup,
    Dropped,
    EventLoop,
    GarbageCollection,
    GatewayPhase,
    HTTPInFlight,
    HTTPRequest,
    LLMCall,
    LLMInFlight,
    LLMOutputChunk,
    Process,
    ProviderInfo,
    Scrape,
    UpstreamAttempt,
)

called = (LLMCall.provider, LLMCall.model, LLMCall.operation, LLMCall.route, CUSTOM_LABELS)
by_caller = (LLMCall.provider, LLMCall.model, LLMCall.route, LLMCall.agent_name, LLMCall.source, CUSTOM_LABELS)
ended = (LLMCall.endpoint, LLMCall.stream, LLMCall.status_code, LLMCall.outcome)
error = (LLMCall.error_type.as_(domain_of).named("domain"), LLMCall.error_type.from_zero())

CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
FIRST_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)
TOKENS_PER_SECOND = (1, 5, 10, 25, 50, 75, 100, 150, 200, 300, 500, 1000)
OVERHEAD_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)
HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
BYTES = (256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216)
PAUSE_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

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
    Histogram(
        "tallygate_gateway_phase_duration_seconds",
        GatewayPhase.duration,
        by=(GatewayPhase.endpoint, GatewayPhase.phase, GatewayPhase.status, GatewayPhase.stream),
        buckets=OVERHEAD_SECONDS,
        help="Time spent in one step of a request's way through the gateway, in seconds",
    ),
    Counter(
        "tallygate_cache_lookups_total",
        CacheLookup.count,
        by=(CacheLookup.cache, CacheLookup.route, CacheLookup.result.from_zero()),
        help="Looks into a cache and what came of them",
    ),
    Info(
        "tallygate_provider_info",
        ProviderInfo.present,
        by=(ProviderInfo.provider, ProviderInfo.kind, ProviderInfo.model),
        help="Configured providers and the models they serve",
    ),
)

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
    Gauge("tallygate_http_requests_in_flight", HTTPInFlight.now, help="HTTP requests being served now"),
)

RUNTIME = (
    Info(
        "tallygate_build_info",
        BuildInfo.present,
        by=(
            BuildInfo.version,
            BuildInfo.python,
            BuildInfo.ledger,
            BuildInfo.environment,
            BuildInfo.service,
            BuildInfo.deployment_version,
        ),
        help="This build and where it runs",
    ),
    *PROCESS,
    Gauge("process_threads", Process.threads, help="Threads of the workers"),
    Gauge("tallygate_workers", Process.workers, help="Live worker processes"),
    Histogram(
        "tallygate_event_loop_lag_seconds",
        EventLoop.lag,
        buckets=PAUSE_SECONDS,
        help="How late the asyncio event loops ran a timer, in seconds",
    ),
    Gauge("tallygate_event_loop_tasks", EventLoop.tasks, help="Live asyncio tasks"),
    Gauge("tallygate_event_loop_ready_callbacks", EventLoop.ready, help="Callbacks that waited to run when sampled"),
    Counter(
        "tallygate_event_loop_busy_seconds_total",
        EventLoop.busy,
        help="CPU time of the threads that run the event loops, in seconds",
    ),
    Histogram(
        "tallygate_gc_duration_seconds",
        GarbageCollection.duration,
        by=(GarbageCollection.generation.from_zero(),),
        buckets=PAUSE_SECONDS,
        help="Time that a pass of the garbage collector took, in seconds",
    ),
    Counter(
        "tallygate_gc_objects_collected_total",
        GarbageCollection.collected,
        by=(GarbageCollection.generation.from_zero(),),
        help="Objects that the garbage collector freed",
    ),
    Counter(
        "tallygate_gc_objects_uncollectable_total",
        GarbageCollection.uncollectable,
        by=(GarbageCollection.generation.from_zero(),),
        help="Objects that the garbage collector found and could not free",
    ),
)

OWN_HEALTH = (
    Histogram(
        "tallygate_scrape_duration_seconds",
        Scrape.duration,
        by=(Scrape.dialect, Scrape.format),
        buckets=PAUSE_SECONDS,
        help="Time to make a metrics page, in seconds",
    ),
    Histogram(
        "tallygate_scrape_size_bytes",
        Scrape.size,
        by=(Scrape.dialect, Scrape.format),
        buckets=BYTES,
        help="Size of a metrics page before compression, in bytes",
    ),
    Counter(
        "tallygate_dropped_observations_total",
        Dropped.count,
        by=(Dropped.fact, Dropped.reason.from_zero()),
        help="Observations that were not recorded, so that the program could go on",
    ),
    Gauge("tallygate_ledger_rows", Computed("rows"), help="Rows of the ledger: distinct label sets of all facts"),
    Counter(
        "tallygate_ledger_overflowed_rows_total",
        Computed("overflowed"),
        help="Label sets that found no room; their records count, exactly, under the label value 'other'",
    ),
    Counter(
        "tallygate_ledger_dropped_values_total",
        Computed("dropped"),
        help="Values that cannot be counted: not a number, infinite, or out of range",
    ),
    Gauge("tallygate_ledger_used_bytes", Computed("used_bytes"), help="Bytes of the ledger in use", unit="bytes"),
    Gauge(
        "tallygate_ledger_capacity_bytes", Computed("capacity_bytes"), help="Bytes the ledger can have", unit="bytes"
    ),
    Gauge("tallygate_ledger_workers", Computed("workers"), help="Processes that have the ledger open"),
)

TALLYGATE = Dialect("tallygate", *LLM, *GATEWAY, *HTTP, *RUNTIME, *OWN_HEALTH, help="Tallygate's own names.")
