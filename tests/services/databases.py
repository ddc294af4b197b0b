"""A database of either kind, empty, for one test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.services.postgres import USER, PostgreSQL

_numbers = itertools.count(1)


@contextmanager
def new_database(server: PostgreSQL) -> Iterator[str]:
    """The URL of a new, empty database on this server; it is dropped afterwards, whoever is connected."""
    name = f"tallygate_{os.getpid()}_{next(_numbers)}"
    with closing(psycopg.connect(server.dsn, autocommit=True)) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
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
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, as ``accounts.database_url`` takes it: once for each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'accounts.db'}"
        return
    with new_database(request.getfixturevalue("postgres")) as url:
        yield url
