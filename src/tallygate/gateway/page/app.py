"""The live page as an ASGI application: signing in, the page, its figures, its events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from time import perf_counter
from typing import Final, NamedTuple
from urllib.parse import parse_qs

import msgspec
import structlog

from tallygate.gateway.exchange import Receive, Scope, Send
from tallygate.gateway.page.assets import Asset, Assets, assets, takes_gzip
from tallygate.gateway.page.events import Events
from tallygate.gateway.page.figures import RANGES
from tallygate.gateway.page.session import Sessions, same_site
from tallygate.gateway.page.source import Source
from tallygate.gateway.server import BodyTimeout, BodyTooLarge, ClientGone, CutConnection, read_body
from tallygate.tally import Tally

log = structlog.get_logger("tallygate.gateway")

FORM_BYTES: Final = 8192
LOG_SECONDS: Final = 1.0
"""Seconds between two lines about wrong keys: whoever tries many fills no disk."""
CLIENT_GONE: Final = 499
WRONG_KEY = "That key does not open this page."
NOBODY = "No key opens this page: set server.master_key or accounts.admin_key in the gateway's settings."
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

Headers = Sequence[tuple[bytes, bytes]]

GUARDS: Final[Headers] = (
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not no-referrer: with that a browser hides the origin of our own form from us.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE: Final = (b"cache-control", b"no-store")
FOR_EVER: Final = (b"cache-control", b"public, max-age=31536000, immutable")
JSON: Final = (b"content-type", b"application/json")
HTML: Final = (b"content-type", b"text/html; charset=utf-8")
EVENTS: Final = (b"content-type", b"text/event-stream; charset=utf-8")


class Answer(NamedTuple):
    """What is sent."""

    status: int
    headers: Headers
    body: bytes = b""


class Page:
    """Everything below the page's path. ``start`` and ``close`` are a service's; ``drain`` lets viewers go before."""

    def __init__(
        self,
        source: Source,
        sessions: Sessions | None,
        tally: Tally,
        path: str,
        *,
        tick: float,
        viewers: int,
        form_seconds: float,
    ) -> None:
        """sessions: None for a page that is open to all. tick: seconds between two looks. viewers: at once."""
        self._source, self._sessions, self._tally, self._path = source, sessions, tally, path
        self._tick, self._form_seconds = tick, form_seconds
        self._events = Events(source, viewers)
        self._task: asyncio.Task[None] | None = None
        self._wrong, self._logged_at = 0, -LOG_SECONDS

    def owns(self, path: str) -> bool:
        """Whether a path is of the page."""
        return path == self._path or path.startswith(f"{self._path}/")

    async def start(self) -> None:
        await self._source.start()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        self.drain()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._source.close()

    def drain(self) -> None:
        """End the answers that would never end by themselves."""
        self._events.close()

    async def _run(self) -> None:
        """Look and tell, at the multiples of the tick: those of all workers are the same."""
        failing = False
        while True:
            await asyncio.sleep(self._tick - time.time() % self._tick)
            try:
                await self._source.look()
                await self._events.tick()
                failing = False
            except Exception:
                if not failing:
                    log.exception("the live page cannot be kept up to date")
                failing = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever it is, and count it."""
        began = perf_counter()
        place = scope["path"][len(self._path) :].removesuffix("/")
        template = f"{self._path}{place if place in PLACES else '/assets/*' if place.startswith('/assets/') else '/*'}"
        status, size = CLIENT_GONE, 0
        try:
            headers = dict(scope["headers"])
            until = None if self._sessions is None else self._sessions.until(headers, time.time())
            seen = self._sessions is None or until is not None
            if place == "/events" and scope["method"] == "GET" and seen and not self._events.full:
                range = _range(scope)
                if range is not None:
                    status = 200
                    head = [EVENTS, NO_STORE, (b"x-accel-buffering", b"no"), *GUARDS]
                    await send({"type": "http.response.start", "status": status, "headers": head})
                    size = await self._events.serve(range, send, None if until is None else until - time.time())
                    return
            try:
                answer = await self._answer(scope, receive, headers, place, seen)
            except ClientGone:
                raise
            except Exception:
                log.exception("the live page failed", route=template)
                answer = _json(500, "the gateway failed to serve this request: see its log")
            status, size = answer.status, len(answer.body)
            length = (b"content-length", b"%d" % size)
            await send({"type": "http.response.start", "status": status, "headers": [*answer.headers, length, *GUARDS]})
            body = b"" if scope["method"] == "HEAD" else answer.body
            await send({"type": "http.response.body", "body": body})
        except ClientGone:
            status = CLIENT_GONE
        except TimeoutError:
            raise CutConnection from None
        finally:
            self._tally.http_request(
                method=scope["method"],
                route=template,
                status_code=status,
                seconds=perf_counter() - began,
                response_size=size,
            )

    async def _answer(
        self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], place: str, seen: bool
    ) -> Answer:
        """seen: whether the request may see the page."""
        method = scope["method"]
        known = "/assets/" if place.startswith("/assets/") else place
        if known not in PLACES:
            return _json(404, "the live page has no such path") if seen else self._to_sign_in()
        if method not in PLACES[known]:
            allowed = ", ".join(PLACES[known])
            return _json(405, f"{self._path}{place} takes {allowed}", [(b"allow", allowed.encode())])
        if known == "/assets/":
            return await self._asset(place.removeprefix("/assets/"), headers)
        if method == "POST":
            if not same_site(headers):
                return _json(403, "this request does not come from the gateway's own page")
            return await (self._sign_in(scope, receive) if place == "/sign-in" else self._sign_out(scope))
        if place == "/sign-in":
            return self._to_page() if seen else await self._form(200)
        if place == "":
            return Answer(200, [HTML, NO_STORE], await self._html("index.html")) if seen else self._to_sign_in()
        if not seen:
            return _json(401, f"sign in at {self._path}/sign-in")
        range = _range(scope)
        if range is None:
            return _json(400, f"range: is none of {', '.join(RANGES)}")
        if place == "/events":
            return _json(503, "as many pages as dashboard.viewers allows are open already", [(b"retry-after", b"10")])
        return Answer(200, [JSON, NO_STORE], await self._events.figures(range))

    async def _asset(self, name: str, headers: dict[bytes, bytes]) -> Answer:
        asset = (await _assets()).find(name)
        if asset is None:
            return _json(404, "the live page has no such file")
        kept: Headers = [(b"content-type", asset.media), FOR_EVER, (b"vary", b"accept-encoding")]
        if takes_gzip(headers.get(b"accept-encoding", b"")):
            return Answer(200, [*kept, (b"content-encoding", b"gzip")], asset.zipped)
        return Answer(200, kept, await asyncio.to_thread(Asset.plain, asset))

    async def _sign_in(self, scope: Scope, receive: Receive) -> Answer:
        if self._sessions is None:
            return self._to_page()
        try:
            data = await read_body(scope, receive, FORM_BYTES, self._form_seconds)
        except BodyTooLarge:
            return _json(413, f"the form is larger than {FORM_BYTES} bytes")
        except BodyTimeout:
            return _json(408, f"the form did not arrive within {self._form_seconds:g} s")
        try:
            key = parse_qs(data.decode("latin-1"), max_num_fields=8).get("key", [""])[0]
        except ValueError:
            key = ""
        if self._sessions.opens(key):
            cookie = self._sessions.begin(time.time(), secure=scope["scheme"] == "https")
            return self._to_page([(b"set-cookie", cookie)])
        self._tell_wrong(scope)
        return await self._form(403, WRONG_KEY)

    async def _sign_out(self, scope: Scope) -> Answer:
        if self._sessions is None:
            return self._to_page()
        return self._to_sign_in([(b"set-cookie", self._sessions.end(secure=scope["scheme"] == "https"))])

    def _tell_wrong(self, scope: Scope) -> None:
        self._wrong += 1
        if (now := perf_counter()) - self._logged_at >= LOG_SECONDS:
            client = scope.get("client")
            log.warning("wrong key for the live page", client=client[0] if client else "", times=self._wrong)
            self._wrong, self._logged_at = 0, now

    async def _form(self, status: int, message: str = "") -> Answer:
        assert self._sessions is not None
        message = message if self._sessions.possible else NOBODY
        return Answer(status, [HTML, NO_STORE], await self._html("sign-in.html", message))

    async def _html(self, name: str, message: str = "") -> bytes:
        return (await _assets()).html(name, self._path, message)

    def _to_page(self, more: Headers = ()) -> Answer:
        return Answer(303, [(b"location", self._path.encode()), NO_STORE, *more])

    def _to_sign_in(self, more: Headers = ()) -> Answer:
        return Answer(303, [(b"location", f"{self._path}/sign-in".encode()), NO_STORE, *more])


PLACES: Final = {
    "": ("GET", "HEAD"),
    "/sign-in": ("GET", "HEAD", "POST"),
    "/sign-out": ("POST",),
    "/figures": ("GET", "HEAD"),
    "/events": ("GET",),
    "/assets/": ("GET", "HEAD"),
}
"""What is below the page's path, and the methods it takes."""


async def _assets() -> Assets:
    """Read and compressed in a thread, the first time."""
    return await asyncio.to_thread(assets)


def _range(scope: Scope) -> str | None:
    """The range that is asked for; None for one that there is not."""
    try:
        asked = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=8).get(
            "range", ["15m"]
        )[-1]
    except ValueError:
        return None
    return asked if asked in RANGES else None


def _json(status: int, message: str, more: Headers = ()) -> Answer:
    return Answer(status, [JSON, NO_STORE, *more], msgspec.json.encode({"error": message}))
