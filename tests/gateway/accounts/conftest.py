from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tests.gateway.accounts.directories import Counting, World
from tests.services.databases import database_url
from tests.services.postgres import postgres

__all__ = ["database", "database_url", "postgres"]


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2027, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of either kind, ready to be used."""
    database = Database(database_url)
    await database.start()
    yield database
    await database.close()


@pytest_asyncio.fixture
async def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def revisions() -> list[int]:
    """The revisions that were told."""
    return []


@pytest_asyncio.fixture
async def service(database: Database, clock: Clock, revisions: list[int]) -> AccountService:
    return AccountService(database, changed=revisions.append, clock=clock)


@pytest_asyncio.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    database = Counting(database_url)
    await database.start()
    world = World(database, tmp_path / "state")
    await world.directory.start()
    yield world
    await world.directory.close()
    await database.close()
    world.tally.close()
