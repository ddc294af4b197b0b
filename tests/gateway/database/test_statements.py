"""Our own statements on a metrics page: every one by its name, from 0 on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Select, select, text

from tallygate.gateway.access import Access
from tallygate.gateway.accounts import statements
from tallygate.gateway.accounts.directory import Directory
from tallygate.gateway.accounts.observing import Observer
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.accounts.tables import users
from tallygate.gateway.database import Database, named
from tallygate.gateway.database.naming import NAMED
from tallygate.gateway.settings.accounts import AccountSettings
from tallygate.tally import Tally
from tests.gateway.running import parsed
from tests.services.databases import new_database
from tests.services.postgres import PostgreSQL

QUERIES = "tallygate_db_query_duration_seconds_count"
OF_ACCOUNTS = {name for name in NAMED if name.startswith("accounts.")}


@pytest.fixture
def tally() -> Any:
    tally = Tally(capacity_bytes=16 << 20, identities={"user_id": "raw"})
    yield tally
    tally.close()


@pytest_asyncio.fixture
async def watched(database_url: str, tally: Tally) -> AsyncIterator[Database]:
    database = Database(database_url, tally=tally)
    await database.start()
    yield database
    await database.close()


def counts(tally: Tally) -> dict[tuple[str, str, str, str], float]:
    """How often each statement was sent: by name, table, operation and status."""
    return {
        (labels["query"], labels["table"], labels["operation"], labels["status"]): value
        for (name, pairs), value in parsed(tally.render().decode()).items()
        if name == QUERIES and (labels := dict(pairs))
    }


def test_names_say_the_room_and_are_given_once() -> None:
    assert {name for name in vars(statements) if isinstance(getattr(statements, name), Select)}
    assert all(name.count(".") == 2 for name in OF_ACCOUNTS)
    with pytest.raises(ValueError, match=r"^two statements are called 'accounts\.users\.get'; rename one$"):
        named("accounts.users.get", select(users))


async def test_every_statement_is_there_from_0_before_it_is_sent(watched: Database, tally: Tally) -> None:
    told = counts(tally)
    assert {query for query, *_ in told} == set(NAMED)
    assert set(told.values()) == {0}
    for status in ("success", "error"):
        assert told["accounts.callers.find", "api_key_secrets", "select", status] == 0
        assert told["accounts.users.add", "users", "insert", status] == 0
        assert told["accounts.users.grant", "users", "update", status] == 0


async def test_all_that_is_sent_has_a_name_and_is_counted_under_it(
    watched: Database, tally: Tally, tmp_path: Path
) -> None:
    directory = Directory(watched, Access(None, None), AccountSettings(), tmp_path, tally)
    await directory.start()
    service = AccountService(watched, changed=directory.tell)
    await service.create_user(name="Ada")
    await service.change_user("Ada", plan="pro", concurrency=5)
    await service.change_user("Ada", models=["a"])
    made = await service.create_key("Ada", name="k", expires_at=datetime.now(UTC) + timedelta(days=1))
    await service.change_key(made.key.id, caches=True)
    secret = (await service.rotate_key(made.key.id)).secret
    await service.grant("Ada", 5, idempotency_key="a")
    await service.users(plan="pro", after="usr_0")
    await service.keys(user="Ada", status="active")
    await service.key(made.key.id)
    await service.credits("Ada")
    await directory.caller({b"x-api-key": secret.encode()}, b"")
    await Observer(watched, tmp_path, tally).count()
    told = counts(tally)
    await directory.close()
    sent = {query: count for (query, _, _, status), count in told.items() if count and status == "success"}
    assert {query: 0 for query in sent if query not in OF_ACCOUNTS} == {}
    assert set(sent) == OF_ACCOUNTS
    assert sent["accounts.users.add"] == 1
    assert sent["accounts.users.change"] == 2
    assert sent["accounts.revision.raise"] == sent["accounts.users.touch"] == 7
    assert sent["accounts.secrets.add"] == 2
    assert sent["accounts.callers.find"] == 1
    assert {key: count for key, count in told.items() if key[3] == "error" and count} == {}


async def test_conditions_keep_the_name_and_failures_are_errors(watched: Database, tally: Tally) -> None:
    async with watched.reading() as connection:
        await connection.execute(statements.users_list.where(users.c.plan == "pro", users.c.name.in_(["a", "b"])))
    service = AccountService(watched)
    await service.create_user(name="Ada")
    with pytest.raises(Exception, match="is taken"):
        await service.create_user(name="Ada")
    told = counts(tally)
    assert told["accounts.users.list", "users", "select", "success"] == 1
    assert told["accounts.users.add", "users", "insert", "success"] == 1
    assert told["accounts.users.add", "users", "insert", "error"] == 1


@pytest.mark.xdist_group("postgres")
async def test_under_erato_s_name_on_postgresql(postgres: PostgreSQL, tally: Tally) -> None:
    with new_database(postgres) as url:
        database = Database(url, tally=tally)
        await database.start()
        await AccountService(database).create_user(name="Ada")
        page = parsed(tally.render(["erato"]).decode())
        await database.close()
    labels = frozenset({("query_id", "accounts.users.add"), ("status", "success")})
    assert page["erato_postgres_query_duration_seconds_count", labels] == 1
    assert page["erato_postgres_query_duration_seconds_bucket", labels | {("le", "+Inf")}] == 1
    labels = frozenset({("query_id", "accounts.callers.find"), ("status", "error")})
    assert page["erato_postgres_query_duration_seconds_count", labels] == 0
    assert {dict(pairs)["query_id"] for (name, pairs) in page if name.endswith("seconds_count")} == set(NAMED)


@pytest.mark.xdist_group("postgres")
async def test_the_database_s_own_views_show_the_names(postgres: PostgreSQL) -> None:
    with new_database(postgres) as url:
        database = Database(url)
        await database.start()
        activity = named(
            "tests.activity.find", select(text("query FROM pg_stat_activity WHERE pid = pg_backend_pid()"))
        )
        try:
            async with database.reading() as connection:
                shown = (await connection.execute(activity)).scalar_one()
        finally:
            del NAMED["tests.activity.find"]
        await database.close()
    assert shown.startswith("/* query_id: tests.activity.find */ SELECT query")


async def test_open_connections_are_counted(watched: Database, tally: Tally) -> None:
    connections = frozenset({("connection_type", "db")})

    def open_now() -> float:
        return parsed(tally.render().decode()).get(("tallygate_connections_open", connections), 0)

    assert open_now() == 0
    async with watched.reading() as first, watched.reading() as second:
        await first.execute(text("SELECT 1"))
        await second.execute(text("SELECT 1"))
        assert open_now() == 2
    await watched._engine.dispose()
    assert open_now() == 0
