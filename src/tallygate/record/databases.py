"""Statements sent to databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallygate.facts import STATUSES, Query
from tallygate.record.places import Place
from tallygate.record.recording import SURELY_FITS, Recording
from tallygate.record.tracker import Tracker, status_of

if TYPE_CHECKING:
    from tallygate.ledger.interface import Row


class QueryTracker(Tracker):
    """One statement."""

    fact = Query
    __slots__ = ()

    def find(self, recorder: Recording) -> Place:
        system, query, table, operation = recorder.texts(Query, self.key[1:])
        operation = operation.lower()
        if operation not in Query.operation.values:
            operation = "other"
        return Place(recorder.tables[Query], (system, query, table, operation), going=("success",))

    def finish(self, status: str = "success") -> bool:
        """Record it. status: success, error or cancelled. False when it was finished before."""
        if status not in STATUSES:
            status = self._word("status", status, STATUSES, "error")
        return self._record((status,))

    def _end(self, problem: BaseException | None) -> bool:
        return self._record(("success",) if problem is None else (status_of(problem),))


class QueryRecording(Recording):
    """Writing facts of databases."""

    def track_query(self, query: str, *, system: str = "", table: str = "", operation: str = "other") -> QueryTracker:
        """A tracker for one statement. query: its registered name, never its text (see ``instrument.queries``).

        system: postgresql, sqlite, mysql, ... table: what it is about. operation: select, insert, update, delete or
        other.
        """
        return QueryTracker(self, (Query, system, query, table, operation))

    def record_query(
        self,
        query: str,
        seconds: float,
        *,
        system: str = "",
        table: str = "",
        operation: str = "other",
        status: str = "success",
    ) -> None:
        """A statement was sent and took so long: for who has a clock of his own. The words are those of facts.Query."""
        if not self.enabled:
            return
        try:
            row = self._rows.get((Query, system, query, table, operation, status))
            if row is None:
                row = self._query_row(system, query, table, operation, status)
            if not 0 <= seconds <= SURELY_FITS:
                row.record(*self.checked(Query, (seconds,)))
                return
            row.record(seconds)
            if self.exemplar is not None:
                trace = self.exemplar()
                if trace is not None:
                    row.exemplify(*trace, seconds)
        except Exception as problem:
            self.failed(Query, problem)

    def _query_row(self, system: str, query: str, table: str, operation: str, status: str) -> Row:
        operation = self.word(Query, "operation", operation, Query.operation.values, "other")
        status = self.word(Query, "status", status, STATUSES, "error")
        return self.row(Query, system, query, table, operation, status)

    def seed_query(self, query: str, *, system: str = "", table: str = "", operation: str = "other") -> None:
        """Let a registered statement show at 0 before it is first sent, as a success and as an error."""
        if not self.enabled:
            return
        try:
            for status in ("success", "error"):
                self.row(Query, system, query, table, operation, status)
        except Exception as problem:
            self.failed(Query, problem)
