"""The history: what comes in is what the curves and sums say, in a memory that does not grow."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallygate.dialects import DIALECTS, boundaries, table_schema
from tallygate.facts import LLMCall
from tallygate.gateway.page.counted import curves, named, point
from tallygate.gateway.page.figures import MOST_ERRORS, MOST_NAMES, NAMES, RANGES, STEPS
from tallygate.gateway.page.history import (
    ALL,
    KINDS,
    MOST_PER_LOOK,
    MOST_PER_SLOT,
    OTHER,
    History,
    Key,
    Kind,
    Ring,
    fold,
    gather,
)
from tallygate.gateway.page.layout import COST, ERRORS, FAULTS, INPUT, REQUESTS, Amounts, Buckets, Layout
from tallygate.gateway.page.reading import CallReader, Change, Who
from tallygate.ledger import Implementation
from tallygate.tally import Tally

REQUESTS_NUMBER, ERRORS_NUMBER = NAMES.index("requests"), NAMES.index("errors")
NAMED = st.sampled_from([f"name-{number}" for number in range(30)])
WHO = st.builds(
    Who,
    NAMED,
    NAMED,
    st.sampled_from(["", "chat"]),
    st.sampled_from(["", "key-1", "key-2"]),
    st.just(""),
    st.just("200"),
)
AMOUNTS = st.dictionaries(st.integers(0, 92), st.integers(1, 10**9), max_size=6)
CHANGES = st.lists(st.builds(Change, WHO, AMOUNTS), max_size=40)
LOOKS = st.lists(st.tuples(st.integers(1, 400), CHANGES, st.integers(0, 50)), min_size=1, max_size=40)
"""Seconds since the look before, what came, and how many calls went on."""


LAYOUT = Layout(table_schema(LLMCall, boundaries(DIALECTS.values())))


@pytest.fixture(scope="module")
def layout() -> Layout:
    return LAYOUT


def added(changes: Iterable[Change], most: int = MOST_PER_LOOK) -> dict[Key, Amounts]:
    sums: dict[Key, Amounts] = {}
    gather(sums, Counter(), changes, LAYOUT)
    fold(sums, most)
    return sums


def sums(parts: Iterable[dict[Key, Amounts]]) -> dict[Key, Amounts]:
    total: dict[Key, Amounts] = {}
    for part in parts:
        for key, amounts in part.items():
            kept = total.setdefault(key, {})
            for number, amount in amounts.items():
                kept[number] = kept.get(number, 0) + amount
    return {key: amounts for key, amounts in total.items() if amounts}


@settings(deadline=None, max_examples=25)
@given(LOOKS)
def test_the_total_is_the_sum_of_the_slots(looks: list[tuple[int, list[Change], int]]) -> None:
    ring, now, came = Ring(30, 8), 1_000_000.0, []
    for seconds, changes, active in looks:
        now += seconds
        ring.add(now, seconds, added(changes), active)
        came.append((now, changes, active))
        slots = [{key: slot.amounts(key) for key in slot.packed} for slot in ring.slots]
        assert sums([*slots, ring.added]) == sums([ring.total])
        assert ring.open is not None
        first = ring.open.start - 7 * 30
        # What is there is what came since the first slot, over all and of each kind.
        since = [changes for at, changes, _ in came if at >= first]
        wanted = sums(added(changes, 10**6) for changes in since)
        assert ring.total.get(ALL, {}) == wanted.get(ALL, {})
        for kind in KINDS:
            of_kind = dict.fromkeys(range(93), 0)
            for (found, _), amounts in ring.total.items():
                for number, amount in amounts.items():
                    of_kind[number] += amount if found == kind else 0
            kept = 93 if kind == "provider" else LAYOUT.latency.numbers.stop
            if kind != "key":
                told = {number: amount for number, amount in of_kind.items() if amount}
                assert told == {number: amount for number, amount in wanted.get(ALL, {}).items() if number < kept}
        peaks = [slot.active for slot in (*ring.slots, ring.open)]
        assert max(peaks) == max(active for at, _, active in came if at >= first)


@settings(deadline=None, max_examples=25)
@given(looks=LOOKS)
def test_every_curve_sums_up_to_the_total(layout: Layout, looks: list[tuple[int, list[Change], int]]) -> None:
    history, now = History(), 1_000_000.0
    for seconds, changes, active in looks:
        now += seconds
        for _ in history.add(now, seconds, added(changes), active):
            continue
    for name, ring in history.rings.items():
        assert ring.open is not None
        times, points = curves(ring, layout)
        assert times == list(range(ring.open.start - RANGES[name] + STEPS[name], ring.open.start + 1, STEPS[name]))
        watched = {slot.start: slot.seconds for slot in (*ring.slots, ring.open)}
        requests = sum(
            (values[REQUESTS_NUMBER] or 0) * watched.get(at, 0) for at, values in zip(times, points, strict=True)
        )
        assert requests == pytest.approx(ring.total.get(ALL, {}).get(REQUESTS, 0))
        assert {at for at, values in zip(times, points, strict=True) if values[0] is not None} == set(watched)
        # Asked again, nothing has changed.
        assert curves(ring, layout) == (times, points)


def test_time_that_goes_backwards_stands_still() -> None:
    ring = Ring(30, 8)
    ring.add(1000, 5, {ALL: {REQUESTS: 1}}, 0)
    ring.add(400, 5, {ALL: {REQUESTS: 2}}, 0)
    assert ring.open is not None
    assert (ring.open.start, ring.open.seconds, ring.total) == (990, 10, {ALL: {REQUESTS: 3}})
    ring.add(10**9, 5, {}, 0)
    assert (len(ring.slots), ring.total) == (0, {})


def test_many_names_cost_no_more_memory_than_some(layout: Layout) -> None:
    numbers = [REQUESTS, COST, INPUT, *layout.latency.numbers[:6]]
    ring = Ring(30, 8)

    def look(number: int) -> None:
        changes = [
            Change(Who("p", f"model-{name}", f"route-{name}", f"key-{name}", "", ""), dict.fromkeys(numbers, name + 1))
            for name in range(1000)
        ]
        ring.add(1000 + 30 * number, 30, added(changes), 0)

    for number in range(20):
        look(number)
    wanted = dict.fromkeys(numbers, 8 * sum(range(1, 1001)))
    assert ring.total[ALL] == wanted
    for slot in ring.slots:
        assert Counter(kind for kind, _ in slot.packed) == {
            "": 1, "provider": 1, "model": MOST_PER_SLOT + 1, "route": MOST_PER_SLOT + 1, "key": MOST_PER_SLOT + 1,
        }  # fmt: skip
    # The most expensive stay apart, and the rest is one.
    top = ring.top("model")
    assert [name for name, _ in top[1:]] == [f"model-{name}" for name in range(999, 990, -1)]
    assert len(top) == MOST_NAMES
    assert top[0][0] == OTHER
    kept = sum(amounts[COST] for (kind, _), amounts in ring.total.items() if kind == "model")
    assert kept == wanted[COST]


def test_a_day_of_many_names_takes_bounded_memory(layout: Layout) -> None:
    numbers = [REQUESTS, COST, INPUT, *layout.latency.numbers[:6]]
    ring = Ring(5, 180)
    changes = [
        Change(Who("p", f"m{name}", f"r{name}", f"k{name}", "", ""), dict.fromkeys(numbers, 10**9 + name))
        for name in range(200)
    ]
    come = added(changes)
    for number in range(400):
        ring.add(5 * number, 5, come, 0)
    assert len(ring.slots) == 179
    # All, one provider, and of models, routes and keys each the most there may be and the rest, with nine amounts each.
    arrays = [packed for slot in ring.slots for packed in slot.packed.values()]
    assert len(arrays) == 179 * (2 + 3 * (MOST_PER_SLOT + 1))
    assert sum(map(sys.getsizeof, arrays)) <= len(arrays) * (sys.getsizeof(arrays[0]))
    assert sys.getsizeof(arrays[0]) < 2 * 9 * 8 + 100


def test_failures_alike_are_told_together_and_the_latest_stay() -> None:
    history = History()
    failed: Counter[Kind] = Counter()
    who = Who("p", "m", "r", "k", "provider_timeout", "504")
    more = {REQUESTS: 2, ERRORS: 2, FAULTS: 2}
    gather({}, failed, [Change(who, more), Change(who._replace(key="other"), more), Change(who, {INPUT: 5})], LAYOUT)
    history.fail(100.0, failed)
    (told,) = history.errors
    assert (told.time, told.count, told.provider, told.status_code) == (100.0, 4, "p", "504")
    for number in range(100):
        history.fail(float(number), {("p", "m", "r", "provider_timeout", "504"): 1})
    assert [one.time for one in history.errors] == [float(number) for number in range(100 - MOST_ERRORS, 100)]


def test_the_rates_of_a_step_are_over_the_time_that_was_watched(layout: Layout) -> None:
    ring = Ring(30, 8)
    ring.add(1000, 4, {ALL: {REQUESTS: 8, ERRORS: 2, COST: 36 * 10**11, INPUT: 40}}, 3)
    assert ring.open is not None
    values = dict(zip(NAMES, point(ring.open, ring.added[ALL], layout), strict=True))
    told = {name: value for name, value in values.items() if value is not None}
    assert told == {
        "requests": 2, "errors": 0.5, "cost": 32400, "input_tokens": 10, "output_tokens": 0, "cached_tokens": 0,
        "active_requests": 3,
    }  # fmt: skip
    assert named(ring, "model", layout) == []


@pytest.mark.parametrize(
    ("share", "counts", "wanted"),
    [
        # As Prometheus has it: evenly spread within a bucket, from 0 in the first, the last bound beyond it.
        (0.5, [4, 0, 0, 0], 0.5),
        (0.95, [0, 10, 0, 0], 1.95),
        (0.5, [1, 1, 2, 0], 2.0),
        (0.75, [1, 1, 2, 0], 3.0),
        (0.99, [0, 0, 0, 5], 4.0),
        (0.5, [1, 0, 0, 1], 1.0),
        (0.5, [0, 0, 0, 0], None),
    ],
)
def test_quantiles(share: float, counts: list[int], wanted: float | None) -> None:
    found = Buckets(0, (1.0, 2.0, 4.0)).quantile(share, dict(enumerate(counts)))
    assert found == (wanted if wanted is None else pytest.approx(wanted))


@given(st.lists(st.floats(0.0001, 700), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    bounds = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
    counts = [0] * (len(bounds) + 1)

    def bucket(value: float) -> int:
        return next((index for index, bound in enumerate(bounds) if value <= bound), len(bounds))

    for value in values:
        counts[bucket(value)] += 1
    rank = next(number for number in range(1, len(values) + 1) if number >= share * len(values))
    true = bucket(sorted(values)[rank - 1])
    found = Buckets(0, bounds).quantile(share, dict(enumerate(counts)))
    assert found is not None
    if true == len(bounds):
        assert found == bounds[-1]
    else:
        lower = bounds[true - 1] if true else 0.0
        assert lower - 1e-9 <= found <= bounds[true] + 1e-9


class Memory:
    """Cells that a test sets, in the place of a ledger's."""

    def __init__(self, tally: Tally) -> None:
        self.reader = CallReader(tally)
        self.table = tally.tables[LLMCall]
        self.names = self.table.schema.dimensions

    def record(self, model: str, *, error_type: str = "", times: int = 1) -> None:
        known = {
            "provider": "p",
            "model": model,
            "error_type": error_type,
            "status_code": "500" if error_type else "200",
        }
        row = self.table.row(*[known.get(name, "") for name in self.names])
        for _ in range(times):
            row.record(0.3, *[None] * (len(self.table.schema.measures) - 1))

    def read(self) -> dict[str, Amounts]:
        return {who.model: amounts for changes in self.reader.read() for who, amounts in changes}


@pytest.mark.parametrize("implementation", ["native", "python"])
def test_a_reading_tells_what_came_since_the_last(implementation: Implementation) -> None:
    tally = Tally(implementation=implementation)
    memory = Memory(tally)
    assert memory.read() == {}
    assert not memory.reader.called
    memory.record("m", times=3)
    memory.record("n", error_type="provider_timeout")
    memory.record("o", error_type="caller_invalid_request")
    layout = memory.reader.layout
    third = layout.latency.first + bisect_left(layout.latency.bounds, 0.3)
    assert memory.read() == {
        "m": {REQUESTS: 3, third: 3},
        "n": {REQUESTS: 1, ERRORS: 1, FAULTS: 1, third: 1},
        "o": {REQUESTS: 1, ERRORS: 1, third: 1},
    }
    assert memory.reader.called
    assert memory.read() == {}
    memory.record("m")
    assert memory.read() == {"m": {REQUESTS: 1, third: 1}}
    # A row that was begun anew counts from zero.
    index = next(index for index, (_, who) in enumerate(memory.reader._rows) if who.model == "m")
    memory.reader._before[index] = tuple([100 * one for one in memory.reader._before[index]])
    memory.reader._counts[index] = -1
    assert memory.read() == {"m": {REQUESTS: 4, third: 4}}
    tally.close()


def test_what_was_there_is_skipped() -> None:
    tally = Tally()
    memory = Memory(tally)
    memory.record("m", times=5)
    for _ in memory.reader.skip():
        continue
    assert memory.reader.called
    assert memory.read() == {}
    tally.close()


def test_readings_pause_often() -> None:
    tally = Tally()
    memory = Memory(tally)
    for number in range(1000):
        memory.record(f"m{number}")
    portions = [len(changes) for changes in memory.reader.read()]
    assert sum(portions) == 1000
    assert max(portions) == 16
    assert len(portions) > 1000 / 16
    tally.close()
