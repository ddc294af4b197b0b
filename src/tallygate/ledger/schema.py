"""What a ledger table holds: its dimensions and measures, in the terms of the cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a measure occupies cells."""

    SUM = "sum"
    """One cell: the running sum."""
    DISTRIBUTION = "distribution"
    """One cell for the running sum, then one per bucket (not cumulative): len(boundaries) + 1 of them."""
    GAUGE = "gauge"
    """No cell in the row: one slot per worker, combined when read."""


class Combine(StrEnum):
    """How the slots of the live workers make one value of a gauge."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class MeasureSchema:
    """One measure of a table. A cell is a signed 64-bit integer that counts units of 10**exponent."""

    name: str
    kind: Kind
    exponent: int = 0
    """0 for tokens; -7 for seconds counted in units of 100 ns."""
    boundaries: tuple[int, ...] = ()
    """Upper bounds (inclusive) of the buckets of a distribution, in cell units, strictly ascending; +Inf is implied."""
    combine: Combine = Combine.SUM

    @property
    def cells(self) -> int:
        """How many cells of the row this measure takes."""
        match self.kind:
            case Kind.SUM:
                return 1
            case Kind.DISTRIBUTION:
                return 2 + len(self.boundaries)
            case Kind.GAUGE:
                return 0


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table: the rows of one fact. The first cell of every row counts its records; the measures follow in order."""

    name: str
    dimensions: tuple[str, ...]
    measures: tuple[MeasureSchema, ...]
    budget: int = 10_000
    """How many rows may be made; values beyond go to the overflow row, whose dimension values are all 'other'."""

    def offset_of(self, measure: str) -> int:
        """Where the cells of ``measure`` start, counted in cells from the start of the row (0 is the record count)."""
        offset = 1
        for candidate in self.measures:
            if candidate.name == measure:
                return offset
            offset += candidate.cells
        raise KeyError(measure)

    @property
    def cells(self) -> int:
        """How many cells a row of this table takes."""
        return 1 + sum(measure.cells for measure in self.measures)


OVERFLOW_VALUE = "other"
"""Every dimension of the overflow row has this value."""


def gauges_of(measures: Sequence[MeasureSchema]) -> tuple[MeasureSchema, ...]:
    """The gauges among ``measures``, in order: the columns of a table's combined gauges."""
    return tuple(measure for measure in measures if measure.kind is Kind.GAUGE)
