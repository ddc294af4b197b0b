"""HTTP requests that are served."""

from __future__ import annotations

from typing import Final

from tallygate.facts import HTTPInFlight, HTTPRequest
from tallygate.record.classify import CLIENT_GONE, is_cancellation
from tallygate.record.failures import shown
from tallygate.record.places import Place
from tallygate.record.recording import Recording
from tallygate.record.tracker import Tracker

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""Methods that are labels of their own; others are OTHER."""


class HTTPRequestTracker(Tracker):
    """One request on its way through a server."""

    fact = HTTPRequest
    __slots__ = ("request_size", "response_size", "status_code")

    def __init__(self, recorder: Recording, key: tuple[object, ...]) -> None:
        super().__init__(recorder, key)
        self.status_code: int | str = 0
        """HTTP status as sent; left alone, it is 200 at a good end, 500 after an exception and 499 when cancelled."""
        self.request_size: int | None = None
        """Bytes of the request's body; None when not known."""
        self.response_size: int | None = None
        """Bytes of the answer's body; None when not known."""

    def find(self, recorder: Recording) -> Place:
        method, route = recorder.texts(HTTPRequest, self.key[1:])
        method = method if method in METHODS else "OTHER"
        return Place(recorder.tables[HTTPRequest], (method, route), going=recorder.tables[HTTPInFlight].row())

    def finish(self, status_code: int | str | None = None) -> bool:
        """Record the request. False when it was finished before: then nothing changes."""
        label = self.status_label(status_code or self.status_code or 200)
        return self._record((label,), self.request_size, self.response_size)

    def status_label(self, status: object) -> str:
        """A status as its label: three digits, or 'other'."""
        if type(status) is int and 100 <= status <= 599:
            return str(status)
        digits = str(int(status)) if isinstance(status, int) and 100 <= status <= 999 else status
        if isinstance(digits, str) and len(digits) == 3 and digits.isascii() and digits.isdecimal():
            return digits
        problem = ValueError(f"status_code {shown(status)} is no HTTP status")
        self._recorder.failed(HTTPRequest, problem, "invalid_dimension")
        return "other"

    def _end(self, problem: BaseException | None) -> bool:
        if problem is None or self.status_code:
            return self.finish()
        return self.finish(CLIENT_GONE if is_cancellation(problem) else 500)


class HTTPRecording(Recording):
    """Writing facts of HTTP servers."""

    def track_http_request(self, method: str, route: str) -> HTTPRequestTracker:
        """A tracker for a request being served. route: its template, never the raw path."""
        return HTTPRequestTracker(self, (HTTPRequest, method, route))

    def count_http_request(self, method: str, route: str, status_code: int | str) -> None:
        """A request was served of which no more is known."""
        label = self.track_http_request(method, route).status_label(status_code)
        known = isinstance(method, str) and method in METHODS
        self.count(HTTPRequest, (method if known else "OTHER", route, label))
