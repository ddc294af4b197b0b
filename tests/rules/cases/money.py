"""Cases of what calls cost: so many dollars a minute."""

from tests.rules.case import Case
from tests.rules.series import Dialect, Series, together

ours = Dialect("tallygate")

JOB = {"job": "tallygate"}
GPT = {**JOB, "provider": "openai", "model": "gpt-4o"}


def cost(dollars: str | float, elsewhere: str | float = 0) -> Series:
    """As two gateways tell it."""
    return together(
        ours("tallygate_llm_cost_usd_total", dollars, provider="openai"),
        ours("tallygate_llm_cost_usd_total", elsewhere, provider="openai", instance="gateway:4001"),
    )


def unpriced(calls: str) -> Series:
    return ours("tallygate_llm_unpriced_calls_total", calls, provider="openai", model="gpt-4o")


def unmetered(calls: float, all_: float) -> Series:
    labels = {"provider": "openai", "model": "gpt-4o"}
    return together(
        ours("tallygate_llm_unmetered_calls_total", calls, **labels), ours("tallygate_llm_calls_total", all_, **labels)
    )


CASES = (
    Case(
        "TallygateSpendHigh",
        cost("0+0.6x100", "0+0.3x100"),
        JOB,
        "More than $50 spent in an hour",
        "$54 were spent on LLM calls in the last hour; the limit is $50.",
        {
            "$48 in the hour": cost("0+0.8x100"),
            "$60 before the hour": cost("0+20x3 60x100"),
            "a counter that begins again, at $48 an hour": cost("0+0.8x60 0+0.8x40"),
        },
        at="80m",
    ),
    Case(
        "TallygateDailyBudgetForecast",
        cost("0+0.4x180"),
        JOB,
        "The daily budget of $100 will be used up within four hours",
        "At the pace of the last hour, the last 24 hours will have cost $142.9 in four hours; $100 is the budget.",
        {"$0.25 a minute are $90 in six hours": cost("0+0.25x180"), "no more is spent": cost("0+0.9x60 54x120")},
        at="2h",
    ),
    Case(
        "TallygateDailyBudgetSpent",
        cost("0+1x130"),
        JOB,
        "The daily budget of $100 is used up",
        "The last 24 hours cost $110; $100 is the budget.",
        {"$97 in a day": cost("0+1x97 97x33")},
        at="110m",
        severity="critical",
    ),
    Case(
        "TallygateMonthlyBudgetForecast",
        cost("0+1.2x200"),
        JOB,
        "At this pace a month costs more than its budget of $2000",
        "At the pace of three days, 30 days cost $3.258k; the budget is $2000.",
        {"$65 a day": cost("0+65x1 65x200"), "$2100 a month, for a short time only": cost("0x150 0+1.5x50")},
        at="3h",
    ),
    Case(
        "TallygateUnpricedCalls",
        unpriced("0x20 0+6x3 18x20"),
        GPT,
        "gpt-4o of openai has no price",
        "18 calls of gpt-4o at openai in the last hour are in no sum of costs.",
        {"four": unpriced("0x20 0+1x4 4x20"), "long ago": unpriced("18x40")},
    ),
    Case(
        "TallygateUnmeteredCalls",
        unmetered(6, 100),
        GPT,
        "openai does not say what calls of gpt-4o used",
        "6% of the calls of gpt-4o at openai ended without usage: their tokens and costs are counted nowhere.",
        {"4 %": unmetered(4, 100), "15 calls in half an hour": unmetered(0.5, 0.5)},
    ),
)
