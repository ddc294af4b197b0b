"""A gateway with a cache, and requests that ask for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tallygate.gateway.app import App
from tallygate.gateway.cache.responses import Responses
from tallygate.gateway.cache.shared import SharedStore
from tallygate.gateway.parts import Parts
from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.provided import provided
from tests.gateway.running import Answer, Gateway, Page, ask

CHAT, COMPLETIONS, RESPONSES, EMBEDDINGS, MESSAGES, GEMINI = APIS
USE = {"x-tallygate-cache": "use"}
WAYS = [(api, stream) for api in APIS for stream in (False, True) if api.streams or not stream]


def parts_of(app: App) -> Parts:
    return app._parts


def cache_of(running: Gateway) -> Responses:
    """The gateway's response cache."""
    cache = parts_of(running.app).cache
    assert isinstance(cache, Responses)
    return cache


@dataclass
class Cached:
    """A gateway with a cache, and its provider."""

    gateway: Gateway
    simulator: Simulator

    async def ask(
        self,
        api: API = CHAT,
        model: str = "gpt-4o",
        stream: bool = False,
        headers: Mapping[str, str] = USE,
        body: bytes | None = None,
        query: str = "",
    ) -> Answer:
        """One request; what is to be kept is there when it returns."""
        path = api.path(model, stream)
        path += ("&" if "?" in path else "?") + query if query else ""
        answer = await ask(self.gateway.url + path, api.body(model, stream) if body is None else body, headers)
        await self.gateway.settled()
        store = cache_of(self.gateway)._store
        if isinstance(store, SharedStore):
            await store.written()
        return answer

    async def says(self, **asked: Any) -> str | None:
        """What the answer to a request says of the cache."""
        return (await self.ask(**asked)).headers.get("x-tallygate-cache")

    async def page(self, dialect: str = "tallygate") -> Page:
        """The metrics, the cache's gauges brought up to date."""
        await cache_of(self.gateway)._tell()
        return self.gateway.page(dialect)

    @property
    def served(self) -> int:
        """How many requests the provider got."""
        requests: int = self.simulator.served()["totals"]["requests"]
        return requests


@asynccontextmanager
async def cached(settings: Mapping[str, Any] | None = None, **cache: Any) -> AsyncIterator[Cached]:
    """A gateway with these settings of its cache; ``settings``: others."""
    async with provided({"cache": cache, **(settings or {})}) as (running, simulator):
        yield Cached(running, simulator)
