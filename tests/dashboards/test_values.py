"""What the panels that matter most show is exactly what the load was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import pytest

from tallygate.dashboards import POSTGRES_PROVIDERS
from tallygate.declare import Fact
from tallygate.facts import HTTPRequest, LLMCall, RAGQuery, ToolCall
from tests.dashboards.asking import documents
from tests.dashboards.callers import PRICE
from tests.dashboards.conftest import SHARED, World
from tests.dashboards.exporters import OTHERWISE
from tests.dashboards.program import CHOSEN, told, total
from tests.prometheus.asking import quantile

pytestmark = SHARED

TOLD = told()
SECONDS = 300.0
"""How long the window of rates is."""
ONE: dict[str, str] = {name: CHOSEN[name] for name in ("provider", "model", "route")}
"""What is chosen on boards of models."""
ROUTED = {"route": CHOSEN["route"], "model": CHOSEN["model"]}
AGENT = {name: CHOSEN[name] for name in ("agent_name", "provider", "model", "source")}
TOOL = {"server": CHOSEN["server"], "tool": CHOSEN["tool"]}
OURS = ("provider_timeout", "provider_rate_limit", "other")
"""Errors that are not the caller's fault."""
ERRORS = (*OURS, "caller_invalid_request")
ALL: tuple[str, ...] = ()

Values = Mapping[tuple[str, ...], float]
"""By the values of the labels, sorted by their names."""


def count(fact: type[Fact], measure: str = "", /, **where: str | tuple[str, ...]) -> float:
    return total(TOLD, fact, measure, **where)


def spread(fact: type[Fact], measure: str, unit: float = 1, /, **where: str) -> dict[float, int]:
    """How often each value was told of a measure."""
    found: dict[float, int] = {}
    for each in TOLD:
        if each.fact is fact and measure in each.measures and where.items() <= each.dimensions.items():
            value = each.measures[measure] * unit
            found[value] = found.get(value, 0) + each.times
    return found


def slow(dialect: str, family: str, share: float, unit: float = 1, /, **where: str) -> float:
    return quantile(share, dialect, family, spread(LLMCall, "duration", unit, **where))


CALLS, FAILED = count(LLMCall, **ONE), count(LLMCall, error_type=ERRORS, **ONE)
NOT_OK = count(LLMCall, outcome="failed", **AGENT)
COST = count(LLMCall, "cost", **ONE)
LLM_SECONDS = ("tallygate", "tallygate_llm_call_duration_seconds")
REQUEST_SECONDS = ("archestra", "llm_request_duration_seconds")
SIZES = spread(LLMCall, "total_tokens", **AGENT)

CHOSEN_VALUES: Mapping[tuple[str, str, str], Values] = {
    ("tallygate: GenAI Observability", "Calls", "Calls"): {ALL: CALLS / SECONDS},
    ("tallygate: GenAI Observability", "Failed", "Failed"): {ALL: FAILED / CALLS},
    ("tallygate: GenAI Observability", "Duration, P95", "Duration, P95"): {ALL: slow(*LLM_SECONDS, 0.95, **ONE)},
    ("tallygate: GenAI Observability", "Time to first token, P95", "Time to first token, P95"): {
        ALL: quantile(
            0.95,
            "tallygate",
            "tallygate_llm_time_to_first_token_seconds",
            spread(LLMCall, "time_to_first_token", **ONE),
        )
    },
    ("tallygate: GenAI Observability", "Cost", "Cost"): {ALL: COST},
    ("tallygate: GenAI Observability", "In flight", "In flight"): {ALL: 7},
    ("tallygate: GenAI Observability", "Tokens by type", "{{type}}"): {
        (kind,): count(LLMCall, f"{kind}_tokens", **ONE) / SECONDS
        for kind in ("input", "output", "cache_read", "cache_write", "reasoning")
    },
    ("tallygate: GenAI Observability", "Answers from the cache", "{{cache}}"): {("answers",): 0.75},
    ("tallygate: Cost & Reliability", "Per hour, now", "Per hour, now"): {ALL: COST / SECONDS * 3600},
    ("tallygate: Cost & Reliability", "Today", "Today"): {ALL: COST},
    ("tallygate: Cost & Reliability", "Today by $owner", "{{$owner}}"): {("one",): COST},
    ("tallygate: Cost & Reliability", "Available", "Available"): {
        ALL: 1 - count(LLMCall, error_type=OURS, **ONE) / CALLS
    },
    ("tallygate: Cost & Reliability", "Burn rate", "over 6h"): {
        ALL: count(LLMCall, error_type=OURS, **ONE) / CALLS / 0.005
    },
    ("tallygate: Cost & Reliability", "Unpriced", "Unpriced"): {ALL: count(LLMCall, "unpriced", **ONE) / CALLS},
    ("tallygate: Cost & Reliability", "Unmetered", "Unmetered"): {ALL: count(LLMCall, "unmetered", **ONE) / CALLS},
    ("tallygate: MCP Monitoring", "Tool calls", "Tool calls"): {ALL: count(ToolCall, **TOOL) / SECONDS},
    ("tallygate: MCP Monitoring", "Failed", "Failed"): {ALL: 0.25},
    ("tallygate: RAG & Knowledge Base", "Queries", "Queries"): {ALL: count(RAGQuery, search_type="vector") / SECONDS},
    ("archestra: Archestra GenAI Observability", "Request Rate", "Request Rate"): {
        ALL: count(LLMCall, **AGENT) / SECONDS
    },
    ("archestra: Archestra GenAI Observability", "Total Usage Tokens", "Total Usage Tokens"): {
        ALL: count(LLMCall, "uncached_input_tokens", **AGENT) + count(LLMCall, "output_tokens", **AGENT)
    },
    ("archestra: Archestra GenAI Observability", "Total Usage Cost", "Total Usage Cost"): {
        ALL: count(LLMCall, "cost", **AGENT)
    },
    ("archestra: Archestra GenAI Observability", "Avg Usage Cost", "Avg Usage Cost"): {
        ALL: count(LLMCall, "cost", **AGENT) / count(LLMCall, **AGENT)
    },
    ("archestra: Archestra GenAI Observability", "Request Success Rate", "Success rate"): {
        ALL: 1 - NOT_OK / count(LLMCall, **AGENT)
    },
    ("archestra: Archestra GenAI Observability", "Latency P95 by Model", "{{model}}"): {
        ("gpt-4o",): slow(*REQUEST_SECONDS, 0.95, **AGENT)
    },
    ("archestra: Archestra GenAI Observability", "Blocked Tool Calls", "{{agent_name}}"): {("helper",): 90 / SECONDS},
    **{
        (
            "archestra: Archestra GenAI Observability",
            "Response Time Distribution by Token Size Ranges",
            f"{above + 1}-{up_to} tokens",
        ): {ALL: sum(times for size, times in SIZES.items() if above < size <= up_to) / sum(SIZES.values())}
        for above, up_to in ((4, 16), (64, 256))
    },
    ("archestra: Archestra MCP Monitoring", "Total Requests", "Total Requests"): {ALL: count(ToolCall, **TOOL)},
    ("archestra: Archestra MCP Monitoring", "Error Percentage", "Error Percentage"): {ALL: 0.25},
    ("archestra: Archestra MCP Monitoring", "Tool Health Gauge", "Tool Health Gauge"): {ALL: 0.75},
    ("archestra: Archestra MCP Monitoring", "Active Tools", "Active Tools"): {ALL: 1},
    ("archestra: Archestra MCP Monitoring", "Avg Response Size", "Avg Response Size"): {
        ALL: (15 * 4000 + 5 * 100) / 20
    },
    ("archestra: Archestra MCP Monitoring", "Most Failing Tools", "{{tool_name}}"): {("search",): 5},
    ("archestra: Archestra MCP Monitoring", "Server Deployments", "Is"): {
        ("github", "running"): 1,
        ("files", "failed"): 1,
    },
    ("archestra: Archestra Application Metrics", "Total Enqueued", "Total Enqueued"): {ALL: 13},
    ("archestra: Archestra Application Metrics", "Dead-Lettered", "Dead-Lettered"): {ALL: 2},
    ("archestra: Archestra RAG & Knowledge Base", "Sync Success Rate", "Sync Success Rate"): {ALL: 0.75},
    ("archestra: Archestra RAG & Knowledge Base", "Embedding Error Rate", "Embedding Error Rate"): {ALL: 1 / 12},
    ("archestra: Archestra RAG & Knowledge Base", "KB Embedding API Latency", "P95"): {
        ALL: slow(*REQUEST_SECONDS, 0.95, source="knowledge:embedding")
    },
    ("archestra: Archestra RAG & Knowledge Base", "KB Reranker Token Usage", "{{type}}"): {
        ("input",): 6 * 290 / SECONDS,
        ("output",): 6 * 10 / SECONDS,
    },
    ("archestra: Archestra RAG & Knowledge Base", "Results per Query", "P50"): {
        ALL: quantile(0.5, "archestra", "rag_query_results_count", spread(RAGQuery, "results", search_type="vector"))
    },
    ("hyperagent: HyperAgent", "Total Cost (Last 24h)", "Total Cost (Last 24h)"): {
        ALL: count(LLMCall, "cost", **ROUTED)
    },
    ("hyperagent: HyperAgent", "Cache Hit Rate", "Cache Hit Rate"): {ALL: 0.75},
    ("hyperagent: HyperAgent", "Token Usage by Model", "{{model}}"): {
        ("gpt-4o",): count(LLMCall, "input_tokens", **ROUTED) + count(LLMCall, "output_tokens", **ROUTED)
    },
    ("hyperagent: HyperAgent", "Latency Percentiles P50/P90/P99", "P90"): {
        ALL: slow("hyperagent", "llm_latency_ms", 0.9, 1000, **ROUTED)
    },
    ("aurora: Aurora Gateway", "Error rate", "Error rate"): {ALL: NOT_OK / count(LLMCall, **AGENT)},
    ("aurora: Aurora Gateway", "Request Rate by Provider", "{{provider}}"): {
        ("openai",): count(LLMCall, **AGENT) / SECONDS
    },
}
"""With one value in each variable: what the program told."""

All = Callable[[World], Values]


def served_cost(world: World) -> float:
    """USD of what the provider served."""
    served = world.served
    uncached = served["input_tokens"] - served["cache_read_tokens"] - served["cache_write_tokens"]
    return float(
        (
            uncached * Decimal(PRICE["input"])
            + served["cache_read_tokens"] * Decimal(PRICE["cache_read"])
            + served["cache_write_tokens"] * Decimal(PRICE["cache_write"])
            + served["output_tokens"] * Decimal(PRICE["output"])
        )
        / 1_000_000
    )


def both(world: World, kind: str) -> float:
    """Tokens of a kind, of the program's and of the gateway's calls."""
    return count(LLMCall, f"{kind}_tokens") + world.served[f"{kind}_tokens"]


def statuses(world: World, first: str) -> float:
    """Answers of the gateway whose status begins so, and those of the program."""
    told = sum(each.times for each in TOLD if each.fact is HTTPRequest and each.dimensions["status_code"][0] == first)
    return told + sum(times for status, times in world.callers.statuses.items() if str(status)[0] == first)


ALL_VALUES: Mapping[tuple[str, str, str], All] = {
    ("tallygate: GenAI Observability", "Calls", "Calls"): lambda world: {
        ALL: (count(LLMCall) + world.callers.calls) / SECONDS
    },
    ("tallygate: GenAI Observability", "Cost", "Cost"): lambda world: {
        ALL: count(LLMCall, "cost") + served_cost(world)
    },
    ("tallygate: GenAI Observability", "Tokens by type", "{{type}}"): lambda world: {
        (kind,): both(world, kind) / SECONDS for kind in ("input", "output", "cache_read", "cache_write", "reasoning")
    },
    ("tallygate: GenAI Observability", "Answers from the cache", "{{cache}}"): lambda world: {
        ("answers",): 0.75,
        ("responses",): world.callers.caches["hit"] / (world.callers.caches["hit"] + world.callers.caches["miss"]),
    },
    ("tallygate: GenAI Observability", "Refused by limits", "{{limit_type}}"): lambda world: {
        ("user_requests",): world.callers.limited / SECONDS,
        ("model_tokens",): 6 / SECONDS,
    },
    ("tallygate: Cost & Reliability", "Today", "Today"): lambda world: {
        ALL: count(LLMCall, "cost") + served_cost(world)
    },
    ("gatewayz: Gatewayz", "Error Rate (%)", "Error Rate (%)"): lambda world: {
        ALL: 100 * statuses(world, "5") / sum(statuses(world, first) for first in "245")
    },
    ("gatewayz: Gatewayz", "Top Users by Requests", "{{api_key_id}}"): lambda world: {
        ALL: world.callers.used["nobody"],
        ("key-1",): 70,
        ("key-2",): 3,
        (world.callers.keys["ada"].key_id,): world.callers.used["ada"],
        (world.callers.keys["bob"].key_id,): world.callers.used["bob"],
    },
    ("gatewayz: Gatewayz", "Rate Limited Requests", "{{limit_type}}"): lambda world: {
        ("user_requests",): world.callers.limited,
        ("model_tokens",): 6,
    },
    ("archestra: Archestra GenAI Observability", "Total Usage Cost", "Total Usage Cost"): lambda world: {
        ALL: count(LLMCall, "cost") + served_cost(world)
    },
    ("hyperagent: HyperAgent", "Total Cost (Last 24h)", "Total Cost (Last 24h)"): lambda world: {
        ALL: count(LLMCall, "cost") + served_cost(world)
    },
}
"""With All in each variable: what the program told and what the gateway's callers had."""


def shown(world: World, key: tuple[str, str, str], *, concrete: bool) -> Values:
    """What the query with this legend shows."""
    board, panel, legend = key
    (found,) = {
        answer: None
        for document in documents()
        if document.name == board
        for asked in document.asked(concrete)
        if (asked.panel, asked.legend) == (panel, legend)
        for answer in [tuple(sorted(world.answers[asked].items(), key=str))]
    }
    return {tuple(value for _, value in sorted(labels)): value for labels, value in found}


@pytest.mark.parametrize("key", CHOSEN_VALUES, ids=": ".join)
async def test_with_one_value_chosen(world: World, key: tuple[str, str, str]) -> None:
    assert shown(world, key, concrete=True) == pytest.approx(CHOSEN_VALUES[key], rel=1e-9)


@pytest.mark.parametrize("key", ALL_VALUES, ids=": ".join)
async def test_with_all_chosen(world: World, key: tuple[str, str, str]) -> None:
    values = {labels: value for labels, value in shown(world, key, concrete=False).items() if value or labels == ALL}
    assert values == pytest.approx(ALL_VALUES[key](world), rel=1e-9)


POSTGRESQL: Mapping[str, Mapping[tuple[str, str], set[float]]] = {
    "helm": {
        ("Connection Utilization", "{{instance}}"): {4 * OTHERWISE / 100},
        ("Cache Hit Ratio", "hit ratio - {{datname}}"): {0.9},
        ("Transactions", "commits - {{datname}}"): {OTHERWISE / SECONDS},
    },
    "otel": {
        ("Connection Utilization", "{{instance}}"): {2 * OTHERWISE / 100},
        ("Cache Hit Ratio", "hit ratio - {{db_namespace}}{{postgresql_database_name}}"): {0.5},
        ("Row Operations", "hot updated - {{db_namespace}}{{postgresql_database_name}}"): {OTHERWISE / SECONDS},
    },
    "cloudsql": {
        ("Cache Hit Ratio", "hit ratio - {{database_id}} {{database}}"): {0.75},
        ("Transactions", "rollbacks - {{database_id}} {{database}}"): {OTHERWISE / SECONDS},
    },
    "azure": {
        ("Connection Utilization", "{{resourceName}}"): {OTHERWISE / 100},
        ("Deadlocks", "{{resourceName}}"): {OTHERWISE / 60},
    },
}


@pytest.mark.parametrize("provider", POSTGRES_PROVIDERS)
async def test_postgresql(world: World, provider: str) -> None:
    board = "archestra: Archestra Application Metrics"
    board += "" if provider == POSTGRES_PROVIDERS[0] else f" ({provider})"
    for (panel, legend), expected in POSTGRESQL[provider].items():
        assert set(shown(world, (board, panel, legend), concrete=False).values()) == expected, panel
