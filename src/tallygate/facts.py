"""Every fact the product knows. This page is the documentation of what is measured: declarations, no logic.

Resolutions: durations are counted in units of 100 ns (10^-7 s), money in 10^-11 USD, so that per-token prices
add up exactly; tokens, bytes and counts are whole numbers. Cells are 64-bit integers, so sums are exact.
"""

from tallygate.declare import Dimension, Distribution, Fact, Gauge, Sum
from tallygate.errors import ERROR_TYPES
from tallygate.ledger.schema import Combine

SECONDS = -7
"""Exponent of durations: 100 ns."""
USD = -11
"""Exponent of money: a hundred-billionth of a dollar."""

TRUTH = ("true", "false")
OUTCOMES = ("completed", "failed", "cancelled")
PHASES = ("decode", "prepare", "provider_dispatch", "response_write", "total")


class LLMCall(Fact):
    """One request to a language model, from dispatch to its last byte, retries included."""

    takes_custom_labels = True

    provider = Dimension("who served it, as configured: openai, anthropic, ...")
    model = Dimension("the model asked for, as configured or priced; 'other' when neither knows it")
    operation = Dimension(
        "what was asked, in the words of the GenAI conventions",
        values=("chat", "text_completion", "embeddings", "generate_content"),
    )
    endpoint = Dimension("path of the provider's API: /chat/completions, /messages, ...")
    route = Dimension("the caller's logical use of the call: chat, completion, custom_route, ...; '' when not told")
    stream = Dimension("whether the reply was streamed", values=TRUTH)
    status_code = Dimension("HTTP status of the reply; 'network_error' when there was none")
    outcome = Dimension("how it ended; cancelled by its caller is not a failure", values=OUTCOMES)
    error_type = Dimension("'' unless failed, else one of errors.ErrorType", values=("", *ERROR_TYPES))
    agent_id = Dimension("id of the agent that called; '' when not told")
    agent_name = Dimension("name of the agent that called; '' when not told")
    agent_type = Dimension("kind of the agent that called: agent, llm_proxy, ...; '' when not told")
    external_agent_id = Dimension("id an outside agent gives itself; '' unless configured as known")
    source = Dimension("where the call came from: api, chat, email, ...; '' when not told")

    duration = Distribution("seconds", "dispatch to last byte", exponent=SECONDS)
    time_to_first_token = Distribution(
        "seconds",
        "dispatch to the first content delta (text, tool call or reasoning)",
        exponent=SECONDS,
        only=stream.not_among("false"),
    )
    time_to_headers = Distribution("seconds", "dispatch to the head of the reply", exponent=SECONDS)
    time_per_output_token = Distribution(
        "seconds",
        "first content delta to last byte, per further output token",
        exponent=SECONDS,
        only=stream.not_among("false"),
    )
    output_tokens_per_second = Distribution("", "output tokens over the whole duration", exponent=-6)
    gateway_overhead = Distribution(
        "seconds", "duration less the union of the intervals spent waiting for upstreams", exponent=SECONDS
    )
    input_tokens = Distribution("tokens", "cached ones included")
    output_tokens = Distribution("tokens", "reasoning included")
    total_tokens = Distribution("tokens", "input and output of one call")
    uncached_input_tokens = Sum("tokens", "input neither read from nor written to a prompt cache")
    cache_read_tokens = Sum("tokens", "input read from the provider's prompt cache")
    cache_write_tokens = Sum("tokens", "input written to the provider's prompt cache")
    reasoning_tokens = Sum("tokens", "output spent on reasoning")
    cost = Sum("usd", "exact price of the call; unset when unpriced", exponent=USD)
    unmetered = Sum("", "calls that completed without the provider reporting usage")
    unpriced = Sum("", "calls with usage whose model has no known price")
    rate_limit_events = Sum("", "429 answers of the provider met on the way, retried ones included")


class LLMOutputChunk(Fact):
    """One content delta of a streamed reply after the first."""

    provider = Dimension("as LLMCall.provider")
    model = Dimension("as LLMCall.model")
    operation = Dimension("as LLMCall.operation", values=LLMCall.operation.values)

    gap = Distribution("seconds", "time since the content delta before it", exponent=SECONDS)


class LLMInFlight(Fact):
    """LLM calls going on now; a stream counts until it closes."""

    provider = Dimension("as LLMCall.provider")
    model = Dimension("as LLMCall.model")
    endpoint = Dimension("as LLMCall.endpoint")
    route = Dimension("as LLMCall.route")
    stream = Dimension("whether the reply is streamed", values=TRUTH)

    now = Gauge("", "how many are going on")


class UpstreamAttempt(Fact):
    """One request on the wire to a provider; a call that retries or falls back makes several."""

    provider = Dimension("as LLMCall.provider")
    model = Dimension("the model asked of this provider, as LLMCall.model")
    endpoint = Dimension("as LLMCall.endpoint")
    status_code = Dimension("HTTP status; 'network_error' when there was none")
    error_type = Dimension("'' unless failed, else one of errors.ErrorType", values=("", *ERROR_TYPES))

    duration = Distribution("seconds", "dispatch to last byte or failure", exponent=SECONDS)
    time_to_headers = Distribution("seconds", "dispatch to the head of the reply", exponent=SECONDS)


class GatewayPhase(Fact):
    """One step of a request's way through the gateway."""

    endpoint = Dimension("request path, as configured: /v1/chat/completions, ...")
    phase = Dimension("which step", values=PHASES)
    status = Dimension("whether the step succeeded", values=("success", "error"))
    stream = Dimension("whether the reply is streamed; 'unknown' before the head is read", values=(*TRUTH, "unknown"))

    duration = Distribution("seconds", "time spent in the step", exponent=-9)


class HTTPRequest(Fact):
    """One HTTP request served, by the gateway or by an instrumented application."""

    method = Dimension("HTTP method; 'OTHER' for one that is no standard method")
    route = Dimension("route template, never the raw path; 'unmatched' when no route fits")
    status_code = Dimension("HTTP status as sent; '499' when the client left before an answer")

    duration = Distribution("seconds", "first byte of the request to the last byte of the answer", exponent=SECONDS)
    request_size = Distribution("bytes", "body of the request")
    response_size = Distribution("bytes", "body of the answer")


class HTTPInFlight(Fact):
    """HTTP requests being served now."""

    now = Gauge("", "how many are going on")


class CacheLookup(Fact):
    """One look into a cache."""

    cache = Dimension("name of the cache")
    route = Dimension("as LLMCall.route")
    result = Dimension("what came of it", values=("hit", "miss"))


class ProviderInfo(Fact):
    """A configured provider: always 1."""

    provider = Dimension("as LLMCall.provider")
    kind = Dimension("wire family it speaks: openai, azure, anthropic, gemini")
    model = Dimension("a model it serves, as configured; '' when none is listed")

    present = Gauge("", "always 1", combine=Combine.MAX)


class BuildInfo(Fact):
    """This build and where it runs: always 1."""

    version = Dimension("version of the package")
    python = Dimension("version of the interpreter")
    ledger = Dimension("which core counts", values=("native", "python"))
    environment = Dimension("as configured; development when not told")
    service = Dimension("name of the service, as configured")
    deployment_version = Dimension("as configured; unknown when not told")

    present = Gauge("", "always 1", combine=Combine.MAX)


class Process(Fact):
    """The worker processes, sampled by each of them."""

    cpu_user = Sum("seconds", "user CPU time", exponent=-6)
    cpu_system = Sum("seconds", "system CPU time", exponent=-6)
    resident_memory = Gauge("bytes", "resident memory, summed over the workers")
    virtual_memory = Gauge("bytes", "virtual memory, summed over the workers")
    open_fds = Gauge("", "open file descriptors, summed over the workers")
    max_fds = Gauge("", "limit of open file descriptors of one worker", combine=Combine.MIN)
    threads = Gauge("", "threads, summed over the workers")
    start_time = Gauge("seconds", "Unix time at which the oldest live worker started", exponent=-6, combine=Combine.MIN)
    workers = Gauge("", "live worker processes")


class EventLoop(Fact):
    """The asyncio event loops of the workers, sampled by each of them."""

    lag = Distribution("seconds", "how late the loop ran a timer", exponent=SECONDS)
    tasks = Gauge("", "live tasks, summed over the workers")
    ready = Gauge("", "callbacks ready to run when sampled, summed over the workers")
    busy = Sum("seconds", "CPU time of the threads that run the loops", exponent=-6)
    latest_lag = Gauge(
        "seconds",
        "how late the loop ran its latest timer, the worst of the workers",
        exponent=SECONDS,
        combine=Combine.MAX,
    )


class GarbageCollection(Fact):
    """One pass of CPython's cyclic garbage collector."""

    generation = Dimension("which generation", values=("0", "1", "2"))

    duration = Distribution("seconds", "time the pass took", exponent=SECONDS)
    collected = Sum("", "objects freed")
    uncollectable = Sum("", "objects found but not freed")


class Scrape(Fact):
    """One rendering of the metrics, ours counted like everybody's."""

    dialect = Dimension("which dialect was read; several are joined by '+'")
    format = Dimension("text, openmetrics or protobuf")

    duration = Distribution("seconds", "plan, render and compress", exponent=SECONDS)
    size = Distribution("bytes", "size of the page before compression")


class Dropped(Fact):
    """An observation that was not recorded, so that the program watched could go on."""

    fact = Dimension("the fact it was meant for")
    reason = Dimension("why", values=("invalid_value", "invalid_dimension", "no_space", "closed", "internal"))


FACTS: tuple[type[Fact], ...] = (
    LLMCall,
    LLMOutputChunk,
    LLMInFlight,
    UpstreamAttempt,
    GatewayPhase,
    HTTPRequest,
    HTTPInFlight,
    CacheLookup,
    ProviderInfo,
    BuildInfo,
    Process,
    EventLoop,
    GarbageCollection,
    Scrape,
    Dropped,
)
