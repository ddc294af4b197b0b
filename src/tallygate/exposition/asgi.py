"""The metrics as an ASGI application, on its own or mounted in another: ``MetricsApp(tally)``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from tallygate.exposition.endpoint import Answer, Authorize, Endpoint, answer
from tallygate.exposition.page import PageSource

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PIECE: Final = 1 << 16
"""Bytes of a page that are sent before the event loop gets its turn."""


class MetricsApp:
    """Answers GET and HEAD with a page of metrics, whatever the path.

    ``?dialect=NAME`` chooses vocabularies, ``?name[]=FAMILY`` families; both may be repeated. ``authorize`` is given
    the Authorization header, or None, and says whether it may read; without it everybody may.
    The page is made in a thread, so the event loop is never held up.
    """

    def __init__(self, source: PageSource, *, authorize: Authorize | None = None) -> None:
        self._endpoint = Endpoint(source, authorize)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await _send(send, await self._answer(scope), head_only=scope["method"] == "HEAD")
            case "lifespan":
                await self._live(receive, send)
            case _:
                await receive()
                await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope) -> Answer:
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        asked = self._endpoint.ask(scope["method"], scope["query_string"].decode("latin-1"), headers)
        if isinstance(asked, Answer):
            return asked
        # Shielded: others may wait for the same page when this client leaves.
        return answer(await asyncio.shield(asyncio.wrap_future(asked)))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._endpoint.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _send(send: Send, whole: Answer, *, head_only: bool) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in whole.headers]
    await send({"type": "http.response.start", "status": whole.status, "headers": headers})
    body = b"" if head_only else whole.body
    for start in range(0, len(body) - PIECE, PIECE):
        await send({"type": "http.response.body", "body": body[start : start + PIECE], "more_body": True})
        await asyncio.sleep(0)  # a server may take everything at once without ever waiting
    rest = max(0, (len(body) - 1) // PIECE * PIECE)
    await send({"type": "http.response.body", "body": body[rest:]})
