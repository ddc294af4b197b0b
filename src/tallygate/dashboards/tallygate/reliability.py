"""Cost & Reliability: what it costs and where that ends, what is left of promises, and which provider keeps them."""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import (
    BELOW,
    PER_SECOND,
    TOKENS_PER_SECOND,
    Shown,
    gauge,
    percentiles,
    stat,
    table,
    timeseries,
)
from tallygate.dashboards.tallygate.spend import SPEND, UNKNOWN
from tallygate.dashboards.variables import chained, choice, label_choice, sources, vocabulary
from tallygate.promql import Query, Scalar
from tallygate.rules.targets import Targets

targets = Targets()
PERIOD = "$period"
OURS = "provider|gateway|other"
"""Domains of errors that count against availability: not the caller's, not a policy's."""

ask = vocabulary("tallygate", "provider", "model", "route")
calls, errors = ask("tallygate_llm_calls_total"), ask("tallygate_llm_errors_total")
failed = errors.like(domain=OURS)
duration = ask("tallygate_llm_call_duration_seconds")
whole = duration.where(stream="false")
first_token = ask("tallygate_llm_time_to_first_token_seconds")
speed = ask("tallygate_llm_output_tokens_per_second")
overhead = ask("tallygate_gateway_overhead_seconds")
of_providers = vocabulary("tallygate", "provider")  # what has no model and no route is compared with all of them
of_models = vocabulary("tallygate", "provider", "model")
cost, tokens = ask("tallygate_llm_cost_usd_total"), ask("tallygate_llm_tokens_total").like(type="input|output")
LEFT = {BELOW: "red", 0.1: "orange", 0.5: "green"}


def bad_calls(window: str) -> Query:
    """Share of calls that failed by a provider's or the gateway's fault."""
    return failed.increase(window).sum().share_of(calls.increase(window).sum())


def slow_calls(window: str) -> Query:
    """Share of calls without streaming that took longer than is promised."""
    return 1 - whole.within(f"{targets.latency_seconds:g}", window=window)


def slow_streams(window: str) -> Query:
    """Share of streams whose first token came later than is promised."""
    return 1 - first_token.within(f"{targets.first_token_seconds:g}", window=window)


def burnt(bad: Query, objective: str) -> Query:
    """What share of the allowed failures these are; 1 uses the budget up just in time."""
    return bad / Scalar(f"1 - ${objective} / 100")


def burn_rates() -> tuple[Shown, ...]:
    """How fast the budget of availability burns, over windows that the alerts look at."""
    return tuple((f"over {window}", burnt(bad_calls(window), "availability")) for window in ("1h", "6h", "3d"))


SERVICE_LEVELS = Row(
    "Service levels",
    (
        stat(
            "Available",
            "Share of calls in the period that did not fail by a provider's or the gateway's fault.",
            "See Errors by whose fault, then Providers.",
            1 - bad_calls(PERIOD),
            unit=units.PercentUnit,
            whole_range=True,
        ),
        gauge(
            "Error budget left",
            "What is left of the failures that the objective allows in the period. Below 0 it is broken.",
            "Below a half: change nothing that is not a mend. Burn rate tells when it went.",
            1 - burnt(bad_calls(PERIOD), "availability"),
            unit=units.PercentUnit,
            thresholds=LEFT,
            whole_range=True,
        ),
        stat(
            "Fast enough",
            f"Share of calls without streaming in the period that ended within {targets.latency_seconds:g} s.",
            "See Duration by model in GenAI Observability.",
            1 - slow_calls(PERIOD),
            unit=units.PercentUnit,
            whole_range=True,
        ),
        gauge(
            "Latency budget left",
            f"What is left of the calls without streaming that may take longer than {targets.latency_seconds:g} s.",
            "A model that thinks longer needs its own promise, or streams.",
            1 - burnt(slow_calls(PERIOD), "latency"),
            unit=units.PercentUnit,
            thresholds=LEFT,
            whole_range=True,
        ),
        stat(
            "First token in time",
            f"Share of streams in the period whose first token came within {targets.first_token_seconds:g} s.",
            "See Time to first token against output speed, by provider.",
            1 - slow_streams(PERIOD),
            unit=units.PercentUnit,
            whole_range=True,
        ),
        gauge(
            "First token budget left",
            f"What is left of the streams whose first token may come after {targets.first_token_seconds:g} s.",
            "Prompts that cache answer sooner: see Prompt cache in GenAI Observability.",
            1 - burnt(slow_streams(PERIOD), "first_token"),
            unit=units.PercentUnit,
            thresholds=LEFT,
            whole_range=True,
        ),
        timeseries(
            "Burn rate",
            "How many times faster than allowed the error budget burns, over the hour, six hours and three days before"
            " each moment. 1 uses it up just in time.",
            "Above 14.4 over 1h or 6 over 6h somebody should be woken: 2 % and 5 % of a month's budget are gone.",
            *burn_rates(),
            unit="suffix:x",
            thresholds={1: "orange", 14.4: "red"},
        ),
        timeseries(
            "Errors by whose fault",
            "Failed calls per second. caller and policy do not count against the budget.",
            "gateway is a defect or a store that is away: read its log. other is what nobody foresaw: report it.",
            errors.rate().sum("domain"),
            unit=PER_SECOND,
            stacked=True,
        ),
    ),
)

PROVIDERS = Row(
    "Providers",
    (
        table(
            "Providers compared",
            "Over the time that is shown. Failed counts the provider's own faults; 429 counts all routes.",
            "A provider that is slower, dearer and fails more: give its models another deployment, or another order.",
            ("Calls", calls.increase("$__range").sum("provider")),
            (
                "Failed",
                errors.where(domain="provider")
                .increase("$__range")
                .sum("provider")
                .share_of(calls.increase("$__range").sum("provider")),
            ),
            ("Duration, P50", duration.quantile(0.5, "provider", window="$__range")),
            ("Duration, P95", duration.quantile(0.95, "provider", window="$__range")),
            ("First token, P50", first_token.quantile(0.5, "provider", window="$__range")),
            ("First token, P95", first_token.quantile(0.95, "provider", window="$__range")),
            ("Output speed, P50", speed.quantile(0.5, "provider", window="$__range")),
            ("Cost", cost.increase("$__range").sum("provider")),
            (
                "Cost per 1k tokens",
                (cost.increase("$__range").sum("provider") * 1000).share_of(
                    tokens.increase("$__range").sum("provider")
                ),
            ),
            ("429", ask("tallygate_llm_rate_limit_events_total").increase("$__range").sum("provider")),
            units=[
                units.Short,
                units.PercentUnit,
                *[units.Seconds] * 4,
                TOKENS_PER_SECOND,
                units.Dollars,
                units.Dollars,
                units.Short,
            ],
            thresholds={"Failed": {0.01: "yellow", 0.05: "red"}},
        ),
        timeseries(
            "Failed by the provider's fault",
            "Share of the calls of a provider; 0 when there were none.",
            "Its status page first; then lower its place, or let its breaker open sooner.",
            errors.where(domain="provider").rate().sum("provider").share_of(calls.rate().sum("provider")),
            unit=units.PercentUnit,
            thresholds={0.05: "red"},
            width=8,
        ),
        timeseries(
            "Providers, available",
            "1 when a provider can be called, else 0, as the gateway last saw it.",
            "0: all its deployments are out of service; calls fall back or fail.",
            ask("tallygate_provider_available").now.min("provider"),
            unit=units.Short,
            max=1,
            width=8,
        ),
        timeseries(
            "Failed attempts, as the gateway weighs them",
            "Share of a provider's latest attempts that failed: what it chooses deployments by.",
            "High while calls succeed: retries hide it, and cost time.",
            ask("tallygate_provider_error_ratio").now.max("provider"),
            unit=units.PercentUnit,
            thresholds={0.5: "red"},
            max=1,
            width=8,
        ),
        timeseries(
            "Time to first token against output speed, by provider",
            "Time to first token on the left, tokens per second on the right (dashed), both the median.",
            "First token climbs and speed holds: the queue before the model. Speed falls: the model itself is full.",
            ("first token {{provider}}", first_token.quantile(0.5, "provider")),
            ("speed {{provider}}", speed.quantile(0.5, "provider")),
            unit=units.Seconds,
            right={"/^speed/": TOKENS_PER_SECOND},
        ),
        timeseries(
            "Time to first token against output speed, by model",
            "The same by model.",
            "A small model with a late first token waits for its provider: try another deployment.",
            ("first token {{model}}", first_token.quantile(0.5, "model")),
            ("speed {{model}}", speed.quantile(0.5, "model")),
            unit=units.Seconds,
            right={"/^speed/": TOKENS_PER_SECOND},
        ),
        timeseries(
            "Cost per 1k tokens by provider",
            "Price of a thousand tokens, input and output, as they were really used; 0 when there were none.",
            "Compare for the same model: filter by it.",
            (cost.rate().sum("provider") * 1000).share_of(tokens.rate().sum("provider")),
            unit=units.Dollars,
        ),
        timeseries(
            "Attempts per call",
            "Requests on the wire for each call: 1 without retries and fallbacks.",
            "Above 1.1 the provider is sick, though callers may not see it yet.",
            of_models("tallygate_upstream_attempts_total")
            .rate()
            .sum()
            .share_of(of_models("tallygate_llm_calls_total").rate().sum()),
            unit="suffix:x",
            thresholds={1.1: "red"},
        ),
    ),
)

GATEWAY = Row(
    "The gateway's part",
    (
        timeseries(
            "Gateway overhead",
            "Time of a call in which no upstream was being waited for.",
            "Above some milliseconds: see Event loop lag in Application Metrics, then the stores it asks.",
            *percentiles(overhead),
            unit=units.Seconds,
            thresholds={0.05: "red"},
        ),
        timeseries(
            "Gateway's share of the time of calls",
            "Overhead as a share of the duration of calls.",
            "Percent and more: the gateway is slower than it should be, or answers come from its cache.",
            overhead.rate(part="sum")
            .sum("provider")
            .share_of(of_providers("tallygate_llm_call_duration_seconds").rate(part="sum").sum("provider")),
            unit=units.PercentUnit,
            thresholds={0.05: "red"},
        ),
    ),
)

COST_AND_RELIABILITY = Board(
    uid="tallygate-cost-reliability",
    title="Cost & Reliability",
    help="Spend and its forecast by team, model and route; error budgets; providers compared; the gateway's overhead.",
    dialect="tallygate",
    variables=(
        *sources(),
        *chained(calls, "provider", "model", "route"),
        label_choice("owner", "Spend by", "Whose spend is shown: any label of the costs.", cost, "route"),
        choice("budget", "Budget", "USD a month.", "1000", "100", "10000", "100000"),
        choice("period", "Period", "What the budgets of errors are for.", "30d", "28d", "7d", "1d"),
        choice(
            "availability",
            "Available, %",
            "Promised: percent of calls that do not fail by a provider's or the gateway's fault.",
            *dict.fromkeys((f"{targets.availability_objective:g}", "99", "99.5", "99.9", "99.95")),
        ),
        choice(
            "latency",
            "Fast, %",
            f"Promised: percent of calls without streaming that end within {targets.latency_seconds:g} s.",
            *dict.fromkeys((f"{targets.latency_objective:g}", "90", "95", "99")),
        ),
        choice(
            "first_token",
            "First token, %",
            f"Promised: percent of streams whose first token comes within {targets.first_token_seconds:g} s.",
            *dict.fromkeys((f"{targets.first_token_objective:g}", "90", "95", "99")),
        ),
    ),
    rows=(SPEND, SERVICE_LEVELS, PROVIDERS, UNKNOWN, GATEWAY),
    time="now-24h",
    timezone="utc",
    refresh="1m",
)
