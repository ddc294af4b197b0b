"""A gateway with accounts in front of the simulated provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tallygate.gateway.accounts.fields import UserFields
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.gateway.usage.entry import Entry
from tallygate.simulator import Simulator
from tests.gateway.apis import API
from tests.gateway.running import Answer, Gateway, ask, gateway
from tests.gateway.usage.entries import written

PRICE = {"input": "1.5", "output": "6", "cache_read": "0.15", "cache_write": "1.875"}
MASTER_KEY = "the-master-key"


@dataclass
class Account:
    """A user and a key of his."""

    user_id: str
    key_id: str
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}


@dataclass
class Accounted:
    """A gateway with accounts, its provider, and its database."""

    gateway: Gateway
    simulator: Simulator
    database: Database
    service: AccountService
    settings: dict[str, Any] = field(default_factory=dict)

    async def account(self, name: str, **given: Any) -> Account:
        """A new user with a key."""
        return await make_account(self.service, name, **given)

    async def ask(
        self, account: Account, api: API, model: str, stream: bool = False, *, usage: bool | None = None
    ) -> Answer:
        """One call."""
        body = api.body(model, stream, usage=usage)
        return await ask(self.gateway.url + api.path(model, stream), body, account.headers)

    async def written(self) -> list[Entry]:
        """The calls in the database, once none waits any longer."""
        await self.gateway.settled()
        ledger = self.gateway.app._parts.usage
        assert ledger is not None
        await ledger._flusher.drain()  # type: ignore[attr-defined]  # sooner than by itself
        return await written(self.database)


async def make_account(service: AccountService, name: str, **given: Any) -> Account:
    fields: UserFields = {"name": name, **given}  # type: ignore[typeddict-item]  # the service checks them
    user = await service.create_user(**fields)
    made = await service.create_key(user.id, name="key")
    return Account(user.id, made.key.id, made.secret)


def settings_for(url: str, directory: Path, simulator: str, *models: str, **more: Any) -> dict[str, Any]:
    """Settings of a gateway with accounts in front of the simulator."""
    listed = more.pop("listed", None) or [{"name": model, "price": PRICE} for model in models]
    kinds = {"openai": f"{simulator}/v1", "anthropic": simulator, "gemini": simulator}
    return {
        "server": {"master_key": MASTER_KEY, **more.pop("server", {})},
        "providers": {
            kind: {"kind": kind, "base_url": base, "api_key": f"key-of-{kind}", "models": listed}
            for kind, base in kinds.items()
        },
        "failover": {"attempts": 1, "breaker_failures": 1_000_000},
        "limits": {"upstream_first_byte_seconds": 0.4, "stream_idle_seconds": 0.4},
        "accounts": {"enabled": True, "database_url": url},
        "usage": {"flush_seconds": 0.01, **more.pop("usage", {})},
        "shared": {"state_directory": str(directory / "state")},
        **more,
    }


@asynccontextmanager
async def accounted(
    database: Database, url: str, directory: Path, *models: str, **more: Any
) -> AsyncIterator[Accounted]:
    """A running gateway with accounts; ``database`` is the one at ``url``."""
    async with Simulator() as simulator:
        settings = settings_for(url, directory, simulator.url, *models, **more)
        async with gateway(settings) as running:
            yield Accounted(running, simulator, database, AccountService(database), settings)


def usd(amount: Decimal | int | str) -> int:
    """USD as units of 10^-11 USD."""
    return int(Decimal(amount) * 10**11)


def cost_of(input_tokens: int, output_tokens: int, cache_read: int = 0, cache_write: int = 0) -> int:
    """By ``PRICE``, in units of 10^-11 USD."""
    uncached = input_tokens - cache_read - cache_write
    amounts: Mapping[str, int] = {
        "input": uncached,
        "output": output_tokens,
        "cache_read": cache_read,
        "cache_write": cache_write,
    }
    return usd(sum((Decimal(PRICE[kind]) * count for kind, count in amounts.items()), Decimal(0)) / 1_000_000)
