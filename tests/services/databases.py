"""A database of either kind for one test: empty, or with the tables of the gateway in it."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg import sql

from tallygate.gateway.database.migrating import migrate
from tests.services.postgres import USER, PostgreSQL

_numbers = itertools.count(1)


@contextmanager
def new_database(server: PostgreSQL, template: str = "template1") -> Iterator[str]:
    """The URL of a new database on this server, a copy of another; it is dropped afterwards, whoever is connected."""
    name = f"tallygate_{os.getpid()}_{next(_numbers)}"
    with closing(psycopg.connect(server.dsn, autocommit=True)) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    try:
        yield f"postgresql://{USER}@/{name}?host={server.host}"
    finally:
        with closing(psycopg.connect(server.dsn, autocommit=True)) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def kinds() -> list[object]:
    """Parameters of a fixture that gives each kind of database in turn; those on one server run in one process."""
    return [
        pytest.param("sqlite", id="sqlite"),
        pytest.param("postgresql", id="postgresql", marks=pytest.mark.xdist_group("postgres")),
    ]


@pytest.fixture(params=kinds())
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, as ``accounts.database_url`` takes it: once for each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'accounts.db'}"
        return
    with new_database(request.getfixturevalue("postgres")) as url:
        yield url


@cache
def sqlite_tables() -> bytes:
    """A file with the tables in it."""
    with TemporaryDirectory() as directory:
        file = Path(directory, "accounts.db")
        _migrate(f"sqlite:///{file}")
        return file.read_bytes()


@cache
def postgres_tables(server: PostgreSQL) -> str:
    """The name of a database with the tables in it, which lives as long as its server."""
    name = f"tables_{os.getpid()}"
    with closing(psycopg.connect(server.dsn, autocommit=True)) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    _migrate(f"postgresql://{USER}@/{name}?host={server.host}")
    return name


def _migrate(url: str) -> None:
    """In a thread of its own, as the test's may have an event loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(migrate(url))).result()


@pytest.fixture(params=kinds())
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that has the tables, and nothing in them: once for each kind."""
    if request.param == "sqlite":
        file = tmp_path / "accounts.db"
        file.write_bytes(sqlite_tables())
        yield f"sqlite:///{file}"
        return
    server = request.getfixturevalue("postgres")
    with new_database(server, postgres_tables(server)) as url:
        yield url
