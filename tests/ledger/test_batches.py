"""Batches: a draft and rows of other tables that end together, native and in Python alike."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.ledger import Implementation, open_ledger
from tallygate.ledger.interface import Batch, Ledger, Row, Source, Value
from tallygate.ledger.schema import Kind, MeasureSchema, TableSchema

from .test_drafts import CACHED, COST, DERIVATION, READ, SCHEMAS, WRITTEN, Calls

STEP = TableSchema(
    "step",
    ("name",),
    (
        MeasureSchema("duration", Kind.DISTRIBUTION, exponent=-3, boundaries=(100, 1000)),
        MeasureSchema("bytes", Kind.SUM),
    ),
    budget=10,
)
STARTED, MIDDLE, ENDED, TOKENS, BYTES = range(5)


class Steps(Calls):
    """Calls that end together with the steps they were made of."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.first: Row = ledger.tables[2].row("first")
        self.all: Row = ledger.tables[2].row("all")
        self.batch: Batch = self.form.batch(
            self,
            ((READ, TOKENS), (WRITTEN, TOKENS), (CACHED, (STARTED, MIDDLE))),
            ((self.first, ((STARTED, MIDDLE),)), (self.all, ((STARTED, ENDED), BYTES))),
            None,
        )

    def close(self, *values: Any) -> bool:
        draft = self.draft().start()
        return self.batch.close(draft, *values)

    def step(self, row: Row) -> list[int]:
        """Count, sum of durations, three buckets, bytes."""
        return list(self.ledger.memory[row.cell : row.cell + 6])

    @property
    def dropped(self) -> int:
        return self.ledger.statistics().dropped


@pytest.fixture
def steps(implementation: Implementation) -> Any:
    ledger = open_ledger((*SCHEMAS, STEP), implementation=implementation)
    yield Steps(ledger)
    ledger.close()


def test_all_rows_are_recorded_at_once(steps: Steps) -> None:
    draft = steps.draft().start()
    assert steps.batch.close(draft, 1.0, 3.0, 3.5, 50, 7) is True
    assert (draft.over, steps.asked, steps.gauge) == (True, [], 0)
    assert steps.step(steps.first) == [1, 2000, 0, 0, 1, 0]
    assert steps.step(steps.all) == [1, 2500, 0, 0, 1, 7]
    # Read 50 in the second bucket, written 50, cached 2, uncached 48; 7 + 3 x 50 + 5 x 50 - 2 x 2.
    assert steps.cells[2:10] == [50, 0, 1, 0, 50, 2, 48, 403]
    assert steps.batch.close(draft, 1.0, 3.0, 3.5, 50, 7) is False
    assert steps.step(steps.all) == [1, 2500, 0, 0, 1, 7]
    assert steps.dropped == 0


@pytest.mark.parametrize(
    ("values", "first", "whole", "cached", "dropped"),
    [
        ((1, 1.05, 2, 5, 0), [1, 50, 1, 0, 0, 0], [1, 1000, 0, 1, 0, 0], 0, 0),
        ((1, 1, True, 5, True), [1, 0, 1, 0, 0, 0], [1, 0, 1, 0, 0, 1], 0, 0),
        ((None, 1.5, 2.0, 5, None), [1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], None, 0),
        ((1.0, None, 2.0, 5, 3), [1, 0, 0, 0, 0, 0], [1, 1000, 0, 1, 0, 3], None, 0),
        (("a", 1.5, 2.0, 5, -1), [1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], None, 4),
        ((1.0, "b", 1.5, 5, "c"), [1, 0, 0, 0, 0, 0], [1, 500, 0, 1, 0, 0], None, 3),
        ((1.0, float("inf"), 1.5, 5, 2), [1, 0, 0, 0, 0, 0], [1, 500, 0, 1, 0, 2], None, 2),
        ((2.0, 2.0, 1.0, 5, 2), [1, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 2], 0, 1),
    ],
)
def test_what_is_unset_or_no_observation(
    steps: Steps, values: tuple[Value, ...], first: list[int], whole: list[int], cached: int | None, dropped: int
) -> None:
    draft = steps.draft().start()
    assert steps.batch.close(draft, *values) is True
    assert (steps.step(steps.first), steps.step(steps.all)) == (first, whole)
    assert (draft.units(READ), draft.units(CACHED)) == (5, cached)
    assert (steps.cells[0], steps.dropped) == (1, dropped)


@given(st.lists(st.sampled_from([0, 1, 99, 100, 101, 999, 1000, 1001, 50_000]), min_size=1, max_size=30))
def test_every_value_is_in_its_own_bucket_whatever_came_before(milliseconds: list[int]) -> None:
    for implementation in get_args(Implementation):
        ledger = open_ledger((*SCHEMAS, STEP), implementation=implementation)
        steps = Steps(ledger)
        for value in milliseconds:
            steps.close(0.0, value / 1000, value / 1000, value, 0)
        count, total = len(milliseconds), sum(milliseconds)
        up_to = [sum(value <= bound for value in milliseconds) for bound in (100, 1000)]
        assert steps.step(steps.all) == [count, total, up_to[0], up_to[1] - up_to[0], count - up_to[1], 0]
        read = [sum(value <= bound for value in milliseconds) for bound in (10, 100)]
        assert steps.cells[2:6] == [total, read[0], read[1] - read[0], count - read[1]]
        ledger.close()


def test_drafts_start_where_they_are_made(steps: Steps) -> None:
    draft = steps.batch.start()
    assert (draft.owner, steps.gauge, steps.asked) == (steps, 1, [])
    assert draft.close(None) is True
    steps.place = "elsewhere"
    moved = steps.batch.start()
    assert (steps.asked, steps.gauge) == ([("moved", "elsewhere")], 1)
    assert moved.close(None) is True


def test_a_draft_that_does_not_derive_is_for_finish(steps: Steps) -> None:
    draft = steps.draft().start()
    assert steps.batch.close(draft, 1.0, 1.5, 2.0, None, 1) is True
    assert (steps.asked, draft.over, steps.cells[0]) == (["finish"], False, 0)
    assert steps.step(steps.all) == [1, 1000, 0, 1, 0, 1]
    assert draft.close(None) is True


def test_a_batch_of_nothing_but_the_draft(steps: Steps) -> None:
    draft = steps.draft().start()
    assert draft.count(READ, 1, WRITTEN, 2) is True
    assert steps.form.batch(None, (), (), None).close(draft) is True
    assert (steps.cells[0], steps.cells[2], draft.over) == (1, 1, True)


def test_the_gauge_that_is_left_goes_down_however_it_ends(steps: Steps) -> None:
    served = steps.ledger.tables[1].row("served")
    batch = steps.form.batch(None, (), (), served)
    served.add(0, 5)
    draft = steps.draft().start()
    assert (draft.count(READ, 1, WRITTEN, 2), steps.gauge) == (True, 6)
    assert (batch.close(draft), steps.gauge) == (True, 4)
    assert (batch.close(draft), steps.gauge) == (False, 3)
    underivable = steps.draft().start()
    assert (batch.close(underivable), steps.asked, steps.gauge) == (True, ["finish"], 3)
    with pytest.raises(TypeError, match="takes a draft and 0 values"):
        batch.close(underivable, 1)
    assert (underivable.close(None), steps.gauge) == (True, 2)


def test_only_a_gauge_can_be_left(steps: Steps) -> None:
    with pytest.raises(TypeError, match="the first measure of the row that a batch leaves is a gauge"):
        steps.form.batch(None, (), (), steps.first)
    with pytest.raises(TypeError, match="a tuple of rows and a row or None"):
        steps.form.batch(None, (), (), object())  # type: ignore[arg-type]  # the point of the test


def test_nothing_is_recorded_into_a_closed_ledger(steps: Steps) -> None:
    draft = steps.draft().start()
    steps.ledger.close()
    assert steps.batch.close(draft, 1.0, 1.5, 2.0, 5, 1) is True
    assert (steps.step(steps.first)[0], steps.step(steps.all)[0], steps.cells[0]) == (0, 0, 0)


def test_what_cannot_be_closed(steps: Steps) -> None:
    draft = steps.draft().start()
    with pytest.raises(TypeError, match=r"takes a draft and 5 values \(3 arguments given\)"):
        steps.batch.close(draft, 1.0, 2.0)
    with pytest.raises(TypeError, match="a draft to the batch's own table"):
        steps.batch.close(steps.first, 1.0, 1.5, 2.0, 5, 1)  # type: ignore[arg-type]  # the point of the test
    kind: Any = steps.ledger.tables[2].draft_kind(type("Nothing", (), {"__slots__": ()}))
    other: Any = steps.first.form(kind, steps.going, 0, None, True, None, None)
    with pytest.raises(TypeError, match="a draft to the batch's own table"):
        steps.batch.close(other.draft(None, None), 1.0, 1.5, 2.0, 5, 1)
    assert (steps.step(steps.first)[0], draft.over) == (0, False)


@pytest.mark.parametrize(
    ("measures", "sources", "error", "message"),
    [
        (((9, 0),), (), IndexError, "no such measure"),
        (((READ, 32),), (), IndexError, "numbered from 0 to 31"),
        (((READ, -1),), (), IndexError, "numbered from 0 to 31"),
        ((), ((0, 32),), IndexError, "numbered from 0 to 31"),
        ((), (0, 1, 2), ValueError, "no more sources than a row has measures"),
        ([], (), TypeError, "takes an owner, a tuple of measures"),
    ],
)
def test_batches_that_cannot_be(
    steps: Steps, measures: Any, sources: tuple[Source, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        steps.form.batch(None, measures, ((steps.first, sources),), None)


def test_batches_of_too_much(steps: Steps) -> None:
    with pytest.raises(ValueError, match="16 rows at most"):
        steps.form.batch(None, (), ((steps.first, ()),) * 17, None)
    with pytest.raises(ValueError, match="24 measures at most"):
        steps.form.batch(None, ((COST, 0),) * 25, (), None)
    with pytest.raises(TypeError):
        steps.form.batch(None, (), ((object(), ()),), None)  # type: ignore[arg-type]  # the point of the test


class Linking:
    """A form that asks for the trace, and what it was told."""

    def __init__(self, ledger: Ledger, traced: Callable[[], object]) -> None:
        calls, going = ledger.tables[:2]
        self.told: list[object] = []
        told = self.told

        class Kind:
            __slots__ = ()
            over: bool

            def link(self, trace: object, problem: BaseException | None) -> None:
                told.append((trace, problem, self.over))

            def finish(self) -> None:
                told.append("finish")

        self.row = calls.row("m")
        self.form = self.row.form(calls.draft_kind(Kind), going.row("m"), 0, DERIVATION, True, None, traced)

    def run(self, tokens: int | None) -> None:
        with self.form.draft(None, None) as draft:
            draft.count(READ, tokens, WRITTEN, tokens)


def test_a_trace_is_asked_for_once_when_all_is_recorded(steps: Steps) -> None:
    traces: list[object] = ["trace", None]
    linking = Linking(steps.ledger, lambda: traces.pop(0))
    linking.run(5)
    linking.run(5)
    assert (traces, linking.told) == ([], [("trace", None, True)])
    linking.run(None)
    assert linking.told[1:] == ["finish"]
    assert steps.ledger.memory[linking.row.cell] == 2


def test_a_trace_that_cannot_be_told(steps: Steps) -> None:
    problem = RuntimeError("no tracer")

    def traced() -> object:
        raise problem

    linking = Linking(steps.ledger, traced)
    linking.run(5)
    assert linking.told == [(None, problem, True)]
    assert steps.ledger.memory[linking.row.cell] == 1


FORK = """
import os, sys
from tallygate.ledger import open_ledger
from tests.ledger.test_batches import SCHEMAS, STEP, Steps

steps = Steps(open_ledger((*SCHEMAS, STEP), implementation=sys.argv[1]))
draft = steps.draft().start()
child = os.fork()
if child:
    os.waitpid(child, 0)
closed = steps.batch.close(draft, 1.0, 1.5, 2.0, 5, 1)
print(closed, steps.cells[0], steps.step(steps.first)[0], steps.step(steps.all)[0], flush=True)
if not child:
    os._exit(0)
"""


def test_a_forked_child_leaves_it_to_its_parent(implementation: Implementation) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", FORK, implementation], capture_output=True, text=True, check=True, timeout=60, cwd=root
    )
    assert done.stdout == "True 0 0 0\nTrue 1 1 1\n"
