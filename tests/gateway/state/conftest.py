from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tallygate.gateway.state.environment import Environment
from tallygate.gateway.state.local import LocalStore
from tallygate.gateway.state.redis import Redis
from tallygate.gateway.state.remote import RemoteStore
from tests.gateway.state.stores import Another, AnyStore, Books
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


@pytest.fixture
def books() -> Books:
    return Books()


@pytest_asyncio.fixture(params=["local", pytest.param("remote", marks=pytest.mark.xdist_group("redis"))])
async def another(request: pytest.FixtureRequest, tmp_path: Path, books: Books) -> AsyncIterator[Another]:
    """Opens stores of either kind, in the same place."""
    opened: list[AnyStore] = []
    url = await _url(request) if request.param == "remote" else ""

    async def open_store() -> AnyStore:
        made = RemoteStore(url, 5.0, books) if url else LocalStore(Environment(tmp_path / "state"), books)
        await made.start()
        opened.append(made)
        return made

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
