"""Load at a rate that does not depend on the answers: a request is due when it is due, however slow the last one was.

A closed loop such as wrk's asks less of a slower server; servers are only comparable in latency at equal load.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

from httptools import HttpResponseParser

Choose = Callable[[], tuple[str, bytes]]
"""The next request: what kind it is, and its bytes."""


@dataclass
class Paced:
    """What the load saw."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How many answers by kind of request and status; 0 for a connection that broke."""
    latencies: array[float] = field(default_factory=lambda: array("d"))
    """Seconds from when a request was due to the end of its answer; those of whole answers with status 200."""
    seconds: float = 0.0

    @property
    def requests_per_second(self) -> float:
        """The rate that was reached."""
        return sum(self.answers.values()) / self.seconds

    def percentile(self, share: float) -> float:
        """Seconds within which this share of the answers came."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Load:
    """A number of connections to one server, and the requests that wait for one of them."""

    def __init__(self, host: str, port: int, connections: int, choose: Choose) -> None:
        self._host, self._port, self._number, self._choose = host, port, connections, choose
        self._free: deque[Connection] = deque()
        self._waiting: deque[float] = deque()
        self._running = 0
        self._idle = asyncio.Event()
        self.seen = Paced()

    async def run(self, rate: float, seconds: float) -> Paced:
        """Ask ``rate`` times per second, and wait for the last answers."""
        for _ in range(self._number):
            await self._connect()
        began = perf_counter()
        due = 0
        while (now := perf_counter()) - began < seconds:
            while due <= (now - began) * rate:
                due += 1
                self._send(now)
            await asyncio.sleep(0.001)
        return await self._end(began)

    async def _end(self, began: float) -> Paced:
        while self._running or self._waiting:
            self._idle.clear()
            await self._idle.wait()
        self.seen.seconds = perf_counter() - began
        for connection in self._free:
            connection.close()
        return self.seen

    async def capacity(self, seconds: float) -> Paced:
        """Ask as fast as answers come, on all connections."""
        for _ in range(self._number):
            await self._connect()
        began = perf_counter()
        while (now := perf_counter()) - began < seconds:
            # One more for each connection waits, so that none is ever idle.
            for _ in range(2 * self._number - self._running - len(self._waiting)):
                self._send(now)
            await asyncio.sleep(0.001)
        self._waiting.clear()
        return await self._end(began)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), self._host, self._port)
        self._free.append(connection)

    def _send(self, due: float) -> None:
        if not self._free:
            self._waiting.append(due)
            return
        self._running += 1
        kind, request = self._choose()
        self._free.popleft().send(kind, request, due)

    def answered(self, connection: Connection, kind: str, due: float, status: int) -> None:
        """A connection has its answer, or is broken (status 0)."""
        self._running -= 1
        self.seen.answers[kind, status] += 1
        if status == 200:
            self.seen.latencies.append(perf_counter() - due)
        if connection.open:
            self._free.append(connection)
        else:
            replacement = asyncio.create_task(self._connect())
            replacement.add_done_callback(lambda _: self._next())
        self._next()

    def _next(self) -> None:
        while self._waiting and self._free:
            self._send(self._waiting.popleft())
        if not self._running and not self._waiting:
            self._idle.set()


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._kind = ""
        self._due = 0.0
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.open = transport, True

    def send(self, kind: str, request: bytes, due: float) -> None:
        """Send a request that was due at this moment."""
        self._kind, self._due = kind, due
        self._parser = HttpResponseParser(self)
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        kind, self._kind = self._kind, ""
        if not self._parser.should_keep_alive():
            self.close()
        self._load.answered(self, kind, self._due, self._parser.get_status_code())

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self._kind:
            kind, self._kind = self._kind, ""
            self._load.answered(self, kind, self._due, 0)

    def close(self) -> None:
        """Let go."""
        self.open = False
        self._transport.close()


def request(host: str, key: str, body: str, headers: str = "") -> bytes:
    """A chat completion on the wire; ``headers``: further ones, each with its line's end."""
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
