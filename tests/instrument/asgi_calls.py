"""Requests to ASGI applications without a server, and small endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tallygate.exposition.asgi import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]


async def call(
    app: Callable[[Scope, Receive, Send], Awaitable[None]],
    path: str = "/",
    method: str = "GET",
    *,
    body: list[bytes] | None = None,
    headers: Headers | None = None,
    root_path: str = "",
    gone: asyncio.Event | None = None,
) -> tuple[int, bytes]:
    """Status and body of an answer; 0 when there is none.

    gone: when the client leaves. Without it that is never; with it the body is never whole, unless it is empty.
    """
    sent: list[Any] = []
    pieces = body or [b""]
    incoming = [
        {"type": "http.request", "body": piece, "more_body": at < len(pieces) or bool(body and gone)}
        for at, piece in enumerate(pieces, 1)
    ]
    leaves = gone or asyncio.Event()

    async def receive() -> Any:
        if incoming:
            return incoming.pop(0)
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"a=1", "root_path": root_path,
        "headers": headers or [(b"host", b"here")], "server": ("here", 80), "client": ("there", 1),
    }  # fmt: skip
    await app(scope, receive, send)
    status = next((message["status"] for message in sent if message["type"] == "http.response.start"), 0)
    return status, b"".join(message.get("body", b"") for message in sent)


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def echo(request: Request) -> Response:
    return Response(await request.body())


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"four", "more_body": True})
    await send({"type": "http.response.body"})
