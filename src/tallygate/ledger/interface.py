"""The contract of the ledger, kept by the compiled core and by its pure-Python twin alike.

A ledger is one segment of memory: 64-bit integer cells, shared by all worker processes that open the same path
(private to the process when there is no path). Tables hold rows; a row is found by its dimension values.
"""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self

from tallygate.ledger.schema import TableSchema


class LedgerError(Exception):
    """A ledger could not be opened. The message says which one, why, and what mends it."""


class Elapsed:
    """Stands for a time an Activity measured, in the arguments of its ``finish``."""


ELAPSED: Final = Elapsed()
"""The time from ``begin`` to ``finish``."""
MARKED: Final = Elapsed()
"""The time from ``begin`` to the first ``mark``; unset when never marked."""


class Derivation(NamedTuple):
    """What follows from the measures of a draft. Measures by index; values in units of their cells.

    Does not hold when a required measure is unset, or when a sum is negative or too big.
    """

    sources: tuple[int, ...]
    """What the sums are made of; one that is unset is 0."""
    required: tuple[int, ...]
    sums: tuple[tuple[int, int, tuple[int, ...]], ...]
    """The measure, a constant, and the weight of each source."""
    rate: int
    """The measure that is ``rate_of`` per second of the draft's duration; unset when that is 0."""
    rate_of: int


Value = int | float | None
"""A measure's value in base units (seconds, tokens, USD); None is unset and records nothing."""

Source = int | tuple[int, int]
"""Where a batch takes a measure from: one of its values by number, or the second of two less the first."""


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
        """Keep this trace as the exemplar of the record count, of the sums that ``measures`` add to, and of the buckets
        into which they fall.

        Records nothing. ``trace_id`` has 32 hexadecimal digits, ``span_id`` 16; others are counted as dropped.
        """

    def form(
        self,
        kind: "type[Draft]",
        going: "Row",
        duration: int,
        derivation: Derivation | None,
        direct: bool,
        where: Callable[[], object] | None,
        traced: Callable[[], object] | None,
    ) -> "Form":
        """What drafts that go to this row share when all goes well.

        kind: their class, derived from the table's ``draft_type``. going: the row whose first measure is a gauge of
        those going on. duration: the measure that is the time from start to end. direct: a block that is left without
        an exception is recorded as soon as ``derivation`` holds, without asking ``finish``. where: tells the place
        (an object, known by its identity) where a draft starts. traced: tells the trace that is
        current when a block was recorded so, None when there is none. Raises TypeError, ValueError or IndexError.
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

        False when already finished; then nothing happens. In a forked child that inherited it nothing is recorded: that
        is its parent's.
        """


class Form(Protocol):
    """What drafts share."""

    def draft(self, owner: object, place: object) -> "Draft":
        """A new draft, of the form's kind, that has not started. place: where it is made."""

    def batch(
        self,
        owner: object,
        measures: tuple[tuple[int, Source], ...],
        rows: tuple[tuple[Row, tuple[Source, ...]], ...],
        left: Row | None,
    ) -> "Batch":
        """Drafts of this form for an owner, and their end together with records into rows of any table.

        measures: of the draft, by index. rows: each with the sources of its measures, in the order of ``Row.record``.
        Values are numbered from 0 to 31; there are 16 rows and 64 sources at most. left: a row whose first measure is
        a gauge, which goes down by 1 at the end. Raises TypeError, ValueError or IndexError.
        """


class Batch(Protocol):
    """Records that always end together: a draft, and rows of other tables."""

    def start(self) -> "Draft":
        """A new draft, made without a place and started."""

    def close(self, draft: "Draft", *values: Value) -> bool:
        """Set the draft's measures, record into the rows, then end the draft as leaving its block does.

        False when the draft was over: then only the gauge goes down. In a forked child that inherited the draft nothing
        is recorded. TypeError when it goes to another table, or when the number of values is not the batch's.
        """


class Draft(Protocol):
    """A record in the making: a clock, a gauge given back exactly once, and the measures learnt so far.

    A class derived from it has no attributes of its own and says what else there is to know: ``fail(problem)`` is
    called when an exception leaves its block, ``finish()`` when it ends unrecorded, ``abandon()`` when
    it was started by hand and is thrown away unfinished, ``moved(place)`` when it starts in another place than it was
    made in, ``link(trace, problem)`` after it was recorded directly while there was a trace, or telling it raised
    ``problem``. Measures are named by index, as in ``Row.record``.
    """

    @property
    def owner(self) -> object: ...

    @property
    def over(self) -> bool: ...

    @property
    def elapsed(self) -> float:
        """Seconds since it started; 0 before, and stands still once stopped."""

    @property
    def marked(self) -> float | None:
        """Seconds from its start to the first lap."""

    def __enter__(self) -> Self:
        """Start the clock and add 1 to the gauge; again is once."""

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def start(self) -> Self:
        """As entering, by hand."""

    def put(self, *pairs: Value) -> None:
        """Set measures (index, value, index, value, ...); None leaves what is there."""

    def count(self, *pairs: int | None) -> bool:
        """As ``put``, for whole numbers from 0 on. When one is not, or is too big, none is set: False."""

    def units(self, measure: int) -> int | None:
        """A measure in units of its cell; None when unset."""

    def lap(self) -> float | None:
        """Seconds since the lap before; None for the first, which is marked. Starts it if need be."""

    def derive(self) -> bool | None:
        """Stop the clock, and set what follows from the measures as the form's derivation has it.

        False when that does not hold for them; None when it was over.
        """

    def become(self, form: Form, owner: object) -> None:
        """Take another form and owner; nothing happens once it has started. TypeError for a form to another table."""

    def close(self, row: Row | None) -> bool:
        """Give the gauge back and record into a row of its table, if one is given. False when it was over.

        Once started, it is recorded by the process that started it, and by no forked child.
        """

    def values(self) -> tuple[float | None, ...]:
        """All measures, in base units."""


class Table(Protocol):
    """The rows of one fact."""

    def draft_kind(self, behaviour: type) -> type[Any]:
        """The class of drafts to its rows that behave so: a class without slots or attributes of its own."""

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
