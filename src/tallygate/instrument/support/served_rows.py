"""The rows of requests that are served, each looked up once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tallygate.facts import HTTPInFlight, HTTPRequest
from tallygate.record.http import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallygate.ledger.interface import Activity, Row
    from tallygate.record.recorder import Recorder

MOST: Final = 4096
"""Rows that are kept; further ones are looked up again, which is slower and as exact."""


class ServedRows:
    """Rows by method, route and status, of one recorder at a time."""

    def __init__(self) -> None:
        self._recorder: Recorder | None = None
        self._rows: dict[tuple[str, str, int | str], Row] = {}
        self._begin: Callable[[], Activity] | None = None

    def begin(self, recorder: Recorder) -> Activity:
        """Count a request as being served, until the result is finished."""
        if recorder is not self._recorder or self._begin is None:
            self._recorder, self._rows = recorder, {}
            self._begin = recorder.tables[HTTPInFlight].row().begin
        return self._begin()

    def find(self, recorder: Recorder, method: str, route: str, status: int | str) -> Row:
        """The row of a request that ended so."""
        if recorder is self._recorder:
            row = self._rows.get((method, route, status))
            if row is not None:
                return row
        else:
            self._recorder, self._rows, self._begin = recorder, {}, None
        row = recorder.tables[HTTPRequest].row(method if method in METHODS else "OTHER", route, str(status))
        if method in METHODS and len(self._rows) < MOST:
            self._rows[method, route, status] = row
        return row
