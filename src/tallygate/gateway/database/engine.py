"""The gateway's database: opened by its URL, brought up to date at start, watched like any other."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy import event, exc, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from tallygate import instrument
from tallygate.gateway.database.errors import told_as_away, told_at_start
from tallygate.gateway.database.naming import announce_names, registry_for
from tallygate.gateway.settings.addresses import without_password

if TYPE_CHECKING:
    from tallygate.instrument.patching import Instrumentation
    from tallygate.record.recorder import Recorder

CONNECT_SECONDS = 5.0
"""How long to wait for a connection, new or from the pool."""
STATEMENT_SECONDS = 30.0
"""How long one statement may take on PostgreSQL before the connection counts as lost."""
NEWEST = max(file.name.partition("_")[0] for file in (Path(__file__).parent / "migrations/versions").glob("[0-9]*.py"))
"""The revision of the tables that this release works with."""
BUSY_SECONDS = 10.0
"""How long SQLite waits while another process writes."""


class Database:
    """A service: ``start`` connects and migrates, ``close`` lets go."""

    def __init__(self, url: str, *, connections: int = 5, tally: Recorder | None = None) -> None:
        """url: as settings.addresses.DatabaseURL leaves it. connections: at once, at most. tally: told of statements
        and connections."""
        self.kind: Literal["sqlite", "postgresql"] = "sqlite" if url.startswith("sqlite:") else "postgresql"
        self.shown = without_password(url)
        """Its URL, fit to be shown."""
        self._url, self._tally = url, tally
        self._file = url.removeprefix("sqlite:///")
        self._instrumentation: Instrumentation | None = None
        self._engine = open_engine(url, pool_size=connections, max_overflow=0, pool_timeout=CONNECT_SECONDS)
        self._reading = self._engine.execution_options(
            **({"reads": True} if self.kind == "sqlite" else {"isolation_level": "AUTOCOMMIT"})
        )
        announce_names(self._engine.sync_engine)

    async def start(self) -> None:
        """Reach the database and bring its tables up to date.

        Raises DatabaseAway, or DatabaseError for a wrong password, a missing database, tables of a later release.
        """
        with told_at_start(self.shown):
            if not await self._is_current():
                # Imported when it is needed: a start without it takes half the time.
                from tallygate.gateway.database.migrating import migrate

                await migrate(self._url)
                await self._is_current()
            # By now SQLAlchemy has asked the server about itself: connections from here on are counted.
            await self._engine.dispose()
        if self._tally is not None and self._tally.enabled:
            engine = self._engine.sync_engine
            self._instrumentation = instrument.sqlalchemy(engine, queries=registry_for(engine), tally=self._tally)

    @property
    def exists(self) -> bool:
        """Whether there can be something: SQLite's file may have to be made."""
        return self.kind == "postgresql" or Path(self._file).exists()

    async def _is_current(self) -> bool:
        """Whether the tables are those of this release."""
        if not self.exists:
            return False
        if self.kind == "sqlite":
            # Raises OSError, whose words say more than SQLite's.
            os.close(os.open(self._file, os.O_RDWR | os.O_CLOEXEC))
        try:
            async with self._reading.connect() as connection:
                return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == NEWEST
        except (exc.ProgrammingError, exc.OperationalError) as problem:
            if "alembic_version" in str(problem.orig):  # there is no such table yet
                return False
            raise

    async def close(self) -> None:
        """Close the connections. Again is once."""
        await self._engine.dispose()
        if self._instrumentation is not None:
            self._instrumentation.remove()
            self._instrumentation = None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed at the block's end, undone when it raises.

        On SQLite it is the only one that writes from its first moment on. Raises DatabaseAway.
        """
        with told_as_away(self.shown):
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for statements that only read; each sees what is committed when it begins.

        Raises DatabaseAway.
        """
        with told_as_away(self.shown):
            async with self._reading.connect() as connection:
                yield connection


def open_engine(url: str, **options: Any) -> AsyncEngine:
    """An engine for a URL; connects when it is first used."""
    # What a statement is about, such as the hash of a key, is in no error.
    options["hide_parameters"] = True
    if url.startswith("sqlite:"):
        # Transactions are begun by the listener below, not by the driver, which would begin them late.
        arguments: dict[str, Any] = {"timeout": BUSY_SECONDS, "isolation_level": None}
        engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:", 1), connect_args=arguments, **options)
        _prepare_sqlite(engine)
        return engine
    migrating = options.get("poolclass") is NullPool
    arguments = {"timeout": CONNECT_SECONDS, "command_timeout": None if migrating else STATEMENT_SECONDS}
    # A connection that broke while it was idle is noticed before it is used.
    return create_async_engine(_asyncpg_url(url), connect_args=arguments, pool_pre_ping=not migrating, **options)


def _asyncpg_url(url: str) -> str:
    """The URL with the names of options that the driver knows."""
    parts = urlsplit(url)
    options = [("ssl" if name == "sslmode" else name, value) for name, value in parse_qsl(parts.query)]
    return urlunsplit(parts._replace(scheme="postgresql+asyncpg", query=urlencode(options)))


def _prepare_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        # With the write-ahead log this is a sync to the disk per transaction: what is committed outlives a power cut.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        if not connection.get_execution_options().get("reads"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
