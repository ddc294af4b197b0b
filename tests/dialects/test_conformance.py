"""Every family of every vocabulary, as its document has it: name, type, labels, unit, buckets; and none besides."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client import parser
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tallygate import default, init, tally
from tallygate.dialects import DIALECTS
from tallygate.exposition import render, render_python
from tallygate.ledger import Implementation
from tallygate.record import default as recorders

from .documents import DOCUMENTS, Row
from .everything import CUSTOM, RECORDING, everything
from .filled import Filled

SUFFIX = {"counter": "_total", "info": "_info"}
NATIVE, PYTHON = "native", "python"
TRACE, SPAN = "ab" * 16, "cd" * 8


@pytest.fixture(params=[NATIVE, PYTHON], scope="module")
def program(request: pytest.FixtureRequest) -> Iterator[tally.Tally]:
    """A program's tally in which everything happened, with the compiled core and renderer, or without."""
    implementation: Implementation = request.param
    with pytest.MonkeyPatch.context() as patch:
        if implementation == PYTHON:
            patch.setattr(tally, "Family", render_python.Family)
            patch.setattr(tally, "render", render_python.render)
        else:
            assert render.IS_NATIVE
        patch.setattr(recorders.default, "recorder", recorders.default.nowhere)
        patch.setattr(default, "_settings", None)
        made = init(custom_labels=CUSTOM, implementation=implementation, exemplar=lambda: (TRACE, SPAN))
        assert everything(made) == RECORDING
        yield made
        made.close()


def shown(metric: Metric) -> Row:
    """What a scraper sees of a family: every sample must have the same labels, every series the same buckets."""
    assert metric.samples, f"{metric.name} has no series"
    names = {tuple(name for name in sample.labels if name not in ("le", "quantile")) for sample in metric.samples}
    assert len(names) == 1, f"{metric.name} has series with different labels: {names}"
    buckets: dict[tuple[str, ...], list[str]] = {}
    for sample in metric.samples:
        if sample.name.endswith("_bucket") and metric.type == "histogram" and sample.labels["le"] != "+Inf":
            own = tuple(value for name, value in sample.labels.items() if name not in ("le", "quantile"))
            buckets.setdefault(own, []).append(f"{float(sample.labels['le']):.10f}".rstrip("0").rstrip("."))
        if "quantile" in sample.labels:
            own = tuple(value for name, value in sample.labels.items() if name != "quantile")
            buckets.setdefault(own, []).append(sample.labels["quantile"])
    bounds = {" ".join(series) for series in buckets.values()} or {""}
    assert len(bounds) == 1
    return metric.type, " ".join(names.pop()), metric.unit, bounds.pop()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_page_has_the_families_of_the_document_and_no_others(program: tally.Tally, name: str) -> None:
    program.render([name])  # so that there is a scrape to tell of
    page = {}
    for metric in text_string_to_metric_families(program.render([name], "openmetrics").decode()):  # type: ignore[no-untyped-call]  # no types
        family = metric.name + SUFFIX.get(metric.type, "")
        assert family not in page
        page[family] = shown(metric)
    assert page == DOCUMENTS[name]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_types_of_the_text_format(program: tally.Tally, name: str) -> None:
    """It knows no info and no state set, and every counter as one, whatever its name."""
    types = {line.split(" ")[2]: line.split(" ")[3] for line in lines(program, name) if line.startswith("# TYPE ")}
    words = {"info": "gauge", "stateset": "gauge", "unknown": "counter"}
    assert types == {family: words.get(row[0], row[0]) for family, row in DOCUMENTS[name].items()}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_was_dropped(program: tally.Tally, name: str) -> None:
    """The program's own records are all told; the one that is dropped is the one that it says was."""
    dropped = [line for line in lines(program, "tallygate") if line.startswith("tallygate_dropped")]
    assert [line for line in dropped if not line.endswith(" 0")] == [
        'tallygate_dropped_observations_total{fact="LLMCall",reason="internal"} 1'
    ]


def test_every_family_of_models_tools_and_questions_tells_a_trace(program: tally.Tally) -> None:
    """As Archestra's document promises of all LLM and MCP metrics, and of those of queries."""
    traced = set()
    for metric in text_string_to_metric_families(program.render(["archestra"], "openmetrics").decode()):  # type: ignore[no-untyped-call]  # no types
        exemplars = [sample.exemplar.labels for sample in metric.samples if sample.exemplar]
        assert all(labels == {"trace_id": TRACE, "span_id": SPAN} for labels in exemplars)
        if exemplars:
            traced.add(metric.name + SUFFIX.get(metric.type, ""))
    promised = {
        family
        for family, (kind, *_) in DOCUMENTS["archestra"].items()
        if family.startswith(("llm_", "mcp_", "rag_quer")) and kind in ("counter", "histogram")
    }
    assert len(promised) == 15
    assert promised <= traced


def lines(program: tally.Tally, name: str) -> list[str]:
    return program.render([name]).decode().splitlines()


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
            bare = sample.name.removesuffix("_total")  # the parser of the text format gives every counter the suffix
            shown_as = bare if DOCUMENTS[name].get(bare, ("",))[0] == "unknown" else sample.name
            found.add((shown_as, frozenset(labels.items()), sample.value))
    assert samples[0] == samples[1]


LINTS = {
    "tallygate": set(),
    "otel": set(),
    "erato": {"tokio_live_tasks_count", "tokio_workers_count", "tokio_total_busy_duration"},
    "aurora": set(),
    "gatewayz": {"subscription_count"},
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


@pytest.mark.parametrize("format", ["text", "openmetrics"])
def test_archestra_s_bounds_are_printed_as_its_panel_selects_them(format: str) -> None:
    filled = Filled()
    filled.one_of_everything()
    text = filled.page(DIALECTS["archestra"], format=format)
    bounds = [line.split('le="')[1].split('"')[0] for line in text.splitlines() if "llm_token_usage_bucket" in line]
    assert bounds == ["4", "16", "64", "256", "1024", "4096", "16384", "65536", "+Inf"]


def test_without_custom_labels_they_are_not_there() -> None:
    filled = Filled(custom=())
    filled.one_of_everything()
    metric = filled.families(DIALECTS["archestra"])["llm_cost"]
    assert not set(CUSTOM) & set(metric.samples[0].labels)
