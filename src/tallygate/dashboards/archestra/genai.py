"""GenAI Observability: requests, tokens, cost and latency of models, and their traces.

Panels have the titles of the original where they show the same. Mended: cost is in USD and divided by nothing; the
success rate is a rate of success; nothing multiplies a quantile with a rate. Two panels that asked for a label nobody
has show what the families tell of the same; executions are told by traces, so their panels count requests.
"""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.archestra.tracing import trace_id, trace_row
from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import bars, stat, table, timeseries
from tallygate.dashboards.variables import chained, sources, vocabulary
from tallygate.promql import Query

UID = "tallygate-archestra-genai"

ask = vocabulary("archestra", "agent_name", "provider", "model", "source")
requests, tokens, cost = ask("llm_request_duration_seconds"), ask("llm_tokens_total"), ask("llm_cost_total")
first_token, usage = ask("llm_time_to_first_token_seconds"), ask("llm_token_usage")
speed, blocked = ask("llm_tokens_per_second"), ask("llm_blocked_tools_total")
all_requests = requests.rate().sum()
TRACES = (
    '{ span.gen_ai.operation.name!="execute_tool" && span.gen_ai.provider.name=~"${provider:regex}"'
    ' && span.gen_ai.request.model=~"${model:regex}" }'
)
SLOW = "One line alone is that provider or model; all of them, the network or longer prompts. See Latency."
SPEND = "Filter by agent and source above to find who spends."


def sized(above: int, up_to: int) -> tuple[str, Query]:
    """The share of requests with so many tokens."""
    lower, upper = (usage.within(str(bound)) for bound in (above, up_to))
    return f"{above + 1}-{up_to} tokens", upper - lower


def generation_seconds(label: str) -> Query:
    """Mean time per output token."""
    written = tokens.where(type="output").rate().sum(label)
    return requests.rate(part="sum").sum(label) / written


GENAI = Board(
    uid=UID,
    title="Archestra GenAI Observability",
    help="LLM requests, tokens, cost, latency and traces, in Archestra's names.",
    dialect="archestra",
    variables=(*sources(), *chained(tokens, "agent_name", "provider", "model", "source"), trace_id()),
    time="now-30m",
    rows=(
        Row(
            "Overview",
            (
                stat(
                    "Request Rate",
                    "LLM requests per second that ended.",
                    "0 while callers are at work: they do not reach the gateway. See Application Metrics, Error Rate.",
                    all_requests,
                    unit=units.RequestsPerSecond,
                    width=6,
                ),
                stat(
                    "Total Usage Tokens",
                    "Input and output tokens in the chosen time. Input leaves out what a prompt cache held.",
                    f"More than before at the same request rate: prompts or answers grew. {SPEND}",
                    tokens.increase("$__range").sum(),
                    unit=units.Short,
                    whole_range=True,
                    width=6,
                ),
                stat(
                    "Avg Usage Cost",
                    "USD per LLM request in the chosen time.",
                    "A dearer model or longer prompts: see Average Token Consumption and Total Cost By Model.",
                    cost.increase("$__range").sum() / requests.increase("$__range").sum(),
                    unit=units.Dollars,
                    thresholds={0.5: "yellow", 1: "red"},
                    whole_range=True,
                    width=6,
                ),
                stat(
                    "Total Usage Cost",
                    "USD in the chosen time. Requests to models without a known price are not in it.",
                    SPEND,
                    cost.increase("$__range").sum(),
                    unit=units.Dollars,
                    whole_range=True,
                    width=6,
                ),
                timeseries(
                    "Request Volume by Provider",
                    "LLM requests per second by provider.",
                    "A provider that falls to 0 is down or has lost its traffic to another.",
                    requests.rate().sum("provider"),
                    unit=units.RequestsPerSecond,
                    stacked=True,
                    width=6,
                    height=7,
                ),
                timeseries(
                    "Cost Trend Analysis",
                    "USD of the hour before each moment, by provider.",
                    SPEND,
                    cost.increase("1h").sum("provider"),
                    unit=units.Dollars,
                    width=6,
                    height=7,
                ),
                timeseries(
                    "Request Success Rate",
                    "Share of LLM requests that providers answered with a 2xx status.",
                    "Below 0.99: Request Volume tells the provider, Application Metrics what callers got.",
                    ("Success rate", requests.like(status_code="2..").rate().sum() / all_requests),
                    unit=units.PercentUnit,
                    thresholds={float("-inf"): "red", 0.95: "yellow", 0.99: "green"},
                    max=1,
                    width=6,
                    height=7,
                ),
                timeseries(
                    "Blocked Tool Calls",
                    "Tool calls per second in replies that a policy blocked, by agent.",
                    "A policy that changed, a model that tries more, or an injection: read the agent's traces.",
                    blocked.rate().sum("agent_name"),
                    unit=units.CountsPerSecond,
                    stacked=True,
                    width=6,
                    height=7,
                ),
                stat(
                    "Time to First Token",
                    "P95 of the time to the first token of streamed requests.",
                    SLOW,
                    ("{{provider}} P95", first_token.quantile(0.95, "provider")),
                    unit=units.Seconds,
                    thresholds={2: "yellow", 5: "red"},
                    width=12,
                ),
                stat(
                    "Request Duration",
                    "P95 of the time from the request to the last byte of its answer.",
                    SLOW,
                    ("{{provider}} P95", requests.quantile(0.95, "provider")),
                    unit=units.Seconds,
                    thresholds={10: "yellow", 30: "red"},
                    width=12,
                ),
                timeseries(
                    "Response Time Distribution by Token Size Ranges",
                    "Share of requests by how many tokens they had, in and out, beside the median response time: "
                    "no family tells the time of each size.",
                    "The time climbs with the larger sizes: prompts grew. It climbs alone: the provider is slow.",
                    *(sized(*bounds) for bounds in ((4, 16), (16, 64), (64, 256), (256, 1024), (1024, 4096))),
                    ("Median response time", requests.quantile(0.5)),
                    unit=units.PercentUnit,
                    right={"Median response time": units.Seconds},
                ),
                timeseries(
                    "Request Rate by Model",
                    "LLM requests per second by model.",
                    "A model that grows alone is a caller that changed: filter by agent.",
                    requests.rate().sum("model"),
                    unit=units.RequestsPerSecond,
                    stacked=True,
                ),
                bars(
                    "Top Models by Usage",
                    "The five models with the most requests in the chosen time.",
                    "A dear model up here may be one that nobody chose: look at its agents.",
                    requests.increase("$__range").sum("model").top(5),
                    unit=units.Short,
                    width=12,
                ),
                timeseries(
                    "Average Token Consumption vs. Average Usage Cost Comparison",
                    "Tokens per request, in and out, and USD per request.",
                    "Cost that climbs without tokens is a dearer model; tokens without requests are longer prompts.",
                    ("Prompt tokens", tokens.where(type="input").rate().sum() / all_requests),
                    ("Completion tokens", tokens.where(type="output").rate().sum() / all_requests),
                    ("Usage cost", cost.rate().sum() / all_requests),
                    unit=units.Short,
                    right={"Usage cost": units.Dollars},
                ),
            ),
        ),
        trace_row(UID, TRACES),
        Row(
            "Cost",
            (
                timeseries(
                    "Total Cost By Provider",
                    "USD per hour, in all and by provider.",
                    SPEND,
                    ("Total cost", cost.rate().sum() * 3600),
                    ("{{provider}}", cost.rate().sum("provider") * 3600),
                    unit=units.Dollars,
                ),
                timeseries(
                    "Total Cost By Model",
                    "USD per hour by model.",
                    SPEND,
                    cost.rate().sum("model") * 3600,
                    unit=units.Dollars,
                ),
                bars(
                    "Total Cost By Provider",
                    "USD in the chosen time by provider.",
                    SPEND,
                    cost.increase("$__range").sum("provider"),
                    unit=units.Dollars,
                ),
                bars(
                    "Total Cost By Model",
                    "USD in the chosen time by model.",
                    SPEND,
                    cost.increase("$__range").sum("model"),
                    unit=units.Dollars,
                ),
                bars(
                    "Requests by Provider",
                    "LLM requests in the chosen time by provider.",
                    "A provider that lost its share is failing over, or its callers moved.",
                    requests.increase("$__range").sum("provider"),
                    unit=units.Short,
                ),
            ),
        ),
        Row(
            "External Agents",
            (
                bars(
                    "Requests per Agent",
                    "LLM requests in the chosen time by agents that name themselves with X-Archestra-Agent-Id. Stands"
                    " in the place of Executions per Agent: executions are told by traces.",
                    "An agent that runs away asks much more than the others: look at its traces.",
                    (
                        "{{agent_name}} ({{external_agent_id}})",
                        requests.unlike(external_agent_id="")
                        .increase("$__range")
                        .sum("agent_name", "external_agent_id"),
                    ),
                    unit=units.Short,
                    width=12,
                ),
                bars(
                    "Inference Cost per Agent",
                    "USD in the chosen time by agents that name themselves with X-Archestra-Agent-Id.",
                    "Compare with its requests: dear ones have long prompts or a dear model.",
                    (
                        "{{agent_name}} ({{external_agent_id}})",
                        cost.unlike(external_agent_id="").increase("$__range").sum("agent_name", "external_agent_id"),
                    ),
                    unit=units.Dollars,
                    width=12,
                ),
            ),
        ),
        Row(
            "Latency",
            (
                *(
                    timeseries(
                        f"Latency P95 by {label.capitalize()}",
                        f"P95 of the time from the request to the last byte of its answer, by {label}.",
                        SLOW,
                        requests.quantile(0.95, label),
                        unit=units.Seconds,
                    )
                    for label in ("provider", "model")
                ),
                table(
                    "Token Generation time by token count",
                    "By provider in the chosen time: P95 duration, mean tokens written per request, and how many are"
                    " written per second. No family tells the time of each count.",
                    "Long durations with few tokens are a slow provider; with many, long answers.",
                    ("P95 duration", requests.quantile(0.95, "provider", window="$__range")),
                    (
                        "Tokens per request",
                        tokens.where(type="output").increase("$__range").sum("provider")
                        / requests.increase("$__range").sum("provider"),
                    ),
                    ("Tokens per second", speed.mean("provider", window="$__range")),
                    units=(units.Seconds, units.Short, units.Short),
                    width=12,
                ),
                bars(
                    "P95 Token Generation Time by Model",
                    "P95 duration of streamed and whole answers in the chosen time, by model.",
                    "The slowest model is on top: ask for shorter answers, or another model.",
                    requests.quantile(0.95, "model", window="$__range"),
                    unit=units.Seconds,
                    width=12,
                ),
                *(
                    bars(
                        "Tokens Generation Duration (P95)",
                        f"P95 duration in the chosen time by {label}, of successful requests.",
                        SLOW,
                        requests.like(status_code="2..").quantile(0.95, label, window="$__range"),
                        unit=units.Seconds,
                        width=12,
                    )
                    for label in ("provider", "model")
                ),
                *(
                    timeseries(
                        "Time to first token",
                        f"P95 of the time to the first token of streamed requests, by {label}.",
                        SLOW,
                        first_token.quantile(0.95, label),
                        unit=units.Seconds,
                    )
                    for label in ("provider", "model")
                ),
                *(
                    timeseries(
                        "Tokens Generation Duration",
                        f"Mean time per output token by {label}: duration of all requests over tokens written.",
                        "It climbs when a provider is busy, or when answers became very short.",
                        generation_seconds(label),
                        unit=units.Seconds,
                    )
                    for label in ("provider", "model")
                ),
            ),
        ),
    ),
)
