"""Replies that are not passed on at once: kept back whole, or looked into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from tallygate.errors import ErrorType
from tallygate.gateway.upstream import Headers, Reply, UpstreamError

if TYPE_CHECKING:
    from tallygate.wire.interface import Wire

KEPT_BYTES: Final = 256 * 1024
"""Failed answers are kept up to this size; larger ones are dropped."""
KEPT_SECONDS: Final = 1.0
"""How long the rest of a failed answer may take to arrive; it mostly comes with its head."""


class Kept(AsyncIterator[bytes]):
    """A reply that was read whole."""

    def __init__(self, status: int, headers: Headers, data: bytes) -> None:
        self.status, self.headers, self.data = status, headers, data
        self._told = not data

    def body(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._told:
            raise StopAsyncIteration
        self._told = True
        return self.data

    async def close(self) -> None:
        """Nothing is left to let go."""


class Begun(AsyncIterator[bytes]):
    """A reply of which the first piece was read already."""

    def __init__(self, reply: Reply, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self.status, self.headers = reply.status, reply.headers
        self.first = first
        self._reply, self._rest, self._told = reply, rest, not first

    def body(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._told:
            return await anext(self._rest)
        self._told = True
        return self.first

    async def close(self) -> None:
        await self._reply.close()


async def keep(reply: Reply) -> Kept | None:
    """Read a reply whole and let its connection go; None when it is too large or too slow, or breaks off."""
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(KEPT_SECONDS):
            async for piece in reply.body():
                pieces.append(piece)
                size += len(piece)
                if size > KEPT_BYTES:
                    return None
    except (UpstreamError, TimeoutError):
        return None
    finally:
        await reply.close()
    return Kept(reply.status, reply.headers, b"".join(pieces))


async def begun(reply: Reply) -> Begun:
    """Wait for the first piece of a reply's body. Raises UpstreamError when it breaks off before."""
    rest = reply.body()
    try:
        first = await anext(rest, b"")
    except BaseException:
        await reply.close()
        raise
    return Begun(reply, first, rest)


def failure_in(wire: Wire, reply: Reply, data: bytes, *, stream: bool) -> ErrorType | None:
    """What an error body, or the beginning of a stream, says that went wrong; None when it does not."""
    encoding = next((value for name, value in reply.headers if name == b"content-encoding"), b"")
    meter = wire.meter(
        stream=stream, status=reply.status, content_encoding=encoding.decode("latin-1").lower(), hide_usage=False
    )
    meter.feed(data)
    if reply.status >= 400:
        meter.close()
    return meter.failure.error_type if meter.failure is not None and not meter.contents else None
