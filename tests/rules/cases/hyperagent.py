"""Cases of HyperAgent's alerts."""

from tests.rules.case import Case
from tests.rules.series import Dialect, Series, together

hyperagent = Dialect("hyperagent")

MODEL = {"model": "gpt-4o"}
CHAT = {"route": "chat", **MODEL}


def cost(*cents: str) -> Series:
    """One route each."""
    return together(
        *(hyperagent("llm_cost_usd_total", each, route=f"route-{n}", **MODEL) for n, each in enumerate(cents))
    )


def limited(*events: str) -> Series:
    """One model each."""
    return together(
        *(
            hyperagent("llm_rate_limited_total", each, provider="openai", model=f"gpt-{n}")
            for n, each in enumerate(events)
        )
    )


CASES = (
    Case(
        "HighLLMCost",
        cost("0+50x100", "0+40x100"),
        {},
        "High LLM cost detected",
        "$54 were spent in the last hour, more than $50.",
        {"$48": cost("0+40x100", "0+40x100")},
        at="80m",
    ),
    Case(
        "HighLLMErrorRate",
        hyperagent("llm_errors_total", 7.5, **CHAT, error_type="timeout"),
        {},
        "High LLM error rate",
        "Error rate is 125m errors/sec.",
        {"five a minute": hyperagent("llm_errors_total", 5, **CHAT, error_type="timeout")},
        severity="critical",
    ),
    Case(
        "HighLLMLatency",
        hyperagent.histogram("llm_latency_ms", {400: 97, 8000: 3}, **CHAT),
        {},
        "High LLM latency (P99 > 5s)",
        "P99 latency is 8.333k ms.",
        {
            "one in two hundred": hyperagent.histogram("llm_latency_ms", {400: 199, 8000: 1}, **CHAT),
            "four in five minutes": hyperagent.histogram("llm_latency_ms", {8000: 0.8}, **CHAT),
        },
    ),
    Case(
        "LLMRateLimited",
        limited("0+2x40", "0+1x40"),
        {},
        "Frequent rate limiting",
        "15 rate limit events in 5 minutes.",
        {"ten": limited("0+1x40", "0+1x40")},
    ),
)
