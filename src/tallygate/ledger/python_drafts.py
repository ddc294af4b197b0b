"""Drafts in pure Python: the same behaviour as the compiled core's, over the pure-Python ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from tallygate.ledger.interface import Derivation, Source, Value
from tallygate.ledger.interface import Draft as DraftProtocol
from tallygate.ledger.interface import Form as FormProtocol
from tallygate.ledger.interface import Row as RowProtocol
from tallygate.ledger.schema import Kind
from tallygate.ledger.values import INT64_MAX, OBSERVATION_LIMIT, units_of, units_of_nanoseconds

if TYPE_CHECKING:
    from tallygate.ledger.python import Row, Table
    from tallygate.ledger.schema import MeasureSchema

MOST_MEASURES: Final = 24


class Form:
    """What drafts share."""

    __slots__ = ("derivation", "direct", "duration", "going", "kind", "row", "traced", "where")

    def __init__(
        self,
        row: Row,
        kind: type[Any],
        going: Row,
        duration: int,
        derivation: Derivation | None,
        direct: bool,
        where: Callable[[], object] | None,
        traced: Callable[[], object] | None,
    ) -> None:
        self.row, self.kind, self.going, self.duration = row, kind, going, duration
        self.derivation, self.direct, self.where, self.traced = derivation, direct, where, traced
        if len(row.table.recorded) > MOST_MEASURES:
            raise ValueError(f"drafts have {MOST_MEASURES} measures at most")
        self.schema(duration)
        if derivation is not None:
            sources, required, sums, rate, rate_of = derivation
            for measure in (*sources, *required, rate, rate_of, *(measure for measure, _, _ in sums)):
                self.schema(measure)
            if any(len(weights) != len(sources) for _, _, weights in sums):
                raise ValueError("a sum needs one weight for each source")

    def schema(self, measure: int) -> MeasureSchema:
        """The measure of this index."""
        table = self.row.table
        if not 0 <= measure < len(table.recorded):
            raise IndexError("no such measure")
        return table.schema.measures[table.recorded[measure]]

    def draft(self, owner: object, place: object) -> Draft:
        draft: Draft = self.kind()
        draft.prepare(self, owner, place)
        return draft

    def batch(
        self,
        owner: object,
        measures: tuple[tuple[int, Source], ...],
        rows: tuple[tuple[RowProtocol, tuple[Source, ...]], ...],
        left: RowProtocol | None,
    ) -> Batch:
        from tallygate.ledger.python import Row as OwnRow  # python.py imports this module

        if not isinstance(measures, tuple) or not isinstance(rows, tuple) or not isinstance(left, OwnRow | None):
            raise TypeError("batch() takes an owner, a tuple of measures, a tuple of rows and a row or None")
        if left is not None and left.table.schema.measures[0].kind is not Kind.GAUGE:
            raise TypeError("the first measure of the row that a batch leaves is a gauge")
        own = tuple((row, sources) for row, sources in rows if isinstance(row, OwnRow))
        if len(own) < len(rows):
            raise TypeError("batch() takes rows of a ledger")
        return Batch(self, owner, measures, own, left)


class Draft:
    """A record in the making."""

    __slots__ = (
        "_begun",
        "_column",
        "_fork",
        "_form",
        "_held",
        "_lapped",
        "_marked",
        "_place",
        "_set",
        "_stopped",
        "over",
        "owner",
    )

    def prepare(self, form: Form, owner: object, place: object) -> None:
        """What a form gives each of its drafts."""
        self._form, self.owner, self._place = form, owner, place
        self.over = self._held = False
        self._begun = self._lapped = self._marked = self._stopped = self._fork = 0
        self._column: int | None = None
        self._set: dict[int, int] = {}

    def __enter__(self) -> Self:
        if self._begun:
            return self
        if self._form.where is not None:
            place = self._form.where()
            if place is not self._place:
                of_kind: Any = self
                of_kind.moved(place)
        if not self.over:
            going = self._form.going
            self._fork = going.table.ledger.fork_count
            if going.table.gauge_schemas:
                self._column = going.table.offsets[0]
                going.move_gauge(self._column, 1)
            self._begun = time.monotonic_ns()
        return self

    def start(self) -> Self:
        self._held = self._held or not self._begun
        return self.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        end: Any = self  # of a derived class, which says what an ending means
        if problem is not None:
            end.fail(problem)
        elif self._form.direct and self._begun and self.derive():
            if self.close(self._form.row) and self._form.traced is not None:
                self._link(self._form.traced)
        else:
            end.finish()

    def _link(self, traced: Callable[[], object]) -> None:
        trace = problem = None
        try:
            trace = traced()
        except BaseException as own_problem:
            problem = own_problem
        if trace is not None or problem is not None:
            of_kind: Any = self
            of_kind.link(trace, problem)

    def __del__(self) -> None:
        with suppress(AttributeError):  # one that was never prepared
            if not self.over:
                if self._held:
                    end: Any = self
                    end.abandon()
                self.close(None)

    @property
    def elapsed(self) -> float:
        return self._age() * 1e-9

    def _age(self) -> int:
        return (self._stopped or time.monotonic_ns()) - self._begun if self._begun else 0

    @property
    def marked(self) -> float | None:
        return (self._marked - self._begun) * 1e-9 if self._marked else None

    def put(self, *pairs: Value) -> None:
        for measure, value in zip(map(int, pairs[::2]), pairs[1::2], strict=False):  # type: ignore[arg-type]  # indexes are never None
            units = units_of(self._form.schema(measure), value)
            if units is not None:
                self._set[measure] = units
            elif value is not None:
                self._form.row.table.ledger.dropped += 1

    def count(self, *pairs: int | None) -> bool:
        counts = {}
        for measure, value in zip(pairs[::2], pairs[1::2], strict=False):
            if value is not None and measure is not None:
                units = units_of(self._form.schema(measure), value) if type(value) is int else None
                if units is None or not 0 <= units <= OBSERVATION_LIMIT:
                    return False
                counts[measure] = units
        if not self.over:
            self._set.update(counts)
        return True

    def units(self, measure: int) -> int | None:
        self._form.schema(measure)
        return self._set.get(measure)

    def values(self) -> tuple[float | None, ...]:
        found: list[float | None] = [None] * len(self._form.row.table.recorded)
        for measure, units in self._set.items():
            found[measure] = units / 10 ** -self._form.schema(measure).exponent
        return tuple(found)

    def lap(self) -> float | None:
        if self.over:
            return None
        self.start()
        if self.over:
            return None
        now, last = time.monotonic_ns(), self._lapped
        self._lapped = now
        if last:
            return (now - last) * 1e-9
        self._marked = now
        return None

    def derive(self) -> bool | None:
        self.__enter__()
        if self.over:
            return None
        self._stop()
        derivation = self._form.derivation
        if derivation is None or any(measure not in self._set for measure in derivation.required):
            return False
        sources = [self._set.get(measure, 0) for measure in derivation.sources]
        sums = {
            measure: constant + sum(weight * source for weight, source in zip(weights, sources, strict=True))
            for measure, constant, weights in derivation.sums
        }
        if not all(0 <= total <= INT64_MAX for total in sums.values()):
            return False
        self._set.update(sums)
        amount, seconds = self._set.get(derivation.rate_of, 0), self._age() * 1e-9
        if amount > 0 and seconds > 0:
            of, schema = self._form.schema(derivation.rate_of), self._form.schema(derivation.rate)
            rate = units_of(schema, amount / 10**-of.exponent / seconds)
            if rate is not None:
                self._set[derivation.rate] = rate
        return True

    def _stop(self) -> None:
        if not self._stopped:
            self._stopped = time.monotonic_ns()
            units = units_of_nanoseconds(self._form.schema(self._form.duration), self._age())
            if units is not None:
                self._set[self._form.duration] = units

    def become(self, form: FormProtocol, owner: object) -> None:
        if not isinstance(form, Form) or form.row.table is not self._form.row.table:
            raise TypeError("become() takes a form to the same table and an owner")
        if not self._begun:
            self._form, self.owner = form, owner

    def close(self, row: RowProtocol | None) -> bool:
        if row is not None:
            from tallygate.ledger.python import Row as OwnRow  # python.py imports this module

            if not isinstance(row, OwnRow):
                raise TypeError(f"close() takes a row of a ledger, not {type(row).__name__}")
            if row.table is not self._form.row.table:
                raise ValueError("close() takes a row of the draft's own table")
        going = self._form.going
        with going.table.ledger.lock:
            if self.over:
                return False
            self.over = True
            if self._column is not None and self._fork == going.table.ledger.fork_count:
                going.move_gauge(self._column, -1)
        if self._begun:
            self._stop()
        if row is not None and not self.inherited:
            row.record_units(self._set)
        return True

    @property
    def inherited(self) -> bool:
        """Whether a fork took it over: then it is the parent's to record."""
        return self._begun != 0 and self._fork != self._form.going.table.ledger.fork_count

    def goes_to(self, table: Table) -> bool:
        """Whether it is a draft to this table."""
        return self._form.row.table is table


MOST_VALUES, MOST_LINES, MOST_SOURCES = 32, 16, 64
NOT_A_NUMBER: Final = float("nan")


class Batch:
    """The end of a draft, and records into rows of other tables."""

    __slots__ = ("_count", "_form", "_left", "_measures", "_owner", "_rows")

    def __init__(
        self,
        form: Form,
        owner: object,
        measures: tuple[tuple[int, Source], ...],
        rows: tuple[tuple[Row, tuple[Source, ...]], ...],
        left: Row | None,
    ) -> None:
        self._form, self._owner, self._measures, self._rows, self._left = form, owner, measures, rows, left
        for measure, _ in measures:
            form.schema(measure)
        sources = [source for _, source in measures] + [source for _, of_row in rows for source in of_row]
        if len(rows) > MOST_LINES or any(len(of_row) > len(row.table.recorded) for row, of_row in rows):
            raise ValueError(f"a batch has {MOST_LINES} rows at most, and no more sources than a row has measures")
        if len(measures) > MOST_MEASURES:
            raise ValueError(f"drafts have {MOST_MEASURES} measures at most")
        if len(sources) > MOST_SOURCES:
            raise ValueError(f"a batch writes {MOST_SOURCES} measures at most")
        numbers = [n for source in sources for n in (source if isinstance(source, tuple) else (source,))]
        if not all(0 <= number < MOST_VALUES for number in numbers):
            raise IndexError(f"the values of a batch are numbered from 0 to {MOST_VALUES - 1}")
        self._count = max(numbers, default=-1) + 1

    def start(self) -> Draft:
        return self._form.draft(self._owner, None).start()

    def close(self, draft: DraftProtocol, *values: Value) -> bool:
        if len(values) != self._count:
            raise TypeError(f"close() takes a draft and {self._count} values ({len(values) + 1} arguments given)")
        if not isinstance(draft, Draft) or not draft.goes_to(self._form.row.table):
            raise TypeError("close() takes a draft to the batch's own table")
        over = draft.over
        if not over:
            for measure, source in self._measures:
                draft.put(measure, _value(source, values))
            for row, sources in () if draft.inherited else self._rows:
                row.record(*[_value(source, values) for source in sources])
            draft.__exit__(None, None, None)
        if self._left is not None:
            self._left.add(0, -1)
        return not over


def _value(source: Source, values: tuple[Value, ...]) -> Value:
    if not isinstance(source, tuple):
        return values[source]
    since, until = values[source[0]], values[source[1]]
    if since is None or until is None:
        return None
    try:
        return until - since
    except TypeError:  # of no number: neither is this, and it is counted as dropped
        return NOT_A_NUMBER
