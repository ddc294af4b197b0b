"""A provider's reply as its consumer sees it: the head, then an iterator over the body."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from tallygate.gateway.upstream.interface import Headers

if TYPE_CHECKING:
    from tallygate.gateway.upstream.connection import Connection


class HttpReply(AsyncIterator[bytes]):
    """Filled by its connection, read by one consumer. It lets its connection go once it was read to the end."""

    __slots__ = (
        "_connection",
        "_error",
        "_pieces",
        "_waiter",
        "bodiless",
        "complete",
        "headers",
        "received",
        "status",
        "unread",
        "until_close",
    )

    def __init__(self, connection: "Connection", bodiless: bool) -> None:
        self.status = 0
        """0 until the head is here."""
        self.headers: Headers = ()
        self.complete = False
        """The message has come to its own end."""
        self.until_close = False
        """The body has no framing: it ends when the provider closes."""
        self.bodiless = bodiless
        """The request was a HEAD: no body follows, whatever the head announces."""
        self.received = 0
        """Bytes of body so far."""
        self.unread = 0
        """Bytes of body that nobody has taken yet."""
        self._connection: Connection | None = connection
        self._pieces: list[bytes] = []
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    # What the consumer calls

    async def head(self) -> None:
        """Wait for the head. Raises what prevented it."""
        if not self.status and self._error is None:
            await self._wait()
        if not self.status and self._error is not None:
            raise self._error

    def body(self) -> AsyncIterator[bytes]:
        """The body's pieces as they arrive; what arrived together comes together."""
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            connection = self._connection
            if self.complete or connection is None:
                self._let_go()
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            connection.expect_data()
            await self._wait()
            connection.got_data()
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.unread = 0
        if self.complete:
            self._let_go()
        return data

    async def close(self) -> None:
        """Let go: the connection returns to its pool when the body was read whole, else it is dropped at once."""
        self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if self.complete and not self._pieces:
                connection.finished()
            else:
                connection.drop()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            if self._connection is not None:
                self._connection.drop()
            raise
        finally:
            self._waiter = None

    # What the connection calls

    def begin(self, status: int, headers: Headers) -> None:
        """The head is here."""
        self.status, self.headers = status, headers
        self._wake()

    def feed(self, data: bytes) -> None:
        """A piece of the body is here."""
        self._pieces.append(data)
        size = len(data)
        self.received += size
        self.unread += size
        self._wake()

    def end(self) -> None:
        """The body is whole."""
        self.complete = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Nothing more will come; what came before can still be read. The first error stays."""
        if self._error is None:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
