"""uvicorn's HTTP protocol with a guard at the door: limits on heads, time and connections, and honest endings.

Beside the limits two things differ from uvicorn's own. When a client leaves before its answer is complete, the
application's task is cancelled at once; it need not wait on ``receive()`` to learn it. And an application that
raises CutConnection, or anything after its answer began, has the connection closed without a regular end.

A client that sends its next request before the answer to the last one (pipelining) is read no further meanwhile:
its leaving is noticed when that answer is written.
"""

import asyncio
import json
from enum import IntEnum
from typing import Any, cast

import httptools
import uvicorn
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from tallygate.gateway.server.limits import Limits

RETRY_AFTER = {503: b"retry-after: 1\r\n"}


class CutConnection(Exception):
    """Raised by an application whose answer cannot be finished: the client shall see that it is incomplete."""


class GuardedConfig(uvicorn.Config):
    """uvicorn's configuration and our limits."""

    limits = Limits()


class Phase(IntEnum):
    """What a connection is doing, as far as time limits go."""

    RESTING = 0
    """Between two requests."""
    HEAD = 1
    """New, or within the head of a request."""
    BUSY = 2
    """The application works on a request."""
    BLOCKED = 3
    """The application works, and the client takes nothing of the answer."""
    DISCARDING = 4
    """Answered, but the rest of the request's body is still coming."""
    CLOSING = 5
    """Refused: whatever comes is thrown away."""


class _Refused(Exception):
    """Stops the parser; the answer is in the protocol."""


class GuardedProtocol(HttpToolsProtocol):
    """One client's connection. All time limits share one timer, which is moved lazily."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = config.limits if isinstance(config, GuardedConfig) else Limits()
        self._phase = Phase.HEAD
        self._barren = 0
        """Bytes received since a head was complete or a byte of body came."""
        self._produced = False
        self._in_head = False
        self._over_limit = False
        self._refusal: tuple[int, str] | None = None
        self._running: RequestResponseCycle | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None

    # What the event loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        self._over_limit = len(self.connections) >= self.limits.connections
        super().connection_made(transport)
        self._arm(self.limits.linger_seconds if self._over_limit else self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._phase = Phase.CLOSING
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.pipeline.clear()
        running, task = self._running, self._task
        if running is not None and task is not None and not running.response_complete:
            running.disconnected = True
            task.cancel()

    def data_received(self, data: bytes) -> None:
        phase = self._phase
        if phase == Phase.CLOSING:
            return
        self._barren += len(data)
        self._produced = False
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(*(self._refusal or (400, f"invalid HTTP request: {error}")))
            return
        if self._produced:
            self._barren = 0
        elif self._barren > self.limits.head_bytes:
            self._refuse(*self._too_large())
        elif self._phase == Phase.RESTING:
            self._phase = Phase.HEAD
            self._arm(self.limits.head_seconds)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._phase == Phase.BUSY:
            self._phase = Phase.BLOCKED
            self._arm(self.limits.send_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._phase == Phase.BLOCKED:
            self._phase = Phase.BUSY
            self._deadline = None

    # What the parser calls

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come here too: behind the body nothing may add to the head that was acted upon.
        if not self._in_head:
            return
        # The parser would refuse this too, but only after the head was acted upon.
        if len(name) == 17 and name.lower() == b"transfer-encoding" and value.strip().lower() != b"chunked":
            self._refusal = (400, "invalid HTTP request: the only transfer coding known here is chunked")
            raise _Refused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self.parser.should_upgrade():
            return
        self._produced = True
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            # The parser takes a plain-text "HTTP/2.0", and a line without any version, for requests.
            self._refusal = (505, "this gateway speaks HTTP/1.1 and HTTP/1.0")
            raise _Refused
        if self._barren > self.limits.head_bytes:
            # The count may include the beginning of the body: count exactly.
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self.limits.head_bytes:
                self._refusal = self._too_large()
                raise _Refused
        if self._over_limit:
            self._refusal = (
                503,
                f"this gateway serves {self.limits.connections} connections at once and all are taken",
            )
            raise _Refused
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._produced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._produced = True
        super().on_message_complete()
        if self._phase == Phase.DISCARDING:
            self._rest()

    def _decline_upgrade(self, rest: bytes) -> None:
        """The parser stops at an offered upgrade (clients with HTTP/2 offer one with any request) and takes no body.
        We speak nothing else, so the request is read again as if there had been no offer."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refusal = (400, "invalid HTTP request: this is no proxy, CONNECT is not served")
            raise httptools.HttpParserError
        lines = [b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(one for one in value.split(b",") if one.strip().lower() != b"upgrade")
            if name != b"upgrade":
                lines.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        # As the base class has it: what follows a last request is not an error of that request.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    # What the request's cycle calls

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._phase = Phase.BUSY
        self._deadline = None
        self._running = cycle
        self._task = task = self.loop.create_task(cycle.run_asgi(cast(ASGI3Application, self._run)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """The application, with its ways out made quiet where they are no defect."""
        cycle = self._running
        try:
            await self.app(scope, receive, send)
        except (CutConnection, asyncio.CancelledError):
            self._cut(cycle)
        except Exception:
            if cycle is not None and cycle.disconnected:
                return
            raise

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._close()
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._running is not None and self._running.more_body:
            self._phase = Phase.DISCARDING
            self._arm(self.limits.linger_seconds)
        else:
            self._rest()

    # Endings

    def _rest(self) -> None:
        self._phase = Phase.RESTING
        self._arm(self.limits.keepalive_seconds)

    def _cut(self, cycle: RequestResponseCycle | None) -> None:
        """Close without a regular end. What was written before is still sent."""
        if cycle is not None:
            cycle.disconnected = True
        self._close()

    def _close(self) -> None:
        """Close once everything is sent, and cut when that takes too long."""
        self._phase = Phase.CLOSING
        if self.parser is not None:
            self.transport.close()
            self._arm(self.limits.send_seconds)

    def _too_large(self) -> tuple[int, str]:
        return 431, f"the head of the request is larger than {self.limits.head_bytes} bytes"

    def _refuse(self, status: int, message: str) -> None:
        """Answer without the application, then close; in the middle of another answer only close."""
        if self._phase in (Phase.BUSY, Phase.BLOCKED):
            self._phase = Phase.CLOSING
            self.transport.abort()
            return
        self._phase = Phase.CLOSING
        body = json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": status}}).encode()
        self.transport.write(
            b"%scontent-type: application/json\r\ncontent-length: %d\r\n%sconnection: close\r\n\r\n%s"
            % (STATUS_LINE[status], len(body), RETRY_AFTER.get(status, b""), body)
        )
        if self.transport.can_write_eof():
            # To close with bytes unread would reset the connection, and the client would never read the answer.
            self.transport.write_eof()
            self._arm(self.limits.linger_seconds)
        else:
            self._close()

    # Time

    def _arm(self, seconds: float) -> None:
        self._deadline = deadline = self.loop.time() + seconds
        timer = self._timer
        if timer is not None:
            if timer.when() <= deadline:
                return
            timer.cancel()
        self._timer = self.loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        # The loop's clock may tick in milliseconds.
        if self._deadline - self.loop.time() > 0.001:
            self._timer = self.loop.call_at(self._deadline, self._on_timer)
            return
        self._deadline = None
        if self._phase == Phase.HEAD and self._barren:
            self._refuse(408, f"the head of the request did not arrive within {self.limits.head_seconds:g} s")
        elif self._phase in (Phase.BLOCKED, Phase.CLOSING):
            self.transport.abort()
        else:
            self._close()
