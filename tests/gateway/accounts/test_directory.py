"""Who calls: from memory, and right after every change."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tallygate.gateway.accounts.secrets import new_secret
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.caller import Allowance, Caller
from tallygate.gateway.refusal import Refusal
from tests.gateway.accounts.directories import NO_SUCH, Clock, World
from tests.gateway.provided import until


async def test_a_caller_is_all_that_is_known_of_the_key_and_its_user(world: World) -> None:
    user = await world.service.create_user(
        name="Ada", plan="pro", prepaid=True, models=["a", "b", "c"], concurrency=5, monthly_budget=7
    )
    await world.service.grant("Ada", 42)
    made = await world.service.create_key("Ada", name="k", models=["b", "c", "d"], caches=True, requests_per_minute=9)
    assert await world.ask(made.secret) == Caller(
        key_id=made.key.id,
        user_id=user.id,
        plan="pro",
        prepaid=True,
        granted=42,
        models=frozenset({"b", "c"}),
        caches=True,
        key=Allowance(requests_per_minute=9),
        user=Allowance(concurrency=5, monthly_budget=7),
    )
    assert world.uses() == {"success": 1}


@pytest.mark.parametrize(
    ("of_user", "of_key", "both"),
    [(None, None, None), (["a"], None, {"a"}), (None, ["a"], {"a"}), (["a"], ["b"], set()), (["a"], ["a", "b"], {"a"})],
)
async def test_models_of_key_and_user_together(
    world: World, of_user: list[str] | None, of_key: list[str] | None, both: set[str] | None
) -> None:
    await world.service.create_user(name="Ada", models=of_user)
    caller = await world.ask((await world.service.create_key("Ada", name="k", models=of_key)).secret)
    assert caller is not None
    assert caller.models == both


async def test_the_master_key_is_nobody_s(world: World) -> None:
    assert await world.ask("the-master") is None
    assert await world.refused("the-mastes") == NO_SUCH
    assert world.uses() == {"unknown": 1}


async def test_a_known_key_costs_no_query(world: World) -> None:
    await world.service.create_user(name="Ada")
    secret = (await world.service.create_key("Ada", name="k")).secret
    await world.ask(secret)
    read = world.database.read
    for _ in range(100):
        assert await world.ask(secret) is not None
    assert world.database.read == read
    assert world.uses() == {"success": 101}


async def test_many_who_show_a_new_key_at_once_share_a_query(world: World) -> None:
    await world.service.create_user(name="Ada")
    secrets = [(await world.service.create_key("Ada", name=f"k{number}")).secret for number in range(3)]
    await world.ask(secrets[0])
    read = world.database.read
    callers = await asyncio.gather(*[world.ask(secret) for secret in secrets[1:] * 20])
    assert len({caller.key_id for caller in callers if caller is not None}) == 2
    # Of what comes in while one query runs, the next one asks for all.
    assert world.database.read - read <= 2


async def test_what_is_no_key_of_ours_asks_nobody(world: World) -> None:
    read = world.database.read
    for noise in ("sk-1234", "tg-short", new_secret()[:-1] + "!", "tg-" + "0" * 49, "\u00fc"):
        assert await world.refused(noise) == NO_SUCH
    assert world.database.read == read


async def test_unknown_keys_are_remembered_and_push_no_known_one_out(world: World) -> None:
    directory = world.another(world.directory._state_directory, world.tally, cache_entries=3)
    await directory.start()
    await world.service.create_user(name="Ada")
    secret = (await world.service.create_key("Ada", name="k")).secret
    await world.ask(secret, directory)
    noise = [new_secret() for _ in range(10)]
    for one in noise:
        assert await world.refused(one, directory) == NO_SUCH
    read = world.database.read
    for one in noise[-3:]:
        assert await world.refused(one, directory) == NO_SUCH
    assert await world.ask(secret, directory) is not None
    assert world.database.read == read
    assert len(directory._unknown) == 3
    await directory.close()


async def test_the_keys_that_were_used_last_are_kept(world: World, tmp_path: Path) -> None:
    directory = world.another(tmp_path, world.tally, cache_entries=2)
    await directory.start()
    await world.service.create_user(name="Ada")
    secrets = [(await world.service.create_key("Ada", name=f"k{number}")).secret for number in range(3)]
    for secret in secrets:
        await world.ask(secret, directory)
    assert len(directory._entries) == 2
    await directory.close()


async def test_a_change_is_known_at_once_to_all_workers_of_the_machine(world: World) -> None:
    """The other worker shares the state directory, and nothing else."""
    other = world.another(world.directory._state_directory, world.tally)
    await other.start()
    await world.service.create_user(name="Ada")
    made = await world.service.create_key("Ada", name="k")
    assert await world.ask(made.secret) == await world.ask(made.secret, other)
    await world.service.grant("Ada", 5)
    for directory in (world.directory, other):
        caller = await world.ask(made.secret, directory)
        assert caller is not None
        assert caller.granted == 5
    await world.service.change_key(made.key.id, status="inactive")
    for directory in (world.directory, other):
        with pytest.raises(Refusal, match="this API key is not active"):
            await world.ask(made.secret, directory)
    await other.close()


async def test_a_change_of_one_user_costs_the_others_nothing(world: World) -> None:
    secrets = []
    for name in ("Ada", "Bob"):
        await world.service.create_user(name=name)
        secrets.append((await world.service.create_key(name, name="k")).secret)
        await world.ask(secrets[-1])
    bobs = dict(world.directory._entries)
    await world.service.grant("Ada", 5)
    read = world.database.read
    await world.ask(secrets[1])
    assert world.database.read == read + 1  # what changed
    await world.ask(secrets[1])
    await world.ask(secrets[0])
    assert world.database.read == read + 2
    assert [hash for hash, entry in world.directory._entries.items() if bobs.get(hash) is entry]


async def test_a_change_on_another_machine_is_known_after_the_next_poll(world: World) -> None:
    elsewhere = AccountService(world.database)
    await elsewhere.create_user(name="Ada")
    secret = (await elsewhere.create_key("Ada", name="k")).secret
    await world.ask(secret)
    await elsewhere.change_user("Ada", status="inactive")
    assert await world.ask(secret) is not None
    await world.directory._catch_up()
    assert await world.refused(secret) == (403, "the account of this API key is not active")


async def test_the_poll_asks_every_second(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tallygate.gateway.accounts.directory.POLL_SECONDS", 0.0)
    directory = world.another(tmp_path, world.tally)
    await directory.start()
    elsewhere = AccountService(world.database)
    await elsewhere.create_user(name="Ada")
    made = await elsewhere.create_key("Ada", name="k")
    await world.ask(made.secret, directory)
    await elsewhere.change_key(made.key.id, status="inactive")
    await until(lambda: not directory._entries)
    await directory.close()


async def test_every_reason_has_its_words(world: World) -> None:
    now = datetime.now(UTC)
    await world.service.create_user(name="Ada")
    made = await world.service.create_key("Ada", name="k", expires_at=now + timedelta(days=1))
    assert await world.ask(made.secret) is not None
    await world.service.change_key(made.key.id, expires_at=now)
    assert await world.refused(made.secret) == (401, "this API key has expired")
    await world.service.change_key(made.key.id, expires_at=None, status="inactive")
    assert await world.refused(made.secret) == (401, "this API key is not active")
    await world.service.change_key(made.key.id, status="active")
    await world.service.change_user("Ada", trial_ends_at=now)
    assert await world.refused(made.secret) == (403, "the trial of this API key's account has ended")
    await world.service.change_user("Ada", trial_ends_at=now + timedelta(days=1), status="inactive")
    assert await world.refused(made.secret) == (403, "the account of this API key is not active")
    await world.service.change_user("Ada", status="active")
    assert await world.ask(made.secret) is not None
    rotated = await world.service.rotate_key(made.key.id)
    assert await world.refused(made.secret) == (401, "this API key has expired")
    assert await world.ask(rotated.secret) is not None
    assert world.uses() == {"success": 3, "expired": 2, "inactive": 1, "trial_ended": 1, "user_inactive": 1}


async def test_a_key_that_is_at_hand_expires_by_the_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.service.create_user(name="Ada")
    made = await world.service.create_key("Ada", name="k", expires_at=datetime.now(UTC) + timedelta(seconds=3))
    rotated = await world.service.rotate_key(made.key.id, grace_seconds=2)
    await world.ask(made.secret)
    await world.ask(rotated.secret)
    goes_on = Clock(monkeypatch)
    goes_on.by(2)
    assert await world.refused(made.secret) == (401, "this API key has expired")
    assert await world.ask(rotated.secret) is not None
    goes_on.by(1)
    assert await world.refused(rotated.secret) == (401, "this API key has expired")


async def test_a_key_in_use_is_looked_at_again_without_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody changed the tables by hand, so that no revision tells of it."""
    goes_on = Clock(monkeypatch)
    await world.service.create_user(name="Ada")
    made = await world.service.create_key("Ada", name="k")
    await world.ask(made.secret)
    async with world.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE users SET plan = 'gold'")
    goes_on.by(5.5)
    world.database.answers.clear()
    caller = await world.ask(made.secret)
    assert caller is not None
    assert caller.plan == "free"
    world.database.answers.set()
    async with asyncio.timeout(10):
        while caller is not None and caller.plan == "free":
            await asyncio.sleep(0)
            caller = await world.ask(made.secret)
    # Not used for longer, it is looked at before it is used.
    async with world.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE users SET plan = 'iron'")
    goes_on.by(11)
    caller = await world.ask(made.secret)
    assert caller is not None
    assert caller.plan == "iron"
