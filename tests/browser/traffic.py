"""Gateways to look at: one with known traffic, and small ones that a test drives itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.simulator import Simulator
from tests.gateway.apis import APIS
from tests.gateway.provided import recorded
from tests.gateway.running import Gateway, ask, gateway
from tests.gateway.usage.served import Account, make_account

CHAT, MESSAGES = APIS[0], APIS[4]
GPT, CLAUDE = "gpt-4o", "claude-haiku-4-5"
MASTER_KEY = "the-master-key"
MARKUP = "<img src=x onerror=alert(1)>"
"""A route's name that would be an image, were it not shown as text."""
TICK = 0.2


@dataclass
class Busy:
    """A gateway that had its traffic, and who made it."""

    gateway: Gateway
    ann: Account
    bob: Account
    cookie: str
    """Of a session: NAME=VALUE."""

    @property
    def url(self) -> str:
        return self.gateway.url


def settings(simulator: str, **more: Any) -> dict[str, Any]:
    """A gateway whose page is open to all and moves on quickly, in front of the simulator."""
    return {
        "providers": {
            "openai": {
                "kind": "openai",
                "base_url": f"{simulator}/v1",
                "api_key": "key-of-openai",
                "models": [{"name": GPT, "price": {"input": "2", "output": "10"}}],
            },
            "anthropic": {
                "kind": "anthropic",
                "base_url": simulator,
                "api_key": "key-of-anthropic",
                "models": [{"name": CLAUDE, "price": {"input": "1", "output": "5"}}],
            },
            "gemini": {"kind": "gemini", "base_url": simulator, "api_key": "key-of-gemini"},
        },
        "dimensions": {"route": {"values": ["/checkout", MARKUP]}},
        "dashboard": {"refresh_seconds": TICK},
        "failover": {"attempts": 1, "breaker_failures": 0},
        **more,
    }


@asynccontextmanager
async def quiet_gateway(**more: Any) -> AsyncIterator[Gateway]:
    """A gateway that nobody has called yet; its page is open to all."""
    async with Simulator() as simulator, gateway(settings(simulator.url, **more)) as running:
        yield running


@asynccontextmanager
async def busy_gateway(directory: Path) -> AsyncIterator[Busy]:
    """A gateway with accounts, after eight calls of 10 input and 12 output tokens each; one of them failed."""
    url = f"sqlite:///{directory}/accounts.db"
    database = Database(url)
    await database.start()
    async with Simulator() as simulator:
        configured = settings(
            simulator.url,
            server={"master_key": MASTER_KEY},
            accounts={"enabled": True, "database_url": url},
            metrics={"identities": {"api_key_id": "raw"}},
            shared={"state_directory": str(directory / "state")},
            dashboard={"refresh_seconds": 1},
        )
        async with gateway(configured) as running:
            accounts = AccountService(database)
            ann, bob = await make_account(accounts, "ann"), await make_account(accounts, "bob")
            for _ in range(4):
                assert await chat(running, {**ann.headers, "x-tallygate-route": "/checkout"}) == 200
            # Answered once, then from the cache: no call.
            for _ in range(2):
                assert await chat(running, {**ann.headers, "x-tallygate-cache": "use"}) == 200
            for _ in range(2):
                assert await message(running, {**bob.headers, "x-tallygate-route": MARKUP}) == 200
            assert await message(running, bob.headers, "?simulate=429") == 429
            await recorded(running, 9)
            yield Busy(running, ann, bob, await session(running, MASTER_KEY))
    await database.close()


async def chat(running: Gateway, headers: dict[str, str] | None = None, query: str = "") -> int:
    """One streamed call of OpenAI's API; the status."""
    return (await ask(running.url + CHAT.path(GPT, True) + query, CHAT.body(GPT, True), headers)).status


async def message(running: Gateway, headers: dict[str, str], query: str = "") -> int:
    """One call of Anthropic's API; the status."""
    return (await ask(running.url + MESSAGES.path(CLAUDE, False) + query, MESSAGES.body(CLAUDE, False), headers)).status


async def session(running: Gateway, key: str) -> str:
    """The cookie of somebody who signed in."""
    headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    answer = await ask(f"{running.url}/dashboard/sign-in", f"key={key}".encode(), headers)
    assert answer.status == 303, answer
    return answer.headers["set-cookie"].partition(";")[0]
