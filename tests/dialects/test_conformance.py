"""Every family of every vocabulary, as its document has it: name, type, labels, unit, buckets; and none besides."""

from __future__ import annotations

import subprocess

import pytest
from prometheus_client import parser
from prometheus_client.metrics_core import Metric

from tallygate.dialects import DIALECTS

from .filled import CUSTOM, Filled

Row = tuple[str, str, str, str]
"""Type, labels, unit, buckets."""

PROCESS: dict[str, Row] = {
    "process_cpu_seconds_total": ("counter", "", "seconds", ""),
    "process_resident_memory_bytes": ("gauge", "", "bytes", ""),
    "process_virtual_memory_bytes": ("gauge", "", "bytes", ""),
    "process_open_fds": ("gauge", "", "", ""),
    "process_max_fds": ("gauge", "", "", ""),
    "process_start_time_seconds": ("gauge", "", "seconds", ""),
}

AURORA: dict[str, Row] = PROCESS | {
    "aurora_requests_total": ("counter", "provider model endpoint status_code status_type stream", "", ""),
    "aurora_request_duration_seconds": (
        "histogram", "provider model endpoint stream", "seconds", "0.1 0.25 0.5 1 2 5 10 30 60",
    ),
    "aurora_requests_in_flight": ("gauge", "provider endpoint stream", "", ""),
    "aurora_response_snapshot_store_failures_total": ("counter", "provider provider_name operation", "", ""),
    "aurora_gateway_phase_duration_seconds": (
        "histogram", "endpoint phase status stream", "seconds",
        "0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5",
    ),
    "aurora_audit_log_partial_write_failures_total": ("counter", "", "", ""),
    "aurora_usage_partial_write_failures_total": ("counter", "", "", ""),
}  # fmt: skip

HYPERAGENT: dict[str, Row] = {
    "llm_tokens_input_total": ("counter", "route model", "", ""),
    "llm_tokens_output_total": ("counter", "route model", "", ""),
    "llm_tokens_total": ("counter", "route model", "tokens", ""),
    "llm_cost_usd_total": ("counter", "route model", "", ""),
    "llm_latency_ms": (
        "histogram", "route model", "", "5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000 120000",
    ),
    "llm_cache_hits_total": ("counter", "route", "", ""),
    "llm_cache_misses_total": ("counter", "route", "", ""),
    "llm_rate_limited_total": ("counter", "provider model", "", ""),
    "llm_errors_total": ("counter", "route model error_type", "", ""),
    "llm_active_requests": ("gauge", "route model", "", ""),
}  # fmt: skip

AGENT = "provider model agent_id agent_name agent_type external_agent_id source cost_center team"

ARCHESTRA: dict[str, Row] = PROCESS | {
    "llm_request_duration_seconds": ("histogram", f"{AGENT} status_code", "seconds", "0.1 0.5 1 2 5 10 30 60"),
    "llm_tokens_total": ("counter", f"{AGENT} type", "tokens", ""),
    "llm_cache_tokens_total": ("counter", f"{AGENT} cache_type", "tokens", ""),
    "llm_cost_total": ("counter", AGENT, "", ""),
    "llm_blocked_tools_total": ("counter", AGENT, "", ""),
    "llm_time_to_first_token_seconds": ("histogram", AGENT, "seconds", "0.05 0.1 0.25 0.5 1 2 5 10"),
    "llm_tokens_per_second": ("histogram", AGENT, "", "5 10 25 50 75 100 150 200 300"),
    "llm_token_usage": ("histogram", AGENT, "", "4 16 64 256 1024 4096 16384 65536"),
    "http_request_duration_seconds": (
        "histogram", "method route status_code", "seconds", "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10",
    ),
    "http_request_summary_seconds": ("summary", "method route status_code", "seconds", ""),
    "process_cpu_user_seconds_total": ("counter", "", "seconds", ""),
    "process_cpu_system_seconds_total": ("counter", "", "seconds", ""),
    "nodejs_eventloop_lag_seconds": ("gauge", "", "seconds", ""),
    "nodejs_gc_duration_seconds": ("histogram", "kind", "seconds", "0.001 0.01 0.1 1 2 5"),
    "nodejs_active_handles_total": ("gauge", "", "", ""),
    "nodejs_active_requests_total": ("gauge", "", "", ""),
}  # fmt: skip

GEN_AI = "gen_ai_operation_name gen_ai_provider_name gen_ai_request_model"
DOUBLING = "0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92"

OTEL: dict[str, Row] = {
    "gen_ai_client_token_usage": (
        "histogram", f"{GEN_AI} gen_ai_token_type", "",
        "1 4 16 64 256 1024 4096 16384 65536 262144 1048576 4194304 16777216 67108864",
    ),
    "gen_ai_client_operation_duration_seconds": ("histogram", f"{GEN_AI} error_type", "seconds", DOUBLING),
    "gen_ai_client_operation_time_to_first_chunk_seconds": ("histogram", GEN_AI, "seconds", DOUBLING),
    "gen_ai_client_operation_time_per_output_chunk_seconds": ("histogram", GEN_AI, "seconds", DOUBLING),
    "gen_ai_server_request_duration_seconds": ("histogram", f"{GEN_AI} error_type", "seconds", DOUBLING),
    "gen_ai_server_time_per_output_token_seconds": (
        "histogram", GEN_AI, "seconds", "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1 2.5",
    ),
    "gen_ai_server_time_to_first_token_seconds": (
        "histogram", GEN_AI, "seconds", "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10",
    ),
}  # fmt: skip

CALLED = "provider model operation route cost_center team"
CALLER = "provider model route agent_name source cost_center team"
ATTEMPT = "provider model endpoint"
CALL_SECONDS = "0.05 0.1 0.25 0.5 1 2.5 5 10 20 30 60 120 300 600"
FIRST_SECONDS = "0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60"
TOKEN_SECONDS = "0.001 0.0025 0.005 0.01 0.025 0.05 0.075 0.1 0.15 0.25 0.5 1 2.5"
OVERHEAD_SECONDS = "0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.5 1"
PAUSE_SECONDS = "0.0001 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 5"
BYTES = "256 1024 4096 16384 65536 262144 1048576 4194304 16777216"

TALLYGATE: dict[str, Row] = PROCESS | {
    "tallygate_llm_calls_total": (
        "counter", f"operation endpoint stream status_code outcome {CALLER}", "", "",
    ),
    "tallygate_llm_calls_in_flight": ("gauge", "provider model endpoint route stream", "", ""),
    "tallygate_llm_call_duration_seconds": ("histogram", f"{CALLED} stream", "seconds", CALL_SECONDS),
    "tallygate_llm_time_to_first_token_seconds": ("histogram", CALLED, "seconds", FIRST_SECONDS),
    "tallygate_llm_time_per_output_token_seconds": ("histogram", CALLED, "seconds", TOKEN_SECONDS),
    "tallygate_llm_output_chunk_gap_seconds": ("histogram", "provider model operation", "seconds", TOKEN_SECONDS),
    "tallygate_llm_output_tokens_per_second": ("histogram", CALLED, "", "1 5 10 25 50 75 100 150 200 300 500 1000"),
    "tallygate_llm_tokens_total": ("counter", f"{CALLER} type", "tokens", ""),
    "tallygate_llm_cost_usd_total": ("counter", CALLER, "usd", ""),
    "tallygate_llm_unmetered_calls_total": ("counter", "provider model route", "", ""),
    "tallygate_llm_unpriced_calls_total": ("counter", "provider model route", "", ""),
    "tallygate_llm_errors_total": ("counter", "provider model route domain error_type", "", ""),
    "tallygate_llm_rate_limit_events_total": ("counter", "provider model", "", ""),
    "tallygate_gateway_overhead_seconds": ("histogram", "provider endpoint stream", "seconds", OVERHEAD_SECONDS),
    "tallygate_upstream_attempts_total": ("counter", f"{ATTEMPT} status_code error_type", "", ""),
    "tallygate_upstream_attempt_duration_seconds": ("histogram", ATTEMPT, "seconds", CALL_SECONDS),
    "tallygate_upstream_time_to_headers_seconds": ("histogram", ATTEMPT, "seconds", FIRST_SECONDS),
    "tallygate_gateway_phase_duration_seconds": (
        "histogram", "endpoint phase status stream", "seconds", OVERHEAD_SECONDS,
    ),
    "tallygate_cache_lookups_total": ("counter", "cache route result", "", ""),
    "tallygate_provider_info": ("info", "provider kind model", "", ""),
    "tallygate_http_requests_total": ("counter", "method route status_code", "", ""),
    "tallygate_http_request_duration_seconds": (
        "histogram", "method route", "seconds", "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60 300",
    ),
    "tallygate_http_request_size_bytes": ("histogram", "route", "bytes", BYTES),
    "tallygate_http_response_size_bytes": ("histogram", "route", "bytes", BYTES),
    "tallygate_http_requests_in_flight": ("gauge", "", "", ""),
    "tallygate_build_info": ("info", "version python ledger environment service deployment_version", "", ""),
    "process_threads": ("gauge", "", "", ""),
    "tallygate_workers": ("gauge", "", "", ""),
    "tallygate_event_loop_lag_seconds": ("histogram", "", "seconds", PAUSE_SECONDS),
    "tallygate_event_loop_tasks": ("gauge", "", "", ""),
    "tallygate_event_loop_ready_callbacks": ("gauge", "", "", ""),
    "tallygate_event_loop_busy_seconds_total": ("counter", "", "seconds", ""),
    "tallygate_gc_duration_seconds": ("histogram", "generation", "seconds", PAUSE_SECONDS),
    "tallygate_gc_objects_collected_total": ("counter", "generation", "", ""),
    "tallygate_gc_objects_uncollectable_total": ("counter", "generation", "", ""),
    "tallygate_scrape_duration_seconds": ("histogram", "dialect format", "seconds", PAUSE_SECONDS),
    "tallygate_scrape_size_bytes": ("histogram", "dialect format", "bytes", BYTES),
    "tallygate_dropped_observations_total": ("counter", "fact reason", "", ""),
    "tallygate_ledger_rows": ("gauge", "", "", ""),
    "tallygate_ledger_overflowed_rows_total": ("counter", "", "", ""),
    "tallygate_ledger_dropped_values_total": ("counter", "", "", ""),
    "tallygate_ledger_used_bytes": ("gauge", "", "bytes", ""),
    "tallygate_ledger_capacity_bytes": ("gauge", "", "bytes", ""),
    "tallygate_ledger_workers": ("gauge", "", "", ""),
}  # fmt: skip

DOCUMENTS = {
    "tallygate": TALLYGATE,
    "otel": OTEL,
    "aurora": AURORA,
    "hyperagent": HYPERAGENT,
    "archestra": ARCHESTRA,
}
SUFFIX = {"counter": "_total", "info": "_info"}


def shown(metric: Metric) -> Row:
    """What a scraper sees of a family: every sample must have the same labels, every series the same buckets."""
    assert metric.samples, f"{metric.name} has no series"
    names = {tuple(name for name in sample.labels if name != "le") for sample in metric.samples}
    assert len(names) == 1, f"{metric.name} has series with different labels: {names}"
    buckets: dict[tuple[str, ...], list[str]] = {}
    for sample in metric.samples:
        if sample.name.endswith("_bucket") and metric.type == "histogram" and sample.labels["le"] != "+Inf":
            own = tuple(value for name, value in sample.labels.items() if name != "le")
            buckets.setdefault(own, []).append(f"{float(sample.labels['le']):.10f}".rstrip("0").rstrip("."))
    bounds = {" ".join(series) for series in buckets.values()} or {""}
    assert len(bounds) == 1
    return metric.type, " ".join(names.pop()), metric.unit, bounds.pop()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_page_has_the_families_of_the_document_and_no_others(name: str) -> None:
    filled = Filled()
    filled.one_of_everything()
    page = {
        family + SUFFIX.get(metric.type, ""): shown(metric)
        for family, metric in filled.families(DIALECTS[name]).items()
    }
    assert page == DOCUMENTS[name]


def test_every_dialect_has_its_document() -> None:
    assert DOCUMENTS.keys() == DIALECTS.keys()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_both_text_formats_say_the_same(name: str) -> None:
    filled = Filled()
    filled.one_of_everything()
    samples: list[set[tuple[str, frozenset[tuple[str, str]], float]]] = [set(), set()]
    metrics = (
        filled.families(DIALECTS[name]).values(),
        parser.text_string_to_metric_families(filled.page(DIALECTS[name], format="text")),
    )
    for found, page in zip(samples, metrics, strict=True):
        for sample in (sample for metric in page for sample in metric.samples):
            labels = sample.labels | ({"le": str(float(sample.labels["le"]))} if "le" in sample.labels else {})
            found.add((sample.name, frozenset(labels.items()), sample.value))
    assert samples[0] == samples[1]


LINTS = {
    "tallygate": set(),
    "otel": set(),
    "aurora": set(),
    "hyperagent": {"llm_latency_ms"},
    "archestra": {"http_request_summary_seconds", "nodejs_active_handles_total", "nodejs_active_requests_total"},
}
"""Families whose documented names are not what Prometheus advises."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_promtool_accepts_the_page(name: str) -> None:
    filled = Filled()
    filled.one_of_everything()
    page = filled.page(DIALECTS[name], format="text")
    promtool = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    said = (promtool.stdout + promtool.stderr).splitlines()
    assert {line.split(" ")[0] for line in said if line} == LINTS[name], said
    assert promtool.returncode == (3 if LINTS[name] else 0)


def test_archestra_s_bounds_are_printed_as_the_original_does() -> None:
    filled = Filled()
    filled.one_of_everything()
    text = filled.page(DIALECTS["archestra"], format="text")
    bounds = [line.split('le="')[1].split('"')[0] for line in text.splitlines() if "llm_token_usage_bucket" in line]
    assert bounds == ["4", "16", "64", "256", "1024", "4096", "16384", "65536", "+Inf"]


def test_without_custom_labels_they_are_not_there() -> None:
    filled = Filled(custom=())
    filled.one_of_everything()
    metric = filled.families(DIALECTS["archestra"])["llm_cost"]
    assert not set(CUSTOM) & set(metric.samples[0].labels)
