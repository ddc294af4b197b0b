"""A ledger and a renderer small enough to read at a glance, with the interfaces that a plan uses."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from tallygate.declare import Fact
from tallygate.dialects import Dialect, Plan, boundaries, table_schema
from tallygate.ledger.interface import RowView
from tallygate.ledger.schema import Kind, TableSchema, gauges_of

CELLS = 1 << 17


class FakeTable:
    """The rows of one fact; values are given in cell units."""

    def __init__(self, schema: TableSchema, memory: FakeMemory) -> None:
        self.schema, self.memory = schema, memory
        self.views = [RowView(0, ("other",) * len(schema.dimensions), memory.take(schema.cells), 0.0)]
        self.found: dict[tuple[str, ...], RowView] = {}
        self.slots: dict[tuple[int, int], int] = {}

    def row(self, *values: str) -> RowView:
        if values not in self.found:
            view = RowView(len(self.views), values, self.memory.take(self.schema.cells), 0.0)
            self.views.append(view)
            self.found[values] = view
        return self.found[values]

    def rows(self, start: int = 0, limit: int = -1) -> Sequence[RowView]:
        return self.views[start:] if limit < 0 else self.views[start : start + limit]

    def gauges(self) -> memoryview:
        width = len(gauges_of(self.schema.measures))
        cells = array("q", bytes(8 * width * len(self.views)))
        for (row, column), value in self.slots.items():
            cells[row * width + column] = value
        return memoryview(cells)

    def set(self, row: RowView, gauge: str, value: int) -> None:
        names = [measure.name for measure in gauges_of(self.schema.measures)]
        self.slots[row.index, names.index(gauge)] = value

    def record(self, row: RowView, **measures: int | Sequence[int]) -> None:
        """Count one record; a distribution may be given several values at once."""
        cells = self.memory.cells
        cells[row.cell] += 1
        for measure in self.schema.measures:
            if measure.name not in measures:
                continue
            given = measures.pop(measure.name)
            at = row.cell + self.schema.offset_of(measure.name)
            for value in [given] if isinstance(given, int) else given:
                cells[at] += value
                if measure.kind is Kind.DISTRIBUTION:
                    cells[at + 1 + bisect_left(measure.boundaries, value)] += 1
        assert not measures, f"no such measures: {list(measures)}"


class FakeMemory:
    def __init__(self) -> None:
        self.cells = array("q", bytes(8 * CELLS))
        self.used = 0

    def take(self, cells: int) -> int:
        self.used += cells
        assert self.used <= CELLS
        return self.used - cells


class FakeFamily:
    """A rendered family that can be asked for its samples."""

    def __init__(
        self,
        name: str,
        type: str,
        help: str,
        unit: str,
        *,
        exponent: int = 0,
        factor: float | None = None,
        le: Sequence[str] | None = None,
        le_as_written: bool = False,
        bucket_map: Sequence[int] | None = None,
        quantiles: Sequence[str] | None = None,
        combine: str = "sum",
        scale: int = 0,
    ) -> None:
        self.name, self.type, self.help, self.unit, self.combine = name, type, help, unit, combine
        self.scale, self.quantiles = scale, quantiles
        self.exponent, self.factor, self.le, self.bucket_map = exponent, factor, le, bucket_map
        self.sources: dict[str, list[tuple[int, int]]] = {}
        self.texts: dict[str, str] = {}

    def series(self, labels: str, /) -> int:
        self.sources.setdefault(labels, [])
        return list(self.sources).index(labels)

    def add(self, series: int, buffer: int, cell: int, /) -> None:
        list(self.sources.values())[series].append((buffer, cell))

    def constant(self, series: int, text: str, /) -> None:
        self.texts[list(self.sources)[series]] = text

    def number(self, cells: int) -> Decimal:
        value = Decimal(cells).scaleb(self.exponent)
        return value if self.factor is None else value * Decimal(str(self.factor))

    def samples(self, buffers: Sequence[memoryview]) -> dict[str, Decimal | str]:
        shown: dict[str, Decimal | str] = {}
        for labels, sources in self.sources.items():
            if labels in self.texts:
                shown[f"{self.name}{{{labels}}}"] = self.texts[labels]
            elif self.le is None:
                values = [buffers[buffer][cell] for buffer, cell in sources]
                combined = {"sum": sum(values), "max": max(values, default=0), "min": min(values, default=0)}
                shown[f"{self.name}{{{labels}}}"] = self.number(combined[self.combine])
            else:
                shown |= self.histogram(labels, sources, buffers)
        return shown

    def histogram(
        self, labels: str, sources: Iterable[tuple[int, int]], buffers: Sequence[memoryview]
    ) -> dict[str, Decimal | str]:
        assert self.le is not None
        assert self.bucket_map is not None
        counts, total = [0] * (len(self.le) + 1), 0
        for buffer, cell in sources:
            total += buffers[buffer][cell]
            for ledger_bucket, own in enumerate(self.bucket_map):
                counts[own] += buffers[buffer][cell + 1 + ledger_bucket]
        shown: dict[str, Decimal | str] = {}
        for index, le in enumerate([*self.le, "+Inf"]):
            shown[f'{self.name}_bucket{{{labels}{"," if labels else ""}le="{le}"}}'] = Decimal(sum(counts[: index + 1]))
        shown[f"{self.name}_sum{{{labels}}}"] = self.number(total)
        shown[f"{self.name}_count{{{labels}}}"] = Decimal(sum(counts))
        return shown


class FakeLedger:
    """Tables for some facts, with the buckets that some dialects need, and plans over them."""

    def __init__(self, *facts: type[Fact], dialects: Sequence[Dialect], custom: Sequence[str] = ()) -> None:
        kept = boundaries(dialects)
        self.store, self.custom = FakeMemory(), custom
        self.tables = {fact: FakeTable(table_schema(fact, kept, custom), self.store) for fact in facts}

    def __getitem__(self, fact: type[Fact]) -> FakeTable:
        return self.tables[fact]

    def record(self, fact: type[Fact], dimensions: Mapping[str, str] | None = None, **measures: int) -> None:
        """Count one record; dimensions that are not given are ''."""
        table = self.tables[fact]
        values = [(dimensions or {}).get(name, "") for name in table.schema.dimensions]
        table.record(table.row(*values), **measures)

    def plan(self, *dialects: Dialect, **options: object) -> Plan[FakeFamily]:
        memory = memoryview(self.store.cells).toreadonly()
        return Plan(dialects, self.tables, memory, FakeFamily, custom=self.custom, **options)  # type: ignore[arg-type]


def samples(plan: Plan[FakeFamily], *names: str) -> dict[str, Decimal | str]:
    """Every sample of the page now: ``name{labels}`` to value."""
    shown: dict[str, Decimal | str] = {}
    with plan.reading(names) as page:
        for family in page.families:
            shown |= family.samples(page.buffers)
    return shown
