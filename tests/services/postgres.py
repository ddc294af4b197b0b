"""A PostgreSQL server."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

USER = "tallygate"
DATABASE = "postgres"
PATIENCE = 60


@dataclass(frozen=True)
class PostgreSQL:
    """A server, reached through its socket file, where everybody is trusted."""

    host: str
    """The directory of its socket file."""

    @property
    def dsn(self) -> str:
        """As libpq, asyncpg and psycopg take it."""
        return f"postgresql://{USER}@/{DATABASE}?host={self.host}"

    def url(self, driver: str) -> str:
        """As SQLAlchemy takes it: driver is asyncpg or psycopg."""
        return f"postgresql+{driver}://{USER}@/{DATABASE}?host={self.host}"


def program(name: str) -> str:
    """A program of the server; Debian keeps them out of the path. Raises RuntimeError when it is not there."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(installed[-1]) if installed else None)
    if found is None:
        raise RuntimeError(f"{name} is not installed; apt-get install postgresql, or run scripts/test")
    return found


def unprivileged() -> str | None:
    """Whom the server runs as: it refuses root. None when we are somebody else already."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def running_postgres() -> Iterator[PostgreSQL]:
    """A new cluster that is gone afterwards."""
    # Not below pytest's directory, which is root's alone when root runs it; and a socket's path is short.
    directory = Path(tempfile.mkdtemp(prefix="tallygate-pg-"))
    user = unprivileged()
    if user is not None:
        shutil.chown(directory, user)

    def run(*command: str) -> None:
        with open(directory / "log", "ab") as log:
            done = subprocess.run(
                command,
                user=user,
                extra_groups=None if user is None else [],
                cwd=directory,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=PATIENCE,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{(directory / 'log').read_text()}")

    data = str(directory / "data")
    options = f"-k {directory} -c listen_addresses= -c fsync=off -c max_connections=50 -c shared_buffers=16MB"
    try:
        run(program("initdb"), "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions")
        run(program("pg_ctl"), "-D", data, "-w", "-l", str(directory / "server.log"), "-o", options, "start")
        try:
            yield PostgreSQL(str(directory))
        finally:
            run(program("pg_ctl"), "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgreSQL]:
    """The server of this test process."""
    with running_postgres() as server:
        yield server
