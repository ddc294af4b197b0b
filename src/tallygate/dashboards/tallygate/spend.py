"""Rows about money: spend now, where it will end, who spends it, and what no sum of costs holds.

Days and months are those of UTC: the board is shown in UTC, so that what was spent since midnight and what is left
until midnight are about the same day.
"""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Row
from tallygate.dashboards.panels import PER_SECOND, bars, stat, table, timeseries
from tallygate.dashboards.variables import vocabulary
from tallygate.promql import Query, Scalar

OWNER = "$owner"
TODAY, THIS_MONTH = "now/d", "now/M"
DAY_LEFT = Scalar("86400 - time() % 86400")
MONTH_LEFT = Scalar("(scalar(days_in_month()) - scalar(day_of_month()) + 1) * 86400 - time() % 86400")

ask = vocabulary("tallygate", "provider", "model", "route", custom=(OWNER,))
cost, tokens = ask("tallygate_llm_cost_usd_total"), ask("tallygate_llm_tokens_total").like(type="input|output")
calls = ask("tallygate_llm_calls_total")
unpriced, unmetered = ask("tallygate_llm_unpriced_calls_total"), ask("tallygate_llm_unmetered_calls_total")


def day_forecast(*by: str) -> Query:
    """Spent since midnight, and the pace of the last hour until the next one."""
    return cost.increase("$__range").sum(*by) + cost.rate("1h").sum(*by) * DAY_LEFT


def month_forecast(*by: str) -> Query:
    """Spent since the first of the month, and the pace of the last day until the next one."""
    return cost.increase("$__range").sum(*by) + cost.rate("1d").sum(*by) * MONTH_LEFT


SPEND = Row(
    "Spend",
    (
        stat(
            "Per hour, now",
            "What an hour costs at the pace of the moment.",
            "See Spend per hour below for who, and the alert TallygateSpendHigh.",
            cost.rate().sum() * 3600,
            unit=units.Dollars,
        ),
        stat(
            "Today",
            "Spent since midnight, UTC.",
            "Compare with yesterday: move the time picker one day back.",
            cost.increase("$__range").sum(),
            unit=units.Dollars,
            whole_range=True,
            time_from=TODAY,
        ),
        stat(
            "Forecast for today",
            "Spent since midnight and, until the next one, the pace of the last hour.",
            "Above what a day may cost: give the first of Spend by owner a budget or a cheaper model.",
            day_forecast(),
            unit=units.Dollars,
            whole_range=True,
            time_from=TODAY,
        ),
        stat(
            "This month",
            "Spent since the first of the month, UTC.",
            "Metrics that Prometheus has forgotten already are missing: it has to keep them for 31 days.",
            cost.increase("$__range").sum(),
            unit=units.Dollars,
            whole_range=True,
            time_from=THIS_MONTH,
        ),
        stat(
            "Forecast for the month",
            "Spent since the first of the month and, until the next one, the pace of the last day.",
            "Above the budget: limits per user and per key stop it; alerts with a monthly_budget tell it earlier.",
            month_forecast(),
            unit=units.Dollars,
            whole_range=True,
            time_from=THIS_MONTH,
        ),
        stat(
            "Of the month's budget",
            "The forecast for the month, at the pace of the last day, as a share of the budget that is set above.",
            "Above 100 %: the budget will not last.",
            month_forecast() / Scalar("$budget"),
            unit=units.PercentUnit,
            thresholds={0.8: "yellow", 1: "red"},
            whole_range=True,
            time_from=THIS_MONTH,
        ),
        timeseries(
            "Spend per hour by $owner",
            "What an hour costs at the pace of each moment. Spend by, above, chooses the label: a custom label such as"
            " a team, the route, the agent, the provider.",
            "One that grows alone: a new prompt, a loop, or new users; look at its traces.",
            cost.rate().sum(OWNER) * 3600,
            unit=units.Dollars,
            stacked=True,
        ),
        bars(
            "Today by $owner",
            "Spent since midnight, UTC, the ten largest.",
            "The first one is where a budget or a cheaper model pays most.",
            cost.increase("$__range").sum(OWNER).top(10),
            unit=units.Dollars,
            time_from=TODAY,
            width=6,
        ),
        bars(
            "Forecast for the month by $owner",
            "Spent since the first of the month and, until the next one, the pace of the last day; the ten largest.",
            "Talk about next month's budget with the first ones now.",
            month_forecast(OWNER).top(10),
            unit=units.Dollars,
            time_from=THIS_MONTH,
            width=6,
        ),
        table(
            "Spend by $owner",
            "Today so far, where the day will end at the pace of the last hour, calls and tokens today.",
            "A forecast far above the others: ask its owner before midnight.",
            ("Today", cost.increase("$__range").sum(OWNER)),
            ("Forecast for today", day_forecast(OWNER)),
            ("Calls", calls.increase("$__range").sum(OWNER)),
            ("Cost per call", cost.increase("$__range").sum(OWNER).share_of(calls.increase("$__range").sum(OWNER))),
            ("Tokens", tokens.increase("$__range").sum(OWNER)),
            units=[units.Dollars, units.Dollars, units.Short, units.Dollars, units.Short],
            time_from=TODAY,
        ),
        timeseries(
            "Spend per hour by model",
            "What an hour costs at the pace of each moment.",
            "Ask whether the callers of the dearest model need it.",
            cost.rate().sum("model") * 3600,
            unit=units.Dollars,
            stacked=True,
        ),
        timeseries(
            "Cost per 1k tokens by model",
            "Price of a thousand tokens, input and output, as they were really used; 0 when there were none.",
            "It climbs: fewer tokens come from the prompt cache, or answers grew longer than prompts.",
            (cost.rate().sum("model") * 1000).share_of(tokens.rate().sum("model")),
            unit=units.Dollars,
        ),
    ),
)

UNKNOWN = Row(
    "What no sum of costs holds",
    (
        stat(
            "Unpriced",
            "Share of calls whose model has no known price; 0 when there were none.",
            "Give these models a price in the configuration: until then they cost nothing here.",
            unpriced.rate().sum().share_of(calls.rate().sum()),
            unit=units.PercentUnit,
            thresholds={0.001: "yellow", 0.05: "red"},
            width=6,
            height=8,
        ),
        stat(
            "Unmetered",
            "Share of calls that completed without the provider telling usage; 0 when there were none.",
            "Their tokens and costs are counted nowhere: ask the provider for usage in streams.",
            unmetered.rate().sum().share_of(calls.rate().sum()),
            unit=units.PercentUnit,
            thresholds={0.001: "yellow", 0.05: "red"},
            width=6,
            height=8,
        ),
        timeseries(
            "Unpriced and unmetered by model",
            "Calls per second.",
            "The model's name is what the configuration has to know.",
            ("unpriced {{provider}} {{model}}", unpriced.rate().sum("provider", "model")),
            ("unmetered {{provider}} {{model}}", unmetered.rate().sum("provider", "model")),
            unit=PER_SECOND,
        ),
    ),
)
