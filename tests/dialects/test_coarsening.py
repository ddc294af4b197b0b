"""Whatever the rows and the buckets: every family equals a recount from the raw values."""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tallygate.dialects import Dialect
from tallygate.dialects.families import Counter, Histogram
from tallygate.facts import LLMCall

from .fakes import FakeLedger, samples

bounds = st.lists(st.integers(-(10**6), 10**7), min_size=1, max_size=8, unique=True).map(sorted)
names = st.sampled_from(["gpt", "sonnet", 'we"ird\\\n', ""])


@dataclass(frozen=True)
class Call:
    model: str
    stream: str
    error_type: str
    milliseconds: int
    tokens: int


calls = st.lists(
    st.builds(
        Call,
        model=names,
        stream=st.sampled_from(["true", "false"]),
        error_type=st.sampled_from(["", "other", "provider_timeout"]),
        milliseconds=st.integers(-(10**6), 10**7),
        tokens=st.integers(0, 10**6),
    ),
    max_size=30,
)


def record(store: FakeLedger, call: Call) -> None:
    dimensions = {"model": call.model, "stream": call.stream, "error_type": call.error_type}
    store.record(LLMCall, dimensions, duration=call.milliseconds * 10_000, input_tokens=call.tokens)


@given(calls=calls, mine=bounds, others=st.lists(bounds, max_size=3), read_between=st.integers(0, 30))
def test_a_histogram_equals_a_recount(
    calls: list[Call], mine: list[int], others: list[list[int]], read_between: int
) -> None:
    dialect = Dialect("mine", Histogram("latency_ms", LLMCall.duration * 1000, buckets=tuple(mine)))
    more = [
        Dialect(
            "other", Histogram("latency_seconds", LLMCall.duration, buckets=tuple(Decimal(b) / 1000 for b in other))
        )
        for other in others
    ]
    store = FakeLedger(LLMCall, dialects=[dialect, *more])
    plan = store.plan(dialect)
    for number, call in enumerate(calls):
        if number == read_between:
            samples(plan)
        record(store, call)
    expected: dict[str, Decimal | str] = {
        f'latency_ms_bucket{{le="{bound}"}}': Decimal(sum(call.milliseconds <= bound for call in calls))
        for bound in mine
    }
    expected['latency_ms_bucket{le="+Inf"}'] = expected["latency_ms_count{}"] = Decimal(len(calls))
    expected["latency_ms_sum{}"] = Decimal(sum(call.milliseconds for call in calls))
    assert samples(plan) == expected


@given(calls=calls, grouped=st.permutations(["model", "stream", "error_type"]), width=st.integers(1, 3))
def test_counters_equal_a_recount_by_any_labels(calls: list[Call], grouped: list[str], width: int) -> None:
    grouped = grouped[:width]
    by = tuple(dimension for dimension in LLMCall.dimensions if dimension.name in grouped)
    failed = LLMCall.error_type.not_among("")
    dialect = Dialect(
        "d",
        Counter("calls_total", LLMCall.count, by=by),
        Counter("tokens_total", LLMCall.input_tokens * 2, by=by),
        Counter("failed_total", LLMCall.count.where(failed), by=by),
    )
    store = FakeLedger(LLMCall, dialects=[dialect])
    for call in calls:
        record(store, call)
    expected: Tally[str] = Tally()
    for call in calls:
        values = {dimension.name: getattr(call, dimension.name) for dimension in by}
        quoted = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in values.items()}
        labels = ",".join(f'{name}="{value}"'.replace("\n", "\\n") for name, value in quoted.items())
        expected[f"calls_total{{{labels}}}"] += 1
        expected[f"tokens_total{{{labels}}}"] += call.tokens * 2
        if call.error_type or "error_type" not in grouped:
            expected[f"failed_total{{{labels}}}"] += call.error_type != ""
    assert samples(store.plan(dialect)) == dict(expected)
