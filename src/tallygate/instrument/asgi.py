"""HTTP requests that an ASGI application serves: FastAPI and Starlette in place, any other one wrapped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, Final

from tallygate.exposition.asgi import Message, Receive, Scope, Send
from tallygate.facts import HTTPRequest
from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.support.route_templates import RouteTemplates
from tallygate.instrument.support.served_rows import ServedRows
from tallygate.ledger.interface import ELAPSED
from tallygate.record.classify import CLIENT_GONE, is_cancellation

if TYPE_CHECKING:
    from tallygate.record.recorder import Recorder

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
RouteOf = Callable[[Scope], str]
COUNTED: Final = "tallygate.counted"
"""Stands in the scope of a request that is recorded, so that a middleware further in leaves it alone."""


def asgi(
    app: Any, *, exclude: Collection[str] = (), route: RouteOf | None = None, tally: Recorder | None = None
) -> Instrumentation:
    """Record the requests of a FastAPI or Starlette application, before or after it has started.

    Arguments as for ``ASGIMiddleware``, which is for every other ASGI application. Raises NotInstrumentable.
    """
    if not callable(getattr(app, "build_middleware_stack", None)) or not hasattr(app, "middleware_stack"):
        raise NotInstrumentable(
            f"instrument.asgi() takes a FastAPI or Starlette application, not {type(app).__name__}; "
            "wrap any other ASGI application: app = ASGIMiddleware(app)"
        )
    handle = Instrumentation(tally)

    def around(stack: ASGIApp) -> ASGIMiddleware:
        return ASGIMiddleware(stack, exclude=exclude, route=route, _handle=handle)

    def unwrap() -> None:
        if isinstance(app.middleware_stack, ASGIMiddleware) and app.middleware_stack.handle is handle:
            app.middleware_stack = app.middleware_stack.app

    handle.wrap(app, "build_middleware_stack", lambda build: lambda: around(build()))
    handle.finally_do(unwrap)
    if app.middleware_stack is not None:
        app.middleware_stack = around(app.middleware_stack)
    return handle


class ASGIMiddleware:
    """Around any ASGI application: ``app = ASGIMiddleware(app)``. Put it outermost, where the answer is as it is sent.

    exclude: templates of routes that are not recorded, such as '/metrics' or '/health'; they still count as in flight.
    route: tells the template of a request from its scope when it is answered; without it what FastAPI and Starlette
    routed to, and 'unmatched' elsewhere. tally: where it is recorded; the program's when not given.

    A status is recorded as sent. When nothing was sent it is 500 after an exception, and 499 when the client left or
    the task was cancelled. The duration ends with the last byte of the body. Websockets and lifespan pass untouched.
    """

    def __init__(
        self,
        app: ASGIApp,
        tally: Recorder | None = None,
        *,
        exclude: Collection[str] = (),
        route: RouteOf | None = None,
        _handle: Instrumentation | None = None,
    ) -> None:
        self.app, self.handle = app, _handle or Instrumentation(tally)
        self.exclude, self.route = frozenset(exclude), route or RouteTemplates()
        self.rows = ServedRows()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handle = self.handle
        recorder = handle.recorder
        if scope["type"] != "http" or not recorder.enabled or COUNTED in scope or handle.removed:
            await self.app(scope, receive, send)
            return
        scope[COUNTED] = True
        exchange = _Exchange(self, recorder, scope, receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as problem:
            exchange.finish(CLIENT_GONE if is_cancellation(problem) else "500")
            raise
        if not exchange.over:
            exchange.finish("500")  # a server answers so for an application that did not


class _Exchange:
    """One request and what is known of its answer."""

    # What most requests leave as it is stands at the class: making one is on every request's way.
    over = False
    _received = 0
    _whole = False
    _sent: int | None = 0
    _status: int | str = 0
    _gone = False

    def __init__(
        self, middleware: ASGIMiddleware, recorder: Recorder, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._middleware, self._recorder, self._scope = middleware, recorder, scope
        self._receive, self._send = receive, send
        self._activity = middleware.rows.begin(recorder)

    async def receive(self) -> Message:
        message = await self._receive()
        kind = message.get("type")
        if kind == "http.request":
            self._received += len(message.get("body") or b"")
            self._whole = not message.get("more_body")
        elif kind == "http.disconnect":
            self._gone = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """No coroutine of its own but for the last message: that one is waited for, to know when it is out."""
        kind = message.get("type")
        if kind == "http.response.body":
            body = message.get("body")
            if body:
                self._sent = (self._sent or 0) + len(body)
            if not message.get("more_body"):
                return self._send_last(message)
        elif kind == "http.response.start":
            self._status = CLIENT_GONE if self._gone else message.get("status", 0)
        elif kind == "http.response.pathsend":  # a file that the server reads
            self._sent = None
            return self._send_last(message)
        return self._send(message)

    async def _send_last(self, message: Message) -> None:
        await self._send(message)
        self.finish("500")

    def finish(self, otherwise: str) -> None:
        """Record it, once. otherwise: the status when none was sent."""
        if self.over:
            return
        self.over = True
        middleware, scope, recorder = self._middleware, self._scope, self._recorder
        try:
            route, method = middleware.route(scope), scope["method"]
            if route in middleware.exclude:
                self._activity.finish()
                return
            status = self._status or (CLIENT_GONE if self._gone else otherwise)
            row = middleware.rows.find(recorder, method, route, status)
            read = self._received if self._whole or method == "GET" else self._told_size()
            self._activity.finish(row, ELAPSED, read, 0 if method == "HEAD" else self._sent)
        except Exception as problem:
            recorder.failed(HTTPRequest, problem)
            self._activity.finish()

    def _told_size(self) -> int:
        """The body's size as the client told it, else what the application read of it."""
        for name, value in self._scope["headers"]:
            if name == b"content-length" and value.isdigit():
                return int(value)
        return self._received
