"""Exemplars: the trace of one observation, beside the cell it went to."""

import time

import pytest

from tallygate.ledger.interface import Ledger

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_an_exemplar_of_the_count_and_of_each_bucket(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    before = time.time()
    row.exemplify(TRACE, SPAN, 0.25, 7, 0.1)
    kept = sorted(ledger.exemplars())
    assert [exemplar[:4] for exemplar in kept] == [(row.cell, TRACE, SPAN, 1.0), (row.cell + 3, TRACE, SPAN, 0.25)]
    assert all(before <= exemplar.timestamp <= time.time() for exemplar in kept)
    assert ledger.memory[row.cell] == 0


def test_the_newest_stays(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    row.exemplify(TRACE, SPAN, 0.25)
    row.exemplify("AB" * 16, "CD" * 8, 0.3)
    row.exemplify("ef" * 16, "01" * 8, 5)
    assert sorted(exemplar[:4] for exemplar in ledger.exemplars()) == [
        (row.cell, "ef" * 16, "01" * 8, 1.0),
        (row.cell + 3, "ab" * 16, "cd" * 8, 0.3),
        (row.cell + 5, "ef" * 16, "01" * 8, 5.0),
    ]


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
