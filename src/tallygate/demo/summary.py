"""The table at the end: what the metrics say, beside what the provider itself says it served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tallygate.demo.page import MetricsPage

TOKENS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "reasoning": "reasoning_tokens",
}
"""Our words for tokens, and the simulated provider's."""


def summary(page: MetricsPage, served: Mapping[str, Any], seconds: float) -> str:
    """The whole table."""
    return "\n".join(_lines(page, served, seconds)) + "\n"


def line(page: MetricsPage) -> str:
    """Where it stands, in one line."""
    calls, flying = page.total("tallygate_llm_calls_total"), page.total("tallygate_llm_calls_in_flight")
    tokens = page.total("tallygate_llm_tokens_total", type="input") + page.total(
        "tallygate_llm_tokens_total", type="output"
    )
    cost, failed = page.total("tallygate_llm_cost_usd_total"), page.total("tallygate_llm_errors_total")
    return f"{calls:,.0f} calls, {failed:,.0f} failed, {flying:,.0f} in flight, {tokens:,.0f} tokens, ${cost:,.4f}"


def _lines(page: MetricsPage, served: Mapping[str, Any], seconds: float) -> Iterator[str]:
    totals = served["totals"]
    calls = page.total("tallygate_llm_calls_total")
    yield f"{f'in {seconds:.0f} s':<24}{'/metrics':>12}{'provider':>12}"
    yield _row("requests", calls, totals["requests"])
    for outcome, count in page.by("outcome", "tallygate_llm_calls_total").items():
        yield _row(f"  {outcome}", count)
    yield "tokens"
    for kind, name in TOKENS.items():
        yield _row(f"  {kind.replace('_', ' ')}", page.total("tallygate_llm_tokens_total", type=kind), totals[name])
    yield f"{'cost':<24}{_dollars(page.total('tallygate_llm_cost_usd_total')):>12}"
    for provider, cost in page.by("provider", "tallygate_llm_cost_usd_total").items():
        yield f"{f'  {provider}':<24}{_dollars(cost):>12}"
    yield "errors"
    errors = page.by("error_type", "tallygate_llm_errors_total")
    for error, count in errors.items():
        yield _row(f"  {error}", count)
    if not errors:
        yield _row("  none", 0)
    yield f"{'seconds':<24}{'p50':>12}{'p95':>12}{'p99':>12}"
    for title, name in (
        ("  latency", "tallygate_llm_call_duration_seconds"),
        ("  time to first token", "tallygate_llm_time_to_first_token_seconds"),
        ("  gateway overhead", "tallygate_gateway_overhead_seconds"),
    ):
        quantiles = (page.quantile(share, name) for share in (0.5, 0.95, 0.99))
        yield f"{title:<24}" + "".join(f"{'-' if value is None else f'{value:.4f}':>12}" for value in quantiles)


def _row(title: str, ours: float, theirs: float | None = None) -> str:
    return f"{title:<24}{ours:>12,.0f}" + ("" if theirs is None else f"{theirs:>12,.0f}")


def _dollars(amount: float) -> str:
    return f"${amount:,.6f}"
