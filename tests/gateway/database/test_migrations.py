"""The tables come up to date by themselves, once, whoever starts first; and the migrations say what the tables say."""

from __future__ import annotations

import asyncio

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select
from sqlalchemy.pool import NullPool

from tallygate.gateway.accounts.tables import revisions
from tallygate.gateway.database import Database
from tallygate.gateway.database.engine import NEWEST, open_engine
from tallygate.gateway.database.migrating import configuration, migrate


async def in_database(url: str, work: object) -> object:
    engine = open_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)  # type: ignore[arg-type]  # any function of a connection
    finally:
        await engine.dispose()


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_the_migrations_make_the_tables_that_the_program_declares(empty_database_url: str) -> None:
    await migrate(empty_database_url)

    def check(connection: Connection) -> None:
        command.check(configuration(connection))

    await in_database(empty_database_url, check)


async def test_up_and_down_again_leaves_nothing(empty_database_url: str) -> None:
    await migrate(empty_database_url)
    assert {"users", "api_keys", "api_key_secrets", "credits"} <= await in_database(empty_database_url, tables)  # type: ignore[operator]

    def down(connection: Connection) -> None:
        command.downgrade(configuration(connection), "base")

    await in_database(empty_database_url, down)
    assert await in_database(empty_database_url, tables) == {"alembic_version"}
    await migrate(empty_database_url)


async def test_the_newest_revision_is_known_without_alembic(empty_database_url: str) -> None:
    await migrate(empty_database_url)

    def newest(connection: Connection) -> str | None:
        return ScriptDirectory.from_config(configuration(connection)).get_current_head()

    assert await in_database(empty_database_url, newest) == NEWEST
    database = Database(empty_database_url)
    assert await database._is_current()
    await database.close()


async def test_many_may_start_at_once(empty_database_url: str) -> None:
    databases = [Database(empty_database_url) for _ in range(8)]
    await asyncio.gather(*[database.start() for database in databases])
    async with databases[0].reading() as connection:
        rows = (await connection.execute(select(revisions))).all()
    assert [tuple(row) for row in rows] == [("accounts", 0)]
    for database in databases:
        await database.close()
