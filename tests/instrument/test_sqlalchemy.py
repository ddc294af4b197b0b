"""SQLAlchemy on SQLite, sync and async; on PostgreSQL see test_postgresql."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import (
    Connection,
    Engine,
    ForeignKey,
    create_engine,
    event,
    exc,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import registry as registries
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column
from sqlalchemy.pool import NullPool

from tallygate import instrument
from tallygate.instrument import NotInstrumentable
from tallygate.instrument.queries import Registry
from tallygate.record.default import default
from tallygate.tally import Tally
from tests.instrument.db_page import connections, hash_of, queries, seconds, timed


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)


class Chat(Base):
    __tablename__ = "chats"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    owner: Mapped[int] = mapped_column(ForeignKey("users.id"))


NAMES = {
    "one": "SELECT 1",
    "by_title": "SELECT chats.id FROM chats WHERE chats.title IN (?)",
    "add_chats": "INSERT INTO chats (title, owner) VALUES (?, ?)",
}


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.load(NAMES)
    return registry


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_registered_statements_show_at_zero(engine: Engine, registry: Registry, tally: Tally) -> None:
    instrument.sqlalchemy(engine, queries=registry, tally=tally)
    registry.register("late", "DELETE FROM chats")
    wanted = ["one - select", "by_title chats select", "add_chats chats insert", "late chats delete"]
    zeros = {f"sqlite {what} {status}" for what in wanted for status in ("success", "error", "cancelled")}
    assert queries(tally, zeros=True) == dict.fromkeys(zeros, 0)
    assert set(timed(tally)) == {f"{what.split()[0]} {status}" for what in wanted for status in ("success", "error")}


def test_a_statement_that_its_comment_names_shows_at_zero_from_its_first_text_on(engine: Engine, tally: Tally) -> None:
    with instrument.sqlalchemy(engine, queries=Registry(), tally=tally), engine.connect() as connection:
        connection.execute(text("/* query_id: list_chats */ SELECT id FROM chats"))
        assert timed(tally) == {"list_chats success": 1, "list_chats error": 0}


def test_core_and_orm(engine: Engine, registry: Registry, tally: Tally) -> None:
    with instrument.sqlalchemy(engine, queries=registry, tally=tally), Session(engine) as session:
        session.add(User(id=1))
        session.flush()
        session.execute(insert(Chat), [{"title": title, "owner": 1} for title in "abc"])
        assert session.execute(select(Chat.id).where(Chat.title.in_(["a", "b"]))).all() == [(1,), (2,)]
        assert session.execute(select(Chat.id).where(Chat.title.in_(["c"]))).all() == [(3,)]
        first = aliased(Chat, select(Chat).limit(2).subquery())
        assert len(session.scalars(select(first)).all()) == 2
        session.commit()
    by_subquery = "select anon_1.id, anon_1.title, anon_1.owner from (select chats.id as id, chats.title as title,"
    by_subquery += " chats.owner as owner from chats limit ? offset ?) as anon_1"
    insert_user = hash_of("insert into users (id) values (?)")
    assert queries(tally) == {
        f"sqlite {insert_user} users insert success": 1,
        "sqlite add_chats chats insert success": 1,
        "sqlite by_title chats select success": 2,
        f"sqlite {hash_of(by_subquery)} chats select success": 1,
    }


def test_durations_are_those_of_the_statements(registry: Registry, tally: Tally) -> None:
    registry.register("wait", "SELECT wait()")
    engine = create_engine("sqlite://")

    def wait() -> int:
        threading.Event().wait(0.05)
        return 1

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.create_function("wait", 0, wait)

    with instrument.sqlalchemy(engine, queries=registry, tally=tally), engine.connect() as connection:
        connection.execute(text("SELECT wait()")).all()
    engine.dispose()
    assert timed(tally)["wait success"] == 1
    assert 0.05 <= seconds(tally)["wait success"] < 5


def test_failures_pass_unchanged(engine: Engine, registry: Registry, tally: Tally) -> None:
    registry.register("missing", "SELECT missing FROM chats")
    instrument.sqlalchemy(engine, queries=registry, tally=tally)
    with engine.connect() as connection, pytest.raises(exc.OperationalError) as raised:
        connection.execute(text("SELECT missing FROM chats"))
    assert str(raised.value.orig) == "no such column: missing"
    assert queries(tally) == {"sqlite missing chats select error": 1}


def test_interrupted_statements_are_cancelled(engine: Engine, registry: Registry, tally: Tally) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    engine.dialect.do_execute = interrupted  # type: ignore[assignment]  # stands for a signal
    with (
        instrument.sqlalchemy(engine, queries=registry, tally=tally),
        engine.connect() as connection,
        pytest.raises(KeyboardInterrupt),
    ):
        connection.execute(text("SELECT 1"))
    assert queries(tally) == {"sqlite one - select cancelled": 1}
    assert engine.dialect.do_execute == interrupted


def test_values_and_texts_are_on_no_page(engine: Engine, tally: Tally) -> None:
    with instrument.sqlalchemy(engine, queries=Registry(), tally=tally), engine.connect() as connection:
        connection.execute(text("SELECT 'secret-1', 424242 FROM chats WHERE title = 'secret-2' /* secret-3 */"))
        connection.execute(text("SELECT id FROM chats WHERE title = :title"), {"title": "secret-4"})
    page = tally.render().decode()
    assert "secret" not in page
    assert "424242" not in page
    assert queries(tally) == {
        f"sqlite {hash_of('select ?, ? from chats where title = ?')} chats select success": 1,
        f"sqlite {hash_of('select id from chats where title = ?')} chats select success": 1,
    }


def test_removed_it_is_as_it_was(engine: Engine, tally: Tally) -> None:
    before = dict(vars(engine.dialect))
    handle = instrument.sqlalchemy(engine, tally=tally)
    held = engine.dialect.do_execute
    assert vars(engine.dialect) != before
    handle.remove()
    assert vars(engine.dialect) == before
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        held(connection.connection.cursor(), "SELECT 2", ())
    assert queries(tally) == {}


def test_all_engines(registry: Registry, engine: Engine, tally: Tally) -> None:
    """Those made before, and those made after."""
    handle = instrument.sqlalchemy(queries=registry, tally=tally)
    late = create_engine("sqlite://")
    for each in (engine, late):
        with each.connect() as connection:
            connection.execute(text("SELECT 1"))
    handle.remove()
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    late.dispose()
    assert queries(tally) == {"sqlite one - select success": 2}


def test_the_engines_own_instrumentation_records_alone(registry: Registry, engine: Engine, tally: Tally) -> None:
    mine = Tally(capacity_bytes=16 << 20)
    with (
        instrument.sqlalchemy(engine, queries=registry, tally=mine),
        instrument.sqlalchemy(queries=registry, tally=tally),
        engine.connect() as connection,
    ):
        connection.execute(text("SELECT 1"))
    assert (queries(mine), queries(tally)) == ({"sqlite one - select success": 1}, {})
    mine.close()


def test_a_dialect_that_calls_its_base_is_recorded_once(registry: Registry, tally: Tally) -> None:
    """One that is imported after the instrumentation, and does more than hand over."""
    handle = instrument.sqlalchemy(queries=registry, tally=tally)

    class Late(SQLiteDialect_pysqlite):
        supports_statement_cache = True

        def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
            base: Any = super()
            base.do_execute(cursor, "SELECT 0", ())
            base.do_execute(cursor, statement, parameters, context=context)

    before = vars(Late)["do_execute"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registries.impls, "late", lambda: Late)
        engine = create_engine("late://")
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
        engine.dispose()
    assert queries(tally) == {"sqlite one - select success": 1}
    handle.remove()
    assert vars(Late)["do_execute"] is before


def test_connections(tally: Tally) -> None:
    engine = create_engine("sqlite://", poolclass=NullPool)
    handle = instrument.sqlalchemy(engine, tally=tally)
    everywhere = instrument.sqlalchemy(tally=tally)
    first, second = engine.connect(), engine.connect()
    assert connections(tally) == 2
    first.close()
    assert connections(tally) == 1
    handle.remove()
    assert connections(tally) == 1
    everywhere.remove()
    assert connections(tally) == 0
    second.close()


def test_an_option_engine_is_its_engine(engine: Engine, registry: Registry, tally: Tally) -> None:
    instrument.sqlalchemy(engine, queries=registry, tally=tally)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("SELECT 1"))
    assert queries(tally) == {"sqlite one - select success": 1}


def test_a_comment_that_a_listener_adds(engine: Engine, registry: Registry, tally: Tally) -> None:
    """As sqlcommenter does: every statement another text, and one name."""
    instrument.sqlalchemy(engine, queries=registry, tally=tally)
    numbers = iter(range(9))

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def comment(conn: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> Any:
        return f"{statement} /*traceparent='00-{next(numbers):032x}'*/", parameters

    with engine.connect() as connection:
        for _ in range(3):
            connection.execute(text("SELECT 1"))
    assert queries(tally) == {"sqlite one - select success": 3}


def test_what_is_no_engine() -> None:
    wanted = r"instrument.sqlalchemy\(\) takes an Engine or an AsyncEngine, not str"
    with pytest.raises(NotInstrumentable, match=wanted):
        instrument.sqlalchemy("sqlite://")  # type: ignore[arg-type]  # as a user may


def test_switched_off_nothing_is_touched(engine: Engine) -> None:
    before = dict(vars(engine.dialect))
    instrument.sqlalchemy(engine, tally=Tally(enabled=False))
    assert vars(engine.dialect) == before


async def test_async(registry: Registry, tally: Tally) -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    with instrument.sqlalchemy(engine, queries=registry, tally=tally):
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as session:
            session.add_all([User(id=1), User(id=2)])
            await session.commit()
            assert len((await session.scalars(select(User))).all()) == 2
            with pytest.raises(exc.OperationalError):
                await session.execute(text("SELECT missing FROM chats"))
        assert connections(tally) == 1
        await engine.dispose()
        assert connections(tally) == 0
    insert_users, select_users = hash_of("insert into users (id) values (?)"), hash_of("select users.id from users")
    told = {key: value for key, value in queries(tally).items() if " - other " not in key}
    assert told == {
        f"sqlite {insert_users} users insert success": 1,
        f"sqlite {select_users} users select success": 1,
        f"sqlite {hash_of('select missing from chats')} chats select error": 1,
    }


async def test_a_cancelled_task(registry: Registry, tally: Tally) -> None:
    registry.register("wait", "SELECT wait()")
    started, go_on = threading.Event(), threading.Event()

    def wait() -> int:
        started.set()
        go_on.wait(30)
        return 1

    engine = create_async_engine("sqlite+aiosqlite://")
    with instrument.sqlalchemy(engine, queries=registry, tally=tally):
        async with engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            await raw.create_function("wait", 0, wait)
            task = asyncio.ensure_future(connection.execute(text("SELECT wait()")))
            assert await asyncio.to_thread(started.wait, 30)
            task.cancel()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
        await engine.dispose()
    assert queries(tally) == {"sqlite wait - select cancelled": 1}


def test_in_many_threads(registry: Registry, tally: Tally) -> None:
    engine = create_engine("sqlite://", poolclass=NullPool)

    def ask() -> None:
        for _ in range(50):
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))

    with instrument.sqlalchemy(engine, queries=registry, tally=tally):
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert queries(tally) == {"sqlite one - select success": 200}


def test_the_programs_tally_made_later(registry: Registry, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = instrument.sqlalchemy(engine, queries=registry)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    tally = Tally(capacity_bytes=16 << 20)
    monkeypatch.setattr(default, "recorder", tally)
    assert queries(tally, zeros=True)["sqlite one - select error"] == 0
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert queries(tally) == {"sqlite one - select success": 1}
    handle.remove()
    tally.close()
