"""Callers of a gateway with accounts, limits, cache and failover; what they got is counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.raw import connected, request
from tests.gateway.running import Answer, Gateway, ask
from tests.gateway.usage.served import Account

CHAT, EMBEDDINGS = APIS[0], APIS[3]
MODELS = {"openai": "gpt-x", "anthropic": "claude-x", "gemini": "gemini-x"}
FLAKY = {"openai": "gpt-flaky", "anthropic": "claude-flaky", "gemini": "gemini-flaky"}
"""Models of which every call fails; what rests after a 429 is no other."""
PRICE = {"input": "1.5", "output": "6", "cache_read": "0.15", "cache_write": "1.875"}
FINE = ("", "cached", "reasoning", "no_usage")
FAILING = ("400", "500", "429", "cut_stream", "reset")
NOWHERE = "http://127.0.0.1:9/v1"
"""A provider that is down."""
ROUTED: Mapping[str, Any] = {
    "pooled": {
        "deployments": [
            {"provider": "down", "model": "gpt-x", "priority": 1},
            {"provider": "openai", "model": "gpt-x", "priority": 2},
        ]
    },
    "spared": {
        "deployments": [
            {"provider": "openai", "model": "gpt-x+429:300", "priority": 1},
            {"provider": "openai", "model": "gpt-x", "priority": 2},
        ]
    },
    "stale": {"deployments": [{"provider": "down", "model": "old"}], "fallbacks": ["gpt-x"]},
}
"""Models that fail over: from a provider that is down, from one that wants rest, and to another model."""
AT_ONCE = 8


@dataclass
class Callers:
    """Everybody who calls this gateway, once each."""

    gateway: Gateway
    simulator: Simulator
    keys: Mapping[str, Account]
    statuses: Counter[int] = field(default_factory=Counter)
    """Of the answers."""
    caches: Counter[str] = field(default_factory=Counter)
    """What the answers said of the cache."""
    used: Counter[str] = field(default_factory=Counter)
    """By whose key."""
    limited: int = 0
    calls: int = 0
    """All but those that were refused; answers from the cache are calls too."""

    async def call(self) -> None:
        """All calls; many at the same time where their order does not matter."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(api: API, stream: bool, model: str, behaviour: str) -> None:
            async with gate:
                await self.one(api, model, stream, behaviour)

        await asyncio.gather(*(one(*way) for way in ways()))
        for _ in range(3):
            await self.one(CHAT, "pooled")
        for model in ("spared", "spared", "stale"):
            await self.one(CHAT, model)
        for api, times in ((CHAT, 4), (EMBEDDINGS, 3)):
            for _ in range(times):
                await self.one(api, "gpt-x", cache="use")
        for _ in range(5):
            answer = await self.one(CHAT, "gpt-x", key="bob")
            self.limited += answer.status == 429
        for _ in range(2):
            await self.one(CHAT, "gpt-x", key="nobody")
        await self._leave()
        await self.gateway.settled()

    async def one(
        self, api: API, model: str, stream: bool = False, behaviour: str = "", key: str = "ada", cache: str = "off"
    ) -> Answer:
        """One call by the owner of a key."""
        path = api.path(model, stream)
        if behaviour:
            path += f"{'&' if '?' in path else '?'}simulate={behaviour}"
        answer = await ask(
            self.gateway.url + path, api.body(model, stream), {**self._headers(key), "x-tallygate-cache": cache}
        )
        self.statuses[answer.status] += 1
        own = answer.status == 401 or (key == "bob" and answer.status == 429)
        self.calls += not own
        self.used[key] += 1
        self.caches[answer.headers.get("x-tallygate-cache", "")] += 1
        return answer

    async def _leave(self) -> None:
        """Call, and go away in the middle of the answer."""
        gone = self.simulator.served()["totals"]["requests"]
        headers = "\r\n".join(f"{name}: {value}" for name, value in self._headers("ada").items())
        body = CHAT.body("gpt-x+slow_stream:60", True)
        async with connected(self.gateway) as (reader, writer):
            writer.write(request(f"POST {CHAT.path('gpt-x', True)} HTTP/1.1", headers, body))
            await reader.readuntil(b"200 OK")
        await self.simulator.until(lambda served: served.in_progress == 0)
        assert self.simulator.served()["totals"]["requests"] == gone + 1
        self.calls += 1
        self.statuses[200] += 1
        self.used["ada"] += 1

    def _headers(self, key: str) -> dict[str, str]:
        known = self.keys.get(key)
        return {
            "authorization": f"Bearer {known.secret if known else 'tg-nobody'}",
            "x-tallygate-route": "search",
            "x-tallygate-agent-name": "caller",
            "x-tallygate-source": "api",
            "x-tallygate-cost-centre": "two",
        }


def ways() -> Iterator[tuple[API, bool, str, str]]:
    """Every API, streamed and not, as it should be and as it should not."""
    for api in APIS:
        for stream in (False, True) if api.streams else (False,):
            for behaviour in FINE:
                yield api, stream, MODELS[api.provider], behaviour
            for behaviour in FAILING:
                yield api, stream, FLAKY[api.provider], behaviour


def settings(simulator: str, database: str, directory: str, secret: str) -> dict[str, Any]:
    """Of their gateway. directory: where limits are counted. secret: for scrapers."""
    kinds = {"openai": f"{simulator}/v1", "anthropic": simulator, "gemini": simulator}
    providers: dict[str, Any] = {
        kind: {
            "kind": kind,
            "base_url": base,
            "api_key": f"key-of-{kind}",
            "models": [{"name": name, "price": PRICE} for name in (MODELS[kind], FLAKY[kind])],
        }
        for kind, base in kinds.items()
    }
    return {
        "providers": providers | {"down": {"base_url": NOWHERE, "api_key": "key", "models": ["gpt-x", "old"]}},
        "models": ROUTED,
        "failover": {"breaker_failures": 1000, "cooldown_seconds": 0},
        "accounts": {"enabled": True, "database_url": database},
        "shared": {"state_directory": directory},
        "usage": {"flush_seconds": 0.05},
        "metrics": {
            "secret": secret,
            "labels": ["cost-centre"],
            "identities": {"api_key_id": "raw", "user_id": "raw"},
        },
        "dimensions": {
            "route": {"values": ["search"]},
            "agent_name": {"values": ["caller"]},
            "source": {"values": ["api"]},
            "cost-centre": {"values": ["two"]},
        },
    }
