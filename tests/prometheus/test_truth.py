"""What PromQL answers about a gateway that was scraped under load is what the provider served."""

from decimal import Decimal

import pytest

from tallygate.errors import ERROR_TYPES, domain_of
from tests.prometheus.conftest import JOBS, LEAST_SCRAPES, SHARED, STRANGER, World
from tests.prometheus.traffic import MODELS, PRICE

pytestmark = SHARED

GAUGES = "nodejs_active_handles_total|nodejs_active_requests_total|tokio_live_tasks_count|tokio_workers_count"
"""Gauges that are named like counters."""
HYPERAGENT_WORDS = {
    "caller_invalid_request": "validation",
    "caller_context_length": "token_limit",
    "policy_content_filter": "api_error",
    "provider_rate_limit": "rate_limit",
    "provider_authentication": "auth_failed",
    "provider_model_unavailable": "model_unavailable",
    "provider_overloaded": "model_unavailable",
    "provider_server_error": "api_error",
    "provider_invalid_response": "invalid_response",
    "provider_stream_cut": "network",
}


def cost(input: int, output: int, cache_read: int, cache_write: int) -> Decimal:
    """US dollars."""
    rates = {name: Decimal(rate) for name, rate in PRICE.items()}
    return (
        (input - cache_read - cache_write) * rates["input"]
        + output * rates["output"]
        + cache_read * rates["cache_read"]
        + cache_write * rates["cache_write"]
    ) / 1_000_000


def priced(world: World, provider: str, model: str) -> Decimal:
    """What this model cost."""
    kinds = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    return cost(*(world.truth.sum(kind, model=model) for kind in kinds))


async def test_only_a_scraper_with_the_token_gets_the_metrics(world: World) -> None:
    assert await world.prometheus.by("job", "up") == {**dict.fromkeys(JOBS, 1.0), STRANGER: 0.0}
    assert (await world.prometheus.by("job", "max_over_time(up[1h])"))[STRANGER] == 0
    targets = await world.prometheus.api("targets")
    refused = {each["labels"]["job"]: each["lastError"] for each in targets["activeTargets"] if each["lastError"]}
    assert refused == {STRANGER: "server returned HTTP status 401 Unauthorized"}


async def test_prometheus_had_nothing_to_complain_about(world: World) -> None:
    """Neither of duplicates nor of samples or exemplars out of order."""
    assert len(world.prometheus.said) > 5
    assert [line for line in world.prometheus.said if "level=info" not in line] == []


async def test_prometheus_chose_openmetrics(world: World) -> None:
    """In each of its scrapes: the gateway counts its pages by format. A page does not yet count itself."""
    pages = await world.prometheus.by(
        "dialect", 'sum by (dialect) (tallygate_scrape_duration_seconds_count{format="openmetrics"})'
    )
    for job in JOBS:
        scrapes = await world.prometheus.scrapes(job)
        assert scrapes > LEAST_SCRAPES
        # Jobs take turns, so the page of one may be a scrape behind those of the others.
        assert pages[job] >= scrapes - 2


async def test_types_and_help_arrive(world: World) -> None:
    found = await world.prometheus.api("targets/metadata", match_target='{job="tallygate"}')
    known = {each["metric"]: (each["type"], each["unit"]) for each in found}
    assert known["tallygate_llm_call_duration_seconds"] == ("histogram", "seconds")
    assert known["tallygate_llm_tokens"][0] == "counter"
    assert known["tallygate_llm_calls_in_flight"][0] == "gauge"
    assert known["tallygate_build"][0] == "info"
    assert all(each["help"] for each in found)


async def test_calls(world: World) -> None:
    requests, query = world.truth.requests(), world.prometheus.by
    assert await query("provider", "sum by (provider) (tallygate_llm_calls_total)") == requests
    assert await query("provider", "sum by (provider) (tallygate_upstream_attempts_total)") == requests
    assert await query("provider", "sum by (provider) (aurora_requests_total)") == requests
    total = world.truth.totals["requests"]
    assert await world.prometheus.value("sum(tallygate_http_requests_total)") == total


@pytest.mark.parametrize("kind", ["input", "output", "cache_read", "cache_write", "reasoning"])
async def test_tokens(world: World, kind: str) -> None:
    counted = await world.prometheus.by(
        "provider", f'sum by (provider) (tallygate_llm_tokens_total{{type="{kind}"}}) > 0'
    )
    assert counted == world.truth.tokens(kind)


async def test_tokens_in_other_words(world: World) -> None:
    value, tokens = world.prometheus.value, world.truth.totals
    assert await value("sum(llm_tokens_input_total)") == tokens["input_tokens"]
    assert await value("sum(llm_tokens_output_total)") == tokens["output_tokens"]
    both = tokens["input_tokens"] + tokens["output_tokens"]
    assert await value('sum(llm_tokens_total{job="hyperagent"})') == both
    cached = tokens["cache_read_tokens"] + tokens["cache_write_tokens"]
    archestra = await world.prometheus.by("type", 'sum by (type) (llm_tokens_total{job="archestra"})')
    assert archestra == {"input": tokens["input_tokens"] - cached, "output": tokens["output_tokens"]}
    assert await world.prometheus.by("cache_type", "sum by (cache_type) (llm_cache_tokens_total)") == {
        "read": tokens["cache_read_tokens"],
        "write": tokens["cache_write_tokens"],
    }
    otel = await world.prometheus.by("gen_ai_token_type", "sum by (gen_ai_token_type) (gen_ai_client_token_usage_sum)")
    assert otel == {"input": tokens["input_tokens"], "output": tokens["output_tokens"]}


async def test_cost(world: World) -> None:
    for provider, model in MODELS.items():
        usd = priced(world, provider, model)
        assert usd > 0
        ours = await world.prometheus.by("model", f'sum by (model) (tallygate_llm_cost_usd_total{{model="{model}"}})')
        assert ours == {model: pytest.approx(float(usd), rel=1e-12)}
        cents = await world.prometheus.by("model", f'sum by (model) (llm_cost_usd_total{{model="{model}"}})')
        assert cents == {model: pytest.approx(float(usd * 100), rel=1e-12)}
        theirs = await world.prometheus.by("model", f'sum by (model) (llm_cost_total{{model="{model}"}})')
        assert theirs == {model: pytest.approx(float(usd), rel=1e-12)}


async def test_errors_by_type(world: World) -> None:
    errors = world.truth.errors()
    counted = await world.prometheus.by("error_type", "sum by (error_type) (tallygate_llm_errors_total)")
    assert counted == dict.fromkeys(ERROR_TYPES, 0.0) | errors
    assert len(errors) == len(HYPERAGENT_WORDS)
    domains = await world.prometheus.by("domain", "sum by (domain) (tallygate_llm_errors_total) > 0")
    assert domains == {
        domain: sum(count for name, count in errors.items() if domain_of(name) == domain)
        for domain in {domain_of(name) for name in errors}
    }


async def test_errors_in_other_words(world: World) -> None:
    errors = world.truth.errors()
    words = await world.prometheus.by("error_type", 'sum by (error_type) (llm_errors_total{job="hyperagent"}) > 0')
    assert words == {
        word: sum(count for name, count in errors.items() if HYPERAGENT_WORDS[name] == word)
        for word in {HYPERAGENT_WORDS[name] for name in errors}
    }
    failed = errors.total()
    statuses = await world.prometheus.by("status_type", "sum by (status_type) (aurora_requests_total)")
    assert statuses == {"error": failed, "success": world.truth.totals["requests"] - failed}
    otel = await world.prometheus.by(
        "error_type", "sum by (error_type) (gen_ai_client_operation_duration_seconds_count)"
    )
    assert otel == {"": world.truth.totals["requests"] - failed} | errors


async def test_rate_limits(world: World) -> None:
    events = world.truth.sum("requests", status=429)
    assert events > 0
    assert await world.prometheus.value("sum(tallygate_llm_rate_limit_events_total)") == events
    assert await world.prometheus.value("sum(llm_rate_limited_total)") == events


@pytest.mark.parametrize(
    "family",
    [
        "tallygate_llm_call_duration_seconds",
        "tallygate_upstream_attempt_duration_seconds",
        "gen_ai_client_operation_duration_seconds",
        "gen_ai_server_request_duration_seconds",
        "aurora_request_duration_seconds",
        "llm_latency_ms",
        "llm_request_duration_seconds",
    ],
)
async def test_every_call_was_timed(world: World, family: str) -> None:
    calls = world.truth.totals["requests"]
    assert await world.prometheus.value(f"sum({family}_count)") == calls
    assert await world.prometheus.value(f'sum({family}_bucket{{le="+Inf"}})') == calls


async def test_streams_were_timed(world: World) -> None:
    value, streams = world.prometheus.value, world.truth.streams_with_content()
    assert streams > 0
    assert await value("sum(tallygate_llm_time_to_first_token_seconds_count)") == streams
    assert await value("sum(gen_ai_client_operation_time_to_first_chunk_seconds_count)") == streams
    assert await value("sum(llm_time_to_first_token_seconds_count)") == streams
    assert await value("sum(tallygate_llm_output_chunk_gap_seconds_count)") == world.truth.gaps()
    assert await value("sum(gen_ai_client_operation_time_per_output_chunk_seconds_count)") == world.truth.gaps()


@pytest.mark.parametrize(
    "family",
    [
        "tallygate_llm_calls_in_flight",
        "tallygate_http_requests_in_flight",
        "aurora_requests_in_flight",
        "llm_active_requests",
        "tallygate_dropped_observations_total",
        "tallygate_ledger_dropped_values_total",
        "tallygate_ledger_overflowed_rows_total",
    ],
)
async def test_nothing_is_left_over(world: World, family: str) -> None:
    assert await world.prometheus.value(f"sum({family})") == 0


async def test_calls_were_seen_in_flight(world: World) -> None:
    for family in ("tallygate_llm_calls_in_flight", "aurora_requests_in_flight", "llm_active_requests"):
        assert await world.prometheus.value(f"max(max_over_time({family}[1h]))") >= 1


async def test_what_nobody_configured_shares_a_label_and_counts_as_unpriced(world: World) -> None:
    models = await world.prometheus.by("model", "sum by (model) (tallygate_llm_calls_total)")
    assert set(models) == {*MODELS.values(), "other"}
    strangers = sum(call["requests"] for call in world.truth.calls if call["model"] not in MODELS.values())
    assert models["other"] == strangers
    assert await world.prometheus.by("model", "sum by (model) (tallygate_llm_unpriced_calls_total) > 0") == {
        "other": strangers
    }


async def test_no_counter_ever_went_down(world: World) -> None:
    for job in JOBS:
        named = ".*(_total|_count|_bucket|_sum)"
        history = await world.prometheus.history(f'{{job="{job}",__name__=~"{named}",__name__!~"{GAUGES}"}}[1h]')
        assert len(history) > 100
        for labels, values in history.items():
            assert values == sorted(values), labels


async def test_histograms_were_consistent_in_every_scrape(world: World) -> None:
    """At each second of the load the last bucket was the count."""
    for family in ("tallygate_llm_call_duration_seconds", "aurora_request_duration_seconds", "llm_latency_ms"):
        differing = f'({family}_bucket{{le="+Inf"}} - ignoring (le) {family}_count) != 0'
        assert await world.prometheus.query(f"count_over_time(({differing})[10m:1s])") == {}


async def test_increases_include_the_first_call(world: World) -> None:
    """Configured models are there at 0 before they are used, so the very first call is an increase too."""
    query = 'sum by (model) (increase(llm_tokens_total{job="hyperagent",route=""}[1h]))'
    grown = await world.prometheus.by("model", query)
    for provider in ("openai", "anthropic"):
        model = MODELS[provider]
        tokens = world.truth.sum("input_tokens", model=model) + world.truth.sum("output_tokens", model=model)
        # Prometheus stretches an increase by at most 1.1 scrape intervals to the window's end.
        assert tokens <= grown[model] * (1 + 1e-12)
        assert grown[model] <= tokens * 1.3


async def test_sampled_callers_are_exemplars(world: World) -> None:
    for family, job in (
        ("tallygate_llm_call_duration_seconds_bucket", "tallygate"),
        ("tallygate_llm_time_to_first_token_seconds_bucket", "tallygate"),
        ("gen_ai_client_operation_duration_seconds_bucket", "otel"),
        ("aurora_request_duration_seconds_bucket", "aurora"),
        ("llm_latency_ms_bucket", "hyperagent"),
        ("llm_request_duration_seconds_bucket", "archestra"),
    ):
        for exemplar in await world.prometheus.exemplars(f'{family}{{job="{job}"}}'):
            assert exemplar.trace in world.traces
            assert exemplar.span == exemplar.trace[:16]
            assert 0 < exemplar.value <= float(dict(exemplar.series)["le"])
