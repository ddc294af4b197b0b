"""Quantiles that a summary tells are less than 5 % off the values of their ranks, in both renderers."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tallygate.dialects import Dialect, Plan, boundaries, table_schema
from tallygate.dialects.archestra import ARCHESTRA
from tallygate.dialects.families import Histogram, Summary
from tallygate.exposition import render_native, render_python
from tallygate.facts import HTTPRequest
from tallygate.ledger import Implementation, open_ledger

SHARES = (0.01, 0.05, 0.5, 0.9, 0.95, 0.99, 0.999)
SECOND = 10_000_000
"""Units of the ledger."""
FAMILY = "http_request_summary_seconds"
within = st.integers(SECOND // 1000, 60 * SECOND)
spread = st.floats(math.log(0.001), math.log(60)).map(
    lambda power: min(max(round(math.exp(power) * SECOND), 10_000), 60 * SECOND)
)


def rank(share: float, count: int) -> int:
    """Which of ``count`` ascending values is the quantile, from 1."""
    return max(1, math.ceil(round(share * 1000) * count / 1000))


def told(
    durations: list[int], dialect: Dialect = ARCHESTRA, implementation: Implementation = "native"
) -> dict[float, float]:
    """The quantiles of these durations, in units, as a page tells them; alike by both renderers."""
    schema = table_schema(HTTPRequest, boundaries([dialect]))
    ledger = open_ledger([schema], implementation=implementation)
    row = ledger.tables[0].row("GET", "/v1", "200")
    for duration in durations:
        row.record(duration / SECOND, None, None)
    only = Dialect("only", *[family for family in dialect if family.name == FAMILY])
    pages = []
    for renderer in (render_native, render_python):
        plan = Plan([only], {HTTPRequest: ledger.tables[0]}, ledger.memory, renderer.Family)
        with plan.reading() as page:
            pages.append(renderer.render(page.families, page.buffers, "text", {}))
    ledger.close()
    assert pages[0] == pages[1]
    (metric,) = text_string_to_metric_families(pages[0].decode())
    return {float(sample.labels["quantile"]): sample.value for sample in metric.samples if "quantile" in sample.labels}


@settings(max_examples=60, deadline=None)
@given(st.lists(within | spread, min_size=1, max_size=60))
def test_from_1_ms_to_60_s(durations: list[int]) -> None:
    quantiles = told(durations)
    assert tuple(quantiles) == SHARES
    for share, value in quantiles.items():
        true = sorted(durations)[rank(share, len(durations)) - 1] / SECOND
        assert abs(value - true) < 0.05 * true


def test_the_worst_value_of_every_bucket() -> None:
    """A bucket's quantile is its middle: the values next to its bounds are the farthest off."""
    kept = boundaries([ARCHESTRA])[HTTPRequest.duration]
    bounds = [bound for bound in kept if bound > 0.0009 * SECOND]
    assert (bounds[0], bounds[-1]) == (0.0009091 * SECOND, 60 * SECOND)
    for lower, upper in pairwise(bounds):
        middle = (lower + upper) / 2
        assert max(middle / (lower + 1) - 1, 1 - middle / upper) < 0.05


def test_outside_of_the_bounds() -> None:
    """Nothing is told of where in the first bucket a value lies, nor how far beyond the last one."""
    assert set(told([1, 5_000, 9_091]).values()) == {0.00045455}
    assert set(told([61 * SECOND, 3600 * SECOND]).values()) == {60}


def test_ranks_are_exact_where_doubles_are_not() -> None:
    """0.07 x 100 is a little more than 7 as a double; the value of rank 7 is meant."""
    sevenths = Dialect(
        "d", Summary(FAMILY, HTTPRequest.duration, quantiles=(0.07,), within=(0.001, 60)),
        Histogram("x", HTTPRequest.duration, buckets=(1,)),
    )  # fmt: skip
    durations = [SECOND // 100] * 7 + [SECOND * 10] * 93
    assert told(durations, sevenths) == {0.07: pytest.approx(0.01, rel=0.05)}


def test_the_ledger_in_python_tells_the_same() -> None:
    durations = [20_000, 300_000, 4_000_000, 50_000_000]
    assert told(durations, implementation="python") == told(durations)
