"""What calls cost: spend, budgets, and calls whose cost nobody knows."""

from __future__ import annotations

from collections.abc import Iterator

from tallygate.rules.given import Given
from tallygate.rules.model import Alert, Group, Recording

DEPLOYMENT = ("job", "provider", "model")
RATE, DAY = "job:tallygate_llm_cost_usd:rate5m", "job:tallygate_llm_cost_usd:increase1d"


def groups(given: Given) -> tuple[Group, ...]:
    """One."""
    rate = Recording(RATE, given("tallygate_llm_cost_usd_total").rate().sum("job"))
    # Each step is the five minutes before it. A day of all the counters would be more samples than a query may look at.
    day = Recording(DAY, rate.series.total(given.span("1d"), given.span("5m")) * given.seconds("5m"))
    return (Group("tallygate-spend", (rate, day, *_spend(given), *_budgets(given, day), *_unknown(given))),)


def _spend(given: Given) -> Iterator[Alert]:
    limit = given.targets.spend_per_hour
    yield Alert(
        "TallygateSpendHigh",
        given("tallygate_llm_cost_usd_total").increase(given.span("1h")).sum("job").above(limit),
        "warning",
        f"More than ${limit:g} spent in an hour",
        f"${{{{ $value | humanize }}}} were spent on LLM calls in the last hour; the limit is ${limit:g}.",
        wait="5m",
        keep="5m",
    )


def _budgets(given: Given, day: Recording) -> Iterator[Alert]:
    daily, monthly = given.targets.daily_budget, given.targets.monthly_budget
    if daily is not None:
        yield Alert(
            "TallygateDailyBudgetForecast",
            day.series.foreseen(given.span("1h"), given.seconds("4h")).above(daily),
            "warning",
            f"The daily budget of ${daily:g} will be used up within four hours",
            "At the pace of the last hour, the last 24 hours will have cost ${{ $value | humanize }} in four hours;"
            f" ${daily:g} is the budget.",
            wait="15m",
            keep="15m",
        )
        yield Alert(
            "TallygateDailyBudgetSpent",
            day.series.now.above(daily),
            "critical",
            f"The daily budget of ${daily:g} is used up",
            f"The last 24 hours cost ${{{{ $value | humanize }}}}; ${daily:g} is the budget.",
            keep="15m",
        )
    if monthly is not None:
        yield Alert(
            "TallygateMonthlyBudgetForecast",
            (day.series.average(given.span("3d")) * 30).above(monthly),
            "warning",
            f"At this pace a month costs more than its budget of ${monthly:g}",
            f"At the pace of three days, 30 days cost ${{{{ $value | humanize }}}}; the budget is ${monthly:g}.",
            wait="1h",
            keep="1h",
        )


def _unknown(given: Given) -> Iterator[Alert]:
    unmetered, calls = given("tallygate_llm_unmetered_calls_total"), given("tallygate_llm_calls_total")
    yield Alert(
        "TallygateUnpricedCalls",
        given("tallygate_llm_unpriced_calls_total").increase(given.span("1h")).sum(*DEPLOYMENT).above(5),
        "warning",
        "{{ $labels.model }} of {{ $labels.provider }} has no price",
        "{{ $value | humanize }} calls of {{ $labels.model }} at {{ $labels.provider }} in the last hour are in no sum"
        " of costs.",
        keep="15m",
    )
    yield Alert(
        "TallygateUnmeteredCalls",
        given.share_above(0.05, unmetered, calls, *DEPLOYMENT, window="1h"),
        "warning",
        "{{ $labels.provider }} does not say what calls of {{ $labels.model }} used",
        "{{ $value | humanizePercentage }} of the calls of {{ $labels.model }} at {{ $labels.provider }} ended without"
        " usage: their tokens and costs are counted nowhere.",
        keep="15m",
    )
