"""Exemplars: the trace of one observation, beside the cell it went to."""

import time

import pytest

from tallygate.ledger.interface import Ledger, Row
from tallygate.ledger.schema import Kind

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def cells_of(ledger: Ledger, row: Row) -> tuple[int, list[int]]:
    """Where a row of the first table counts, and where each of its recorded measures begins: with its sum."""
    schema = ledger.tables[0].schema
    sums = [schema.offset_of(each.name) for each in schema.measures if each.kind is not Kind.GAUGE]
    return row.cell, [row.cell + offset for offset in sums]


def test_an_exemplar_of_the_count_of_each_sum_and_of_each_bucket(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    before = time.time()
    row.exemplify(TRACE, SPAN, 0.25, 7, 0.1)
    kept = sorted(ledger.exemplars())
    count, (duration, *others) = cells_of(ledger, row)
    assert [exemplar[:4] for exemplar in kept] == [
        (count, TRACE, SPAN, 1.0),
        (duration, TRACE, SPAN, 0.25),
        (duration + 2, TRACE, SPAN, 0.25),
        (others[0], TRACE, SPAN, 7.0),
        (others[1], TRACE, SPAN, 0.1),
    ]
    assert all(before <= exemplar.timestamp <= time.time() for exemplar in kept)
    assert ledger.memory[row.cell] == 0


def test_the_newest_stays(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    row.exemplify(TRACE, SPAN, 0.25)
    row.exemplify("AB" * 16, "CD" * 8, 0.3)
    row.exemplify("ef" * 16, "01" * 8, 5)
    count, (duration, *_) = cells_of(ledger, row)
    assert sorted(exemplar[:4] for exemplar in ledger.exemplars()) == [
        (count, "ef" * 16, "01" * 8, 1.0),
        (duration, "ef" * 16, "01" * 8, 5.0),
        (duration + 2, "ab" * 16, "cd" * 8, 0.3),
        (duration + 4, "ef" * 16, "01" * 8, 5.0),
    ]


def test_a_sum_that_did_not_grow_has_none(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    row.exemplify(TRACE, SPAN, 0, 0)
    count, (duration, *_) = cells_of(ledger, row)
    assert sorted(exemplar.cell for exemplar in ledger.exemplars()) == [count, duration + 1]


@pytest.mark.parametrize(
    ("trace", "span"),
    [
        (TRACE[:-1], SPAN),
        (TRACE, SPAN + "0"),
        ("0" * 32, SPAN),
        (TRACE, "0" * 16),
        ("g" * 32, SPAN),
        (None, SPAN),
        ("é" * 16, SPAN),
    ],
)
def test_what_is_no_id_is_dropped(ledger: Ledger, trace: str, span: str) -> None:
    ledger.tables[0].row("m", "r").exemplify(trace, span, 0.25)
    assert list(ledger.exemplars()) == []
    assert ledger.statistics().dropped == 1


def test_measures_that_cannot_be_observed_have_none(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    for value in (None, -1, float("nan"), "x"):
        row.exemplify(TRACE, SPAN, value)  # type: ignore[arg-type]  # the point of the test
    assert [exemplar.cell for exemplar in ledger.exemplars()] == [row.cell]


def test_many_rows_keep_the_newest(ledger: Ledger) -> None:
    table = ledger.tables[0]
    rows = [table.row(str(n), "r") for n in range(9_000)]
    for row in rows:
        row.exemplify(TRACE, SPAN, 0.25)
    kept = ledger.exemplars()
    assert 3_000 < len(kept) <= 4_096
    assert len({exemplar.cell for exemplar in kept}) == len(kept)
    assert {rows[-1].cell, rows[-1].cell + 3} <= {exemplar.cell for exemplar in kept}


def test_tables_keep_their_own(ledger: Ledger) -> None:
    ledger.tables[0].row("m", "r").exemplify(TRACE, SPAN)
    ledger.tables[2].row().exemplify(TRACE, SPAN)
    assert {exemplar.cell for exemplar in ledger.exemplars()} == {
        ledger.tables[0].row("m", "r").cell,
        ledger.tables[2].row().cell,
    }
