"""PostgreSQL through asyncpg, psycopg and SQLAlchemy on top of both, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tallygate import instrument
from tallygate.instrument.queries import Registry
from tallygate.tally import Tally
from tests.instrument.db_page import hash_of, queries, seconds, timed
from tests.instrument.http_page import dropped
from tests.services.postgres import PostgreSQL

pytestmark = pytest.mark.xdist_group("postgres")  # one server for all of them

BY_ID = "SELECT title FROM chats WHERE id = {}"
NAMES = {
    "by_id": BY_ID.format("$1"),
    "by_id_percent": BY_ID.format("%s"),
    "by_id_named": BY_ID.format("%(id)s"),
    "all_chats": "SELECT id FROM chats ORDER BY id",
    "add_chat": "INSERT INTO chats VALUES ($1, $2)",
    "add_chat_percent": "INSERT INTO chats VALUES (%s, %s)",
    "missing": "SELECT missing FROM chats",
    "sleep": "SELECT pg_sleep(9) FROM chats",
}
SET_UP = "CREATE TEMPORARY TABLE chats (id int, title text); INSERT INTO chats VALUES (1, 'one'), (2, 'two')"


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.load(NAMES)
    return registry


# asyncpg


@pytest.fixture
async def connection(postgres: PostgreSQL) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(postgres.dsn)
    await connection.execute(SET_UP)
    yield connection
    await connection.close()


async def test_asyncpg(connection: Any, registry: Registry, tally: Tally) -> None:
    """Every way to send a statement, on a connection that was open before."""
    with instrument.asyncpg(queries=registry, tally=tally):
        assert queries(tally, zeros=True)["postgresql add_chat chats insert error"] == 0
        by_id = NAMES["by_id"]
        assert [row["title"] for row in await connection.fetch(by_id, 1)] == ["one"]
        assert (await connection.fetchrow(by_id, 1))["title"] == "one"
        assert await connection.fetchval(by_id, 2, column=0) == "two"
        assert await connection.execute(NAMES["add_chat"], 3, "three") == "INSERT 0 1"
        await connection.executemany(command=NAMES["add_chat"], args=[(4, "four"), (5, "five")])
        assert len(await connection.fetchmany(by_id, [(1,), (2,)])) == 2
        prepared = await connection.prepare(by_id)
        assert await prepared.fetchval(3) == "three"
        assert (await prepared.fetchrow(4))["title"] == "four"
        assert len(await prepared.fetch(5)) == 1
        async with connection.transaction():
            assert [row["id"] async for row in connection.cursor(NAMES["all_chats"], prefetch=2)] == [1, 2, 3, 4, 5]
            cursor = await connection.cursor(NAMES["all_chats"])
            assert [row["id"] for row in await cursor.fetch(2)] == [1, 2]
            assert (await cursor.fetchrow())["id"] == 3
            async with connection.transaction():
                assert await connection.fetchval("SELECT 1") == 1
    assert queries(tally) == {
        "postgresql by_id chats select success": 7,
        "postgresql add_chat chats insert success": 2,
        "postgresql all_chats chats select success": 2,
        f"postgresql {hash_of('select 1')} - select success": 1,
    }
    assert dropped(tally) == 0
    await connection.fetch(NAMES["by_id"], 1)
    assert timed(tally)["by_id success"] == 7


async def test_asyncpg_failures(connection: Any, registry: Registry, tally: Tally) -> None:
    with instrument.asyncpg(queries=registry, tally=tally):
        with pytest.raises(asyncpg.UndefinedColumnError, match='column "missing" does not exist'):
            await connection.fetch(NAMES["missing"])
        with pytest.raises(asyncpg.UndefinedColumnError):
            await connection.execute(NAMES["missing"])
        async with connection.transaction():
            with pytest.raises(asyncpg.UndefinedColumnError):
                await connection.cursor(NAMES["missing"])
        async with connection.transaction():
            with pytest.raises(asyncpg.UndefinedColumnError):
                await anext(connection.cursor(NAMES["missing"]).__aiter__())
        with pytest.raises(TimeoutError):
            await connection.fetch(NAMES["sleep"], timeout=0.05)
        with pytest.raises(TypeError):
            await connection.fetch()
        with pytest.raises((TypeError, AttributeError)):
            await connection.fetch(None)
    assert queries(tally) == {"postgresql missing chats select error": 4, "postgresql sleep chats select error": 1}
    assert seconds(tally)["sleep error"] >= 0.05


async def test_asyncpg_cancelled(postgres: PostgreSQL, connection: Any, registry: Registry, tally: Tally) -> None:
    watcher = await asyncpg.connect(postgres.dsn)
    with instrument.asyncpg(queries=registry, tally=tally):
        task = asyncio.ensure_future(connection.fetch(NAMES["sleep"]))
        await sleeping(watcher, connection.get_server_pid())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await watcher.close()
    assert queries(tally)["postgresql sleep chats select cancelled"] == 1


async def sleeping(watcher: Any, pid: int) -> None:
    """Until the server process sleeps."""
    question = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1"
    while not await watcher.fetchval(question, pid):
        pass


async def test_asyncpg_pool(postgres: PostgreSQL, registry: Registry, tally: Tally) -> None:
    with instrument.asyncpg(queries=registry, tally=tally):
        async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=2) as pool:
            assert await pool.fetchval("SELECT 1") == 1
            async with pool.acquire() as connection:
                assert await connection.fetchval("SELECT 1") == 1
    name = hash_of("select 1")
    assert queries(tally)[f"postgresql {name} - select success"] == 2


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    __table_args__ = ({"prefixes": ["TEMPORARY"]},)
    id: Mapped[int] = mapped_column(primary_key=True)
    words: Mapped[str]


async def test_batches_and_lists_of_any_length_are_one_statement(postgres: PostgreSQL, tally: Tally) -> None:
    """As the ORM writes them: rows by the thousand, lists that expand."""
    engine = create_async_engine(postgres.url("asyncpg"))
    async with engine.connect() as connection, AsyncSession(connection) as session:
        await connection.run_sync(Base.metadata.create_all)
        with instrument.sqlalchemy(engine, queries=Registry(), tally=tally):
            for count in (2, 12, 120):
                session.add_all([Note(words=f"note {number}") for number in range(count)])
                await session.flush()
            for count in (1, 2, 30):
                found = select(Note.words).where(Note.id.in_(range(count)), Note.words != "x")
                assert len((await session.scalars(found)).all()) == count - 1
    await engine.dispose()
    by_ids = hash_of("select notes.words from notes where notes.id in ($2::integer) and notes.words != $1::varchar")
    told = queries(tally)
    assert told.pop(f"postgresql {by_ids} notes select success") == 3
    assert list(told.values()) == [3]
    assert next(iter(told)).endswith(" notes insert success")


async def test_sqlalchemy_on_asyncpg_is_recorded_once(postgres: PostgreSQL, registry: Registry, tally: Tally) -> None:
    engine = create_async_engine(postgres.url("asyncpg"))
    with (
        instrument.asyncpg(queries=registry, tally=tally),
        instrument.sqlalchemy(engine, queries=registry, tally=tally),
    ):
        async with engine.connect() as connection:
            for ids in ([1], [1, 2, 3]):
                statement = text("SELECT rolname FROM pg_roles WHERE oid = ANY(:ids)")
                await connection.execute(statement, {"ids": ids})
        direct = await asyncpg.connect(postgres.dsn)
        await direct.fetch("SELECT 7")
        await direct.close()
        await engine.dispose()
    told = queries(tally)
    by_ids = hash_of("select rolname from pg_roles where oid = any($1)")
    assert told[f"postgresql {by_ids} pg_roles select success"] == 2
    assert told[f"postgresql {hash_of('select 7')} - select success"] == 1


# psycopg


@pytest.fixture
def pg(postgres: PostgreSQL) -> Iterator[psycopg.Connection[Any]]:
    with closing(psycopg.connect(postgres.dsn, autocommit=True)) as connection:
        connection.execute(SET_UP)
        yield connection


def test_psycopg(pg: psycopg.Connection[Any], registry: Registry, tally: Tally) -> None:
    with instrument.psycopg(queries=registry, tally=tally):
        assert pg.execute(BY_ID.format("%s"), [1]).fetchall() == [("one",)]
        with pg.cursor() as cursor, pg.transaction(), pg.transaction():
            cursor.execute(query=BY_ID.format("%(id)s").encode(), params={"id": 2})
            assert cursor.fetchone() == ("two",)
            cursor.executemany(NAMES["add_chat_percent"], [(3, "three"), (4, "four")])
            composed = sql.SQL("SELECT {} FROM {} WHERE title = {}").format(
                sql.Identifier("id"), sql.Identifier("chats"), sql.Literal("secret")
            )
            assert cursor.execute(composed).fetchall() == []
            assert list(cursor.stream(sql.SQL("SELECT id FROM chats ORDER BY id"))) == [(1,), (2,), (3,), (4,)]
            rows = cursor.stream(sql.SQL("SELECT id FROM chats ORDER BY id"))
            assert next(iter(rows)) == (1,)
            rows.close()  # type: ignore[attr-defined]  # a generator
            assert list(cursor.stream(sql.SQL("SELECT id FROM chats WHERE id < 0"))) == []
        with pg.transaction(), pg.cursor("named") as server_side:
            server_side.execute(sql.SQL("SELECT id FROM chats ORDER BY id"))
            assert len(server_side.fetchall()) == 4
    quoted = hash_of('select "id" from "chats" where title = ?')
    assert queries(tally) == {
        "postgresql by_id_percent chats select success": 1,
        "postgresql by_id_named chats select success": 1,
        "postgresql add_chat_percent chats insert success": 1,
        "postgresql all_chats chats select success": 3,
        f"postgresql {quoted} chats select success": 1,
        f"postgresql {hash_of('select id from chats where id < 0')} chats select success": 1,
    }
    assert "secret" not in tally.render().decode()
    pg.execute(BY_ID.format("%s"), [1])
    assert timed(tally)["by_id_percent success"] == 1


def test_psycopg_failures(pg: psycopg.Connection[Any], registry: Registry, tally: Tally) -> None:
    with instrument.psycopg(queries=registry, tally=tally):
        with pytest.raises(psycopg.errors.UndefinedColumn, match='column "missing" does not exist'):
            pg.execute("SELECT missing FROM chats")
        with pytest.raises(psycopg.errors.UndefinedColumn):
            list(pg.cursor().stream("SELECT missing FROM chats"))
        with pytest.raises(TypeError):
            pg.cursor().execute()  # type: ignore[call-overload]
        with pytest.raises(TypeError):
            pg.execute(17)  # type: ignore[call-overload]
        pg.execute("SET statement_timeout = 20")
        with pytest.raises(psycopg.errors.QueryCanceled):
            pg.execute("SELECT pg_sleep(9) FROM chats")
    told = queries(tally)
    assert told["postgresql missing chats select error"] == 2
    assert told["postgresql sleep chats select error"] == 1
    assert dropped(tally) == 0


async def test_psycopg_async(postgres: PostgreSQL, registry: Registry, tally: Tally) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.dsn, autocommit=True) as connection:
        await connection.execute(SET_UP)
        with instrument.psycopg(queries=registry, tally=tally):
            await connection.execute(BY_ID.format("%s"), [1])
            async with connection.cursor() as cursor, connection.transaction():
                await cursor.executemany(NAMES["add_chat_percent"], [(3, "three")])
                assert [row async for row in cursor.stream("SELECT id FROM chats ORDER BY id")] == [(1,), (2,), (3,)]
                assert [row async for row in cursor.stream("SELECT id FROM chats WHERE id < 0")] == []
                async with connection.cursor("named") as server_side:
                    await server_side.execute("SELECT id FROM chats ORDER BY id")
                    assert len(await server_side.fetchall()) == 3
            with pytest.raises(psycopg.errors.UndefinedColumn):
                await connection.execute("SELECT missing FROM chats")
            async with await psycopg.AsyncConnection.connect(postgres.dsn) as watcher:
                task = asyncio.ensure_future(connection.execute("SELECT pg_sleep(9) FROM chats"))
                question = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s"
                while (await (await watcher.execute(question, [connection.info.backend_pid])).fetchone()) != (
                    "PgSleep",
                ):
                    await watcher.rollback()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
    told = {name: count for name, count in queries(tally).items() if "pg_stat_activity" not in name}
    assert told == {
        "postgresql by_id_percent chats select success": 1,
        "postgresql add_chat_percent chats insert success": 1,
        "postgresql all_chats chats select success": 2,
        f"postgresql {hash_of('select id from chats where id < 0')} chats select success": 1,
        "postgresql missing chats select error": 1,
        "postgresql sleep chats select cancelled": 1,
    }


def test_sqlalchemy_on_psycopg_is_recorded_once(postgres: PostgreSQL, registry: Registry, tally: Tally) -> None:
    engine = create_engine(postgres.url("psycopg"))
    with (
        instrument.psycopg(queries=registry, tally=tally),
        instrument.sqlalchemy(engine, queries=registry, tally=tally),
        engine.connect() as connection,
    ):
        connection.execute(text("SELECT rolname FROM pg_roles WHERE oid = :id"), {"id": 1})
        with connection.begin_nested():
            connection.execute(text("SELECT rolname FROM pg_roles WHERE oid = :id"), {"id": 2})
    engine.dispose()
    name = hash_of("select rolname from pg_roles where oid = %(id)s")
    told = queries(tally)
    assert told[f"postgresql {name} pg_roles select success"] == 2
    assert not any("savepoint" in what for what in told)


def test_erato_reads_them_under_its_names(pg: psycopg.Connection[Any], registry: Registry, tally: Tally) -> None:
    with instrument.psycopg(queries=registry, tally=tally):
        pg.execute("SELECT id FROM chats ORDER BY id")
    page = tally.render(["erato"], names=["erato_postgres_query_duration_seconds_count"]).decode()
    counts = dict(line.rsplit(" ", 1) for line in page.splitlines() if "_count{" in line)
    assert counts['erato_postgres_query_duration_seconds_count{query_id="all_chats",status="success"}'] == "1"
    assert counts['erato_postgres_query_duration_seconds_count{query_id="all_chats",status="error"}'] == "0"
    assert counts['erato_postgres_query_duration_seconds_count{query_id="by_id",status="success"}'] == "0"
