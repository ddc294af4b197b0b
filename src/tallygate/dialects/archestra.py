"""The vocabulary of Archestra: its LLM and HTTP families, and what of its runtime families is true of Python.

Kept: names, labels (the configured agent labels too), buckets printed as the original prints them ("4", not "4.0"),
input tokens without the cached ones. Better than the original: a request lasts until its last byte, the same duration
that tokens per second are divided by; free models have a cost series, at 0; ``external_agent_id`` is bounded.

Left out: families of MCP tools, knowledge base and task queue (no such facts are recorded yet), the quantiles of
``http_request_summary_seconds`` (the histogram answers them), and V8's heap (``nodejs_heap_*``), which Python has not.
``llm_blocked_tools_total`` stays 0: no policy here blocks tool calls.
"""

from tallygate.declare import CUSTOM_LABELS
from tallygate.dialects.families import Counter, Dialect, Gauge, Histogram, Never, Summary, split
from tallygate.dialects.process import CPU_BY_MODE, PROCESS
from tallygate.facts import EventLoop, GarbageCollection, HTTPInFlight, HTTPRequest, LLMCall, Process

REQUEST_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60)
FIRST_TOKEN_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
TOKENS_PER_SECOND = (5, 10, 25, 50, 75, 100, 150, 200, 300)
TOKENS = (4, 16, 64, 256, 1024, 4096, 16384, 65536)
HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
GC_SECONDS = (0.001, 0.01, 0.1, 1, 2, 5)

agent = (
    LLMCall.provider,
    LLMCall.model.as_({"": "unknown"}),
    LLMCall.agent_id,
    LLMCall.agent_name,
    LLMCall.agent_type,
    LLMCall.external_agent_id,
    LLMCall.source,
    CUSTOM_LABELS,
)
status_code = LLMCall.status_code.as_({"network_error": "0"})
kind = GarbageCollection.generation.as_({"0": "minor", "1": "minor", "2": "major"}).named("kind").from_zero()

LLM = (
    Histogram(
        "llm_request_duration_seconds",
        LLMCall.duration,
        by=(*agent, status_code),
        buckets=REQUEST_SECONDS,
        help="LLM request duration in seconds, to the last byte; status_code 0 is a network error",
    ),
    Counter(
        "llm_tokens_total",
        split("type", input=LLMCall.uncached_input_tokens, output=LLMCall.output_tokens),
        by=agent,
        help="Tokens used; input leaves out those read from or written to a prompt cache",
    ),
    Counter(
        "llm_cache_tokens_total",
        split("cache_type", read=LLMCall.cache_read_tokens, write=LLMCall.cache_write_tokens),
        by=agent,
        help="Input tokens read from and written to the providers' prompt caches",
    ),
    Counter("llm_cost_total", LLMCall.cost, by=agent, help="Cost of LLM requests in USD"),
    Counter(
        "llm_blocked_tools_total",
        Never(LLMCall),
        by=agent,
        help="Tool calls that a policy blocked; always 0: no policy here blocks tool calls",
    ),
    Histogram(
        "llm_time_to_first_token_seconds",
        LLMCall.time_to_first_token,
        by=agent,
        buckets=FIRST_TOKEN_SECONDS,
        help="Time to the first token of streamed LLM requests, in seconds",
    ),
    Histogram(
        "llm_tokens_per_second",
        LLMCall.output_tokens_per_second,
        by=agent,
        buckets=TOKENS_PER_SECOND,
        help="Output tokens per second of the whole LLM request",
    ),
    Histogram(
        "llm_token_usage",
        LLMCall.total_tokens,
        by=agent,
        buckets=TOKENS,
        help="Tokens, input and output, of one LLM request",
    ),
)

seen = HTTPRequest.method.not_among("OPTIONS", "HEAD") & HTTPRequest.route.not_among("/health", "/ready")

HTTP = (
    Histogram(
        "http_request_duration_seconds",
        HTTPRequest.duration.where(seen),
        by=(HTTPRequest.method, HTTPRequest.route, HTTPRequest.status_code),
        buckets=HTTP_SECONDS,
        help="Request duration in seconds, without OPTIONS, HEAD and health checks",
    ),
    Summary(
        "http_request_summary_seconds",
        HTTPRequest.duration.where(seen),
        by=(HTTPRequest.method, HTTPRequest.route, HTTPRequest.status_code),
        help="Request duration in seconds, without OPTIONS, HEAD and health checks; its quantiles: see the histogram",
    ),
)

RUNTIME = (
    *PROCESS,
    *CPU_BY_MODE,
    Gauge(
        "nodejs_eventloop_lag_seconds",
        EventLoop.latest_lag,
        help="How late the asyncio event loop ran its latest timer, the worst of the workers, in seconds",
    ),
    Histogram(
        "nodejs_gc_duration_seconds",
        GarbageCollection.duration,
        by=(kind,),
        buckets=GC_SECONDS,
        help="Garbage collection duration in seconds; major is generation 2, minor are 0 and 1",
    ),
    Gauge("nodejs_active_handles_total", Process.open_fds, help="Open file descriptors of the workers"),
    Gauge("nodejs_active_requests_total", HTTPInFlight.now, help="HTTP requests being served now"),
)

ARCHESTRA = Dialect(
    "archestra", *LLM, *HTTP, *RUNTIME, help="Archestra's LLM, HTTP and process families, with agent labels."
)
