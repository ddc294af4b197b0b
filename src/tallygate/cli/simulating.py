"""The simulated provider from the command line."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys

from tallygate.cli.commands import FAILED
from tallygate.simulator import Seconds, Settings, Simulator, new_event_loop, serve

_TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|s)?", re.ASCII)


def seconds(text: str) -> Seconds:
    """A time such as ``0.2``, ``200ms``, or ``50ms..1s`` (5th and 95th percentile). Raises ValueError."""
    low, dots, high = text.partition("..")
    return (_seconds(low), _seconds(high)) if dots else _seconds(low)


def _seconds(text: str) -> float:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is no time; write seconds or milliseconds, as in 0.2, 200ms, or 50ms..1s for a spread"
        )
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def simulate(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            runner.run(_serve(settings))
        except OSError as error:
            print(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}", file=sys.stderr)
            return FAILED
    return 0


async def _serve(settings: Settings) -> None:
    task = asyncio.create_task(serve(settings, _announce))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _announce(simulator: Simulator) -> None:
    url = simulator.url
    print(f"OpenAI      {url}/v1\nAnthropic   {url}\nGemini      {url}\nwhat was served: {url}/served", flush=True)
