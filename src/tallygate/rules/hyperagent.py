"""HyperAgent's four alerts. Those on single series look at sums here: ten routes at $49 are $490."""

from __future__ import annotations

from tallygate.rules.given import Given
from tallygate.rules.model import Alert, Group


def groups(given: Given) -> tuple[Group, ...]:
    """As its document names them."""
    five, spend = given.span("5m"), given.targets.spend_per_hour
    latency = given("llm_latency_ms")
    return (
        Group(
            "llm_alerts",
            (
                Alert(
                    "HighLLMCost",
                    (given("llm_cost_usd_total").increase(given.span("1h")).sum() / 100).above(spend),
                    "warning",
                    "High LLM cost detected",
                    f"${{{{ $value | humanize }}}} were spent in the last hour, more than ${spend:g}.",
                    wait="5m",
                ),
                Alert(
                    "HighLLMErrorRate",
                    given("llm_errors_total").rate(five).sum().above(0.1),
                    "critical",
                    "High LLM error rate",
                    "Error rate is {{ $value | humanize }} errors/sec.",
                    wait="5m",
                ),
                Alert(
                    "HighLLMLatency",
                    latency.quantile(0.99, window=five).above(5000).and_(latency.increase(five).sum().above(5)),
                    "warning",
                    "High LLM latency (P99 > 5s)",
                    "P99 latency is {{ $value | humanize }} ms.",
                    wait="10m",
                ),
                Alert(
                    "LLMRateLimited",
                    given("llm_rate_limited_total").increase(five).sum().above(10),
                    "warning",
                    "Frequent rate limiting",
                    "{{ $value | humanize }} rate limit events in 5 minutes.",
                    wait="2m",
                ),
            ),
            interval="30s",
        ),
    )
