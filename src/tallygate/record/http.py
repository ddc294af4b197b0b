"""HTTP requests that are served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tallygate.facts import HTTPInFlight, HTTPRequest
from tallygate.ledger.interface import ELAPSED
from tallygate.record.classify import CLIENT_GONE, is_cancellation
from tallygate.record.recording import Recording
from tallygate.record.tracker import Tracker

if TYPE_CHECKING:
    from tallygate.ledger.interface import Row

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""Methods that are labels of their own; others are OTHER."""


class HTTPRequestTracker(Tracker):
    """One request on its way through a server."""

    fact = HTTPRequest
    __slots__ = ("_method", "_route", "request_size", "response_size", "status_code")

    def __init__(self, recorder: Recording, method: str, route: str) -> None:
        super().__init__(recorder)
        self._method, self._route = method, route
        self.status_code: int | str = 0
        """HTTP status as sent; left alone, it is 200 at a good end, 500 after an exception and 499 when cancelled."""
        self.request_size: int | None = None
        """Bytes of the request's body; None when not known."""
        self.response_size: int | None = None
        """Bytes of the answer's body; None when not known."""

    def _going(self) -> Row:
        return self._recorder.tables[HTTPInFlight].row()

    def finish(self, status_code: int | str | None = None) -> bool:
        """Record the request. False when it was finished before: then nothing changes."""
        method = self._method if self._method in METHODS else "OTHER"
        status = str(status_code or self.status_code or 200)
        return self._record((method, self._route, status), ELAPSED, self.request_size, self.response_size)

    def _end(self, problem: BaseException | None) -> bool:
        if problem is None or self.status_code:
            return self.finish()
        return self.finish(CLIENT_GONE if is_cancellation(problem) else 500)


class HTTPRecording(Recording):
    """Writing facts of HTTP servers."""

    def track_http_request(self, method: str, route: str) -> HTTPRequestTracker:
        """A tracker for a request being served. route: its template, never the raw path."""
        return HTTPRequestTracker(self, method, route)
