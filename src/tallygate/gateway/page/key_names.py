"""Keys by the names that accounts give them, beside their ids."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final

import structlog
from msgspec.structs import replace

from tallygate.gateway.accounts import statements as do
from tallygate.gateway.database import Database, DatabaseAway
from tallygate.gateway.page.figures import Figures
from tallygate.gateway.page.source import Source

log = structlog.get_logger("tallygate.gateway")

SECONDS: Final = 60.0
"""How long names are believed: keys can be given others."""


class WithKeyNames:
    """A source whose keys have names. They are asked for beside the figures, which do not wait for a database."""

    def __init__(self, source: Source, database: Database) -> None:
        self._source, self._database = source, database
        self._names: dict[str, str] = {}
        """By id; '' where there is none. No more than are shown within the time that they are believed."""
        self._since = monotonic()
        self._asking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._source.start()

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        await self._source.close()

    async def look(self) -> None:
        await self._source.look()

    async def figures(self, range: str) -> Figures:
        figures = await self._source.figures(range)
        unknown = {one.name for one in figures.keys} - self._names.keys()
        old = monotonic() - self._since > SECONDS
        if (unknown or (old and figures.keys)) and (self._asking is None or self._asking.done()):
            wanted = {one.name for one in figures.keys} | (set() if old else self._names.keys())
            self._asking = asyncio.create_task(self._ask(wanted, old))
        shown = [replace(one, name=self._shown(one.name)) for one in figures.keys]
        return replace(figures, keys=shown)

    def _shown(self, key: str) -> str:
        name = self._names.get(key)
        return f"{name} ({key})" if name else key

    async def _ask(self, keys: set[str], anew: bool) -> None:
        known = {} if anew else self._names
        try:
            async with self._database.reading() as connection:
                found = {
                    key: (await connection.execute(do.keys_get, {"key": key})).mappings().first()
                    for key in sorted(keys - known.keys())
                }
        except DatabaseAway as problem:
            log.debug("the live page does not know the names of keys", problem=str(problem))
            return
        self._names = {**known, **{key: "" if row is None else str(row["name"]) for key, row in found.items()}}
        if anew:
            self._since = monotonic()
