"""Server-sent events: what is new goes to everybody who looks, encoded once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from tallygate.gateway.exchange import Send
from tallygate.gateway.page.figures import update_of
from tallygate.gateway.page.source import Source

RETRY: Final = b"retry: 2000\n\n"
"""Milliseconds until a page comes back whose connection ended."""
SLOW_SECONDS: Final = 20.0
"""How long a viewer may take for one event; then it is dropped, and comes back for all figures."""
TOLD_AT_ONCE: Final = 8
"""Viewers that are told before anything else gets its turn."""


class Events:
    """Tells viewers what is new. A viewer costs a task that waits, and a write per tick.

    Nothing is queued for anybody: a viewer that was not ready for an event gets all figures at the next.
    """

    def __init__(self, source: Source, most: int) -> None:
        """most: viewers at once."""
        self._source, self._most = source, most
        self._viewers: Counter[str] = Counter()
        """By range."""
        self._updates: dict[str, bytes] = {}
        self._whole: dict[str, tuple[int, bytes]] = {}
        self._number = 0
        self._waiting: list[asyncio.Future[None]] = []
        """Viewers that know all there is."""
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether nobody else can be told."""
        return self._viewers.total() >= self._most

    @property
    def viewers(self) -> int:
        return self._viewers.total()

    async def tick(self) -> None:
        """Tell everybody what is new."""
        ranges = [range for range, viewers in self._viewers.items() if viewers]
        told = await asyncio.gather(*[self._source.figures(range) for range in ranges])
        self._updates = {
            range: _event(b"update", msgspec.json.encode(update_of(figures)))
            for range, figures in zip(ranges, told, strict=True)
        }
        self._number += 1
        waiting = self._take_waiting()
        try:
            for number, viewer in enumerate(waiting, 1):
                viewer.set_result(None)
                if not number % TOLD_AT_ONCE:
                    await asyncio.sleep(0)  # requests are served in between
        finally:
            for viewer in waiting:
                viewer.set_result(None)

    def close(self) -> None:
        """End the answers of all viewers, in good order; they come back when there is a gateway again."""
        self._closed = True
        for viewer in self._take_waiting():
            viewer.set_result(None)

    async def figures(self, range: str) -> bytes:
        """All figures of a range as JSON, made once a tick."""
        known = self._whole.get(range)
        if known is None or known[0] != self._number:
            number = self._number
            encoded = msgspec.json.encode(await self._source.figures(range))
            known = self._whole[range] = (number, encoded)
        return known[1]

    async def serve(self, range: str, send: Send, until: float | None) -> int:
        """Tell one viewer, until it leaves, is too slow, or its session ends; gives the bytes that it was sent.

        until: when that is, in seconds from now; None for never. To be called when not ``full``, after the head was
        sent.
        """
        loop = asyncio.get_running_loop()
        ends = None if until is None else loop.time() + until
        sent = 0
        self._viewers[range] += 1
        try:
            seen = -1
            while not self._closed and (ends is None or loop.time() < ends):
                number = self._number
                update = self._updates.get(range) if number == seen + 1 else None
                data = update or _event(b"figures", await self.figures(range))
                data = data if sent else RETRY + data
                async with asyncio.timeout(SLOW_SECONDS):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                sent, seen = sent + len(data), number
                if number == self._number and not self._closed:
                    self._waiting.append(loop.create_future())
                    await self._waiting[-1]
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._viewers[range] -= 1
        return sent

    def _take_waiting(self) -> Iterator[asyncio.Future[None]]:
        """Those who wait now and are still there when it is their turn; nobody waits any more then."""
        waiting, self._waiting = self._waiting, []
        return (viewer for viewer in waiting if not viewer.done())


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name, data)
