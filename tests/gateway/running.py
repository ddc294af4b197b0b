"""A gateway on a real socket in the test's own event loop, and what its metrics page says."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tallygate.gateway.app import App
from tallygate.gateway.run import server_limits
from tallygate.gateway.server.sockets import open_listeners
from tallygate.gateway.server.worker import Server, server_config
from tallygate.gateway.settings import Settings
from tallygate.gateway.settings.tls import tls_of
from tallygate.gateway.tallying import open_tally
from tallygate.gateway.trace_context import caller_span
from tallygate.gateway.upstream import Timeouts, UpstreamError, open_upstream
from tallygate.record.binding import Exemplifier

Labels = frozenset[tuple[str, str]]

PATIENT = Timeouts(connect=5, first_byte=30, idle=30, total=60)


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes
    broken: bool = False
    """The connection ended before the answer did."""


@dataclass
class Page:
    """A scraped page."""

    samples: dict[tuple[str, Labels], float]

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels; 0 when there is none."""
        return sum(self._matching(name, labels))

    def values(self, name: str, **labels: str) -> set[float]:
        """The different values of the samples of this name that have these labels."""
        return set(self._matching(name, labels))

    def _matching(self, name: str, labels: Mapping[str, str]) -> Iterator[float]:
        wanted = set(labels.items())
        return (value for (sample, has), value in self.samples.items() if sample == name and wanted <= has)


@dataclass
class Gateway:
    """A running gateway."""

    url: str
    app: App
    server: Server

    async def settled(self) -> None:
        """Wait until every request has ended: its facts are written a moment after its client has the answer."""
        while tasks := self.server.server_state.tasks:
            await asyncio.wait(tasks)

    def page(self, dialect: str = "tallygate", *names: str) -> Page:
        """The samples of a dialect now; with ``names``, of these families only."""
        return Page(parsed(self.app.tally.render((dialect,), "text", frozenset(names)).decode()))

    def total(self, name: str, dialect: str = "tallygate", **labels: str) -> float:
        """``Page.total`` of the page now."""
        return self.page(dialect, name).total(name, **labels)


def parsed(text: str) -> dict[tuple[str, Labels], float]:
    """The samples of a page in the text format."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@asynccontextmanager
async def gateway(
    settings: Mapping[str, Any], exemplar: Exemplifier = caller_span, port: int = 0
) -> AsyncIterator[Gateway]:
    """Serve with these settings; ``exemplar`` tells each call's trace and span; port 0 is a free one."""
    checked = Settings.model_validate(settings)
    app = App(checked, open_tally(checked, exemplar=exemplar))
    ((listener,),) = open_listeners("127.0.0.1", port, 1)
    tls = tls_of(checked.server.tls)
    url = f"{'http' if tls is None else 'https'}://127.0.0.1:{listener.getsockname()[1]}"
    server = Server(server_config(app, server_limits(checked), lifespan="auto"), 1.0, tls)
    task = asyncio.create_task(server.serve([listener]))
    await server.ready.wait()
    try:
        yield Gateway(url, app, server)
    finally:
        server.stop()
        await task


async def ask(url: str, body: bytes = b"", headers: Mapping[str, str] | None = None, method: str = "POST") -> Answer:
    """One request on a connection of its own, and all of its answer as it came over the wire."""
    client = open_upstream()
    sent = [(b"content-type", b"application/json")]
    sent += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    try:
        reply = await client.send(method, url, sent, body, PATIENT)
        pieces: list[bytes] = []
        broken = False
        try:
            async for piece in reply.body():
                pieces.append(piece)
        except UpstreamError:
            broken = True
        got = {name.decode(): value.decode() for name, value in reply.headers}
        return Answer(reply.status, got, b"".join(pieces), broken)
    finally:
        await client.close()
