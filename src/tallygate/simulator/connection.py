"""One client's connection: HTTP/1.1 read with httptools, written by hand so that it can be broken anywhere."""

import asyncio
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from tallygate.simulator.records import Request

if TYPE_CHECKING:
    from tallygate.simulator.core import Core

LARGEST_BODY = 64 * 1024 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST instead of FIN."""


class Connection(asyncio.Protocol):
    """Requests come in order, and are answered in order, one after the other."""

    def __init__(self, core: "Core") -> None:
        self._core = core
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self._writable: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self._core.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._core.connections.discard(self)
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing else is spoken here: the request was answered as any other.
            self.transport.close()
        except httptools.HttpParserError:
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()

    # What the parser calls

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = []
        self._body = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        if value == b"100-continue" and name.lower() == b"expect":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > LARGEST_BODY:
            self.transport.write(b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()
            raise httptools.HttpParserError("body too large")
        self._body.append(body)

    def on_message_complete(self) -> None:
        parser = self._parser
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        request = Request(
            parser.get_method().decode(),
            self._target,
            self._headers,
            body,
            parser.should_keep_alive(),
            parser.get_http_version() == "1.1",
        )
        if self._task is not None or self._waiting:
            self._waiting.append(request)
        else:
            self._core.handle(self, request)

    # What the core calls

    def start(self, task: asyncio.Task[None]) -> None:
        """A request takes time: ``task`` answers it, and is cancelled when the client leaves."""
        self._task = task
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._task = None
        while self._waiting and self._task is None and not self.transport.is_closing():
            self._core.handle(self, self._waiting.popleft())

    def answered(self, keep_alive: bool) -> None:
        """A reply was sent whole."""
        if not keep_alive:
            self.transport.close()

    async def write(self, data: bytes) -> None:
        """Hand bytes to the transport, and wait while the client reads too slowly."""
        self.transport.write(data)
        if self._paused:
            await self._resumed()

    async def flush(self) -> None:
        """Wait until everything written is with the kernel."""
        self.transport.set_write_buffer_limits(0, 0)
        if self._paused:
            await self._resumed()

    async def _resumed(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()
        try:
            await self._writable
        finally:
            self._writable = None

    def reset(self) -> None:
        """Close with RST. Whatever is not with the kernel yet is lost."""
        sock: socket.socket = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()
