"""Requests as bytes, for what no HTTP client would send, and connections that end when a test says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.gateway.running import Gateway

PATIENCE = 15.0
"""Seconds after which a gateway that says nothing is taken for dead."""


@asynccontextmanager
async def connected(running: Gateway) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, dropped at the end without a farewell."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def request(line: str, headers: str = "", body: bytes = b"", *, length: int | None = None) -> bytes:
    """The bytes of a request; ``length``: what is announced in place of the body's own."""
    size = len(body) if length is None else length
    lines = [line, "Host: gateway", f"Content-Length: {size}", *([headers] if headers else [])]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def say(running: Gateway, line: str, headers: str = "", body: bytes = b"", *, length: int | None = None) -> bytes:
    """Send a request and read until the gateway closes; say ``Connection: close`` for that."""
    return await say_bytes(running, request(line, headers, body, length=length))


async def say_bytes(running: Gateway, data: bytes) -> bytes:
    """Send bytes, then nothing more, and read until the gateway closes. Raises TimeoutError."""
    async with connected(running) as (reader, writer):
        writer.write(data)
        try:
            async with asyncio.timeout(PATIENCE):
                return await reader.read()
        except ConnectionError:
            return b""
