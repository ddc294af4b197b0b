"""A directory of callers whose database and clock a test has in hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tallygate.gateway.access import Access
from tallygate.gateway.accounts.directory import Directory
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.caller import Caller
from tallygate.gateway.database import Database, DatabaseAway
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.settings.accounts import AccountSettings
from tallygate.tally import Tally
from tests.gateway.running import Page, parsed


class Counting(Database):
    """A database that counts who reads, can be taken away, and can be slow."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.read = 0
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.afterwards: list[Callable[[], Awaitable[None]]] = []
        """What happens between a reading and the moment when somebody sees what was read."""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        self.read += 1
        if self.away:
            raise DatabaseAway("it is away")
        await self.answers.wait()
        async with super().reading() as connection:
            yield connection
        if self.afterwards:
            await self.afterwards.pop()()


class World:
    """A directory and what is around it."""

    def __init__(self, database: Counting, directory: Path, **settings: Any) -> None:
        self.tally = Tally(capacity_bytes=16 << 20)
        self.database = database
        self.directory = self.another(directory, self.tally, **settings)
        self.service = AccountService(database, changed=self.directory.tell)

    def another(self, directory: Path, tally: Tally, **settings: Any) -> Directory:
        return Directory(self.database, Access("the-master", None), AccountSettings(**settings), directory, tally)

    async def ask(self, secret: str, directory: Directory | None = None) -> Caller | None:
        """Who shows this key."""
        return await (directory or self.directory).caller({b"authorization": f"Bearer {secret}".encode()}, b"")

    async def refused(self, secret: str, directory: Directory | None = None) -> tuple[int, str]:
        """Status and message of the refusal."""
        with pytest.raises(Refusal) as raised:
            await self.ask(secret, directory)
        return raised.value.status, raised.value.message

    def uses(self) -> dict[str, float]:
        """How often each came of showing a key."""
        page = Page(parsed(self.tally.render().decode()))
        words = ("success", "unknown", "inactive", "expired", "user_inactive", "trial_ended", "unavailable")
        counts = {word: page.total("tallygate_api_key_uses_total", status=word) for word in words}
        return {word: count for word, count in counts.items() if count}


class Clock:
    """The directory's clock, set forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._forward = 0.0
        for module in ("directory", "callers"):
            monkeypatch.setattr(f"tallygate.gateway.accounts.{module}.monotonic", lambda: monotonic() + self._forward)

    def by(self, seconds: float) -> None:
        self._forward += seconds


NO_SUCH = (401, "invalid API key")
AWAY = (503, "the gateway cannot look up this API key, because its database is away; try again later")
