"""The gateway as an ASGI application: paths to rooms."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from tallygate.errors import ErrorType
from tallygate.exposition.asgi import MetricsApp
from tallygate.gateway.exchange import Exchange, Receive, Scope, Send, error_body
from tallygate.gateway.handling import handle
from tallygate.gateway.parts import Parts, put_together
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.routes import UNMATCHED, Route, match, unmatched
from tallygate.gateway.settings import Settings
from tallygate.gateway.tallying import open_tally
from tallygate.runtime import RuntimeSampler
from tallygate.tally import Tally

if TYPE_CHECKING:
    from tallygate.gateway.admin import AdminAPI
    from tallygate.gateway.page import Page

HEALTHY = b'{"status":"ok"}'
JSON = (b"content-type", b"application/json")


class App:
    """Serves the API routes, ``/health`` and, unless they have a listener of their own, the metrics."""

    def __init__(self, settings: Settings, tally: Tally | None = None) -> None:
        self.settings = settings
        self.tally = tally or open_tally(settings)
        self._parts: Parts = put_together(settings, self.tally)
        self._sampler = RuntimeSampler(self.tally)
        self.metrics = MetricsApp(self.tally, authorize=self._parts.access.scrape_check)
        shown_here = settings.metrics.enabled and settings.metrics.listener is None
        self._admin: AdminAPI | None = None
        if settings.accounts.enabled and settings.accounts.admin_key is not None:
            # Imported where it is used, as a database's modules are.
            from tallygate.gateway.admin import open_admin

            self._admin = open_admin(settings, self._parts, self.tally)
        self._page: Page | None = None
        if settings.dashboard.enabled:
            from tallygate.gateway.page import open_page

            self._page = open_page(settings, self.tally, self._parts.database)
            self._parts.services.append(self._page)
        self._metrics_path = settings.metrics.endpoint if shown_here else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        headers = dict(scope["headers"])
        route = match(path, headers)
        if route is not None and scope["method"] == route.method:
            await handle(self._parts, Exchange(scope, receive, send, route, headers))
        elif path == "/health":
            await _tell_health(scope["method"], send)
        elif path == self._metrics_path:
            await self.metrics(self._parts.access.scraping(scope, headers), receive, send)
        elif self._admin is not None and (path == "/admin" or path.startswith("/admin/")):
            await self._admin(scope, receive, send)
        elif self._page is not None and self._page.owns(path):
            await self._page(scope, receive, send)
        else:
            await self._refuse(route or unmatched(path, headers), scope, send, headers)

    def drain(self) -> None:
        """The server takes no more requests: answers that never end by themselves are to end now."""
        if self._page is not None:
            self._page.drain()

    async def metrics_only(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the metrics' own listener serves: the metrics, at their path, and nothing else."""
        if scope["path"] == self.settings.metrics.endpoint:
            await self.metrics(self._parts.access.scraping(scope, dict(scope["headers"])), receive, send)
        else:
            await _answer(send, 404, b'{"error":"the metrics are at %s"}' % self.settings.metrics.endpoint.encode())

    async def _refuse(self, route: Route, scope: Scope, send: Send, headers: dict[bytes, bytes]) -> None:
        """Say no to a request that no room serves; without the key it is not even told so."""
        began = perf_counter()
        error_type, extra = ErrorType.CALLER_INVALID_REQUEST, []
        try:
            if self._parts.accounts is None:
                self._parts.access.check(headers, scope["query_string"])
            else:
                await self._parts.accounts.caller(headers, scope["query_string"])
        except Refusal as refusal:
            status, error_type, message = refusal.status, refusal.error_type, refusal.message
        else:
            status, message = 404, "the gateway does not serve this path"
            if route.template != UNMATCHED:
                status, message = 405, f"{route.template} takes {route.method}"
                extra = [(b"allow", route.method.encode())]
        body = error_body(route, status, error_type, message)
        await _answer(send, status, body, extra)
        self.tally.http_request(
            method=scope["method"],
            route=route.template,
            status_code=status,
            seconds=perf_counter() - began,
            response_size=len(body),
        )

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._sampler.start()
        try:
            await self._parts.start()
        except Exception as problem:
            await send({"type": "lifespan.startup.failed", "message": str(problem)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._sampler.stop()
        await self._parts.close()
        self.tally.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _tell_health(method: str, send: Send) -> None:
    """Whether the gateway is up, to everybody."""
    if method in ("GET", "HEAD"):
        await _answer(send, 200, HEALTHY, head_only=method == "HEAD")
    else:
        await _answer(send, 405, b'{"error":"/health takes GET"}', [(b"allow", b"GET, HEAD")])


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
    *,
    head_only: bool = False,
) -> None:
    """A small answer in one piece."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [JSON, length, *(headers or [])]})
    await send({"type": "http.response.body", "body": b"" if head_only else body})
