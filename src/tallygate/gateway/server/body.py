"""Reading a request's body within limits, and noticing that the client left."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class BodyTooLarge(Exception):
    """The body has more bytes than the limit: answer 413."""


class BodyTimeout(Exception):
    """The body did not arrive in time: answer 408."""


class ClientGone(Exception):
    """The client closed its connection: there is nobody to answer."""


async def read_body(scope: Scope, receive: Receive, limit: int, seconds: float) -> bytes:
    """The whole body, of ``limit`` bytes at most, arrived within ``seconds``.

    Raises BodyTooLarge (before reading, when the announced length says so), BodyTimeout, ClientGone.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:
            raise BodyTooLarge
    # Most bodies arrive together with their head. Our server's receive() belongs to an object that says whether all of
    # it is here; then nothing waits and no clock is needed.
    if not getattr(getattr(receive, "__self__", None), "more_body", True):
        return await _read(receive, limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError:
        raise BodyTimeout from None


async def _read(receive: Receive, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        data: bytes = message.get("body", b"")
        size += len(data)
        if size > limit:
            raise BodyTooLarge
        pieces.append(data)
        more = message.get("more_body", False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def disconnected(receive: Receive) -> None:
    """Returns when the client has left; for handlers under a server that does not cancel them then (ours does).

    Only to be awaited when the body was read.
    """
    while (await receive())["type"] != "http.disconnect":
        continue
