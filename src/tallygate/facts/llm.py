"""LLM calls, the way to their providers, and the gateway's own steps."""

from tallygate.declare import Dimension, Distribution, Fact, Gauge, Sum
from tallygate.errors import ERROR_TYPES
from tallygate.facts.words import OUTCOMES, PHASES, SECONDS, TRUTH, USD
from tallygate.ledger.schema import Combine


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
    blocked_tools = Sum("", "tool calls in the reply that a policy blocked")


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


class ProviderInfo(Fact):
    """A configured provider: always 1."""

    provider = Dimension("as LLMCall.provider")
    kind = Dimension("wire family it speaks: openai, azure, anthropic, gemini")
    model = Dimension("a model it serves, as configured; '' when none is listed")

    present = Gauge("", "always 1", combine=Combine.MAX)


class ProviderHealth(Fact):
    """How a provider is doing, as whoever looked last saw it."""

    provider = Dimension("as LLMCall.provider")

    available = Gauge("", "1 when it can be called, else 0", combine=Combine.LATEST)
    error_rate = Gauge("", "share of failed calls, 0 to 1", exponent=-6, combine=Combine.LATEST)


class GatewayPhase(Fact):
    """One step of a request's way through the gateway."""

    endpoint = Dimension("request path, as configured: /v1/chat/completions, ...")
    phase = Dimension("which step", values=PHASES)
    status = Dimension("whether the step succeeded", values=("success", "error"))
    stream = Dimension("whether the reply is streamed; 'unknown' before the head is read", values=(*TRUTH, "unknown"))

    duration = Distribution("seconds", "time spent in the step", exponent=-9)
