"""Users and keys for a gateway under load: limited in every way, and so high that nothing is refused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.pricing import UNITS_PER_USD

USERS, KEYS = 4, 4
CREDIT_USD = 100_000
MUCH = 1_000_000_000


@dataclass(frozen=True)
class Keys:
    """Secrets of keys."""

    many: list[str]
    """16 keys of 4 users: prepaid credits, and limits of requests and tokens per minute for keys and for users."""
    slow: str
    """One that may ask 60 times a minute."""


def make_keys(url: str) -> Keys:
    """Users and keys in an empty database."""
    return asyncio.run(_make_keys(url))


async def _make_keys(url: str) -> Keys:
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
            )
            await accounts.grant(user.id, CREDIT_USD * UNITS_PER_USD)
            for turn in range(KEYS):
                key = await accounts.create_key(
                    user.id, name=f"key {turn}", requests_per_minute=MUCH, tokens_per_minute=MUCH
                )
                secrets.append(key.secret)
        slow = await accounts.create_key("team 0", name="slow", requests_per_minute=60)
        return Keys(secrets, slow.secret)
    finally:
        await database.close()
