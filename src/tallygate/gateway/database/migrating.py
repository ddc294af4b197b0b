"""Tables brought up to date, by one process at a time."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.pool import NullPool

from tallygate.gateway.database.engine import open_engine
from tallygate.gateway.database.errors import DatabaseError

MIGRATIONS = Path(__file__).parent / "migrations"
PRIVATE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
LOOK_AGAIN_SECONDS = 0.02
ADVISORY_LOCK = 0x7A11_6A7E
"""The number under which gateways take turns on a PostgreSQL server."""


def configuration(connection: Connection) -> Config:
    """Alembic's, for this connection."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def migrate(url: str, revision: str = "head") -> None:
    """Bring the tables to this revision, in one transaction. Waits for others that are doing the same.

    Raises DatabaseError for tables that are of a later release.
    """

    def upgrade(connection: Connection) -> None:
        try:
            command.upgrade(configuration(connection), revision)
        except CommandError as problem:
            raise DatabaseError(
                f"accounts.database_url: the tables are of another release of Tallygate ({problem}); "
                "run that release, or restore a backup"
            ) from None

    engine = open_engine(url, poolclass=NullPool)
    try:
        async with _alone(url):
            if engine.dialect.name == "sqlite":
                async with engine.execution_options(reads=True).connect() as connection:
                    # Readers and the one writer of the moment do not wait for each other. The file remembers it.
                    await connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            async with engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
                await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _alone(url: str) -> AsyncIterator[None]:
    """Keep other processes from opening the same SQLite file for the first time; PostgreSQL has locks of its own."""
    if not url.startswith("sqlite:"):
        yield
        return
    file = Path(url.removeprefix("sqlite:///"))
    descriptor = _open_lock(file)
    try:
        while not _lock(descriptor):  # noqa: ASYNC110  # no event tells that another process freed it
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        _make_private(file)
        yield
    finally:
        os.close(descriptor)


def _open_lock(file: Path) -> int:
    file.parent.mkdir(parents=True, exist_ok=True)
    return os.open(f"{file}.lock", PRIVATE, 0o600)


def _lock(descriptor: int) -> bool:
    """Whether nobody else has the lock; the system frees that of a process that dies."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_private(file: Path) -> None:
    """Make the file: SQLite would let everybody on the machine read it."""
    if not file.exists():
        os.close(os.open(file, PRIVATE, 0o600))
