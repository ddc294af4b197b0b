"""Who calls while the database is away, late, or another one."""

from __future__ import annotations

import asyncio

import pytest

from tallygate.gateway.accounts.secrets import new_secret
from tests.gateway.accounts.directories import AWAY, NO_SUCH, Clock, World
from tests.gateway.provided import until


async def test_while_the_database_is_away_known_keys_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = Clock(monkeypatch)
    await world.service.create_user(name="Ada")
    known = (await world.service.create_key("Ada", name="known")).secret
    other = (await world.service.create_key("Ada", name="other")).secret
    await world.ask(known)
    world.database.away = True
    assert await world.ask(known) is not None
    assert await world.refused(other) == AWAY
    goes_on.by(3590)
    assert await world.ask(known) is not None
    read = world.database.read
    for _ in range(10):
        assert await world.ask(known) is not None
        assert await world.refused(other) == AWAY
    assert world.database.read == read  # nobody asks but who looks whether it is back
    goes_on.by(20)
    assert await world.refused(known) == AWAY
    assert world.uses() == {"success": 13, "unavailable": 12}
    world.database.away = False
    await world.directory._catch_up()
    assert await world.ask(known) is not None
    assert await world.ask(other) is not None


async def test_a_change_that_is_known_waits_for_the_database_only_once(world: World) -> None:
    await world.service.create_user(name="Ada")
    secret = (await world.service.create_key("Ada", name="k")).secret
    await world.ask(secret)
    world.database.away = True
    world.directory.tell(10**6)
    assert await world.ask(secret) is not None
    read = world.database.read
    assert await world.ask(secret) is not None
    assert world.database.read == read


async def test_a_database_that_does_not_answer_counts_as_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallygate.gateway.accounts.directory.PATIENCE", 0.01)
    await world.service.create_user(name="Ada")
    secret = (await world.service.create_key("Ada", name="k")).secret
    world.database.answers.clear()
    assert await world.refused(secret) == AWAY
    world.database.answers.set()
    monkeypatch.setattr("tallygate.gateway.accounts.directory.PATIENCE", 2)
    await world.directory._catch_up()
    assert await world.ask(secret) is not None


async def test_rows_that_come_too_late_are_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change becomes known while a key is being looked up: what was read before it does not stay."""
    await world.service.create_user(name="Ada")
    made = await world.service.create_key("Ada", name="k")
    await world.directory._catch_up()

    async def change() -> None:
        await world.service.change_key(made.key.id, status="inactive")
        await world.directory._catch_up()

    world.database.afterwards.append(change)
    assert await world.refused(made.secret) == (401, "this API key is not active")
    assert world.database.afterwards == []


async def test_an_older_copy_of_the_database_is_noticed(world: World) -> None:
    await world.service.create_user(name="Ada")
    secret = (await world.service.create_key("Ada", name="k")).secret
    await world.ask(secret)
    async with world.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE users SET plan = 'gold', revision = 0")
        await connection.exec_driver_sql("UPDATE revisions SET value = 0")
    await world.directory._catch_up()
    caller = await world.ask(secret)
    assert caller is not None
    assert caller.plan == "gold"


async def test_too_many_who_wait_are_sent_away(world: World) -> None:
    world.directory._loader._most_waiting = 5
    world.database.answers.clear()
    asked = [asyncio.create_task(world.refused(new_secret())) for _ in range(20)]
    await until(lambda: sum(task.done() for task in asked) >= 14)
    world.database.answers.set()
    said = await asyncio.gather(*asked)
    assert said.count(AWAY) in (14, 15)
    assert said.count(NO_SUCH) in (5, 6)
