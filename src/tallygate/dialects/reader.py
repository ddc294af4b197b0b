"""From the rows of one ledger table to the series of the families that read it."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Generic, NamedTuple, TypeVar

from tallygate import declare
from tallygate.declare import Dimension, Fact, Label, Measure, labels_of
from tallygate.dialects.families import Counter, DialectError, Family, Histogram, Info, Part, Split, Summary
from tallygate.dialects.renderer import FamilyFactory, RenderedFamily
from tallygate.dialects.series import Columns, Filter, escaped
from tallygate.ledger.interface import RowView, Table
from tallygate.ledger.schema import TableSchema, gauges_of

F = TypeVar("F", bound=RenderedFamily)

SLICE = 0.0004
"""Seconds of reading new rows between two pauses."""
ROWS = 200
"""Rows asked for at once."""
PAUSE = 0.00005
"""Seconds: long enough for a waiting thread, such as an event loop's, to take the interpreter; 0 would not be."""


class TableReader(Generic[F]):
    """What is read of one table: knows how far it has come, and which families its rows go to."""

    def __init__(self, table: Table, memory: memoryview, fact: type[Fact], custom: Sequence[str]) -> None:
        self._table, self._memory = table, memory
        self._schema: TableSchema = table.schema
        self._gauges = gauges_of(self._schema.measures)
        self._custom = tuple(_custom_dimension(fact, name) for name in custom) if fact.takes_custom_labels else ()
        self._groups: list[tuple[Columns, list[_FamilyReader[F]]]] = []
        self._infos: list[_InfoReader[F]] = []
        self._next = 1
        self._overflow: RowView | None = table.rows(0, 1)[0]
        self._uses_gauges = False

    def add(self, dialect: str, family: Family, make: FamilyFactory[F]) -> Callable[[], F]:
        """Read this family too; gives what tells its rendered form."""
        labels = list(labels_of(family.labels, self._custom))
        names = [label.name for label in labels] + ([family.value.label] if isinstance(family.value, Split) else [])
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            problem = f"the custom label {doubled[0]!r} is one of its own labels"
            raise DialectError(dialect, family.name, problem, "give the custom label another name")
        if isinstance(family, Info):
            info = _InfoReader(family, Columns(labels, self._schema.dimensions), self._column(family.measures[0]), make)
            self._infos.append(info)
            self._uses_gauges = True
            return info.current
        columns, readers = self._group(labels, family)
        try:
            rendered = self._rendered(family, make)
            parts = [self._part(family, part, labels) for part in family.parts]
        except KeyError as missing:
            problem = f"the table {self._schema.name!r} lacks {missing}"
            raise DialectError(dialect, family.name, problem, "make the ledger with this dialect") from missing
        uses_gauges = any(isinstance(measure, declare.Gauge) for measure in family.measures)
        reader = _FamilyReader(rendered, parts, uses_gauges)
        readers.append(reader)
        self._uses_gauges = self._uses_gauges or uses_gauges
        if (isinstance(family, Counter | Histogram | Summary) or family.zeros) and columns.closed:
            for seed in columns.beforehand():
                reader.seed(seed)
        return lambda: rendered

    def _group(self, labels: list[Label], family: Family) -> tuple[Columns, list[_FamilyReader[F]]]:
        for group in self._groups:
            if group[0].labels == tuple(labels) and group[0].zeros == family.zeros:
                return group
        self._groups.append((Columns(labels, self._schema.dimensions, family.zeros), []))
        return self._groups[-1]

    def _rendered(self, family: Family, make: FamilyFactory[F]) -> F:
        gauges = [measure.combine.value for measure in family.measures if isinstance(measure, declare.Gauge)]
        shift = _shift(family.factor)
        spread = isinstance(family, Histogram | Summary)
        return make(
            family.name,
            family.kind,
            family.shown_help,
            family.shown_unit,
            exponent=(family.measures[0].exponent if family.measures else 0) + (shift or 0),
            factor=float(family.factor) if shift is None else None,
            le=self._le(family),
            le_as_written=isinstance(family, Histogram) and family.as_written,
            bucket_map=self._bucket_map(family) if spread else None,
            quantiles=[plain(share) for share in family.shares] if isinstance(family, Summary) else None,
            combine={"latest": "max"}.get(gauges[0], gauges[0]) if gauges else "sum",
            scale=shift or 0,
        )

    def _le(self, family: Family) -> list[str] | None:
        """The upper bounds of its buckets, in its own unit."""
        if isinstance(family, Histogram):
            return [plain(bound) for bound in family.bounds]
        if not isinstance(family, Summary):
            return None
        exponent, factor = family.measures[0].exponent, family.factor
        return [plain(Decimal(bound).scaleb(exponent) * factor) for bound in self._own_bounds(family)]

    def _own_bounds(self, family: Family) -> Sequence[int]:
        """The same in units of the ledger's cells; for quantiles, all that the ledger keeps."""
        if isinstance(family, Histogram):
            return [int(bound) for bound in family.boundaries()]
        return self._kept(family.measures[0]) if isinstance(family, Summary) and family.quantiles else ()

    def _kept(self, measure: Measure) -> Sequence[int]:
        return next(column for column in self._schema.measures if column.name == measure.name).boundaries

    def _bucket_map(self, family: Family) -> list[int]:
        """For each bucket the ledger keeps, the family's own bucket that it lies in. KeyError: a bound is not kept."""
        own = self._own_bounds(family)
        maps = []
        for measure in family.measures:
            kept = self._kept(measure)
            if missing := sorted(set(own) - set(kept)):
                raise KeyError(f"the bucket {missing[0]} (in cells) of {measure.name}")
            maps.append([bisect_left(own, boundary) for boundary in kept] + [len(own)])
        if any(other != maps[0] for other in maps):
            raise KeyError(f"equal buckets for {' and '.join(measure.name for measure in family.measures)}")
        return maps[0]

    def _part(self, family: Family, part: Part, labels: Sequence[Label]) -> _PartReader:
        suffix = f'{family.value.label}="{escaped(part.word)}"' if isinstance(family.value, Split) else ""
        dimensions, condition = self._schema.dimensions, part.expression.condition
        only = [measure.only for measure, _ in part.expression.terms if measure.only.clauses]
        return _PartReader(
            suffix if not (labels and suffix) else f",{suffix}",
            Filter(condition, dimensions, labels, sparse=not isinstance(family, Counter), only=only)
            if condition.clauses or only
            else None,
            tuple(self._offset(measure) for measure, _ in part.expression.terms),
        )

    def _offset(self, measure: Measure) -> int:
        if isinstance(measure, declare.Gauge):
            return self._column(measure)
        return 0 if isinstance(measure, declare.Count) else self._schema.offset_of(measure.name)

    def _column(self, measure: Measure) -> int:
        names = [gauge.name for gauge in self._gauges]
        if measure.name not in names:
            raise KeyError(measure.name)
        return names.index(measure.name)

    def read(self, buffers: list[memoryview]) -> None:
        """Take in the rows made since the last time; append a buffer when gauges are read."""
        gauges = None
        buffer = len(buffers) if self._uses_gauges else 0
        pause = time.perf_counter() + SLICE
        while rows := self._table.rows(self._next, ROWS):
            for row in rows:
                self._take(row, buffer)
                if time.perf_counter() > pause:
                    time.sleep(PAUSE)
                    pause = time.perf_counter() + SLICE
            self._next = rows[-1].index + 1
        if self._uses_gauges:
            gauges = self._table.gauges()
            buffers.append(gauges)
        if self._overflow is not None and self._overflows(self._overflow, gauges):
            self._take(self._overflow, buffer)
            self._overflow = None
        if gauges is not None:
            for info in self._infos:
                info.refresh(gauges, len(self._gauges))

    def _overflows(self, row: RowView, gauges: memoryview | None) -> bool:
        return self._memory[row.cell] > 0 or (gauges is not None and any(gauges[: len(self._gauges)]))

    def _take(self, row: RowView, buffer: int) -> None:
        """Put a row into all families. ``buffer`` is the one that the table's gauges will be in."""
        for columns, readers in self._groups:
            labels = columns.of(row.values)
            for reader in readers:
                if reader.uses_gauges:
                    reader.add(labels, row, buffer, row.index * len(self._gauges))
                else:
                    reader.add(labels, row, 0, row.cell)
            for seed in columns.seeds(row.values):
                for reader in readers:
                    reader.seed(seed, row)
        for info in self._infos:
            info.rows.append(row)


class _PartReader(NamedTuple):
    suffix: str
    filter: Filter | None
    offsets: tuple[int, ...]


class _FamilyReader(Generic[F]):
    """Puts rows into one rendered family."""

    def __init__(self, family: F, parts: Sequence[_PartReader], uses_gauges: bool) -> None:
        self.family, self.parts, self.uses_gauges = family, parts, uses_gauges

    def add(self, labels: str, row: RowView, buffer: int, base: int) -> None:
        family = self.family
        for suffix, filter_, offsets in self.parts:
            if filter_ is not None and not filter_.shows(row):
                continue
            series = family.series(labels + suffix)
            if filter_ is None or filter_.counts(row):
                for offset in offsets:
                    family.add(series, buffer, base + offset)

    def seed(self, labels: str, row: RowView | None = None) -> None:
        """Show these labels at 0; because of this row, if there is one."""
        for suffix, filter_, _ in self.parts:
            if row is None or filter_ is None or filter_.seeds(row):
                self.family.series(labels + suffix)


class _InfoReader(Generic[F]):
    """Shows the rows of an info that hold in a live worker, and made anew when those change."""

    def __init__(self, family: Info, columns: Columns, column: int, make: FamilyFactory[F]) -> None:
        self._family, self._columns, self._column, self._make = family, columns, column, make
        self.rows: list[RowView] = []
        self._live: list[int] = []
        self._rendered = self._new()

    def _new(self) -> F:
        return self._make(self._family.name, self._family.kind, self._family.shown_help, self._family.shown_unit)

    def current(self) -> F:
        return self._rendered

    def refresh(self, gauges: memoryview, width: int) -> None:
        live = [row.index for row in self.rows if gauges[row.index * width + self._column] > 0]
        if live == self._live:
            return
        self._live, self._rendered = live, self._new()
        shown = set(live)
        for row in self.rows:
            if row.index in shown:
                self._rendered.constant(self._rendered.series(self._columns.of(row.values)), "1")


def _shift(factor: Decimal) -> int | None:
    """By how many places the decimal point moves; None when the factor is no power of ten."""
    _, digits, exponent = factor.normalize().as_tuple()
    return exponent if digits == (1,) and isinstance(exponent, int) else None


def plain(number: Decimal) -> str:
    """A decimal without exponent and without trailing zeros: 0.1, 1, 2.5, 4096."""
    return f"{number.normalize():f}"


def _custom_dimension(fact: type[Fact], name: str) -> Dimension:
    dimension = Dimension("custom label of the configuration")
    dimension.__set_name__(fact, name)
    return dimension
