"""Measures: exact sums, exact buckets, and what is not taken."""

import math
import threading
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallygate.ledger import open_ledger
from tallygate.ledger.interface import ELAPSED, MARKED, Ledger, Value
from tallygate.ledger.schema import Kind, MeasureSchema, TableSchema

from .conftest import Opener
from .tables import cells

BIG = 1 << 56


def test_a_record_counts_and_adds_all_its_measures(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    row.record(0.25, 100, 0.00012)
    row.record(2, 50)
    row.record()
    assert cells(ledger, 0, ledger.tables[0].rows()[1]) == [3, 22_500_000, 0, 1, 0, 1, 150, 12_000_000]


def test_unset_is_not_zero(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    row.record(None, None, None)
    row.record(0.0, 0, 0)
    assert cells(ledger, 0, ledger.tables[0].rows()[1]) == [2, 0, 1, 0, 0, 0, 0, 0]
    assert ledger.statistics().dropped == 0


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.1, 0), (0.1000001, 1), (0.10000004, 0), (0.5, 1), (1, 2), (1.0000001, 3), (3600, 3), (True, 2)],
)
def test_upper_bounds_are_inclusive(ledger: Ledger, seconds: float, bucket: int) -> None:
    ledger.tables[0].row("m", "r").record(seconds)
    assert cells(ledger, 0, ledger.tables[0].rows()[1])[2:6] == [int(n == bucket) for n in range(4)]


def test_a_tenth_ten_million_times_is_exact(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    for _ in range(10_000):
        row.add(2, 0.1)
    assert cells(ledger, 0, ledger.tables[0].rows()[1])[7] == 10_000 * 10**10


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        -1,
        -0.001,
        -1e-300,
        1e300,
        10**30,
        -(10**30),
        "5",
        b"5",
        [],
        Decimal(5),
        5j,
        ELAPSED,
        MARKED,
    ],
)
def test_what_is_not_taken_is_counted_and_the_rest_recorded(ledger: Ledger, value: Value) -> None:
    row = ledger.tables[0].row("m", "r")
    row.record(value, value, 1)
    assert cells(ledger, 0, ledger.tables[0].rows()[1]) == [1, 0, 0, 0, 0, 0, 0, 10**11]
    assert ledger.statistics().dropped == 2
    row.add(1, value)  # type: ignore[arg-type]  # the point of the test
    assert cells(ledger, 0, ledger.tables[0].rows()[1])[6] == 0
    assert ledger.statistics().dropped == 3


def test_too_many_measures_are_counted(ledger: Ledger) -> None:
    ledger.tables[0].row("m", "r").record(None, 1, None, 7, 8)
    assert cells(ledger, 0, ledger.tables[0].rows()[1])[6] == 1
    assert ledger.statistics().dropped == 2


@pytest.mark.parametrize("measure", [3, -1, 10**30, "0", None])
def test_an_unknown_measure_is_counted(ledger: Ledger, measure: int) -> None:
    row = ledger.tables[0].row("m", "r")
    row.add(measure, 1)
    row.set(measure, 1)
    assert ledger.statistics().dropped == 2
    row.begin(measure).finish(row, None, 1)
    assert cells(ledger, 0, ledger.tables[0].rows()[1]) == [1, 0, 0, 0, 0, 0, 1, 0]


def test_setting_what_is_no_gauge_is_counted(ledger: Ledger) -> None:
    ledger.tables[0].row("m", "r").set(1, 5)
    assert cells(ledger, 0, ledger.tables[0].rows()[1]) == [0] * 8
    assert ledger.statistics().dropped == 1


def test_add_leaves_the_record_count(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    row.add(0, 0.7)
    row.add(1, 5)
    assert cells(ledger, 0, ledger.tables[0].rows()[1]) == [0, 7_000_000, 0, 0, 1, 0, 5, 0]


def test_one_observation_is_limited_and_a_cell_never_wraps(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    row.add(1, BIG)
    row.add(1, BIG + 1)
    assert (cells(ledger, 0, ledger.tables[0].rows()[1])[6], ledger.statistics().dropped) == (BIG, 1)
    for _ in range(70):
        row.add(1, BIG)
    assert (cells(ledger, 0, ledger.tables[0].rows()[1])[6], ledger.statistics().dropped) == (64 * BIG, 8)
    row.add(0, BIG / 10**7)
    assert cells(ledger, 0, ledger.tables[0].rows()[1])[1:6] == [BIG, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("exponent", "value", "units"),
    [
        (0, 2.5, 2),
        (0, 3.5, 4),
        (0, 10**16, 10**16),
        (3, 1500, 2),
        (3, 2500, 2),
        (3, 2501, 3),
        (3, 2499.9, 2),
        (-9, 3, 3 * 10**9),
        (-9, 0.000_000_001, 1),
        (-18, 0.05, 5 * 10**16),
        (18, 5 * 10**18, 5),
        (18, 10**17, 0),
        (-7, 0.000_000_05, 0),
        (-7, 0.000_000_15, 2),
    ],
)
def test_units_are_rounded_half_to_even(opener: Opener, exponent: int, value: float, units: int) -> None:
    ledger = opener([TableSchema("t", (), (MeasureSchema("n", Kind.SUM, exponent),))])
    ledger.tables[0].row().record(value)
    assert cells(ledger, 0, ledger.tables[0].rows()[0])[1] == units


numbers = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(min_value=-(2**80), max_value=2**80),
    st.floats(min_value=0, max_value=1e6),
    st.booleans(),
    st.none(),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    exponent=st.integers(min_value=-18, max_value=18),
    boundaries=st.sets(st.integers(min_value=-(2**63), max_value=2**63 - 1), max_size=40),
    observed=st.lists(st.tuples(numbers, numbers, numbers), max_size=6),
)
def test_both_implementations_agree_on_any_number(
    exponent: int, boundaries: set[int], observed: list[tuple[Value, Value, Value]]
) -> None:
    schema = TableSchema(
        "t",
        (),
        (
            MeasureSchema("d", Kind.DISTRIBUTION, exponent, tuple(sorted(boundaries))),
            MeasureSchema("s", Kind.SUM, exponent),
            MeasureSchema("g", Kind.GAUGE, exponent),
        ),
    )
    read = []
    for name in ("native", "python"):
        ledger = open_ledger([schema], implementation=name, capacity_bytes=1 << 20)
        row = ledger.tables[0].row()
        for distribution, total, gauge in observed:
            row.record(distribution, total)
            row.add(1, total)  # type: ignore[arg-type]  # None is taken as unset
            row.add(2, gauge)  # type: ignore[arg-type]
            row.set(2, gauge)  # type: ignore[arg-type]
        kept = cells(ledger, 0, ledger.tables[0].rows()[0])
        assert sum(kept[2:-1]) <= kept[0] == len(observed)
        read.append((kept, list(ledger.tables[0].gauges()), ledger.statistics().dropped))
        ledger.close()
    assert read[0] == read[1]


def test_threads_lose_nothing(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    each = 20_000

    def work() -> None:
        for _ in range(each):
            row.record(0.25, 3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = 4 * each
    assert cells(ledger, 0, ledger.tables[0].rows()[1]) == [count, count * 2_500_000, 0, count, 0, 0, 3 * count, 0]


def test_arguments_that_are_the_programs_own_mistake(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    for call in (row.add, row.set, row.exemplify):
        with pytest.raises(TypeError):
            call(1)  # type: ignore[call-arg, arg-type]  # the point of the test
