"""A provider that says exactly what a test tells it to, byte by byte, over a real socket."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tallygate.gateway.upstream import Reply

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Asked:
    """A request as the provider saw it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        (value,) = [value for key, value in self.headers if key.lower() == name]
        return value


class Peer:
    """One connection, seen from the provider."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def request(self) -> Asked:
        """The next request, whole."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (text.partition(":") for text in lines)]
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        return Asked(line, headers, await self.reader.readexactly(length))

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, data: bytes = OK) -> Asked:
        """Take a request and answer it."""
        asked = await self.request()
        await self.say(data)
        return asked

    async def gone(self) -> None:
        """Wait until the client has closed or reset the connection."""
        try:
            while await self.reader.read(65536):
                continue
        except ConnectionError:
            return

    def reset(self) -> None:
        """Close with a reset instead of a regular end."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[object]]


class Provider:
    """Runs a script per connection, in the order they come; the last script serves all further connections."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self.url = ""
        self.connections = 0
        self.arrivals = asyncio.Semaphore(0)
        """Released once per connection, for tests that wait for so many."""
        self.failures: list[BaseException] = []
        self._scripts = scripts

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        self.arrivals.release()
        try:
            await script(Peer(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client left, or the test is over: what it expects of that it asserts on its side or by gone().
            return
        except Exception as error:
            self.failures.append(error)
        finally:
            writer.close()


@asynccontextmanager
async def provider(
    *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Provider]:
    """A listening provider."""
    running = Provider(scripts)
    server = await asyncio.start_server(running.run, host, 0, ssl=tls, limit=1 << 26)
    address = server.sockets[0].getsockname()
    name = f"[{address[0]}]" if ":" in address[0] else address[0]
    running.url = f"{'https' if tls else 'http'}://{name}:{address[1]}"
    try:
        yield running
    finally:
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
    assert running.failures == []


async def read(reply: Reply) -> bytes:
    """The whole body; lets the reply go."""
    try:
        return b"".join([data async for data in reply.body()])
    finally:
        await reply.close()
