"""What goes in comes out of prometheus_client's parsers, whatever strangers put into it."""

from collections.abc import Iterable
from decimal import Decimal
from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tallygate.exposition.escape import labels
from tests.exposition.cells import SPAN, TRACE, cells, exemplar

label_values = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.text(
    st.sampled_from('"\\\n{},= #'), max_size=10
)
label_sets = st.fixed_dictionaries(
    {"model": label_values}, optional={"route": label_values, "error_type": label_values}
)
counts = st.integers(0, 2**63 - 1)
quiet = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def parsers(page: Any) -> Iterable[list[Metric]]:
    """The page as each of its parsers reads it; ``page`` is asked for a format."""
    yield list(parse_text(page("text").decode()))
    yield list(parse_openmetrics(page("openmetrics").decode()))  # type: ignore[no-untyped-call]  # theirs is untyped


@quiet
@given(st.dictionaries(label_sets.map(lambda each: tuple(each.items())), counts, min_size=1, max_size=8))
def test_counters(renderer: ModuleType, known: dict[tuple[tuple[str, str], ...], int]) -> None:
    family = renderer.Family("llm_tokens_total", "counter", 'Tokens, "all" of them.\n\\', "tokens", exponent=-3)
    for cell, pairs in enumerate(known):
        family.add(family.series(labels(pairs)), 0, cell)
    buffer = cells(*known.values())
    for (metric,) in parsers(lambda format: renderer.render([family], [buffer], format, {})):
        assert metric.type == "counter"
        assert metric.documentation == 'Tokens, "all" of them.\n\\'
        assert {tuple(sample.labels.items()): sample.value for sample in metric.samples} == {
            pairs: float(Decimal(value).scaleb(-3)) for pairs, value in known.items()
        }


@quiet
@given(label_sets, st.lists(st.integers(0, 2**40), min_size=5, max_size=5), counts)
def test_histograms(renderer: ModuleType, own: dict[str, str], buckets: list[int], total: int) -> None:
    family = renderer.Family(
        "d_seconds", "histogram", "Time.", "seconds", exponent=-7, le=["0.1", "1", "30"], bucket_map=[0, 1, 1, 2, 3]
    )
    family.add(family.series(labels(own.items())), 0, 0)
    buffer = cells(total, *buckets)
    a, b, c, d, e = buckets
    for (metric,) in parsers(lambda format: renderer.render([family], [buffer], format, exemplar(2, 0.5))):
        assert metric.type == "histogram"
        shown = {(sample.name, sample.labels.pop("le", "")): sample for sample in metric.samples}
        assert [float(le) for _, le in list(shown)[:4]] == [0.1, 1, 30, float("inf")]
        assert [sample.value for sample in shown.values()] == [
            a,
            a + b + c,
            a + b + c + d,
            a + b + c + d + e,
            float(Decimal(total).scaleb(-7)),
            a + b + c + d + e,
        ]
        assert all(sample.labels == own for sample in shown.values())
        if metric.unit:  # only OpenMetrics has units, and exemplars
            found = shown["d_seconds_bucket", "1.0"].exemplar
            assert found is not None
            assert (found.labels, found.value, float(found.timestamp or 0)) == (
                {"trace_id": TRACE, "span_id": SPAN},
                0.5,
                1_700_000_000,
            )


def test_every_type_is_accepted(renderer: ModuleType) -> None:
    """Also gauges with the endings of other types, as some vocabularies have them."""
    named = [
        ("requests_total", "counter"),
        ("handles_total", "gauge"),
        ("last_count", "gauge"),
        ("start_created", "gauge"),
        ("rate_bucket", "gauge"),
        ("host_info", "gauge"),
        ("build_info", "info"),
        ("anything", "unknown"),
    ]
    families = []
    for name, type in named:
        family = renderer.Family(name, type, "About it.", "")
        family.constant(family.series('a="b"'), "1")
        families.append(family)
    state = renderer.Family("breaker", "stateset", "About it.", "")
    for value in ("open", "closed"):
        state.constant(state.series(f'provider="x",breaker="{value}"'), "1" if value == "open" else "0")
    wait = renderer.Family("wait_seconds", "summary", "About it.", "seconds", bucket_map=[0, 0])
    wait.add(wait.series(""), 0, 0)
    families += [state, wait]
    for metrics in parsers(lambda format: renderer.render(families, [cells(5, 1, 2)], format, {})):
        shown = {sample.name: sample.value for metric in metrics for sample in metric.samples}
        assert shown == {
            "breaker": 0,
            "wait_seconds_sum": 5,
            "wait_seconds_count": 3,
            **{name: 1 for name, _ in named},
        }


def test_many_series(renderer: ModuleType) -> None:
    family = renderer.Family("many_total", "counter", "Many.", "")
    for number in range(20_000):
        family.add(family.series(f'n="{number}"'), 0, number)
    buffer = cells(*range(20_000))
    metrics = list(parse_text(renderer.render([family], [buffer], "text", {}).decode()))
    assert [(sample.labels["n"], sample.value) for sample in metrics[0].samples] == [
        (str(number), number) for number in range(20_000)
    ]
