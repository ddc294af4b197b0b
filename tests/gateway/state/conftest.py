from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tallygate.gateway.state.environment import Environment
from tallygate.gateway.state.redis import Redis
from tests.gateway.state.stores import Another, AnyStore, Books, Place, open_in, stop_the_minute
from tests.services.redis import Redis as Server
from tests.services.redis import redis_server

__all__ = ["redis_server"]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    environment = Environment(tmp_path / "state")
    yield environment
    environment.close()


@pytest_asyncio.fixture
async def redis_url(redis_server: Server) -> str:
    """Of a server on which nothing is kept."""
    redis = Redis(redis_server.url, 5.0)
    await redis.start()
    await redis.call("FLUSHALL")
    await redis.close()
    return redis_server.url


@pytest.fixture(autouse=True)
def minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """No minute ends in the middle of a test."""
    stop_the_minute(monkeypatch)


@pytest.fixture
def books() -> Books:
    return Books()


@pytest_asyncio.fixture(params=["local", pytest.param("remote", marks=pytest.mark.xdist_group("redis"))])
async def state_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a store of either kind is."""
    return await _url(request) if request.param == "remote" else tmp_path / "state"


@pytest_asyncio.fixture
async def another(state_place: Place, books: Books) -> AsyncIterator[Another]:
    """Opens stores in the same place."""
    opened: list[AnyStore] = []

    async def open_store() -> AnyStore:
        opened.append(open_in(state_place, books))
        await opened[-1].start()
        return opened[-1]

    yield open_store
    for made in opened:
        await made.close()


@pytest_asyncio.fixture
async def store(another: Another) -> AnyStore:
    return await another()


async def _url(request: pytest.FixtureRequest) -> str:
    server: Server = request.getfixturevalue("redis_server")
    redis = Redis(server.url, 5.0)
    await redis.start()
    await redis.call("FLUSHALL")
    await redis.close()
    return server.url
