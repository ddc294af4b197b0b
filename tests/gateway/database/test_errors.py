"""What keeps the gateway from its database is told in one line that names the setting, and never a password."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from tallygate.gateway.database import Database, DatabaseAway, DatabaseError
from tests.services.databases import new_database
from tests.services.postgres import DATABASE, USER, PostgreSQL

on_postgres = pytest.mark.xdist_group("postgres")


async def said(url: str, kind: type[DatabaseError] = DatabaseError) -> str:
    """What the start of this database complains of."""
    database = Database(url)
    with pytest.raises(DatabaseError) as raised:
        await database.start()
    await database.close()
    assert type(raised.value) is kind
    assert "hunter2" not in repr(raised.value)
    assert raised.value.__cause__ is None
    return str(raised.value)


@pytest.fixture
def locked(postgres: PostgreSQL) -> Iterator[str]:
    """A role of the server that needs its password, which is ``right``."""
    file = Path(postgres.host, "data", "pg_hba.conf")
    before = file.read_text()
    with closing(psycopg.connect(postgres.dsn, autocommit=True)) as connection:
        connection.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
        file.write_text(f"local all locked scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        yield "locked"
        file.write_text(before)
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("DROP ROLE locked")


@on_postgres
async def test_a_wrong_password(postgres: PostgreSQL, locked: str) -> None:
    url = f"postgresql://{locked}:hunter2@/{DATABASE}?host={postgres.host}"
    assert await said(url) == (
        f"accounts.database_url: postgresql://locked:********@/{DATABASE}?host={postgres.host}: "
        'password authentication failed for user "locked"; mend its user or password'
    )


@on_postgres
async def test_nobody_of_this_name(postgres: PostgreSQL) -> None:
    assert await said(f"postgresql://nobody:hunter2@/{DATABASE}?host={postgres.host}") == (
        f"accounts.database_url: postgresql://nobody:********@/{DATABASE}?host={postgres.host}: "
        'role "nobody" does not exist; mend its user or password, or the server\'s pg_hba.conf'
    )


@on_postgres
async def test_no_such_database(postgres: PostgreSQL) -> None:
    assert await said(f"postgresql://{USER}:hunter2@/nowhere?host={postgres.host}") == (
        f"accounts.database_url: postgresql://{USER}:********@/nowhere?host={postgres.host}: "
        'database "nowhere" does not exist; create it, or mend its name'
    )


async def test_nobody_listens(tmp_path: Path) -> None:
    url = f"postgresql://{USER}:hunter2@/db?host={tmp_path}"
    assert await said(url, DatabaseAway) == (
        f"accounts.database_url: postgresql://{USER}:********@/db?host={tmp_path}: cannot be reached: "
        "No such file or directory; start the database or mend the address"
    )


async def test_a_port_that_is_closed() -> None:
    assert await said("postgresql://u:hunter2@127.0.0.1:1/db", DatabaseAway) == (
        "accounts.database_url: postgresql://u:********@127.0.0.1:1/db: cannot be reached: "
        "Connect call failed ('127.0.0.1', 1); start the database or mend the address"
    )


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hunter2 is my password, and this is no database. " * 30)
    assert await said(f"sqlite:///{file}") == (
        f"accounts.database_url: sqlite:///{file}: file is not a database; name another file, or restore a backup"
    )


async def test_a_directory_instead_of_a_file(tmp_path: Path) -> None:
    assert await said(f"sqlite:///{tmp_path}", DatabaseAway) == (
        f"accounts.database_url: sqlite:///{tmp_path}: cannot be reached: Is a directory; "
        "start the database or mend the address"
    )


async def test_tables_of_a_later_release(database_url: str) -> None:
    database = Database(database_url)
    await database.start()
    async with database.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    assert await said(database_url) == (
        "accounts.database_url: the tables are of another release of Tallygate (Can't locate revision identified by "
        "'9999'); run that release, or restore a backup"
    )


@on_postgres
async def test_a_server_that_goes_and_comes_back(postgres: PostgreSQL) -> None:
    """Idle connections that were cut are noticed; one in use fails as away."""
    with new_database(postgres) as url:
        database = Database(url, connections=1)
        await database.start()
        async with database.reading() as connection:
            first = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        with closing(psycopg.connect(postgres.dsn, autocommit=True)) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (first,))
            async with database.reading() as connection:
                second = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            assert second != first

            async def cut_off() -> None:
                async with database.begin() as connection:
                    await connection.execute(text("SELECT 1"))
                    other.execute("SELECT pg_terminate_backend(%s)", (second,))
                    await connection.execute(text("SELECT 1"))

            with pytest.raises(DatabaseAway, match=r"terminating connection due to administrator command|closed"):
                await cut_off()
        await database.close()


async def send_a_wrong_statement(database: Database) -> None:
    async with database.reading() as connection:
        await connection.execute(text("SELECT nothing FROM revisions WHERE name = :name"), {"name": "hunter2"})


async def test_what_fails_for_its_own_reasons_stays_what_it_is(database_url: str) -> None:
    database = Database(database_url)
    await database.start()

    async def write(statement: str, problem: Exception) -> None:
        async with database.begin() as connection:
            await connection.execute(text(statement))
            raise problem

    with pytest.raises(IntegrityError):
        await write("INSERT INTO revisions VALUES ('accounts', 5)", RuntimeError())
    with pytest.raises(ZeroDivisionError):
        await write("UPDATE revisions SET value = 7", ZeroDivisionError())
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT value FROM revisions"))).scalar_one() == 0
    with pytest.raises(DBAPIError) as raised:
        await send_a_wrong_statement(database)
    assert "hunter2" not in str(raised.value)
    await database.close()


async def test_sqlite_keeps_what_it_was_told(tmp_path: Path) -> None:
    """The write-ahead log is on, foreign keys hold, and every transaction is synced."""
    file = tmp_path / "new" / "accounts.db"
    database = Database(f"sqlite:///{file}")
    await database.start()
    for reading in (database.reading, database.begin):
        async with reading() as connection:
            for pragma, value in (("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2)):
                assert (await connection.execute(text(f"PRAGMA {pragma}"))).scalar_one() == value
    await database.close()
    for one in (file, f"{file}.lock"):
        assert stat.S_IMODE(os.stat(one).st_mode) == 0o600
