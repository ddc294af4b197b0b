from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.services.postgres import postgres
from tests.services.redis import redis_server

__all__ = ["postgres", "redis_server", "servers"]

VARIABLES = {"DATABASE_URL": ("postgres", "dsn"), "REDIS_URL": ("redis_server", "url")}
"""Variables of the environment in which programs are told of servers: the server, and its address."""


@pytest.fixture
def servers(request: pytest.FixtureRequest) -> Callable[[str], dict[str, str]]:
    """Given a program, the variables that it reads; their servers are started."""

    def told(program: str) -> dict[str, str]:
        return {
            name: str(getattr(request.getfixturevalue(server), address))
            for name, (server, address) in VARIABLES.items()
            if name in program
        }

    return told
