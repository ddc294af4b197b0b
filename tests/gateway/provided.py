"""A gateway in front of the simulated provider, and what that provider saw and said."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from tallygate.simulator import Simulator
from tests.gateway.running import Gateway, ask, gateway

PATIENCE = 10.0
"""Seconds until a test gives up waiting."""
KINDS = ("openai", "anthropic", "gemini")


def key_of(kind: str) -> str:
    """The gateway's own key at a provider."""
    return f"key-of-{kind}"


def providers(url: str, *, keys: bool = True) -> dict[str, dict[str, Any]]:
    """One provider of each kind, all of them the simulator at ``url``; ``keys``: the gateway has keys of its own."""
    bases = {"openai": f"{url}/v1", "anthropic": url, "gemini": url}
    return {
        kind: {"kind": kind, "base_url": base, **({"api_key": key_of(kind)} if keys else {})}
        for kind, base in bases.items()
    }


@asynccontextmanager
async def provided(
    more: Mapping[str, Any] | Callable[[str], Mapping[str, Any]] | None = None, *, keys: bool = True, **simulated: Any
) -> AsyncIterator[tuple[Gateway, Simulator]]:
    """A gateway and its provider. ``more``: settings beside the providers, or a function of the provider's address."""
    async with Simulator(**simulated) as simulator:
        settings = more(simulator.url) if callable(more) else more or {}
        async with gateway({"providers": providers(simulator.url, keys=keys), **settings}) as running:
            yield running, simulator


async def last_request(simulator: Simulator, api: str) -> dict[str, Any]:
    """Method, path, headers and body of the last request of this API as the provider got it."""
    answer = await ask(f"{simulator.url}/requests/last?api={api}", method="GET")
    assert answer.status == 200, answer.body
    document: dict[str, Any] = json.loads(answer.body)
    return document


async def last_reply(simulator: Simulator, model: str) -> bytes:
    """The body of the last reply for this model as the provider sent it."""
    answer = await ask(f"{simulator.url}/replies/last?model={quote(model, safe='')}", method="GET")
    assert answer.status == 200, answer.body
    return base64.b64decode(json.loads(answer.body)["body_base64"])


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Let the event loop run until this is true. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0)


async def recorded(running: Gateway, requests: int = 1) -> None:
    """Wait until so many requests are counted: a client may see its answer a moment earlier."""
    await until(lambda: running.total("tallygate_http_requests_total") >= requests)


def without_usage(stream: bytes, newline: bytes = b"\n") -> bytes:
    """An OpenAI stream less its usage chunk, the only one without choices."""
    end = newline * 2
    frames = stream.split(end)
    kept = [frame for frame in frames if b'"choices":[]' not in frame]
    assert len(frames) - len(kept) == 1
    return end.join(kept)
