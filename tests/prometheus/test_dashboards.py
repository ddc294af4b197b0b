"""Queries of dashboards and alerts written for other systems, and of our own, answer when they are asked here."""

import math

import pytest

from tallygate.dialects import DIALECTS
from tallygate.dialects.families import Histogram
from tallygate.facts import EventLoop, GatewayPhase, HTTPRequest, LLMCall, LLMOutputChunk, Scrape, UpstreamAttempt
from tests.prometheus.asking import of_job
from tests.prometheus.conftest import JOBS, SHARED, World

pytestmark = SHARED

HYPERAGENT = (
    # Queries of its document
    "sum by (model) (increase(llm_tokens_total[24h]))",
    "sum by (route) (increase(llm_cost_usd_total[7d])) / 100",
    "histogram_quantile(0.5, sum by (model, le) (rate(llm_latency_ms_bucket[5m])))",
    "histogram_quantile(0.9, sum by (model, le) (rate(llm_latency_ms_bucket[5m])))",
    "histogram_quantile(0.99, sum by (model, le) (rate(llm_latency_ms_bucket[5m])))",
    "sum by (route) (rate(llm_cache_hits_total[5m]))"
    " / (sum by (route) (rate(llm_cache_hits_total[5m])) + sum by (route) (rate(llm_cache_misses_total[5m])))",
    "sum by (provider, model) (increase(llm_rate_limited_total[1h]))",
    "sum by (error_type) (rate(llm_errors_total[1m]))",
    "sum by (model) (llm_active_requests)",
    "sum(llm_cost_usd_total) / 100",
    # Panels of its dashboard
    "sum(increase(llm_cost_usd_total[24h])) / 100",
    "histogram_quantile(0.5, sum by (le) (rate(llm_latency_ms_bucket[5m])))",
    "histogram_quantile(0.9, sum by (le) (rate(llm_latency_ms_bucket[5m])))",
    "histogram_quantile(0.99, sum by (le) (rate(llm_latency_ms_bucket[5m])))",
    "sum(rate(llm_cache_hits_total[5m]))"
    " / (sum(rate(llm_cache_hits_total[5m])) + sum(rate(llm_cache_misses_total[5m])))",
    # What its alerts compare
    "increase(llm_cost_usd_total[1h]) / 100",
    "sum(rate(llm_errors_total[5m]))",
    "increase(llm_rate_limited_total[5m])",
)
AURORA = (
    "sum(rate(aurora_requests_total[5m])) by (provider)",
    'sum(rate(aurora_requests_total{status_type="error"}[5m])) / sum(rate(aurora_requests_total[5m])) * 100',
    "histogram_quantile(0.95, sum(rate(aurora_request_duration_seconds_bucket[5m])) by (le, provider))",
    "sum(aurora_requests_in_flight) by (provider)",
    "sum(rate(aurora_requests_total[5m])) by (model)",
    "sum by (phase) (rate(aurora_gateway_phase_duration_seconds_sum[5m]))",
)
ARCHESTRA = (
    "sum by (provider, model) (rate(llm_request_duration_seconds_count[5m]))",
    'sum(rate(llm_request_duration_seconds_count{status_code!~"2.."}[5m]))'
    " / sum(rate(llm_request_duration_seconds_count[5m]))",
    "histogram_quantile(0.95, sum by (le, model) (rate(llm_request_duration_seconds_bucket[5m])))",
    "histogram_quantile(0.95, sum by (le, model) (rate(llm_time_to_first_token_seconds_bucket[5m])))",
    "histogram_quantile(0.5, sum by (le, model) (rate(llm_tokens_per_second_bucket[5m])))",
    "histogram_quantile(0.5, sum by (le, model) (rate(llm_token_usage_bucket[5m])))",
    "sum by (agent_name, type) (increase(llm_tokens_total[1h]))",
    "sum by (model, type) (rate(llm_tokens_total[5m]))",
    "sum by (cost_centre) (increase(llm_cost_total[24h]))",
    "sum by (cache_type) (increase(llm_cache_tokens_total[24h]))",
    "sum(increase(llm_blocked_tools_total[24h]))",
    "sum by (route, method) (rate(http_request_duration_seconds_count[5m]))",
    "rate(http_request_summary_seconds_sum[5m]) / rate(http_request_summary_seconds_count[5m])",
    "rate(process_cpu_user_seconds_total[5m])",
    "nodejs_eventloop_lag_seconds",
    "nodejs_active_requests_total",
)
OURS = (
    "sum by (provider) (rate(tallygate_llm_calls_total[5m]))",
    'sum by (model) (rate(tallygate_llm_errors_total{domain="provider"}[5m]))',
    'sum by (error_type) (increase(tallygate_llm_errors_total{error_type=~"gateway_.*|other"}[5m]))',
    "sum by (model) (increase(tallygate_llm_cost_usd_total[24h]))",
    "sum by (type) (rate(tallygate_llm_tokens_total[5m]))",
    "tallygate_llm_calls_total * on (provider, model) group_left (kind) tallygate_provider_info",
    "tallygate_build_info",
    "rate(process_cpu_seconds_total[5m])",
    "process_resident_memory_bytes",
    "tallygate_ledger_used_bytes / tallygate_ledger_capacity_bytes",
)
QUERIES = [
    *(("hyperagent", query) for query in HYPERAGENT),
    *(("aurora", query) for query in AURORA),
    *(("archestra", query) for query in ARCHESTRA),
    *(("tallygate", query) for query in OURS),
]
ALWAYS_ZERO = (
    "llm_active_requests",
    "aurora_requests_in_flight",
    "llm_blocked_tools_total",
    "nodejs_active_requests_total",
    'error_type=~"gateway_.*|other"',
)
"""What queries are about whose right answer now is 0, and not nothing."""
FED = (LLMCall, LLMOutputChunk, UpstreamAttempt, GatewayPhase, HTTPRequest, EventLoop, Scrape)
"""Facts of which a gateway under this load records some."""
MAY_BE_ZERO = ("nodejs_eventloop_lag_seconds",)


@pytest.mark.parametrize(("job", "query"), QUERIES)
async def test_query_answers(world: World, job: str, query: str) -> None:
    found = await world.prometheus.query(of_job(query, job))
    assert found, "No data"
    values = list(found.values())
    if "quantile" in query or " / (" in query or "summary" in query:
        # A ratio of nothing to nothing is not a number: right where there was nothing, as long as there is data too.
        values = [value for value in values if not math.isnan(value)]
        assert values
    assert all(math.isfinite(value) and value >= 0 for value in values), found
    if any(zero in query for zero in ALWAYS_ZERO):
        assert max(values) == 0
    elif query not in MAY_BE_ZERO:
        assert max(values) > 0


async def test_an_error_that_never_happened_is_0_and_not_absent(world: World) -> None:
    never = await world.prometheus.by(
        "error_type", 'sum by (error_type) (rate(llm_errors_total{job="hyperagent"}[1m]))'
    )
    assert (never["serialization"], never["timeout"]) == (0, 0)
    assert len(never) == 10


async def test_the_cache_panel_shows_the_ratio(world: World) -> None:
    hits, misses = (f"sum(increase(llm_cache_{what}_total[5m]))" for what in ("hits", "misses"))
    assert await world.prometheus.value(f"{hits} / ({hits} + {misses})") == pytest.approx(0.75)


async def test_cents_divided_by_100_are_dollars(world: World) -> None:
    cents = await world.prometheus.value('sum(llm_cost_usd_total{job="hyperagent"}) / 100')
    assert cents == pytest.approx(await world.prometheus.value("sum(tallygate_llm_cost_usd_total)"), rel=1e-12)


async def test_quantiles_of_every_histogram_that_counted(world: World) -> None:
    """Those of what a gateway does all did; of the others, a quantile is a number where there is anything to count."""
    counted = set()
    for job in JOBS:
        for family in DIALECTS[job].families:
            if not isinstance(family, Histogram):
                continue
            about = f'{family.name}_bucket{{job="{job}"}}'
            increases = await world.prometheus.query(f'sum(increase({about[:-1]},le="+Inf"}}[10m]))')
            if any(increases.values()):
                counted.add(family.name)
                quantile = await world.prometheus.value(f"histogram_quantile(0.95, sum by (le) (rate({about}[10m])))")
                assert math.isfinite(quantile), family.name
                assert quantile > 0, family.name
    fed = {
        family.name
        for dialect in DIALECTS.values()
        for family in dialect.families
        if isinstance(family, Histogram) and family.fact in FED
    }
    assert fed - counted == set()
