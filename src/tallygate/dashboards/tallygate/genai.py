"""GenAI Observability: what calls of models do, how fast they are, what they use and what they cost."""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import (
    BELOW,
    PER_SECOND,
    TOKENS,
    TOKENS_PER_SECOND,
    bars,
    gauge,
    heatmap,
    percentiles,
    stat,
    timeseries,
    traces,
)
from tallygate.dashboards.tallygate.gateway import ACCOUNTS, GATEWAY
from tallygate.dashboards.variables import chained, sources, vocabulary

ask = vocabulary("tallygate", "provider", "model", "route")
calls, in_flight = ask("tallygate_llm_calls_total"), ask("tallygate_llm_calls_in_flight").now
errors = ask("tallygate_llm_errors_total")
duration = ask("tallygate_llm_call_duration_seconds")
first_token = ask("tallygate_llm_time_to_first_token_seconds")
speed = ask("tallygate_llm_output_tokens_per_second")
tokens, cost = ask("tallygate_llm_tokens_total"), ask("tallygate_llm_cost_usd_total")
input_tokens = tokens.where(type="input").rate().sum()

NOW = Row(
    "Now",
    (
        stat(
            "Calls",
            "Calls of models that ended, per second.",
            "0 with clients at work: the gateway is not reached; look at Application Metrics, HTTP.",
            calls.rate().sum(),
            unit=PER_SECOND,
        ),
        stat(
            "Failed",
            "Share of calls that failed, whoever's fault it was; 0 when there were none.",
            "Errors, below, says whose fault: caller, policy, provider or gateway.",
            errors.rate().sum().share_of(calls.rate().sum()),
            unit=units.PercentUnit,
            thresholds={0.01: "yellow", 0.05: "red"},
        ),
        stat(
            "Duration, P95",
            "19 of 20 calls are faster than this, from dispatch to the last byte.",
            "Compare with time to first token: if that is fine, answers grew longer.",
            duration.quantile(0.95),
            unit=units.Seconds,
            thresholds={10: "yellow", 30: "red"},
        ),
        stat(
            "Time to first token, P95",
            "19 of 20 streams show their first content sooner than this.",
            "See Time to first token by model: one model is its provider's queue, all of them is the network or us.",
            first_token.quantile(0.95),
            unit=units.Seconds,
            thresholds={1: "yellow", 3: "red"},
        ),
        stat(
            "Cost",
            "Price of the calls in the time that is shown.",
            "Cost & Reliability tells who spends it and where it will end.",
            cost.increase("$__range").sum(),
            unit=units.Dollars,
            whole_range=True,
        ),
        stat(
            "In flight",
            "Calls going on now; a stream counts until it closes.",
            "It climbs while Calls does not: calls hang; look at the providers' time to headers.",
            in_flight.sum(),
            unit=units.Short,
        ),
    ),
)

TRAFFIC = Row(
    "Traffic",
    (
        timeseries(
            "Calls by provider",
            "Calls per second that ended.",
            "A provider that falls to 0 is down, spared by its breaker, or has lost its callers.",
            calls.rate().sum("provider"),
            unit=PER_SECOND,
            stacked=True,
        ),
        timeseries(
            "Calls by model",
            "Calls per second that ended, by the model that was asked for.",
            "The model 'other' is one that no configuration or price knows: configure it or refuse it.",
            calls.rate().sum("model"),
            unit=PER_SECOND,
            stacked=True,
        ),
        timeseries(
            "Calls by outcome",
            "How calls ended; cancelled means that the caller left, which is nobody's failure.",
            "Many cancelled ones: callers time out before the answer; compare their timeout with Duration, P99.",
            calls.rate().sum("outcome"),
            unit=PER_SECOND,
            stacked=True,
            width=8,
        ),
        timeseries(
            "Calls by operation",
            "Chats, completions and embeddings, streamed or not.",
            "An operation that vanished: an application changed or stopped.",
            ("{{operation}} stream={{stream}}", calls.rate().sum("operation", "stream")),
            unit=PER_SECOND,
            stacked=True,
            width=8,
        ),
        timeseries(
            "In flight by model",
            "Calls going on now.",
            "One model that climbs: its provider slowed down; see Duration by model.",
            in_flight.sum("model"),
            unit=units.Short,
            width=8,
        ),
        bars(
            "Top agents by calls",
            "Who called most in the time that is shown.",
            "An agent far above its usual place is in a loop: look at its traces.",
            calls.increase("$__range").sum("agent_name").top(10),
            unit=units.Short,
        ),
        bars(
            "Top routes by calls",
            "Which logical uses called most in the time that is shown.",
            "The empty route are callers that do not tell theirs: set the route header.",
            calls.increase("$__range").sum("route").top(10),
            unit=units.Short,
        ),
        bars(
            "Sources by calls",
            "Where calls came from in the time that is shown.",
            "A source nobody knows: look at its agents.",
            calls.increase("$__range").sum("source").top(10),
            unit=units.Short,
        ),
    ),
)

ERRORS = Row(
    "Errors",
    (
        timeseries(
            "Failed share by provider",
            "Failed calls of all calls; 0 when there were none.",
            "One provider: its status page, then Providers in Cost & Reliability. All: our network or our keys.",
            errors.rate().sum("provider").share_of(calls.rate().sum("provider")),
            unit=units.PercentUnit,
            thresholds={0.05: "red"},
        ),
        timeseries(
            "Errors by whose fault",
            "Failed calls per second: the caller's, a policy's, the provider's, the gateway's.",
            "gateway is a defect or a store that is away: read its log. other is what nobody foresaw: report it.",
            errors.rate().sum("domain"),
            unit=PER_SECOND,
            stacked=True,
        ),
        timeseries(
            "Errors by type",
            "Failed calls per second and why.",
            "provider_authentication: a key expired. caller_context_length: prompts grew. *_timeout: see Latency.",
            errors.rate().sum("error_type"),
            unit=PER_SECOND,
        ),
        timeseries(
            "Calls by status",
            "Calls per second by the HTTP status of the reply; network_error when there was none.",
            "429 and 529 come from the provider: raise its quota or spread the load.",
            calls.rate().sum("status_code"),
            unit=PER_SECOND,
        ),
        timeseries(
            "Told to slow down",
            "429 answers of providers per second, those that a retry mended included.",
            "Raise the quota, set a limit of our own below it, or add a deployment.",
            ask("tallygate_llm_rate_limit_events_total").rate().sum("provider", "model"),
            unit=PER_SECOND,
        ),
        timeseries(
            "Blocked tools",
            "Tool calls per second in replies that a policy blocked.",
            "An agent asks for what it may not have: look at its prompt, or at who wrote into its context.",
            ask("tallygate_llm_blocked_tools_total").rate().sum("agent_name"),
            unit=PER_SECOND,
        ),
    ),
)

LATENCY = Row(
    "Latency",
    (
        timeseries(
            "Duration",
            "How long calls take, from dispatch to the last byte, retries included.",
            "P99 alone: retries or a few long answers. P50 too: the provider slowed down or prompts grew.",
            *percentiles(duration),
            unit=units.Seconds,
            thresholds={30: "red"},
        ),
        heatmap(
            "Duration, spread",
            "How many calls took how long. The dots are exemplars: click one for its trace.",
            "Two bands are two kinds of calls; a band that moves up is a slower provider.",
            duration.rate(part="bucket").sum("le"),
            unit=units.Seconds,
        ),
        timeseries(
            "Duration by model, P95",
            "19 of 20 calls of a model are faster.",
            "Compare with Output speed: a slow model is asked for too much, or its provider is full.",
            duration.quantile(0.95, "model"),
            unit=units.Seconds,
        ),
        timeseries(
            "Time to first token",
            "From dispatch to the first content of a stream.",
            "Long prompts, a cold prompt cache or a provider's queue: see Prompt cache, then the providers.",
            *percentiles(first_token),
            unit=units.Seconds,
            thresholds={3: "red"},
        ),
        timeseries(
            "Time to first token by model, P95",
            "19 of 20 streams of a model show content sooner.",
            "One model alone: its provider. All at once: the network or the gateway's own overhead.",
            first_token.quantile(0.95, "model"),
            unit=units.Seconds,
        ),
        timeseries(
            "Output speed by model, P50",
            "Output tokens of a call over its whole duration, the median.",
            "It falls while time to first token stays: the provider generates slower.",
            speed.quantile(0.5, "model"),
            unit=TOKENS_PER_SECOND,
        ),
        timeseries(
            "Time per output token",
            "Between tokens after the first one of a stream.",
            "Above 0.1 s readers notice it: try a smaller model or another deployment.",
            *percentiles(ask("tallygate_llm_time_per_output_token_seconds")),
            unit=units.Seconds,
            thresholds={0.1: "red"},
        ),
        timeseries(
            "Pauses in streams",
            "Time between two pieces of content of a stream.",
            "P99 far above P50: streams stutter, at the provider or in a proxy that buffers.",
            *percentiles(ask("tallygate_llm_output_chunk_gap_seconds")),
            unit=units.Seconds,
        ),
    ),
)

TOKENS_AND_COST = Row(
    "Tokens and cost",
    (
        timeseries(
            "Tokens by type",
            "Tokens per second. input holds cache_read and cache_write, output holds reasoning.",
            "input grows faster than calls: prompts or histories grow; output: answers do.",
            tokens.rate().sum("type"),
            unit=TOKENS_PER_SECOND,
        ),
        timeseries(
            "Tokens by model",
            "Input and output tokens per second.",
            "A model that grows alone: filter by it and look at its agents.",
            tokens.like(type="input|output").rate().sum("model"),
            unit=TOKENS_PER_SECOND,
            stacked=True,
        ),
        gauge(
            "Prompt cache",
            "Share of input tokens that came from the providers' prompt caches; 0 when there were no tokens.",
            "Below its usual place: something near the start of the prompt changes from call to call.",
            tokens.where(type="cache_read").rate().sum().share_of(input_tokens),
            unit=units.PercentUnit,
            thresholds={BELOW: "orange", 0.2: "green"},
            width=6,
            height=8,
        ),
        bars(
            "Top agents by tokens",
            "Input and output tokens in the time that is shown.",
            "Many tokens and few calls: long histories; cut or summarize them.",
            tokens.like(type="input|output").increase("$__range").sum("agent_name").top(10),
            unit=TOKENS,
            width=9,
        ),
        bars(
            "Tokens per call by model",
            "Input and output tokens of a call, on average, in the time that is shown.",
            "It grows: prompts carry more than they need.",
            tokens.like(type="input|output")
            .increase("$__range")
            .sum("model")
            .share_of(calls.increase("$__range").sum("model"))
            .top(10),
            unit=TOKENS,
            width=9,
        ),
        timeseries(
            "Cost per hour by model",
            "What an hour would cost at the pace of each moment.",
            "Cost & Reliability tells who spends it. A model without a price costs 0 here: see Unpriced there.",
            cost.rate().sum("model") * 3600,
            unit=units.Dollars,
            stacked=True,
        ),
        bars(
            "Cost by agent",
            "Who cost most in the time that is shown.",
            "Give it a budget, a cheaper model, or a prompt that caches.",
            cost.increase("$__range").sum("agent_name").top(10),
            unit=units.Dollars,
            width=6,
        ),
        bars(
            "Cost by model",
            "Which models cost most in the time that is shown.",
            "Ask whether its callers need that model.",
            cost.increase("$__range").sum("model").top(10),
            unit=units.Dollars,
            width=6,
        ),
    ),
)

TRACES = Row(
    "Traces",
    (
        traces(
            "Latest calls",
            "Traces of calls of the chosen providers and models, from Tempo.",
            "Empty: no traces are exported, or the data source Traces is another one.",
            '{ span.gen_ai.provider.name =~ "${provider:regex}" && span.gen_ai.request.model =~ "${model:regex}" }',
        ),
    ),
)

GENAI = Board(
    uid="tallygate-genai",
    title="GenAI Observability",
    help="What calls of models do: traffic, errors, latency, tokens, cost, the gateway's part in it, and their traces.",
    dialect="tallygate",
    variables=(*sources(), *chained(calls, "provider", "model", "route")),
    rows=(NOW, TRAFFIC, ERRORS, LATENCY, TOKENS_AND_COST, GATEWAY, ACCOUNTS, TRACES),
)
