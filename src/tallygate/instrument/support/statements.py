"""What the instrumentations of databases share: how a statement is recorded, and how registered ones show at 0."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final
from weakref import WeakKeyDictionary

from tallygate.facts import Query
from tallygate.instrument.queries import MOST_KEPT, OTHER, PROGRAM, Registry
from tallygate.instrument.support.sql import MOST_TEXT
from tallygate.record.default import default
from tallygate.record.tracker import status_of

if TYPE_CHECKING:
    from tallygate.instrument.patching import Instrumentation
    from tallygate.ledger.interface import Row
    from tallygate.record.recorder import Recorder

inside: Final[ContextVar[bool]] = ContextVar("tallygate_inside_statement", default=False)
"""Whether an instrumentation further out, as SQLAlchemy's is of its driver, records the statement already."""
SYSTEMS: Final = {"oracle": "oracle.db", "mssql": "microsoft.sql_server"}
"""Databases that OpenTelemetry calls otherwise than SQLAlchemy does."""


class Statements:
    """Records the statements that one instrumentation sees."""

    live: ClassVar[int] = 0
    """How many instrumentations of databases there are now. As long as it is one, none is inside another."""
    removed = False
    """Whether the instrumentation is: what somebody still holds of it then records nothing."""

    def __init__(
        self,
        instrumentation: Instrumentation,
        registry: Registry | None,
        *systems: str,
        tally: Recorder | None = None,
        table: Callable[[str, Any], str] | None = None,
    ) -> None:
        """registry: None for the program's. systems: kinds of database that are known to be meant. tally: as the
        instrumentation's. table: given a text that does not tell its table, and what ``record`` was given, does."""
        self.tally, self._table = tally, table
        self.registry = registry or PROGRAM
        self._systems = frozenset([SYSTEMS.get(system, system) for system in systems])
        self.bound: tuple[Recorder, int, dict[tuple[str, str], Row]] = (default.nowhere, 0, {})
        """Where statements go that succeed: in this recorder, by the names of this version of the registry."""
        self._seeded: WeakKeyDictionary[Recorder, tuple[int, frozenset[str]]] = WeakKeyDictionary()
        self.seed(instrumentation.recorder)
        instrumentation.before_render(self.seed)
        instrumentation.finally_do(self._remove)
        Statements.live += 1

    def _remove(self) -> None:
        self.removed = True
        Statements.live -= 1

    def seed(self, recorder: Recorder) -> None:
        """Let registered statements show at 0, those too that were registered since."""
        known = (self.registry.version, self._systems)
        if not recorder.enabled or self._seeded.get(recorder) == known:
            return
        self._seeded[recorder] = known
        for query, table, operation in self.registry.registered:
            for system in self._systems:
                recorder.seed_query(query, system=system, table=table, operation=operation)

    def watch(self, system: str, text: object) -> Watch | Unwatched:
        """For the block in which a statement is sent and executed. text: nothing is recorded of what is none."""
        if self.removed or inside.get() or not text or not isinstance(text, (str, bytes)):
            return UNWATCHED
        return Watch(self, system, text if isinstance(text, str) else text.decode(errors="replace"))

    def record(
        self, system: str, text: str, seconds: float, problem: BaseException | None = None, about: Any = None
    ) -> None:
        """A statement took so long, and ended with this problem. about: what ``table`` is asked with. Never raises."""
        recorder = self.tally or default.recorder
        bound_to, version, rows = self.bound
        if problem is None and recorder is bound_to and self.registry.version == version:
            row = rows.get((system, text))
            if row is not None:
                row.record(seconds)
                return
        try:
            self._record(recorder, system, text, seconds, problem, about)
        except Exception as wrong:  # telemetry never breaks the program
            recorder.failed(Query, wrong)

    def _record(
        self, recorder: Recorder, dialect: str, text: str, seconds: float, problem: BaseException | None, about: Any
    ) -> None:
        version, system = self.registry.version, SYSTEMS.get(dialect, dialect)
        statement = self.registry.describe(text)
        if statement is None or not recorder.enabled:
            return
        if system not in self._systems:
            self._systems |= {system}
            self.seed(recorder)
        query, table, operation = statement
        if not table and self._table is not None and query != OTHER:
            table = self._table(text, about)
        status = "success" if problem is None else status_of(problem)
        recorder.record_query(query, seconds, system=system, table=table, operation=operation, status=status)
        if problem is None and recorder.exemplar is None and len(text) <= MOST_TEXT:
            bound_to, known, rows = self.bound
            if recorder is not bound_to or version != known or len(rows) >= MOST_KEPT:
                rows = {}
                self.bound = (recorder, version, rows)
            rows[dialect, text] = recorder.row(Query, system, query, table, operation, status)


class Watch:
    """A statement that is being sent."""

    __slots__ = ("_began", "_statements", "_system", "_text")

    def __init__(self, statements: Statements, system: str, text: str) -> None:
        self._statements, self._system, self._text = statements, system, text

    def __enter__(self) -> None:
        inside.set(True)
        self._began = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._began
        inside.set(False)
        self._statements.record(self._system, self._text, seconds, problem)


class Unwatched:
    """A statement that somebody else records."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


UNWATCHED: Final = Unwatched()
