"""HTTP requests that Django serves, over WSGI and ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

from tallygate.exposition.asgi import Receive, Scope, Send
from tallygate.instrument.asgi import ASGIMiddleware
from tallygate.instrument.patching import Instrumentation
from tallygate.instrument.support.route_templates import UNMATCHED
from tallygate.instrument.wsgi import WSGIMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from tallygate.record.recorder import Recorder

ROUTE: Final = "tallygate.route"
"""Where the route stands, once Django has found it: in the environment, or in the scope."""


def django(*, exclude: Collection[str] = (), tally: Recorder | None = None) -> Instrumentation:
    """Record the requests of this process's Django project, by route: ``/users/<int:id>/``.

    The route is that of Django's ``resolver_match``, with a slash before it. Needs no settings and no middleware; takes
    effect at once, also for handlers that were made before. exclude and what is recorded: see ``ASGIMiddleware``.
    """
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.base import BaseHandler
    from django.core.handlers.wsgi import WSGIHandler

    handle = Instrumentation(tally)

    def around_wsgi(serve: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        @wraps(serve)
        def call(self: Any, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            app = WSGIMiddleware(partial(serve, self), route=_route, exclude=exclude, _handle=handle)
            return app(environ, start_response)

        return call

    def around_asgi(serve: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        @wraps(serve)
        async def call(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
            app = ASGIMiddleware(partial(serve, self), route=_route, exclude=exclude, _handle=handle)
            await app(scope, receive, send)

        return call

    handle.wrap(WSGIHandler, "__call__", around_wsgi)
    handle.wrap(ASGIHandler, "__call__", around_asgi)
    handle.wrap(BaseHandler, "resolve_request", _noting_the_route)
    return handle


def _noting_the_route(resolve: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(resolve)
    def resolve_request(self: Any, request: Any) -> Any:
        found = resolve(self, request)
        match = getattr(request, "resolver_match", None)
        if match is not None:
            place = getattr(request, "scope", None) or request.META  # META is the environment of WSGI
            place[ROUTE] = f"/{match.route}"
        return found

    return resolve_request


def _route(place: MutableMapping[str, Any]) -> str:
    return str(place.get(ROUTE, UNMATCHED))
