"""Running the demo: everything in one process, on one event loop, over real sockets."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket

from tallygate import simulator
from tallygate.demo.page import MetricsPage
from tallygate.demo.summary import line, summary
from tallygate.demo.traffic import (
    AGENTS,
    ANTHROPIC_MODELS,
    EMBEDDING_MODEL,
    GEMINI_MODELS,
    OPENAI_MODELS,
    PATIENCE,
    REASONING_MODEL,
    ROUTES,
    SOURCES,
    TEAMS,
    Traffic,
)
from tallygate.dialects import DIALECTS
from tallygate.gateway.app import App
from tallygate.gateway.logs import configure_logging, url_of
from tallygate.gateway.server import Limits, StartError
from tallygate.gateway.server.sockets import open_listeners
from tallygate.gateway.server.worker import Server, loop_factory, server_config
from tallygate.gateway.settings import Settings
from tallygate.gateway.upstream import open_upstream
from tallygate.simulator import Simulator

HOST, PORT = "127.0.0.1", 4000
NEWS_SECONDS = 10.0
"""How often the demo says where it stands."""
LAST_SECONDS = 5.0
"""How long the last answers may take."""


def run(*, seconds: float | None, port: int | None, rate: float, seed: int) -> int:
    """Run until interrupted, or for so many seconds; prints a summary and returns the exit status 0.

    port: of the gateway; None takes 4000, or a free one when that is taken. rate: requests per second.
    Raises StartError when there is no port to be had.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_run(seconds, port, rate, seed))


async def _run(seconds: float | None, port: int | None, rate: float, seed: int) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sockets = listeners(port)
    async with Simulator(settings=simulated(seed)) as provider, _gateway(settings_for(provider.url), sockets) as url:
        _announce(url, provider.url, rate, seconds)
        traffic = Traffic(url, rate, seed)
        began = time.monotonic()
        traffic.start()
        await _wait(stop, url, seconds)
        lasted = time.monotonic() - began
        await traffic.stop(LAST_SECONDS)
        await provider.until(lambda served: served.in_progress == 0)
        page = await _scrape(url)
        print("\n" + summary(page, provider.served(), lasted), end="", flush=True)
    return 0


def simulated(seed: int) -> simulator.Settings:
    """A provider with the times of real ones: 5th and 95th percentile, in seconds."""
    return simulator.Settings(
        seed=seed, latency=(0.02, 0.08), time_to_first_token=(0.1, 0.7), time_per_token=(0.003, 0.015)
    )


def settings_for(provider: str) -> Settings:
    """The gateway's settings in front of the simulated provider."""
    openai = (*OPENAI_MODELS, REASONING_MODEL, EMBEDDING_MODEL)
    key = "demo-key"
    return Settings.model_validate(
        {
            "environment": "demo",
            "log": {"level": "error", "format": "plain"},
            "metrics": {"labels": ["team"]},
            "providers": {
                "openai": {"kind": "openai", "base_url": f"{provider}/v1", "api_key": key, "models": openai},
                "anthropic": {"kind": "anthropic", "base_url": provider, "api_key": key, "models": ANTHROPIC_MODELS},
                "gemini": {"kind": "gemini", "base_url": provider, "api_key": key, "models": GEMINI_MODELS},
            },
            "dimensions": {
                "route": {"values": ROUTES},
                "agent_name": {"values": AGENTS},
                "source": {"values": SOURCES},
                "team": {"values": TEAMS},
            },
        }
    )


def listeners(port: int | None) -> list[socket]:
    """The gateway's sockets: on this port; for None on 4000 or, if that is taken, on a free one. Raises StartError."""
    try:
        return open_listeners(HOST, PORT if port is None else port, 1)[0]
    except StartError:
        if port is not None:
            raise
        print(f"port {PORT} is taken, so the gateway gets a free one", file=sys.stderr)
        return open_listeners(HOST, 0, 1)[0]


@asynccontextmanager
async def _gateway(settings: Settings, sockets: list[socket]) -> AsyncIterator[str]:
    """The gateway, as `tallygate serve` runs it with one worker; its URL."""
    configure_logging(settings)
    port = sockets[0].getsockname()[1]
    server = Server(server_config(App(settings), Limits(), lifespan="auto"), grace=1.0)
    serving = asyncio.create_task(server.serve(sockets))
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    try:
        if not serving.done():
            yield url_of(HOST, port)
    finally:
        server.stop()
        await serving


def _announce(url: str, provider: str, rate: float, seconds: float | None) -> None:
    print(f"gateway    {url}   (OpenAI's clients: {url}/v1)")
    print(f"page       {url}/dashboard   (live, in a browser)")
    print(f"metrics    {url}/metrics")
    for name in DIALECTS:
        print(f"{'':<11}{url}/metrics?dialect={name}")
    print(f"provider   {provider}   (simulated; what it served: {provider}/served)")
    end = "Ctrl-C ends it" if seconds is None else f"for {seconds:g} s"
    print(f"traffic    {rate:g} requests per second, {end}", flush=True)


async def _wait(stop: asyncio.Event, url: str, seconds: float | None) -> None:
    """Until the end, telling now and then where it stands."""
    end = None if seconds is None else time.monotonic() + seconds
    while not stop.is_set():
        left = NEWS_SECONDS if end is None else min(NEWS_SECONDS, end - time.monotonic())
        if left <= 0:
            return
        try:
            async with asyncio.timeout(left):
                await stop.wait()
        except TimeoutError:
            if end is None or time.monotonic() < end:
                print(line(await _scrape(url)), flush=True)


async def _scrape(url: str) -> MetricsPage:
    """What /metrics says now."""
    client = open_upstream()
    try:
        reply = await client.send("GET", f"{url}/metrics?dialect=tallygate", [], b"", PATIENCE)
        body = b"".join([piece async for piece in reply.body()])
    finally:
        await client.close()
    return MetricsPage(body.decode())
