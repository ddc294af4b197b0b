"""Statements sent to databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallygate.facts import STATUSES, Query
from tallygate.ledger.interface import ELAPSED
from tallygate.record.recording import Recording
from tallygate.record.tracker import Tracker, status_of

if TYPE_CHECKING:
    from tallygate.ledger.interface import Row


class QueryTracker(Tracker):
    """One statement."""

    fact = Query
    __slots__ = ("_values",)

    def __init__(self, recorder: Recording, values: tuple[str, str, str, str]) -> None:
        super().__init__(recorder)
        self._values = values

    def _going(self) -> Row:
        return self._recorder.tables[Query].row(*self._values, "success")

    def finish(self, status: str = "success") -> bool:
        """Record it. status: success, error or cancelled. False when it was finished before."""
        return self._record((*self._values, status if status in STATUSES else "error"), ELAPSED)

    def _end(self, problem: BaseException | None) -> bool:
        return self.finish(status_of(problem))


class QueryRecording(Recording):
    """Writing facts of databases."""

    def track_query(self, query: str, *, system: str = "", table: str = "", operation: str = "other") -> QueryTracker:
        """A tracker for one statement. query: its registered name, never its text (see ``instrument.queries``).

        system: postgresql, sqlite, mysql, ... table: what it is about. operation: select, insert, update, delete or
        other.
        """
        operation = operation.lower()
        if operation not in Query.operation.values:
            operation = "other"
        return QueryTracker(self, (system, query, table, operation))

    def seed_query(self, query: str, *, system: str = "", table: str = "", operation: str = "other") -> None:
        """Let a registered statement show at 0 before it is first sent, as a success and as an error."""
        if not self.enabled:
            return
        try:
            for status in ("success", "error"):
                self.tables[Query].row(system, query, table, operation, status)
        except Exception as problem:
            self.failed(Query, problem)
