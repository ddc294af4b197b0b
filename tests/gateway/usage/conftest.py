from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.gateway.database.migrating import migrate
from tallygate.gateway.state.environment import Environment
from tallygate.gateway.usage.spool import Spool
from tests.services.databases import kinds
from tests.services.postgres import USER, PostgreSQL, postgres

__all__ = ["postgres"]

TEMPLATE = "tallygate_usage"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with its tables, to be copied."""
    file = tmp_path_factory.mktemp("usage") / "migrated.db"
    asyncio.run(migrate(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def migrated_server(postgres: PostgreSQL) -> PostgreSQL:
    """A PostgreSQL server with a database that has its tables, to be copied."""
    with closing(psycopg.connect(postgres.dsn, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    asyncio.run(migrate(f"postgresql://{USER}@/{TEMPLATE}?host={postgres.host}"))
    return postgres


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """The URL of an SQLite database that has its tables, and nothing in them."""
    file = tmp_path / "accounts.db"
    shutil.copy(migrated_file, file)
    return f"sqlite:///{file}"


@pytest.fixture
def postgresql_url(migrated_server: PostgreSQL) -> Iterator[str]:
    """The same on PostgreSQL."""
    name = f"usage_{next(_numbers)}"
    with closing(psycopg.connect(migrated_server.dsn, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        yield f"postgresql://{USER}@/{name}?host={migrated_server.host}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=kinds())
def database_url(request: pytest.FixtureRequest) -> str:
    """Each of them in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The database, ready to be used."""
    database = Database(database_url)
    await database.start()
    yield database
    await database.close()


@pytest_asyncio.fixture
async def service(database: Database) -> AccountService:
    return AccountService(database)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    environment = Environment(tmp_path / "state")
    yield environment
    environment.close()


@pytest.fixture
def spool(environment: Environment) -> Spool:
    return Spool(environment)
