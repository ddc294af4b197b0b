from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.services.redis import Redis, redis_server

__all__ = ["redis_server"]


@pytest.fixture(params=["memory", pytest.param("shared", marks=pytest.mark.xdist_group("redis"))])
def store(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Settings of a cache with either store; the shared one is empty."""
    if request.param == "memory":
        yield {}
        return
    import redis

    server: Redis = request.getfixturevalue("redis_server")
    with redis.Redis(unix_socket_path=server.socket) as client:
        client.flushall()
    yield {"store": "shared", "settings": {"shared": {"url": server.url}}}
