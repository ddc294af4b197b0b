"""The tables that the ledger's tests share, and how cells are read back."""

from collections.abc import Iterable

from tallygate.ledger.interface import Ledger, RowView
from tallygate.ledger.schema import Combine, Kind, MeasureSchema, TableSchema

CALL = TableSchema(
    "call",
    ("model", "route"),
    (
        MeasureSchema("duration", Kind.DISTRIBUTION, -7, (1_000_000, 5_000_000, 10_000_000)),
        MeasureSchema("tokens", Kind.SUM),
        MeasureSchema("cost", Kind.SUM, -11),
    ),
)
"""Cells of a row: count, sum of durations, four buckets (0.1, 0.5, 1 second, infinity), tokens, cost."""

WORKER = TableSchema(
    "worker",
    ("name",),
    (
        MeasureSchema("now", Kind.GAUGE),
        MeasureSchema("events", Kind.SUM),
        MeasureSchema("highest", Kind.GAUGE, combine=Combine.MAX),
        MeasureSchema("lowest", Kind.GAUGE, combine=Combine.MIN),
        MeasureSchema("latest", Kind.GAUGE, -3, combine=Combine.LATEST),
    ),
)
"""Gauges, in columns: now, highest, lowest, latest."""

SINGLE = TableSchema("single", (), (MeasureSchema("events", Kind.SUM),))
"""No dimensions: one row."""

TABLES = (CALL, WORKER, SINGLE)


def cells(ledger: Ledger, table: int, row: RowView) -> list[int]:
    """The cells of a row, now."""
    return list(ledger.memory[row.cell : row.cell + ledger.tables[table].schema.cells])


def totals(ledger: Ledger, table: int = 0) -> list[int]:
    """Cell by cell, the sum over all rows of a table."""
    return [
        sum(column) for column in zip(*(cells(ledger, table, row) for row in ledger.tables[table].rows()), strict=True)
    ]


def gauges(ledger: Ledger, table: int = 1) -> dict[tuple[str, ...], list[int]]:
    """The combined gauges by the rows' values."""
    columns = sum(measure.kind is Kind.GAUGE for measure in ledger.tables[table].schema.measures)
    combined = ledger.tables[table].gauges()
    return {
        row.values: list(combined[row.index * columns : (row.index + 1) * columns])
        for row in ledger.tables[table].rows()
    }


def values(rows: Iterable[RowView]) -> list[tuple[str, ...]]:
    return [row.values for row in rows]
