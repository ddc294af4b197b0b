"""Rows: finding, making, reading, and what strangers may send as dimension values."""

import sys
import threading
from enum import StrEnum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallygate.ledger import Implementation, open_ledger
from tallygate.ledger.interface import Ledger
from tallygate.ledger.schema import Kind, MeasureSchema, TableSchema

from .conftest import Opener
from .tables import TABLES, cells, totals, values


def test_row_zero_is_the_overflow_row_from_the_start(ledger: Ledger) -> None:
    assert [values(table.rows()) for table in ledger.tables] == [[("other", "other")], [("other",)], [()]]
    assert ledger.statistics().rows == 0


def test_the_same_values_are_the_same_row(ledger: Ledger) -> None:
    table = ledger.tables[0]
    first = table.row("gpt-4o", "chat")
    assert table.row("".join(["gpt", "-4o"]), "chat") is first
    assert table.row("gpt-4o", "embed") is not first
    assert values(table.rows()) == [("other", "other"), ("gpt-4o", "chat"), ("gpt-4o", "embed")]
    assert [row.index for row in table.rows()] == [0, 1, 2]
    assert [row.values for row in table.rows(2)] == [("gpt-4o", "embed")]
    assert ledger.statistics().rows == 2


def test_a_subclass_of_str_counts_by_its_characters(ledger: Ledger) -> None:
    class Word(StrEnum):
        CHAT = "chat"

    class Odd(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return 7

    table = ledger.tables[0]
    row = table.row("m", "chat")
    assert table.row("m", Word.CHAT).cell == row.cell
    assert table.row(Odd("m"), Odd("chat")).cell == row.cell
    assert table.row("new", Word.CHAT).cell == table.row("new", "chat").cell
    assert ledger.statistics().rows == 2


def test_all_other_is_the_overflow_row(ledger: Ledger) -> None:
    assert ledger.tables[0].row("other", "other").cell == ledger.tables[0].rows()[0].cell
    assert ledger.tables[2].row().cell == ledger.tables[2].rows()[0].cell
    assert ledger.statistics().overflowed == 0


def test_the_number_of_values_is_the_programs_own_mistake(ledger: Ledger) -> None:
    with pytest.raises(TypeError, match="2 dimensions, 1 values given"):
        ledger.tables[0].row("m")
    with pytest.raises(TypeError, match="0 dimensions, 1 values given"):
        ledger.tables[2].row("m")


def test_a_value_that_is_no_string_goes_to_the_overflow_row(ledger: Ledger) -> None:
    for stranger in (None, 5, b"bytes", ["list"]):
        row = ledger.tables[0].row("m", stranger)  # type: ignore[arg-type]  # the point of the test
        assert row.cell == ledger.tables[0].rows()[0].cell
    assert ledger.statistics().overflowed == 4
    assert ledger.statistics().rows == 0


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        ("", ""),
        ('quo"te\\back\nline\ttab\0nul', 'quo"te\\back\nline\ttab\0nul'),
        ("日本語 \U0001f600", "日本語 \U0001f600"),
        ("\ud800", "\ufffd"),
        ("a\udfffb\ud83d\ude00", "a\ufffdb\ufffd\ufffd"),
        ("x" * 256, "x" * 256),
        ("x" * 257, "x" * 256),
        ("x" * 10_240, "x" * 256),
        ("x" * 255 + "é", "x" * 255),
        ("x" * 254 + "\U0001f600", "x" * 254),
        ("é" * 5_000, "é" * 128),
        ("\udc00" * 5_000, "\ufffd" * 85),
    ],
)
def test_what_is_kept_of_a_value(ledger: Ledger, given_value: str, kept: str) -> None:
    table = ledger.tables[0]
    row = table.row(given_value, "r")
    row.record(0.2, 1)
    assert values(table.rows(1)) == [(kept, "r")]
    assert table.row(kept, "r").cell == row.cell == table.row(given_value, "r").cell
    assert ledger.statistics().rows == 1


def test_values_that_are_cut_to_the_same_are_one_row(ledger: Ledger) -> None:
    table = ledger.tables[0]
    for n in range(500):
        table.row("y" * 300 + str(n), "r").record(None, 1)
    assert ledger.statistics().rows == 1
    assert cells(ledger, 0, table.rows()[1]) == [500, 0, 0, 0, 0, 0, 500, 0]


texts = st.text(alphabet=st.characters(exclude_categories=()), max_size=400)


@pytest.fixture(scope="module")
def pair() -> tuple[Ledger, Ledger]:
    names: tuple[Implementation, Implementation] = ("native", "python")
    return open_ledger(TABLES, implementation=names[0]), open_ledger(TABLES, implementation=names[1])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(model=texts, route=texts)
def test_any_text_makes_the_same_row_in_both_implementations(
    pair: tuple[Ledger, Ledger], model: str, route: str
) -> None:
    for ledger in pair:
        ledger.tables[0].row(model, route).record(None, 1)
        ledger.tables[0].row(model, route).record(None, 1)
    native, python = (ledger.tables[0].rows() for ledger in pair)
    assert values(native) == values(python)
    assert len(set(values(native))) == len(native)
    for kept in native[-1].values:
        assert len(kept.encode()) <= 256
    assert [cells(pair[0], 0, row) for row in native[-1:]] == [cells(pair[1], 0, row) for row in python[-1:]]


def test_beyond_the_budget_totals_stay_exact(opener: Opener) -> None:
    ledger = opener([TableSchema("t", ("v",), (MeasureSchema("n", Kind.SUM),), budget=10)])
    for n in range(25):
        ledger.tables[0].row(str(n)).record(n)
        ledger.tables[0].row(str(n)).record(n)
    assert len(ledger.tables[0].rows()) == 11
    assert totals(ledger) == [50, 2 * sum(range(25))]
    assert cells(ledger, 0, ledger.tables[0].rows()[0]) == [30, 2 * sum(range(10, 25))]
    assert ledger.statistics()[:2] == (10, 30)


def test_a_budget_of_zero_has_the_overflow_row_alone(opener: Opener) -> None:
    ledger = opener([TableSchema("t", ("v",), (), budget=0)])
    ledger.tables[0].row("x").record()
    assert totals(ledger) == [1]
    assert ledger.statistics()[:2] == (0, 1)


def test_a_full_ledger_counts_in_the_overflow_row(opener: Opener) -> None:
    ledger = opener([TableSchema("t", ("v",), (MeasureSchema("n", Kind.SUM),), budget=100_000)], capacity_bytes=65536)
    for n in range(6_000):
        ledger.tables[0].row(f"value {n}").record(1)
    statistics = ledger.statistics()
    assert totals(ledger) == [6_000, 6_000]
    assert statistics.rows + statistics.overflowed == 6_000
    assert statistics.overflowed > 0
    assert statistics.used_bytes <= statistics.capacity_bytes


def test_many_dimensions(opener: Opener) -> None:
    ledger = opener([TableSchema("t", tuple(f"d{n}" for n in range(20)), ())])
    table = ledger.tables[0]
    names = [f"value {n}" for n in range(20)]
    row = table.row(*names)
    assert table.row(*["".join(name) for name in names]) is row
    assert table.row(*names[:-1], "else") is not row
    assert table.rows()[1].values == tuple(names)


def test_rows_are_numbered_and_dated_in_order_of_creation(ledger: Ledger) -> None:
    table = ledger.tables[0]
    for n in range(1_000):
        table.row(str(n), "r")
    rows = table.rows()
    assert [row.index for row in rows] == list(range(1_001))
    assert [row.created for row in rows] == sorted(row.created for row in rows)
    assert len({row.cell for row in rows}) == 1_001


def test_a_row_outlives_its_ledger(opener: Opener) -> None:
    row = opener().tables[0].row("m", "r")
    row.record(1.0, 5)
    assert row.cell > 0


def test_threads_make_each_row_once(ledger: Ledger) -> None:
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        for n in range(500):
            ledger.tables[0].row(f"model {n}", "r").record(None, 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(switch)
    assert len(ledger.tables[0].rows()) == 501
    assert all(cells(ledger, 0, row)[0] == 4 for row in ledger.tables[0].rows(1))
