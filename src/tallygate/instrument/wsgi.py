"""HTTP requests that a WSGI application serves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from tallygate.facts import HTTPRequest
from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.support.route_templates import UNMATCHED
from tallygate.ledger.interface import ELAPSED
from tallygate.record.classify import CLIENT_GONE, is_cancellation

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tallygate.ledger.interface import Activity
    from tallygate.record.recorder import Recorder

RouteOf = Callable[["WSGIEnvironment"], str]
COUNTED: Final = "tallygate.counted"
"""Stands in the environment of a request that is recorded, so that a middleware further in leaves it alone."""


def wsgi(
    owner: Any,
    name: str = "wsgi_app",
    *,
    route: RouteOf | None = None,
    exclude: Collection[str] = (),
    tally: Recorder | None = None,
) -> Instrumentation:
    """Record the requests of the WSGI application that is the attribute ``name`` of ``owner``: an object or a module.

    Arguments as for ``WSGIMiddleware``, which stands in its place until the handle is removed. Raises
    NotInstrumentable when there is no such attribute, or none that can be called.
    """
    if not callable(getattr(owner, name, None)):
        raise NotInstrumentable(
            f"{owner!r} has no WSGI application called {name!r}; name the attribute, "
            "or wrap the application: application = WSGIMiddleware(application)"
        )
    handle = Instrumentation(tally)
    handle.wrap(owner, name, lambda app: WSGIMiddleware(app, route=route, exclude=exclude, _handle=handle))
    return handle


class WSGIMiddleware:
    """Around any WSGI application: ``application = WSGIMiddleware(application)``. Put it outermost.

    route: tells the template of a request from its environment when it is answered, never the raw path; without it
    every request is 'unmatched'. exclude: templates of routes that are not recorded; they still count as in flight.
    tally: where it is recorded; the program's when not given.

    A status is recorded as sent. When nothing was sent it is 500 after an exception, and 499 when the answer was
    thrown away. The duration ends when the server closes the answer, after its last byte.
    """

    def __init__(
        self,
        app: WSGIApplication,
        tally: Recorder | None = None,
        *,
        route: RouteOf | None = None,
        exclude: Collection[str] = (),
        _handle: Instrumentation | None = None,
    ) -> None:
        self.app, self.handle = app, _handle or Instrumentation(tally)
        self.exclude, self.route = frozenset(exclude), route or _unmatched

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        recorder = self.handle.recorder
        if not recorder.enabled or COUNTED in environ or self.handle.removed:
            return self.app(environ, start_response)
        environ[COUNTED] = True
        exchange = _Exchange(self, recorder, environ, start_response)
        try:
            answer = self.app(environ, exchange.start_response)
        except BaseException as problem:
            exchange.fail(problem)
            raise
        return exchange.watch(answer)


def _unmatched(environ: WSGIEnvironment) -> str:
    return UNMATCHED


class _Exchange:
    """One request and what is known of its answer."""

    __slots__ = (
        "_activity", "_environ", "_headers", "_middleware", "_over", "_recorder", "_start_response", "_status",
        "_write", "complete", "sent",
    )  # fmt: skip

    def __init__(
        self,
        middleware: WSGIMiddleware,
        recorder: Recorder,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        self._middleware, self._recorder, self._environ = middleware, recorder, environ
        self._start_response = start_response
        self._activity: Activity = recorder.http_in_flight()
        self._status = ""
        self._over = False
        self.sent: int | None = 0
        """Bytes of the body given to the server; None when it takes them from a file."""
        self._headers: list[tuple[str, str]] = []
        self.complete = False
        """Whether the answer was taken to its end."""

    def start_response(self, status: str, headers: list[tuple[str, str]], *problem: Any) -> Callable[[bytes], object]:
        self._write = self._start_response(status, headers, *problem)
        self._status, self._headers = status[:3], headers
        return self.write

    def write(self, data: bytes) -> object:
        """What the server gave to write with, of old; the bytes are counted."""
        self.sent = (self.sent or 0) + len(data)
        return self._write(data)

    def _content_length(self) -> int | None:
        for name, value in self._headers:
            if name.lower() == "content-length" and value.isdigit():
                return int(value)
        return None

    def watch(self, answer: Iterable[bytes]) -> Iterable[bytes]:
        """The answer for the server, as it was but for being watched."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(answer, wrapper) and hasattr(answer, "__dict__"):
            # Servers send files the fast way only when they know their own wrapper again.
            close = getattr(answer, "close", None)
            self.sent, self.complete = None, True
            vars(answer)["close"] = lambda: self._close(close)
            return answer
        return _SizedAnswer(answer, self) if hasattr(answer, "__len__") else _Answer(answer, self)

    def _close(self, close: Callable[[], object] | None) -> None:
        try:
            if close is not None:
                close()
        finally:
            self.finish()

    def fail(self, problem: BaseException) -> None:
        """The application raised. Its head goes out with the first byte of the body: before, the server answers 500."""
        self.finish("" if self.sent else CLIENT_GONE if is_cancellation(problem) else "500")

    def finish(self, status: str = "") -> None:
        """Record it, once; with the status as sent when none is given."""
        if self._over:
            return
        self._over = True
        middleware, environ, recorder, activity = self._middleware, self._environ, self._recorder, self._activity
        try:
            method, sent = environ["REQUEST_METHOD"], self.sent
            if not status:
                began = self.complete or sent or method == "HEAD"
                status = (self._status or "500") if began else CLIENT_GONE
            route = middleware.route(environ)
            if route in middleware.exclude:
                activity.finish()
                return
            row = recorder.http_rows.get((method, route, status)) or recorder.http_row(method, route, status)
            size = 0 if method == "HEAD" else self._content_length() if sent is None else sent
            activity.finish(row, ELAPSED, _told_size(environ), size)
        except Exception as problem:
            recorder.failed(HTTPRequest, problem)
            activity.finish()


def _told_size(environ: WSGIEnvironment) -> int | None:
    """The size of the request's body; None when the client sends it in chunks without telling."""
    told = environ.get("CONTENT_LENGTH")
    if told and told.isdigit():
        return int(told)
    return None if "HTTP_TRANSFER_ENCODING" in environ else 0


class _Answer:
    """The body of an answer, counted as the server takes it."""

    __slots__ = ("_answer", "_exchange", "_pieces")

    def __init__(self, answer: Iterable[bytes], exchange: _Exchange) -> None:
        self._answer, self._exchange = answer, exchange
        self._pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        try:
            if self._pieces is None:
                self._pieces = iter(self._answer)
            piece = next(self._pieces)
            exchange.sent = (exchange.sent or 0) + len(piece)
        except StopIteration:
            exchange.complete = True
            raise
        except BaseException as problem:
            exchange.fail(problem)
            raise
        return piece

    def close(self) -> None:
        """As servers do at the end, whichever it was."""
        try:
            close = getattr(self._answer, "close", None)
            if close is not None:
                close()
        finally:
            self._exchange.finish()

    def __del__(self) -> None:
        self._exchange.finish()


class _SizedAnswer(_Answer):
    """One whose number of pieces servers may ask for, to tell the length of a single one."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._answer)  # type: ignore[arg-type]  # made only for those that have a length
