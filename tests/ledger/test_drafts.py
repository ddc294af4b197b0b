"""Drafts: records in the making, native and in Python alike."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.ledger import Implementation, open_ledger
from tallygate.ledger.interface import Derivation, Draft, Form, Ledger, Row
from tallygate.ledger.schema import Kind, MeasureSchema, TableSchema

DURATION, READ, WRITTEN, CACHED, UNCACHED, COST, SPEED = range(7)
SCHEMAS = (
    TableSchema(
        "calls",
        ("model",),
        (
            MeasureSchema("duration", Kind.SUM, exponent=-7),
            MeasureSchema("read", Kind.DISTRIBUTION, boundaries=(10, 100)),
            MeasureSchema("written", Kind.SUM),
            MeasureSchema("cached", Kind.SUM),
            MeasureSchema("uncached", Kind.SUM),
            MeasureSchema("cost", Kind.SUM, exponent=-2),
            MeasureSchema("speed", Kind.SUM, exponent=-3),
        ),
        budget=10,
    ),
    TableSchema("going", ("model",), (MeasureSchema("now", Kind.GAUGE),), budget=10),
)
DERIVATION = Derivation(
    sources=(READ, WRITTEN, CACHED),
    required=(READ, WRITTEN),
    sums=((UNCACHED, 0, (1, 0, -1)), (COST, 7, (3, 5, -2))),
    rate=SPEED,
    rate_of=WRITTEN,
)


class Calls:
    """A ledger with a form, and what its drafts were asked."""

    def __init__(self, ledger: Ledger, *, derivation: Derivation | None = DERIVATION, direct: bool = True) -> None:
        self.ledger = ledger
        calls, going = ledger.tables[:2]
        self.place: object = None
        self.asked: list[object] = []
        asked = self.asked

        class Kind:
            __slots__ = ()

            def fail(self, problem: BaseException) -> None:
                asked.append(problem)

            def finish(self) -> None:
                asked.append("finish")

            def abandon(self) -> None:
                asked.append("abandon")

            def moved(self, place: object) -> None:
                asked.append(("moved", place))

        self.kind: type[Any] = calls.draft_kind(Kind)
        self.row: Row = calls.row("m")
        self.going: Row = going.row("m")
        self.form: Form = self.row.form(self.kind, self.going, DURATION, derivation, direct, lambda: self.place, None)

    def draft(self) -> Draft:
        return self.form.draft(self, None)

    @property
    def cells(self) -> list[int]:
        """Of the row: its count, then the measures; the duration and the speed as whether there is one."""
        found = list(self.ledger.memory[self.row.cell : self.row.cell + 12])
        return [found[0], int(found[1] > 0), *found[2:10], int(found[10] > 0)]

    @property
    def gauge(self) -> int:
        return sum(self.ledger.tables[1].gauges())


@pytest.fixture
def calls(implementation: Implementation) -> Any:
    ledger = open_ledger(SCHEMAS, implementation=implementation)
    yield Calls(ledger)
    ledger.close()


def test_drafts_are_not_the_garbage_collectors_to_watch() -> None:
    ledger = open_ledger(SCHEMAS, implementation="native")
    calls = Calls(ledger)
    assert gc.is_tracked(calls.draft()) is False
    assert (calls.kind.__name__, calls.kind.__module__) == ("Kind", __name__)
    with pytest.raises(TypeError, match=r"draft_kind\(\) takes a class, not 1"):
        ledger.tables[0].draft_kind(1)  # type: ignore[arg-type]  # the point of the test
    ledger.close()


def spend() -> None:
    """Let some time pass, so that there is a duration at 100 ns."""
    sum(range(2000))


def test_a_block_is_recorded_directly(calls: Calls) -> None:
    with calls.draft() as draft:
        assert calls.gauge == 1
        assert draft.owner is calls
        assert draft.count(READ, 50, WRITTEN, 4, CACHED, 20) is True
        spend()
    assert calls.asked == []
    assert draft.over is True
    # One record; read 50 in the second bucket; 4; 20; uncached 30; 7 + 3 x 50 + 5 x 4 - 2 x 20.
    assert calls.cells == [1, 1, 50, 0, 1, 0, 4, 20, 30, 137, 1]
    assert calls.gauge == 0
    assert draft.close(calls.row) is False
    assert calls.cells[0] == 1


@pytest.mark.parametrize(
    "counts",
    [(), (READ, 5), (WRITTEN, 5), (READ, 5, WRITTEN, 5, CACHED, 6)],
)
def test_what_does_not_derive_is_for_finish(calls: Calls, counts: tuple[int, ...]) -> None:
    draft = calls.draft()
    with draft:
        assert draft.count(*counts)
    assert calls.asked == ["finish"]
    assert draft.over is False
    assert calls.gauge == 1
    assert draft.close(None) is True
    assert (calls.gauge, calls.cells[0]) == (0, 0)


def test_exceptions_are_for_fail_and_pass(calls: Calls) -> None:
    problem = RuntimeError()
    with pytest.raises(RuntimeError) as caught, calls.draft():
        raise problem
    assert caught.value is problem
    assert calls.asked == [problem]


def test_a_form_that_is_not_direct_asks(calls: Calls) -> None:
    calls = Calls(calls.ledger, direct=False)
    with calls.draft() as draft:
        draft.count(READ, 1, WRITTEN, 1)
    assert calls.asked == ["finish"]
    assert draft.derive() is True
    assert draft.close(calls.row) is True
    assert draft.derive() is None
    assert calls.cells[:3] == [1, 1, 1]


def test_thrown_away(calls: Calls) -> None:
    held, entered, fresh = calls.draft().start(), calls.draft().__enter__(), calls.draft()
    lapped = calls.draft()
    assert lapped.lap() is None
    assert calls.gauge == 3
    del entered, fresh
    gc.collect()
    assert (calls.asked, calls.gauge) == ([], 2)
    del held, lapped
    gc.collect()
    assert (calls.asked, calls.gauge) == (["abandon", "abandon"], 0)


def test_counts_are_taken_together_or_not_at_all(calls: Calls) -> None:
    draft = calls.draft()
    for bad in (-1, 1.0, True, "1", 2**56 + 1, 10**30):
        assert draft.count(READ, 1, WRITTEN, bad) is False  # type: ignore[arg-type]  # the point of the test
    assert draft.units(READ) is None
    assert draft.count(READ, 1, WRITTEN, None) is True
    assert draft.count(READ, None, WRITTEN, 2) is True
    assert (draft.units(READ), draft.units(WRITTEN)) == (1, 2)
    for index in (-1, 7):
        with pytest.raises(IndexError):
            draft.units(index)


def test_values_are_rounded_to_cells(calls: Calls) -> None:
    draft = calls.draft()
    draft.put(COST, 1.234, READ, 3, SPEED, None)
    assert draft.units(COST) == 123
    assert draft.values() == (None, 3.0, None, None, None, 1.23, None)
    draft.put(COST, float("nan"))
    assert calls.ledger.statistics().dropped == 1
    assert draft.units(COST) == 123


def test_laps(calls: Calls) -> None:
    draft = calls.draft()
    assert (draft.marked, draft.elapsed) == (None, 0.0)
    assert draft.lap() is None
    first = draft.marked
    assert first is not None
    gap = draft.lap()
    assert gap is not None
    assert draft.marked == first
    assert draft.close(None) is True
    assert first + gap <= draft.elapsed == draft.elapsed
    assert draft.lap() is None


def test_one_that_moved_can_become_another(calls: Calls) -> None:
    draft = calls.draft()
    calls.place = "elsewhere"
    other = Calls(calls.ledger)
    other.place = "elsewhere"
    draft.become(other.form, other)
    assert draft.owner is other
    draft.start()
    assert calls.asked == [("moved", "elsewhere")]
    draft.become(calls.form, calls)
    assert draft.owner is other  # it has started
    going = object()
    with pytest.raises(TypeError, match="form to the same table"):
        draft.become(going, calls)  # type: ignore[arg-type]  # the point of the test


def test_forms_that_cannot_be(calls: Calls) -> None:
    with pytest.raises(IndexError, match="no such measure"):
        calls.row.form(calls.kind, calls.going, 7, None, True, None, None)
    with pytest.raises(ValueError, match="one weight for each source"):
        calls.row.form(calls.kind, calls.going, 0, DERIVATION._replace(sums=((COST, 0, (1,)),)), True, None, None)
    with pytest.raises(TypeError, match="kind of draft"):
        calls.row.form(object, calls.going, 0, None, True, None, None)  # type: ignore[arg-type]  # the point of the test


numbers = st.none() | st.integers(0, 100) | st.integers(0, 2**56)


@given(read=numbers, written=numbers, cached=numbers)
def test_both_implementations_derive_alike(read: int | None, written: int | None, cached: int | None) -> None:
    found = []
    for implementation in ("native", "python"):
        ledger = open_ledger(SCHEMAS, implementation=implementation, capacity_bytes=1 << 20)
        draft = Calls(ledger).draft()
        assert draft.count(READ, read, WRITTEN, written, CACHED, cached)
        found.append((draft.derive(), *(draft.units(measure) for measure in (READ, WRITTEN, CACHED, UNCACHED, COST))))
        draft.close(None)
        ledger.close()
    assert found[0] == found[1]
