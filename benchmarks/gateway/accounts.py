"""Users and keys for a gateway under load: limited in every way, and so high that nothing is refused."""

from __future__ import annotations

import asyncio

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.pricing import UNITS_PER_USD

USERS, KEYS = 4, 4
CREDIT_USD = 100_000
MUCH = 1_000_000_000


def make_keys(url: str) -> list[str]:
    """The secrets of 16 keys of 4 users, with credits, budgets, and limits of requests, tokens and concurrency."""
    return asyncio.run(_make_keys(url))


async def _make_keys(url: str) -> list[str]:
    database = Database(url)
    await database.start()
    try:
        accounts = AccountService(database)
        secrets = []
        for number in range(USERS):
            user = await accounts.create_user(
                name=f"team {number}",
                kind="team",
                prepaid=True,
                requests_per_minute=MUCH,
                tokens_per_minute=MUCH,
                monthly_budget=CREDIT_USD * UNITS_PER_USD,
            )
            await accounts.grant(user.id, CREDIT_USD * UNITS_PER_USD)
            for turn in range(KEYS):
                key = await accounts.create_key(
                    user.id,
                    name=f"key {turn}",
                    requests_per_minute=MUCH,
                    tokens_per_minute=MUCH,
                    concurrency=10_000,
                    daily_budget=CREDIT_USD * UNITS_PER_USD,
                )
                secrets.append(key.secret)
        return secrets
    finally:
        await database.close()
