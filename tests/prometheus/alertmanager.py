"""A real Alertmanager, and a webhook that it tells of alerts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.prometheus.server import started

PATIENCE = 60.0
"""Seconds until a wait for an alert is given up: it goes through two servers."""
Alert = dict[str, Any]
"""``status``, ``labels`` and ``annotations``, among others."""


@dataclass
class Webhook:
    """An HTTP server that keeps the alerts that it is told of."""

    port: int = 0
    told: list[Alert] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def first(self, wanted: Callable[[Alert], bool]) -> Alert:
        """The first alert like this; waits for it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if found := next(filter(wanted, self.told), None):
                    return found
                self._news.clear()
                await self._news.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        (length,) = (int(line.partition(b":")[2]) for line in head if line.startswith(b"content-length:"))
        self.told += json.loads(await reader.readexactly(length))["alerts"]
        self._news.set()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    """On a free port."""
    hook = Webhook()
    server = await asyncio.start_server(hook.serve, "127.0.0.1", 0)
    hook.port = server.sockets[0].getsockname()[1]
    try:
        yield hook
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def alertmanager(directory: Path, hook: Webhook) -> AsyncIterator[str]:
    """Tells the webhook of every alert at once, and when it is over. Gives host:port."""
    config = directory / "alertmanager.yml"
    config.write_text(
        yaml.safe_dump(
            {
                "route": {"receiver": "hook", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"},
                "receivers": [{"name": "hook", "webhook_configs": [{"url": f"http://127.0.0.1:{hook.port}/"}]}],
            }
        )
    )
    command = (
        "prometheus-alertmanager",
        f"--config.file={config}",
        f"--storage.path={directory / 'alerts'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
    )
    async with started(command, "Listening on") as (port, _):
        yield f"127.0.0.1:{port}"
