"""Requests that an ASGI application serves, from their beginning to the last byte of the answer.

Over the ledger's compiled core they are its ``Exchange``; the class here does the same over the pure-Python ledger.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any

from tallygate.exposition.asgi import Message, Receive, Scope, Send
from tallygate.facts import HTTPRequest
from tallygate.ledger.interface import ELAPSED
from tallygate.record.classify import CLIENT_GONE

if TYPE_CHECKING:
    from tallygate.ledger.interface import Row
    from tallygate.record.recorder import Recorder

try:
    from tallygate.instrument import _core
except ImportError:
    _core = None  # type: ignore[assignment]  # not built

Find = Callable[[Scope, int | str], "Row | None"]
Told = Callable[[Scope, int], int]


class Exchanges:
    """The requests of one middleware that go to one recorder."""

    def __init__(self, recorder: Recorder, route: Callable[[Scope], str], exclude: Collection[str]) -> None:
        """route: tells the template of a request. exclude: templates of those that are not recorded."""
        self.recorder, self._route, self._exclude = recorder, route, exclude
        self._live, self._rows = recorder.http_live_row(), recorder.http_rows
        of_core = _core is not None and isinstance(self._live, _core.Row)
        self._exchange: Any = _core.Exchange if of_core else Exchange

    def begin(self, scope: Scope, receive: Receive, send: Send) -> Exchange:
        """A request that is being served from now on."""
        exchange: Exchange = self._exchange(self._live, self._find, told_size, scope, receive, send)
        return exchange

    def _find(self, scope: Scope, status: int | str) -> Row | None:
        """Where a request goes that was answered so; None when it is not recorded."""
        try:
            route = self._route(scope)
            if route in self._exclude:
                return None
            method = scope["method"]
            return self._rows.get((method, route, status)) or self.recorder.http_row(method, route, status)
        except Exception as problem:
            self.recorder.failed(HTTPRequest, problem)
            return None


def told_size(scope: Scope, received: int) -> int:
    """Bytes of a request's body as the client told them, else as the application read them."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return received


class Exchange:
    """One request and what is known of its answer. ``receive`` and ``send`` are for the application."""

    def __init__(self, live: Row, find: Find, told: Told, scope: Scope, receive: Receive, send: Send) -> None:
        """find: the row of a request by its scope and status. told: the size of its body, when not all was read."""
        self._find, self._told, self._scope = find, told, scope
        self._receive, self._send = receive, send
        self._over = self._whole = self._gone = False
        self._received = 0
        self._sent: int | None = 0
        self._status: int | str = 0
        self._activity = live.begin()

    async def receive(self) -> Message:
        """As the server's; the message is seen."""
        message = await self._receive()
        kind = message.get("type")
        if kind == "http.request":
            self._received += len(message.get("body") or b"")
            self._whole = not message.get("more_body")
        elif kind == "http.disconnect":
            self._gone = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """As the server's; recorded when the last message is out."""
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
        if self._over:
            return
        self._over = True
        row = self._find(self._scope, self._status or (CLIENT_GONE if self._gone else otherwise))
        if row is None:
            self._activity.finish()
            return
        method, read = self._scope["method"], self._received
        if not self._whole and method != "GET":
            read = self._told(self._scope, read)
        self._activity.finish(row, ELAPSED, read, 0 if method == "HEAD" else self._sent)
