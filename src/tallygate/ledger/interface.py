"""The contract of the ledger, kept by the compiled core and by its pure-Python twin alike.

A ledger is one segment of memory: 64-bit integer cells, shared by all worker processes that open the same path
(private to the process when there is no path). Tables hold rows; a row is found by its dimension values.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from tallygate.ledger.schema import TableSchema


class LedgerError(Exception):
    """A ledger could not be opened. The message says which one, why, and what mends it."""


class Elapsed:
    """Stands for a time an Activity measured, in the arguments of its ``finish``."""


ELAPSED: Final = Elapsed()
"""The time from ``begin`` to ``finish``."""
MARKED: Final = Elapsed()
"""The time from ``begin`` to the first ``mark``; unset when never marked."""

Value = int | float | None
"""A measure's value in base units (seconds, tokens, USD); None is unset and records nothing."""


class RowView(NamedTuple):
    """A row as a reader sees it."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which no reader of rows wants
    """Position in its table, from 0 in order of creation; row 0 is the overflow row."""
    values: tuple[str, ...]
    """Dimension values, in the order of the table's dimensions; valid Unicode, bounded length."""
    cell: int
    """Where the row starts in the ledger's memory, counted in 8-byte cells."""
    created: float
    """Unix time of creation, seconds."""


class Exemplar(NamedTuple):
    """One traced observation kept beside the cell it went to."""

    cell: int
    """Which cell, counted from the start of the ledger's memory: a bucket, or a row's record count."""
    trace_id: str
    span_id: str
    value: float
    """The observed value, in base units; 1 for a record count."""
    timestamp: float
    """Unix time, seconds."""


class Statistics(NamedTuple):
    """How the ledger itself is doing."""

    rows: int
    """Rows made, in all tables; overflow rows left out."""
    overflowed: int
    """Rows asked for and not made, because of the budget or for want of space: records went to the overflow row."""
    dropped: int
    """Values not recorded: NaN, infinite, out of range, or of a wrong type."""
    used_bytes: int
    capacity_bytes: int
    workers: int
    """Live worker processes."""


class Row(Protocol):
    """One row, bound: what the hot path holds on to."""

    @property
    def cell(self) -> int: ...

    def record(self, *measures: Value) -> None:
        """Count one record and add these measures (sums and distributions, in the table's order; gauges left out)."""

    def add(self, measure: int, value: int | float) -> None:
        """Add to one measure alone, by its index; the record count stays.

        A gauge moves by ``value`` in this worker's slot.
        """

    def set(self, measure: int, value: int | float) -> None:
        """Set a gauge in this worker's slot."""

    def exemplify(self, trace_id: str, span_id: str, *measures: Value) -> None:
        """Keep this trace as the exemplar of the record count and of the buckets into which ``measures`` fall.

        Records nothing. ``trace_id`` has 32 hexadecimal digits, ``span_id`` 16; others are counted as dropped.
        """

    def begin(self, measure: int = 0) -> "Activity":
        """Start a clock and add 1 to a gauge of this row, until the activity is finished.

        When ``measure`` is no gauge it is a clock alone.
        """


class Activity(Protocol):
    """Something going on: a clock, one mark, and a gauge given back exactly once, on deallocation at the latest."""

    def mark(self) -> float:
        """Note the time of the first call (later ones change nothing); seconds since ``begin``, now."""

    @property
    def elapsed(self) -> float:
        """Seconds since ``begin``; stands still once finished."""

    @property
    def marked(self) -> float | None:
        """Seconds from ``begin`` to the first mark."""

    def finish(self, row: Row | None = None, *measures: Value | Elapsed) -> bool:
        """Give the gauge back and record ``measures`` into ``row``, if one is given (ELAPSED and MARKED replaced).

        False when already finished; then nothing happens.
        """


class Table(Protocol):
    """The rows of one fact."""

    @property
    def schema(self) -> TableSchema: ...

    def row(self, *values: str) -> Row:
        """Find or make the row of these dimension values.

        Never raises for what strangers send: the overflow row instead. Lone surrogates become U+FFFD and a value
        longer than 256 bytes of UTF-8 is cut. TypeError when the number of values is not the table's.
        """

    def rows(self, start: int = 0, limit: int = -1) -> Sequence[RowView]:
        """The rows from index ``start`` on, at most ``limit`` unless that is negative, whoever made them.

        Row 0 (overflow) always exists. A limit keeps the interpreter free for other threads between two calls.
        """

    def gauges(self) -> memoryview:
        """Combined gauges of all rows, a private copy: signed 64-bit, row-major, one column per gauge of the schema."""


class Ledger(Protocol):
    """All tables over one segment."""

    @property
    def tables(self) -> Sequence[Table]: ...

    @property
    def memory(self) -> memoryview:
        """The live cells of the whole segment, format 'q', read-only.

        Its address never changes while the ledger is open.
        """

    def exemplars(self) -> Sequence[Exemplar]:
        """All exemplars that are set."""

    def statistics(self) -> Statistics: ...

    def close(self) -> None:
        """Give this worker's gauges back. Recording afterwards is counted as dropped by nobody and does nothing."""
