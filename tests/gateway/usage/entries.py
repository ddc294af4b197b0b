"""Calls made up for tests, and what a database holds of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from tallygate.gateway.database import Database
from tallygate.gateway.state.environment import Environment
from tallygate.gateway.usage.entry import Entry, encode
from tallygate.gateway.usage.spool import Spool
from tallygate.gateway.usage.tables import usage_calls, usage_days, usage_sources

NOON = 1_795_262_400_000
"""2026-11-21 12:00 UTC, in milliseconds."""
DAY = 86_400_000

PLAIN = Entry(
    NOON, "key_1", "usr_1", "openai", "gpt-4o", "chat", 1, "completed", "", 1, 1, 100, 20, 30, 5, 7, 12345, 0, 0, 0
)  # fmt: skip


def call(**values: Any) -> Entry:
    """A call that went well, but for these values."""
    return PLAIN._replace(**values)


def append(environment: Environment, spool: Spool, *entries: Entry) -> list[int]:
    """Put calls into the queue, each in a transaction of its own; their numbers."""
    numbers = []
    for entry in entries:
        with environment.write() as transaction:
            numbers.append(spool.append(transaction, encode(entry)))
    return numbers


async def written(database: Database) -> list[Entry]:
    """The calls in the database, in the order of their numbers."""
    async with database.reading() as connection:
        rows = (await connection.execute(select(usage_calls).order_by(usage_calls.c.number))).all()
    return [Entry(*row[2:]) for row in rows]


async def summed(database: Database) -> dict[tuple[str, str, str, str, str], dict[str, int]]:
    """The sums in the database, by day, key, user, provider and model."""
    async with database.reading() as connection:
        rows = (await connection.execute(select(usage_days))).mappings().all()
    found = {}
    for row in rows:
        key = (str(row["day"]), row["key_id"], row["user_id"], row["provider"], row["model"])
        names = [name for name in row if name not in ("day", "key_id", "user_id", "provider", "model")]
        found[key] = {name: row[name] for name in names}
    return found


async def positions(database: Database) -> dict[str, int]:
    """How far each queue is written, by its name."""
    async with database.reading() as connection:
        rows = (await connection.execute(select(usage_sources.c.name, usage_sources.c.position))).all()
    return {row[0]: row[1] for row in rows}
