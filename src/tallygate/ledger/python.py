"""The ledger in pure Python: the same behaviour as the compiled core, for one process.

Chosen where the core is not built. Every operation takes the ledger's lock, so threads are safe; a forked child
goes on with a copy of its own and with gauges at zero.
"""

import mmap
import os
import threading
import time
import weakref
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tallygate.ledger.interface import (
    ELAPSED,
    MARKED,
    Derivation,
    Elapsed,
    Exemplar,
    LedgerError,
    RowView,
    Statistics,
    Value,
)
from tallygate.ledger.interface import Draft as DraftProtocol
from tallygate.ledger.interface import Row as RowProtocol
from tallygate.ledger.python_drafts import Draft, Form
from tallygate.ledger.schema import OVERFLOW_VALUE, Kind, MeasureSchema, TableSchema, gauges_of
from tallygate.ledger.values import (
    CELL_LIMIT,
    INT64_MAX,
    OBSERVATION_LIMIT,
    canonical,
    units_of,
    units_of_nanoseconds,
)

HEADER_BYTES: Final = 4096
EXEMPLARS_PER_TABLE: Final = 4096

_open_ledgers: "weakref.WeakSet[Ledger]" = weakref.WeakSet()


class Activity:
    """Something going on: a clock, one mark, and a gauge that is given back exactly once."""

    __slots__ = ("_begun", "_column", "_done", "_fork", "_marked_at", "_row", "_stopped")

    def __init__(self, row: "Row", column: int | None) -> None:
        self._row, self._column, self._fork = row, column, row.table.ledger.fork_count
        self._marked_at = self._stopped = 0
        self._done = False
        if column is not None:
            row.move_gauge(column, 1)
        self._begun = time.monotonic_ns()

    def mark(self) -> float:
        now = self._stopped or time.monotonic_ns()
        if not self._marked_at and not self._done:
            self._marked_at = now
        return (now - self._begun) * 1e-9

    @property
    def elapsed(self) -> float:
        return ((self._stopped or time.monotonic_ns()) - self._begun) * 1e-9

    @property
    def marked(self) -> float | None:
        return (self._marked_at - self._begun) * 1e-9 if self._marked_at else None

    def finish(self, row: RowProtocol | None = None, *measures: Value | Elapsed) -> bool:
        if row is not None and not isinstance(row, Row):
            raise TypeError(f"finish() takes a row of a ledger, not {type(row).__name__}")
        with self._row.table.ledger.lock:
            if self._done:
                return False
            self._stopped = time.monotonic_ns()
            self._give_back()
        if row is not None and self._fork == self._row.table.ledger.fork_count:  # else it is the parent's to record
            mark = self._marked_at - self._begun if self._marked_at else None
            row.observe(measures, self._stopped - self._begun, mark)
        return True

    def _give_back(self) -> None:
        self._done = True
        if self._column is not None and self._fork == self._row.table.ledger.fork_count:
            self._row.move_gauge(self._column, -1)

    def __del__(self) -> None:
        if not getattr(self, "_done", True):
            self._give_back()


class Row:
    """One row, bound."""

    __slots__ = ("cell", "created", "gauges", "index", "table", "values")

    def __init__(self, table: "Table", index: int, values: tuple[str, ...], cell: int) -> None:
        self.table, self.index, self.values, self.cell = table, index, values, cell
        self.created = time.time()
        self.gauges = [(0, 0)] * len(table.gauge_schemas)

    def record(self, *measures: Value) -> None:
        self.observe(measures, None, None)

    def record_units(self, units: Mapping[int, int]) -> None:
        """``record`` with values in units of the cells, by index."""
        with self.table.ledger.lock:
            if not self.table.ledger.closed:
                self.table.ledger.cells[self.cell] += 1
                for measure, value in units.items():
                    self._grow(self.table.recorded[measure], value if 0 <= value <= OBSERVATION_LIMIT else None)

    def observe(self, measures: Sequence[Value | Elapsed], elapsed: int | None, mark: int | None) -> None:
        """``record`` with the times (nanoseconds) that stand for ELAPSED and MARKED."""
        table, ledger = self.table, self.table.ledger
        with ledger.lock:
            if ledger.closed:
                return
            ledger.cells[self.cell] += 1
            ledger.dropped += max(0, len(measures) - len(table.recorded))
            for measure, value in zip(table.recorded, measures, strict=False):
                if value is ELAPSED or value is MARKED:
                    nanoseconds = elapsed if value is ELAPSED else mark
                    if nanoseconds is None:
                        ledger.dropped += elapsed is None
                        continue
                    self._grow(measure, units_of_nanoseconds(table.schema.measures[measure], nanoseconds))
                elif value is not None:
                    self._grow(measure, units_of(table.schema.measures[measure], value))

    def _grow(self, measure: int, units: int | None) -> None:
        ledger = self.table.ledger
        cell = self.cell + self.table.offsets[measure]
        if units is None or ledger.cells[cell] > CELL_LIMIT - units:
            ledger.dropped += 1
            return
        ledger.cells[cell] += units
        schema = self.table.schema.measures[measure]
        if schema.kind is Kind.DISTRIBUTION:
            ledger.cells[cell + 1 + bisect_left(schema.boundaries, units)] += 1

    def add(self, measure: int, value: int | float) -> None:
        ledger = self.table.ledger
        with ledger.lock:
            if ledger.closed or value is None:
                return
            schema = self.table.measure(measure)
            units = units_of(schema, value) if schema else None
            if schema is not None and schema.kind is not Kind.GAUGE:
                self._grow(measure, units)
            elif units is None or not self.move_gauge(self.table.offsets[measure], units):
                ledger.dropped += 1

    def set(self, measure: int, value: int | float) -> None:
        ledger = self.table.ledger
        with ledger.lock:
            if ledger.closed or value is None:
                return
            schema = self.table.measure(measure)
            units = units_of(schema, value) if schema and schema.kind is Kind.GAUGE else None
            if units is None:
                ledger.dropped += 1
            else:
                ledger.sequence += 1
                self.gauges[self.table.offsets[measure]] = (units, ledger.sequence)

    def move_gauge(self, column: int, units: int) -> bool:
        """Add to a gauge; whether it could hold the result."""
        ledger = self.table.ledger
        with ledger.lock:
            moved = self.gauges[column][0] + units
            if not ledger.closed and -INT64_MAX <= moved <= INT64_MAX:
                ledger.sequence += 1
                self.gauges[column] = (moved, ledger.sequence)
                return True
            return ledger.closed

    def exemplify(self, trace_id: str, span_id: str, *measures: Value) -> None:
        table, ledger = self.table, self.table.ledger
        with ledger.lock:
            if ledger.closed:
                return
            if not (_is_id(trace_id, 32) and _is_id(span_id, 16)):
                ledger.dropped += 1
                return
            trace_id, span_id, now = trace_id.lower(), span_id.lower(), time.time()
            table.keep(Exemplar(self.cell, trace_id, span_id, 1.0, now))
            for measure, value in zip(table.recorded, measures, strict=False):
                schema = table.schema.measures[measure]
                units = None if value is None else units_of(schema, value)
                if units is None or value is None:
                    continue
                cell = self.cell + table.offsets[measure]
                if units > 0:
                    table.keep(Exemplar(cell, trace_id, span_id, float(value), now))
                if schema.kind is Kind.DISTRIBUTION:
                    bucket = cell + 1 + bisect_left(schema.boundaries, units)
                    table.keep(Exemplar(bucket, trace_id, span_id, float(value), now))

    def form(
        self,
        kind: type[DraftProtocol],
        going: RowProtocol,
        duration: int,
        derivation: Derivation | None,
        direct: bool,
        where: Callable[[], object] | None,
        traced: Callable[[], object] | None,
    ) -> Form:
        if not isinstance(going, Row) or not issubclass(kind, Draft):
            raise TypeError("form() takes a kind of draft, a row, a measure, a derivation, a truth, two functions")
        return Form(self, kind, going, duration, derivation, direct, where, traced)

    def begin(self, measure: int = 0) -> Activity:
        schema = self.table.measure(measure)
        is_gauge = schema is not None and schema.kind is Kind.GAUGE
        return Activity(self, self.table.offsets[measure] if is_gauge else None)


def _is_id(text: object, digits: int) -> bool:
    return (
        isinstance(text, str)
        and len(text) == digits
        and all(character in "0123456789abcdefABCDEF" for character in text)
        and text.strip("0") != ""
    )


class Table:
    """The rows of one fact."""

    @staticmethod
    def draft_kind(behaviour: type) -> type:
        return type(behaviour.__name__, (behaviour, Draft), {"__slots__": (), "__module__": behaviour.__module__})

    def __init__(self, ledger: "Ledger", schema: TableSchema) -> None:
        self.ledger, self.schema = ledger, schema
        self.gauge_schemas = gauges_of(schema.measures)
        columns = iter(range(len(self.gauge_schemas)))
        self.offsets = [
            next(columns) if measure.kind is Kind.GAUGE else schema.offset_of(measure.name)
            for measure in schema.measures
        ]
        self.recorded = [n for n, measure in enumerate(schema.measures) if measure.kind is not Kind.GAUGE]
        self.all: list[Row] = []
        self.known: dict[tuple[str, ...], Row] = {}
        self.exemplars: dict[int, Exemplar] = {}
        if self.make((OVERFLOW_VALUE,) * len(schema.dimensions)) is None:
            raise LedgerError(
                f"cannot open the ledger: capacity_bytes is too small for table {schema.name!r}; raise it"
            )

    def measure(self, index: int) -> MeasureSchema | None:
        in_range = type(index) is int and 0 <= index < len(self.schema.measures)
        return self.schema.measures[index] if in_range else None

    def make(self, values: tuple[str, ...]) -> Row | None:
        """A new row, or None when there is no space left."""
        cell = self.ledger.allocate(self.schema.cells)
        if cell is None:
            return None
        row = self.known[values] = Row(self, len(self.all), values, cell)
        self.all.append(row)
        return row

    def row(self, *values: str) -> Row:
        try:
            found = self.known.get(values)
        except TypeError:  # something that has no hash: no string, so the overflow row below
            found = None
        if found is not None:
            return found
        if len(values) != len(self.schema.dimensions):
            raise TypeError(
                f"table {self.schema.name} has {len(self.schema.dimensions)} dimensions, {len(values)} values given"
            )
        with self.ledger.lock:
            if all(isinstance(value, str) for value in values):
                values = tuple(map(canonical, values))
                found = self.known.get(values)
                if found is not None:
                    return found
                made = self.make(values) if len(self.all) <= self.schema.budget else None
                if made is not None:
                    return made
            self.ledger.overflowed += 1
            return self.all[0]

    def rows(self, start: int = 0, limit: int = -1) -> Sequence[RowView]:
        start = max(start, 0)
        with self.ledger.lock:
            rows = self.all[start:] if limit < 0 else self.all[start : start + limit]
            return [RowView(row.index, row.values, row.cell, row.created) for row in rows]

    def gauges(self) -> memoryview:
        with self.ledger.lock:
            out = bytearray(8 * len(self.all) * len(self.gauge_schemas))
            copy = memoryview(out).cast("q")
            if not self.ledger.closed:
                for n, row in enumerate(self.all):
                    for column in range(len(self.gauge_schemas)):
                        copy[n * len(self.gauge_schemas) + column] = row.gauges[column][0]
            return copy.toreadonly()

    def keep(self, exemplar: Exemplar) -> None:
        self.exemplars.pop(exemplar.cell, None)
        self.exemplars[exemplar.cell] = exemplar
        if len(self.exemplars) > EXEMPLARS_PER_TABLE:
            del self.exemplars[next(iter(self.exemplars))]


class Ledger:
    """All tables, in memory of this process alone."""

    def __init__(self, schemas: Sequence[TableSchema], capacity_bytes: int) -> None:
        self.lock = threading.RLock()
        self.fork_count = 0
        self.closed = False
        self.overflowed = self.dropped = self.sequence = 0
        self.capacity = max(capacity_bytes, HEADER_BYTES)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        self.cells = memoryview(mmap.mmap(-1, -(-self.capacity // 8) * 8, flags=flags)).cast("q")
        self.used = HEADER_BYTES
        self.tables: tuple[Table, ...] = ()
        self.tables = tuple(Table(self, schema) for schema in schemas)
        self.memory = self.cells.toreadonly()
        _open_ledgers.add(self)

    def allocate(self, cells: int) -> int | None:
        """Space for so many cells, by the index of the first."""
        if self.used + cells * 8 > self.capacity:
            return None
        start, self.used = self.used, self.used + cells * 8
        return start // 8

    def exemplars(self) -> Sequence[Exemplar]:
        with self.lock:
            return [exemplar for table in self.tables for exemplar in table.exemplars.values()]

    def statistics(self) -> Statistics:
        with self.lock:
            rows = sum(len(table.all) - 1 for table in self.tables)
            workers = 0 if self.closed else 1
            return Statistics(rows, self.overflowed, self.dropped, self.used, self.capacity, workers)

    def close(self) -> None:
        with self.lock:
            self.closed = True

    def after_fork(self) -> None:
        """A forked child goes on with a copy of its own, in which nothing is going on yet."""
        self.lock = threading.RLock()
        self.fork_count += 1
        for table in self.tables:
            for row in table.all:
                row.gauges = [(0, 0)] * len(table.gauge_schemas)


def _after_fork() -> None:
    for ledger in list(_open_ledgers):
        ledger.after_fork()


os.register_at_fork(after_in_child=_after_fork)
