"""A gateway with the admin API, and a client of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gateway.provided import provided
from tests.gateway.running import Answer, Gateway, ask

ADMIN_KEY = "admin-key-of-this-gateway-0123456789"


@dataclass
class Admin:
    """The admin API of a running gateway."""

    running: Gateway
    key: str = ADMIN_KEY

    async def raw(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """One request, its body as it is."""
        sent = {"authorization": f"Bearer {self.key}", **(headers or {})}
        return await ask(f"{self.running.url}/admin{path}", body, sent, method=method)

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, *, status: int = 200
    ) -> Any:
        """One request that must have this status; returns the answer's document."""
        answer = await self.raw(method, path, b"" if body is None else json.dumps(body).encode(), headers)
        assert answer.status == status, answer.body
        wanted = "application/json" if status < 400 else "application/problem+json"
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == (wanted, "no-store")
        return json.loads(answer.body)

    async def problem(self, method: str, path: str, body: Any = None, *, status: int = 400) -> tuple[str, str, str]:
        """Field, value and detail of what the API says is wrong."""
        told = await self.ask(method, path, body, status=status)
        assert told["status"] == status
        return told.get("field", ""), told.get("value", ""), told["detail"]


def settings(directory: Path, url: str | None = None) -> dict[str, Any]:
    """What turns the admin API on."""
    return {
        "accounts": {
            "enabled": True,
            "database_url": url or f"sqlite:///{directory / 'accounts.db'}",
            "admin_key": ADMIN_KEY,
        },
        "shared": {"state_directory": str(directory / "state")},
    }


@asynccontextmanager
async def administered(directory: Path, url: str | None = None, **more: Any) -> AsyncIterator[Admin]:
    """A gateway whose accounts are in a new database, or in the one at ``url``."""
    async with provided({**settings(directory, url), **more}) as (running, _):
        yield Admin(running)
