"""HTTP requests that an ASGI application serves: FastAPI and Starlette in place, any other one wrapped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, Final

from tallygate.exposition.asgi import Receive, Scope, Send
from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.support.exchanges import Exchanges
from tallygate.instrument.support.route_templates import RouteTemplates
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
        self._exchanges: Exchanges | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handle = self.handle
        recorder = handle.recorder
        if scope["type"] != "http" or not recorder.enabled or COUNTED in scope or handle.removed:
            await self.app(scope, receive, send)
            return
        scope[COUNTED] = True
        exchanges = self._exchanges
        if exchanges is None or exchanges.recorder is not recorder:
            exchanges = self._exchanges = Exchanges(recorder, self.route, self.exclude)
        exchange = exchanges.begin(scope, receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as problem:
            exchange.finish(CLIENT_GONE if is_cancellation(problem) else "500")
            raise
        exchange.finish("500")  # a server answers so for an application that did not
