"""The same known calls, read in every vocabulary: the exact numbers a scraper gets."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tallygate.dialects import DIALECTS
from tallygate.dialects.hyperagent import ERROR_WORDS
from tallygate.errors import ERROR_TYPES
from tallygate.facts import (
    BuildInfo,
    CacheLookup,
    GarbageCollection,
    GatewayPhase,
    HTTPRequest,
    LLMCall,
    LLMInFlight,
    LLMOutputChunk,
    StoreFailure,
)

from .filled import Filled

QUANTILES = (0.01, 0.05, 0.5, 0.9, 0.95, 0.99, 0.999)
CALL = {
    "provider": "openai",
    "model": "gpt-4-turbo",
    "operation": "chat",
    "endpoint": "/chat/completions",
    "route": "chat",
    "stream": "false",
    "status_code": "200",
    "outcome": "completed",
}


@pytest.fixture(name="store")
def calls() -> Filled:
    """One call of 150 + 50 tokens, a stream with cached input, a time-out and a call its caller left."""
    store = Filled(custom=())
    store.record(
        LLMCall,
        CALL,
        duration=1.25,
        input_tokens=150,
        uncached_input_tokens=150,
        output_tokens=50,
        total_tokens=200,
        output_tokens_per_second=40,
        cost=0.003,
        gateway_overhead=0.0003,
    )
    store.record(
        LLMCall,
        CALL | {"stream": "true", "agent_name": "support"},
        duration=6,
        time_to_first_token=0.5,
        time_per_output_token=0.02,
        input_tokens=1000,
        uncached_input_tokens=100,
        cache_read_tokens=900,
        output_tokens=276,
        reasoning_tokens=30,
        total_tokens=1276,
        cost=0.0025,
        rate_limit_events=2,
    )
    failed = {"status_code": "network_error", "outcome": "failed", "error_type": "provider_timeout"}
    store.record(LLMCall, CALL | failed, duration=30)
    store.record(LLMCall, CALL | {"status_code": "network_error", "outcome": "cancelled"}, duration=0.1)
    for gap in (0.01, 0.03):
        store.record(LLMOutputChunk, {"provider": "openai", "model": "gpt-4-turbo", "operation": "chat"}, gap=gap)
    flying = {"provider": "openai", "model": "gpt-4-turbo", "endpoint": "/chat/completions", "route": "chat"}
    store.record(LLMInFlight, flying | {"stream": "true"}, now=2)
    store.record(LLMInFlight, flying | {"stream": "false"}, now=1)
    return store


def values(store: Filled, dialect: str, family: str) -> Mapping[str, float]:
    """Samples of a family by label values joined with '|'; histograms with the suffix and the bound."""
    metric = store.families(DIALECTS[dialect])[family]
    shown: dict[str, float] = {}
    for sample in metric.samples:
        words = [f"{float(value):g}" if name == "le" else value for name, value in sample.labels.items()]
        suffix = sample.name[len(metric.name) + 1 :]
        shown["|".join([*words, *([suffix] if suffix else [])])] = sample.value
    return shown


def test_hyperagent(store: Filled) -> None:
    def read(family: str) -> Mapping[str, float]:
        return values(store, "hyperagent", family)

    assert read("llm_tokens_input") == {"chat|gpt-4-turbo|total": 1150}
    assert read("llm_tokens_output") == {"chat|gpt-4-turbo|total": 326}
    assert read("llm_tokens") == {"chat|gpt-4-turbo|total": 1476}
    assert read("llm_cost_usd") == {"chat|gpt-4-turbo|total": 0.55}  # cents
    assert read("llm_rate_limited") == {"openai|gpt-4-turbo|total": 2}
    assert read("llm_active_requests") == {"chat|gpt-4-turbo": 3}
    latency = read("llm_latency_ms")
    assert latency["chat|gpt-4-turbo|sum"] == 37350
    assert [latency[f"chat|gpt-4-turbo|{le}|bucket"] for le in ("50", "100", "2500", "5000", "10000", "inf")] == [
        0, 1, 2, 2, 3, 4,
    ]  # fmt: skip
    errors = read("llm_errors")
    assert {key: value for key, value in errors.items() if value} == {"chat|gpt-4-turbo|timeout|total": 1}
    assert {key.split("|")[2] for key in errors} == {
        "rate_limit", "auth_failed", "network", "invalid_response", "api_error", "serialization", "validation",
        "timeout", "token_limit", "model_unavailable",
    }  # fmt: skip


def test_hyperagent_has_a_word_for_every_error() -> None:
    assert tuple(ERROR_WORDS) == ERROR_TYPES


def test_hyperagent_counts_hits_and_misses_from_the_first_look(store: Filled) -> None:
    store.record(CacheLookup, {"cache": "answers", "route": "chat", "result": "miss"})
    assert values(store, "hyperagent", "llm_cache_hits") == {"chat|total": 0}
    assert values(store, "hyperagent", "llm_cache_misses") == {"chat|total": 1}


def test_aurora(store: Filled) -> None:
    where = "openai|gpt-4-turbo|/chat/completions"
    assert values(store, "aurora", "aurora_requests") == {
        f"{where}|200|success|false|total": 1,
        f"{where}|200|success|true|total": 1,
        f"{where}|500|error|false|total": 0,
        f"{where}|500|error|true|total": 0,
        f"{where}|network_error|error|false|total": 1,
        f"{where}|network_error|success|false|total": 1,
    }
    duration = values(store, "aurora", "aurora_request_duration_seconds")
    assert [duration[f"{where}|false|{le}|bucket"] for le in ("0.1", "1", "2", "30", "60")] == [1, 1, 2, 3, 3]
    assert duration[f"{where}|true|sum"] == 6
    assert values(store, "aurora", "aurora_requests_in_flight") == {
        "openai|/chat/completions|true": 2,
        "openai|/chat/completions|false": 1,
    }
    assert values(store, "aurora", "aurora_audit_log_partial_write_failures") == {"total": 0}


def test_aurora_phases_and_stores(store: Filled) -> None:
    phase = {"endpoint": "/v1/chat/completions", "phase": "decode", "status": "success", "stream": "unknown"}
    store.record(GatewayPhase, phase, duration=0.000123456)
    phases = values(store, "aurora", "aurora_gateway_phase_duration_seconds")
    where = "/v1/chat/completions|decode|success|unknown"
    assert phases[f"{where}|sum"] == 0.000123456
    assert (phases[f"{where}|0.0001|bucket"], phases[f"{where}|0.00025|bucket"]) == (0, 1)
    for kept, operation in (("response_snapshot", "store"), ("audit_log", "partial_write"), ("audit_log", "store")):
        store.record(StoreFailure, {"store": kept, "provider": "groq", "operation": operation})
    assert values(store, "aurora", "aurora_response_snapshot_store_failures") == {"groq|groq|store|total": 1}
    assert values(store, "aurora", "aurora_audit_log_partial_write_failures") == {"total": 1}
    assert values(store, "aurora", "aurora_usage_partial_write_failures") == {"total": 0}


def test_archestra(store: Filled) -> None:
    nobody, support = "openai|gpt-4-turbo|||||", "openai|gpt-4-turbo||support|||"
    assert values(store, "archestra", "llm_tokens") == {
        f"{nobody}|input|total": 150,
        f"{nobody}|output|total": 50,
        f"{support}|input|total": 100,
        f"{support}|output|total": 276,
    }
    assert values(store, "archestra", "llm_cache_tokens")[f"{support}|read|total"] == 900
    assert values(store, "archestra", "llm_cost") == {f"{nobody}|total": 0.003, f"{support}|total": 0.0025}
    assert values(store, "archestra", "llm_blocked_tools") == {f"{nobody}|total": 0, f"{support}|total": 0}
    duration = values(store, "archestra", "llm_request_duration_seconds")
    assert {key: value for key, value in duration.items() if key.endswith("count")} == {
        f"{nobody}|200|count": 1,
        f"{nobody}|0|count": 2,
        f"{support}|200|count": 1,
    }
    ttft = values(store, "archestra", "llm_time_to_first_token_seconds")
    assert {key: value for key, value in ttft.items() if key.endswith("count")} == {f"{support}|count": 1}
    usage = values(store, "archestra", "llm_token_usage")
    assert (usage[f"{nobody}|256|bucket"], usage[f"{support}|1024|bucket"], usage[f"{support}|sum"]) == (1, 0, 1276)


def test_archestra_http_and_runtime(store: Filled) -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        store.record(HTTPRequest, {"method": method, "route": "/v1", "status_code": "200"}, duration=0.02)
    store.record(HTTPRequest, {"method": "GET", "route": "/health", "status_code": "200"}, duration=0.02)
    http = values(store, "archestra", "http_request_duration_seconds")
    assert {key: value for key, value in http.items() if key.endswith("count")} == {"GET|/v1|200|count": 1}
    summary = values(store, "archestra", "http_request_summary_seconds")
    quantiles = {f"GET|/v1|200|{quantile}": pytest.approx(0.02, rel=0.05) for quantile in QUANTILES}
    assert summary == {"GET|/v1|200|sum": 0.02, "GET|/v1|200|count": 1, **quantiles}
    store.record(GarbageCollection, {"generation": "1"}, duration=0.0005)
    collections = values(store, "archestra", "nodejs_gc_duration_seconds")
    assert (collections["minor|count"], collections["major|count"]) == (1, 0)


def test_otel(store: Filled) -> None:
    where = "chat|openai|gpt-4-turbo"
    usage = values(store, "otel", "gen_ai_client_token_usage")
    assert (usage[f"{where}|input|count"], usage[f"{where}|input|sum"]) == (2, 1150)
    assert [usage[f"{where}|output|{le}|bucket"] for le in ("16", "64", "256", "1024")] == [0, 1, 1, 2]
    duration = values(store, "otel", "gen_ai_client_operation_duration_seconds")
    assert {key: value for key, value in duration.items() if key.endswith("count")} == {
        f"{where}||count": 3,
        f"{where}|provider_timeout|count": 1,
    }
    gaps = values(store, "otel", "gen_ai_client_operation_time_per_output_chunk_seconds")
    assert [gaps[f"{where}|{le}|bucket"] for le in ("0.01", "0.02", "0.04")] == [1, 1, 2]
    assert values(store, "otel", "gen_ai_server_time_to_first_token_seconds")[f"{where}|0.5|bucket"] == 1


def test_otel_providers_and_unforeseen_errors() -> None:
    store = Filled(custom=())
    store.record(LLMCall, CALL | {"provider": "gemini", "error_type": "other", "outcome": "failed"}, duration=1)
    duration = values(store, "otel", "gen_ai_client_operation_duration_seconds")
    assert duration["chat|gcp.gemini|gpt-4-turbo|_OTHER|sum"] == 1


def test_tallygate(store: Filled) -> None:
    def read(family: str) -> Mapping[str, float]:
        return values(store, "tallygate", f"tallygate_{family}")

    nobody, support = "openai|gpt-4-turbo|chat||", "openai|gpt-4-turbo|chat|support|"
    assert read("llm_tokens") == {
        f"{nobody}|input|total": 150,
        f"{nobody}|output|total": 50,
        f"{nobody}|cache_read|total": 0,
        f"{nobody}|cache_write|total": 0,
        f"{nobody}|reasoning|total": 0,
        f"{support}|input|total": 1000,
        f"{support}|output|total": 276,
        f"{support}|cache_read|total": 900,
        f"{support}|cache_write|total": 0,
        f"{support}|reasoning|total": 30,
    }
    assert read("llm_cost_usd") == {f"{nobody}|total": 0.003, f"{support}|total": 0.0025}
    assert read("llm_calls")[f"chat|/chat/completions|false|network_error|failed|{nobody}|total"] == 1
    assert sum(read("llm_calls").values()) == 4
    errors = read("llm_errors")
    assert {key: value for key, value in errors.items() if value} == {
        "openai|gpt-4-turbo|chat|provider|provider_timeout|total": 1
    }
    assert len(errors) == len(ERROR_TYPES)
    assert errors["openai|gpt-4-turbo|chat|other|other|total"] == 0
    assert errors["openai|gpt-4-turbo|chat|gateway|gateway_internal|total"] == 0
    assert read("llm_unmetered_calls") == {"openai|gpt-4-turbo|chat|total": 0}
    assert read("llm_call_duration_seconds")["openai|gpt-4-turbo|chat|chat|false|30|bucket"] == 3
    assert read("gateway_overhead_seconds")["openai|/chat/completions|false|0.0005|bucket"] == 1
    assert read("ledger_rows") == {"": 7}


def test_tallygate_says_what_it_is(store: Filled) -> None:
    said = {"version": "1.2", "python": "3.11", "ledger": "native", "environment": "test", "service": "llm"}
    store.record(BuildInfo, said | {"deployment_version": "unknown"}, present=1)
    assert values(store, "tallygate", "tallygate_build") == {"1.2|3.11|native|test|llm|unknown|info": 1}


def test_dialects_on_one_page_tell_the_same_numbers_as_apart(store: Filled) -> None:
    together = store.families(DIALECTS["tallygate"], DIALECTS["aurora"], DIALECTS["hyperagent"])
    apart = {name: store.families(DIALECTS[name]) for name in ("tallygate", "aurora", "hyperagent")}
    assert together.keys() == {family for families in apart.values() for family in families}
    for families in apart.values():
        for name, metric in families.items():
            assert together[name].samples == metric.samples
