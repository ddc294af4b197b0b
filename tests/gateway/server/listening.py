"""A guarded server around a test's application, and clients that send whatever bytes they like."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

from tallygate.gateway.server import TLS, Limits
from tallygate.gateway.server.sockets import open_listeners
from tallygate.gateway.server.worker import Server, server_config

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    """An answer as a client saw it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> str:
        """What the gateway says in an error."""
        return str(json.loads(self.body)["error"]["message"])


class Client:
    """One connection, seen from the client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        """The next answer, which must have a content-length."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(int(line.split()[1]), headers, body)

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        return await self.reader.read()


class Listening:
    """A running server."""

    def __init__(self, server: Server, port: int) -> None:
        self.server, self.port = server, port

    @asynccontextmanager
    async def client(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
        name = None if tls is None else "localhost"
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, limit=1 << 24, ssl=tls, server_hostname=name
        )
        with closing(writer):
            yield Client(reader, writer)

    async def ask(self, data: bytes, tls: ssl.SSLContext | None = None) -> Answer:
        """Send these bytes on a connection of their own; the answer must end with the connection."""
        async with self.client(tls) as client:
            await client.say(data)
            answer = await client.answer()
            assert await client.rest() == b""
            return answer


@asynccontextmanager
async def listening(
    app: App, limits: Limits | None = None, grace: float = 5.0, tls: TLS | None = None
) -> AsyncIterator[Listening]:
    """The application behind the guarded protocol, on a free port."""
    server = Server(server_config(app, limits or Limits()), grace, tls)
    ((listener,),) = open_listeners("127.0.0.1", 0, 1)
    port = listener.getsockname()[1]
    serving = asyncio.create_task(server.serve([listener]))
    await server.ready.wait()
    try:
        yield Listening(server, port)
    finally:
        server.cut()
        await serving


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
