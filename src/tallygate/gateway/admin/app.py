"""The admin API as an ASGI application."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec
import structlog

from tallygate.gateway.accounts.directory import Directory
from tallygate.gateway.accounts.problems import AccountError
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.admin import cache, operations, usage
from tallygate.gateway.admin.guard import Guard
from tallygate.gateway.admin.openapi import openapi
from tallygate.gateway.admin.operations import Asked, Operation
from tallygate.gateway.admin.problems import MEDIA_TYPE, Headers, Refused, database_away, refused_by_accounts
from tallygate.gateway.admin.reading import body_as, query_as
from tallygate.gateway.cache.interface import ResponseCache
from tallygate.gateway.database import DatabaseAway
from tallygate.gateway.exchange import Receive, Scope, Send
from tallygate.gateway.server import BodyTimeout, BodyTooLarge, ClientGone, read_body
from tallygate.gateway.usage.ledger import Ledger
from tallygate.gateway.usage.reports import Reports

if TYPE_CHECKING:
    from tallygate.gateway.parts import Parts
    from tallygate.gateway.settings import Settings
    from tallygate.tally import Tally

OPERATIONS = (*operations.OPERATIONS, *usage.OPERATIONS, *cache.OPERATIONS)
log = structlog.get_logger("tallygate.gateway")

DOCUMENT = "/admin/openapi.json"
BODY_BYTES = 1024 * 1024
"""The largest body that is taken."""
ELSEWHERE = "/admin/*"
"""The path as a label when nothing is there."""
CLIENT_GONE = 499
PLACEHOLDER = re.compile(r"\\\{(\w+)\\\}")


def open_admin(settings: Settings, parts: Parts, tally: Tally) -> AdminAPI | None:
    """The admin API; None where no key is set for it."""
    key = settings.accounts.admin_key
    if key is None or parts.database is None:
        return None
    database, directory, ledger = parts.database, parts.accounts, parts.usage
    tell: Callable[[int], None] = directory.tell if isinstance(directory, Directory) else lambda revision: None
    return AdminAPI(
        key.get_secret_value(),
        AccountService(database, changed=tell),
        lambda: Reports(database, ledger.spool if isinstance(ledger, Ledger) else None),
        tally,
        settings.limits.body_seconds,
        parts.cache,
    )


class Place:
    """A path, and what can be done there."""

    __slots__ = ("methods", "pattern", "template")

    def __init__(self, template: str, operations: Iterable[Operation]) -> None:
        self.template = template
        self.pattern = re.compile(PLACEHOLDER.sub(r"(?P<\1>[^/]+)", re.escape(template)))
        self.methods = {one.method: one for one in operations if one.path == template}


class AdminAPI:
    """Everything below ``/admin``; each request needs the admin key."""

    def __init__(
        self,
        key: str,
        accounts: AccountService,
        reports: Callable[[], Reports],
        tally: Tally,
        body_seconds: float,
        responses: ResponseCache | None = None,
    ) -> None:
        """reports: called for each request, as the ledger opens its queue when it starts."""
        self._guard, self._accounts, self._reports = Guard(key), accounts, reports
        self._tally, self._body_seconds, self._responses = tally, body_seconds, responses
        self._document = msgspec.json.encode(openapi(OPERATIONS))
        self._places = [Place(path, OPERATIONS) for path in dict.fromkeys(one.path for one in OPERATIONS)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever it is, and count it."""
        began, request = perf_counter(), _Request(scope, receive)
        status, body, media = CLIENT_GONE, b"", b"application/json"
        headers: Headers = ()
        try:
            try:
                status, body, headers = await self._serve(request)
            except Refused as refused:
                status, headers, media = refused.status, refused.headers, MEDIA_TYPE
                body = msgspec.json.encode(refused.problem)
            # An answer may hold a key's secret: nobody on the way keeps it.
            kept = [(b"content-type", media), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": status, "headers": [*kept, *headers]})
            await send({"type": "http.response.body", "body": body})
        except ClientGone:
            status = CLIENT_GONE
        except asyncio.CancelledError:
            status = CLIENT_GONE
            raise
        finally:
            self._tally.http_request(
                method=scope["method"],
                route=request.template,
                status_code=status,
                seconds=perf_counter() - began,
                request_size=request.size,
                response_size=len(body),
            )

    async def _serve(self, request: _Request) -> tuple[int, bytes, Headers]:
        """Status, body and headers of the answer. Raises Refused, ClientGone."""
        scope = request.scope
        place, path = self._find(scope["path"])
        # Counted under its path, whoever asks.
        request.template = DOCUMENT if scope["path"] == DOCUMENT else place.template if place else ELSEWHERE
        self._guard.check(scope, request.headers)
        if scope["path"] == DOCUMENT:
            if scope["method"] not in ("GET", "HEAD"):
                raise _wrong_method(DOCUMENT, ["GET", "HEAD"])
            return 200, self._document, ()
        if place is None:
            raise Refused(404, "the admin API has no such path", mend=f"see {DOCUMENT}")
        operation = place.methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if operation is None:
            raise _wrong_method(place.template, sorted(place.methods))
        try:
            asked = await self._read(request, operation, path)
            answer = await operation.act(asked)
        except AccountError as error:
            raise refused_by_accounts(error) from None
        except DatabaseAway as error:
            log.warning("the admin API cannot reach its database", problem=str(error))
            raise database_away(error) from None
        except (Refused, ClientGone):
            raise
        except Exception:
            log.exception("admin request failed", route=operation.path)
            raise Refused(500, "the gateway failed to serve this request", mend="see its log") from None
        if operation.method != "GET":
            client = scope.get("client")
            log.info("admin change", operation=operation.name, path=scope["path"], client=client[0] if client else "")
        return operation.status, msgspec.json.encode(answer), ()

    def _find(self, path: str) -> tuple[Place | None, dict[str, str]]:
        """Where a path leads, and what stands for its names."""
        for place in self._places:
            if (match := place.pattern.fullmatch(path)) is not None:
                return place, match.groupdict()
        return None, {}

    async def _read(self, request: _Request, operation: Operation, path: dict[str, str]) -> Asked:
        query = body = None
        if operation.query is not None:
            query = query_as(operation.query, request.scope["query_string"])
        if operation.body is not None:
            data = await request.body(self._body_seconds)
            if data or operation.body_required:
                body = body_as(operation.body, data)
        once = None
        if operation.idempotent and (given := request.headers.get(b"idempotency-key")) is not None:
            if not given.isascii():
                mend = "use printable ASCII, as in a UUID"
                raise Refused(400, f"Idempotency-Key: is not ASCII; {mend}", field="Idempotency-Key", mend=mend)
            once = given.decode()
        return Asked(self._accounts, self._reports(), path, query, body, once, self._responses)


class _Request:
    """A request, and what is known of it when it is counted."""

    __slots__ = ("headers", "receive", "scope", "size", "template")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope, self.receive = scope, receive
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.template = ELSEWHERE
        self.size = 0

    async def body(self, seconds: float) -> bytes:
        """The body. Raises Refused (413, 408), ClientGone."""
        try:
            data = await read_body(self.scope, self.receive, BODY_BYTES, seconds)
        except BodyTooLarge:
            raise Refused(413, f"the body is larger than {BODY_BYTES} bytes", mend="send less") from None
        except BodyTimeout:
            raise Refused(408, f"the body did not arrive within {seconds:g} s", mend="send it faster") from None
        self.size = len(data)
        return data


def _wrong_method(template: str, methods: list[str]) -> Refused:
    allowed = ", ".join(methods)
    return Refused(405, f"{template} takes {allowed}", headers=[(b"allow", allowed.encode())])
