"""The live page as a browser asks for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec

from tallygate.gateway.page.figures import Figures, Update
from tallygate.gateway.upstream import Timeouts, UpstreamError, open_upstream
from tests.gateway.running import Answer, ask

PATIENCE = 20.0
TICK = 0.1
"""Seconds between two looks, in tests."""
QUICK: dict[str, Any] = {"dashboard": {"refresh_seconds": TICK}}


@dataclass
class Event:
    """A server-sent event."""

    name: str
    data: str

    @property
    def figures(self) -> Figures:
        assert self.name == "figures"
        return msgspec.json.decode(self.data, type=Figures)

    @property
    def update(self) -> Update:
        assert self.name == "update"
        return msgspec.json.decode(self.data, type=Update)

    @property
    def totals(self) -> dict[str, Any]:
        totals: dict[str, Any] = json.loads(self.data)["totals"]
        return totals


class Browser:
    """Has one cookie jar for one gateway."""

    def __init__(self, url: str, path: str = "/dashboard") -> None:
        self.url, self.path, self.cookie = url, path, ""

    async def get(self, place: str = "", *, method: str = "GET", **headers: str) -> Answer:
        """``place``: what follows the page's path."""
        return await self._ask(method, place, b"", headers)

    async def post(self, place: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        """A form of the page's own, unless the headers say otherwise."""
        own = {"sec_fetch_site": "same-origin", "origin": self.url} | headers
        return await self._ask("POST", place, urlencode(form or {}).encode(), own)

    async def sign_in(self, key: str) -> Answer:
        answer = await self.post("/sign-in", {"key": key})
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer

    async def figures(self, range: str = "15m") -> Figures:
        answer = await self.get(f"/figures?range={range}")
        assert answer.status == 200, answer
        return msgspec.json.decode(answer.body, type=Figures)

    @asynccontextmanager
    async def events(self, range: str = "15m") -> AsyncIterator[AsyncIterator[Event]]:
        """The events of a connection that is given up at the end."""
        async with self.stream(range) as pieces:
            yield events(pieces)

    @asynccontextmanager
    async def stream(self, range: str = "15m") -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of a connection that is given up at the end."""
        client = open_upstream()
        try:
            reply = await client.send(
                "GET",
                f"{self.url}{self.path}/events?range={range}",
                [(b"cookie", self.cookie.encode())] if self.cookie else [],
                b"",
                Timeouts(connect=5, first_byte=PATIENCE, idle=PATIENCE, total=60),
            )
            assert reply.status == 200, reply.status
            assert dict(reply.headers)[b"content-type"] == b"text/event-stream; charset=utf-8"
            try:
                yield reply.body()
            finally:
                await reply.close()
        finally:
            await client.close()

    async def shows(self, condition: Callable[[dict[str, Any]], bool], range: str = "15m") -> Figures:
        """Look until the totals are so; then all figures."""
        async with asyncio.timeout(PATIENCE), self.events(range) as events:
            async for event in events:
                if condition(event.totals):
                    return await self.figures(range)
        raise AssertionError("the events ended")

    async def _ask(self, method: str, place: str, body: bytes, headers: dict[str, str]) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items() if value}
        if self.cookie:
            sent["cookie"] = self.cookie
        return await ask(f"{self.url}{self.path}{place}", body, sent, method)


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """Events as they come; they end with their connection, in good order or not."""
    text = b""
    try:
        async for piece in pieces:
            text += piece
            while b"\n\n" in text:
                frame, _, text = text.partition(b"\n\n")
                fields = dict(line.split(": ", 1) for line in frame.decode().split("\n"))
                if "event" in fields:
                    yield Event(fields["event"], fields["data"])
                else:
                    assert fields == {"retry": "2000"}
    except UpstreamError:
        return
