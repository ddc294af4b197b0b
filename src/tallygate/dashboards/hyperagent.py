"""HyperAgent's dashboard: the six panels of its document, each in the form that answers, and what they leave out."""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import BELOW, PER_SECOND, TOKENS_PER_SECOND, gauge, percentiles, stat, timeseries
from tallygate.dashboards.variables import chained, sources, vocabulary

ask = vocabulary("hyperagent", "route", "model")
cost = ask("llm_cost_usd_total")
latency = ask("llm_latency_ms")
hits, misses = ask("llm_cache_hits_total").rate().sum(), ask("llm_cache_misses_total").rate().sum()

HYPERAGENT = Board(
    uid="tallygate-hyperagent",
    title="HyperAgent",
    help="Cost, tokens, latency, cache hits, errors and requests going on, in HyperAgent's names.",
    dialect="hyperagent",
    variables=(*sources(), *chained(ask("llm_tokens_total"), "route", "model")),
    time="now-24h",
    rows=(
        Row(
            "LLM",
            (
                stat(
                    "Total Cost (Last 24h)",
                    "Cost of all LLM calls in the last 24 hours. The family counts cents.",
                    "Look at Token Usage by Model for the model that grew, and at its routes.",
                    cost.increase("24h").sum() / 100,
                    unit=units.Dollars,
                    whole_range=True,
                    width=6,
                    height=8,
                ),
                gauge(
                    "Cache Hit Rate",
                    "Share of cache lookups that found an answer; 0 when there were no lookups.",
                    "Below what it was last week: prompts changed, the cache is too small, or its entries live too"
                    " short.",
                    hits.share_of(hits + misses),
                    unit=units.PercentUnit,
                    thresholds={BELOW: "red", 0.2: "yellow", 0.5: "green"},
                    width=6,
                    height=8,
                ),
                timeseries(
                    "Token Usage by Model",
                    "Input and output tokens of the 24 hours before each moment.",
                    "A model that grows alone is a caller that changed: filter by route to find it.",
                    ask("llm_tokens_total").increase("24h").sum("model"),
                    unit=units.Short,
                ),
                timeseries(
                    "Latency Percentiles P50/P90/P99",
                    "How long LLM calls take, from dispatch to the last byte.",
                    "P99 alone: a few long answers or retries. All three: the provider is slow, or prompts grew.",
                    *percentiles(latency, shares=(0.5, 0.9, 0.99)),
                    unit=units.Milliseconds,
                    thresholds={5000: "red"},
                ),
                timeseries(
                    "Error Rate",
                    "Failed LLM calls per second by type.",
                    "rate_limit, timeout and network are the provider's; auth_failed is a key; validation is a caller.",
                    ask("llm_errors_total").rate().sum("error_type"),
                    unit=PER_SECOND,
                    thresholds={0.1: "red"},
                ),
                timeseries(
                    "Active Requests",
                    "LLM calls going on now.",
                    "It climbs without the rate of calls: calls hang, or the provider became slow.",
                    ask("llm_active_requests").now.sum("model"),
                    unit=units.Short,
                ),
            ),
        ),
        Row(
            "Besides",
            (
                timeseries(
                    "Tokens In and Out",
                    "Input and output tokens per second.",
                    "Input grows faster than calls: prompts or histories grow. Output: answers do.",
                    ("input", ask("llm_tokens_input_total").rate().sum()),
                    ("output", ask("llm_tokens_output_total").rate().sum()),
                    unit=TOKENS_PER_SECOND,
                ),
                timeseries(
                    "Rate Limited",
                    "Answers of providers that told to slow down, per second.",
                    "Raise the quota, or set a limit of our own below it.",
                    ask("llm_rate_limited_total").rate().sum("provider", "model"),
                    unit=PER_SECOND,
                ),
            ),
        ),
    ),
)
