"""One connection to a provider: bytes in, the current reply's head and body out."""

import asyncio
from typing import Protocol, cast

import httptools

from tallygate.errors import ErrorType
from tallygate.gateway.upstream.interface import Timeouts, UpstreamError
from tallygate.gateway.upstream.reply import HttpReply
from tallygate.gateway.upstream.request import HOP_BY_HOP

BARREN_LIMIT = 64 * 1024
"""Bytes a provider may send without a head being complete or a byte of body coming out of them."""

UNREAD_LIMIT = 256 * 1024
"""Unread bytes of body above which a connection stops reading."""

STALE_WITHIN = 2.0
"""Seconds after a request within which the close of a reused connection counts as the provider's idle time-out
crossing our request: such a close was sent before the request arrived, so it is here within a round trip."""

_BODILESS = frozenset({204, 304})
_SEPARATE = 64 * 1024
"""Bodies from this size are not copied behind their head."""


class StaleConnectionError(Exception):
    """A kept-alive connection was closed by the provider before it took the request up."""


class Owner(Protocol):
    """Who keeps connections."""

    def freed(self, connection: "Connection") -> None:
        """The connection is ready for the next request."""

    def lost(self, connection: "Connection") -> None:
        """The connection is closed."""


class Connection(asyncio.Protocol):
    """Sends one request at a time and feeds its reply. All time limits share one timer, which is moved lazily."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, owner: Owner) -> None:
        self.name = name
        self.closed = False
        self.busy = False
        """Whether a request has it; kept by the owner."""
        self._loop = loop
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._reply: HttpReply | None = None
        self._served = 0
        self._reusable = False
        self._paused = False
        self._sending = False
        self._barren = 0
        self._produced = False
        self._sent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._total_deadline = 0.0
        self._timeouts = Timeouts()
        self._unsent = 0

    # What the pool calls

    async def exchange(self, method: str, head: bytes, body: bytes, timeouts: Timeouts, began: float) -> HttpReply:
        """Send a request and wait for the head of its reply. ``began`` is when the request's total time began.

        Raises UpstreamError, and StaleConnectionError when another connection may be tried.
        """
        transport = self._transport
        if transport is None or self.closed:
            raise StaleConnectionError
        reply = self._reply = HttpReply(self, method == "HEAD")
        self._reusable = False
        self._barren = 0
        self._timeouts = timeouts
        self._sent_at = now = self._loop.time()
        self._total_deadline = began + timeouts.total
        self._arm(now + timeouts.first_byte)
        if len(body) < _SEPARATE:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        await reply.head()
        return reply

    def rest(self, keepalive: float) -> None:
        """Wait for the next request, for so many seconds at most."""
        self._reply = None
        self._total_deadline = self._loop.time() + keepalive
        self._arm(self._total_deadline)

    def drop(self) -> None:
        """Close at once: the provider sees it now, what it sent and nobody read is lost."""
        if not self.closed:
            if self._transport is not None:
                self._transport.abort()
            self._end()

    # What the reply calls

    def finished(self) -> None:
        """The reply was read to its end: free for the next request if both sides are in order, else closed."""
        if self.closed:
            return
        if not self._reusable or self._sending:
            self.drop()
            return
        self._resume()
        self._owner.freed(self)

    def expect_data(self) -> None:
        """The consumer waits for more of the body: from now on the provider is the one who is slow."""
        self._resume()
        self._arm(self._loop.time() + self._timeouts.idle)

    def got_data(self) -> None:
        """The consumer is busy with what it got: only the total time runs on."""
        self._deadline = self._total_deadline

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self.closed:
            self._paused = False
            self._transport.resume_reading()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None or self.closed:
            # Nothing was asked: whatever this is, it would be taken for the answer to the next request.
            self.drop()
            return
        self._produced = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(ErrorType.PROVIDER_INVALID_RESPONSE, f"{self.name} switched to another protocol")
        except httptools.HttpParserError as error:
            self._reusable = False
            self._fail(ErrorType.PROVIDER_INVALID_RESPONSE, f"{self.name} sent an invalid HTTP message: {error}")
        if self._produced:
            self._barren = 0
            if reply.unread > UNREAD_LIMIT and not self._paused and not self.closed and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
        else:
            self._barren += len(data)
            if self._barren > BARREN_LIMIT:
                self._too_much()

    def eof_received(self) -> None:
        self._lost(None)
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(exc)

    def pause_writing(self) -> None:
        self._sending = True
        self._unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0

    def resume_writing(self) -> None:
        self._sending = False
        reply = self._reply
        if reply is not None and not reply.status:
            self._arm(self._loop.time() + self._timeouts.first_byte)

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._reply is not None and self._reply.complete:
            # More than was asked for: the next request would get somebody else's answer.
            self._reusable = False
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        reply = self._reply
        status = self._parser.get_status_code()
        if reply is None or reply.complete or 100 <= status < 200:
            return
        headers, kept = self._headers, []
        size, framed, named = 0, False, b""
        for pair in headers:
            name, value = pair
            size += len(name) + len(value) + 4
            if name in HOP_BY_HOP:
                if name == b"transfer-encoding":
                    framed = True
                    if value.strip().lower() != b"chunked":
                        self._fail(
                            ErrorType.PROVIDER_INVALID_RESPONSE,
                            f"{self.name} sent its reply in a transfer coding nobody asked for: {value[:50]!r}",
                        )
                        return
                elif name == b"connection":
                    named = named + b"," + value.lower() if named else value.lower()
                continue
            if name == b"content-length":
                framed = True
            kept.append(pair if value[-1:] not in b" \t" else (name, value.rstrip(b" \t")))
        if size > BARREN_LIMIT:
            self._too_much()
            return
        if not 200 <= status <= 599:
            self._fail(ErrorType.PROVIDER_INVALID_RESPONSE, f"{self.name} answered with the impossible status {status}")
            return
        if named and named not in (b"close", b"keep-alive"):
            dropped = {token.strip() for token in named.split(b",")}
            kept = [pair for pair in kept if pair[0] not in dropped]
        self._reusable = self._parser.should_keep_alive()
        self._produced = True
        self._deadline = self._total_deadline
        reply.until_close = not framed and status not in _BODILESS
        reply.begin(status, kept)
        if reply.bodiless:
            self._complete(reply)
            if framed:
                # The parser takes the announced length for a body that is to come.
                self._parser = httptools.HttpResponseParser(self)

    def on_body(self, data: bytes) -> None:
        reply = self._reply
        if reply is None or reply.complete:
            self._reusable = False
            return
        self._produced = True
        reply.feed(data)

    def on_message_complete(self) -> None:
        reply = self._reply
        if reply is not None and reply.status and not reply.complete:
            self._complete(reply)

    # Endings

    def _complete(self, reply: HttpReply) -> None:
        self._produced = True
        self._served += 1
        reply.end()

    def _too_much(self) -> None:
        reply = self._reply
        what = "framing around the body" if reply is not None and reply.status else "the head of its reply"
        message = f"{self.name} sent more than {BARREN_LIMIT} bytes of {what}"
        self._fail(ErrorType.PROVIDER_INVALID_RESPONSE, message)

    def _fail(self, error_type: ErrorType, message: str) -> None:
        reply = self._reply
        if reply is not None and not reply.complete:
            reply.fail(UpstreamError(error_type, message))
            self.drop()

    def _lost(self, exc: Exception | None) -> None:
        """The provider closed (exc is None) or reset the connection."""
        if self.closed:
            return
        reply = self._reply
        if reply is not None and not reply.complete:
            self._interrupt(reply, exc)
        self._end()

    def _interrupt(self, reply: HttpReply, exc: Exception | None) -> None:
        how = "closed the connection" if exc is None else f"broke the connection ({type(exc).__name__}: {exc})"
        if not reply.status:
            just_sent = self._loop.time() - self._sent_at < STALE_WITHIN
            if exc is None and self._served and not self._barren and just_sent:
                reply.fail(StaleConnectionError())
            else:
                message = f"{self.name} {how} before the head of its reply"
                reply.fail(UpstreamError(ErrorType.PROVIDER_NETWORK, message))
        elif reply.until_close and exc is None:
            self._complete(reply)
        else:
            message = f"{self.name} {how} in the middle of its reply, after {reply.received} bytes of body"
            reply.fail(UpstreamError(ErrorType.PROVIDER_STREAM_CUT, message))

    def _end(self) -> None:
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._owner.lost(self)
        reply = self._reply
        if reply is not None and not reply.complete:
            message = f"the gateway gave up its connection to {self.name}"
            reply.fail(UpstreamError(ErrorType.GATEWAY_INTERNAL, message))

    # Time

    def _arm(self, deadline: float) -> None:
        """Fire at the deadline or at the end of the total time. A timer that fires too early is moved on then, so
        that a kept-alive connection sets one timer for many requests."""
        if self.closed:
            return
        if deadline > self._total_deadline:
            deadline = self._total_deadline
        self._deadline = deadline
        timer = self._timer
        if timer is not None:
            if timer.when() <= deadline:
                return
            timer.cancel()
        self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        # The loop's clock may tick in milliseconds.
        if self._deadline - now > 0.001:
            self._timer = self._loop.call_at(self._deadline, self._on_timer)
            return
        reply = self._reply
        if reply is None or reply.complete:
            self.drop()
            return
        limits = self._timeouts
        if self._total_deadline - now <= 0.001:
            message = f"{self.name} did not finish its reply within {limits.total:g} s"
        elif not reply.status:
            if self._sending and self._transport is not None:
                unsent = self._transport.get_write_buffer_size()
                if unsent < self._unsent:
                    self._unsent = unsent
                    self._arm(now + limits.first_byte)
                    return
            message = f"{self.name} did not begin its reply within {limits.first_byte:g} s"
        else:
            message = f"{self.name} sent nothing more of its reply for {limits.idle:g} s"
        self._fail(ErrorType.PROVIDER_TIMEOUT, message)
