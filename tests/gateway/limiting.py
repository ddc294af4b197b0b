"""Gateways with limits, and what their answers say of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.running import Answer, Gateway, ask, gateway
from tests.gateway.state.stores import stop_the_minute

MODEL = "gpt-4o"
CHAT = APIS[0]
Limited = Callable[..., Awaitable[Gateway]]


@pytest.fixture(autouse=True)
def minute(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_the_minute(monkeypatch)


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest_asyncio.fixture
async def limited(simulator: Simulator, tmp_path: Path) -> AsyncIterator[Limited]:
    """Starts gateways without accounts."""
    async with AsyncExitStack() as stack:

        async def start(shared: Mapping[str, Any] | None = None, **rates: Any) -> Gateway:
            bases = {"openai": f"{simulator.url}/v1", "anthropic": simulator.url, "gemini": simulator.url}
            settings = {
                "providers": {kind: {"kind": kind, "base_url": base} for kind, base in bases.items()},
                "aliases": {"best": MODEL},
                "rates": rates,
                "shared": {"state_directory": str(tmp_path / "state"), **(shared or {})},
            }
            return await stack.enter_async_context(gateway(settings))

        yield start


async def call(running: Gateway, api: API = CHAT, model: str = MODEL, stream: bool = False) -> Answer:
    return await ask(running.url + api.path(model, stream), api.body(model, stream))


def limits_of(answer: Answer) -> dict[str, str]:
    """What an answer says of limits."""
    return {name: value for name, value in answer.headers.items() if "ratelimit" in name or name == "retry-after"}
