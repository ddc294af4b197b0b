"""Keys: made, shown once, kept as a hash, changed, rotated."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, inspect, select, text

from tallygate.gateway.accounts.ids import new_id
from tallygate.gateway.accounts.problems import Conflict, Invalid, NotFound
from tallygate.gateway.accounts.secrets import is_well_formed, new_secret
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.accounts.tables import api_key_secrets
from tallygate.gateway.caller import Allowance
from tallygate.gateway.database import Database
from tests.gateway.accounts.conftest import Clock
from tests.gateway.accounts.refusals import refused

NEW_YEAR = datetime(2027, 1, 1, 12, tzinfo=UTC)


def everything(connection: Connection) -> str:
    """All that is in the database."""
    names = inspect(connection).get_table_names()
    return "\n".join(repr(row) for name in names for row in connection.execute(text(f"SELECT * FROM {name}")))


async def test_a_key_is_shown_once_and_kept_as_its_hash(service: AccountService, database: Database) -> None:
    user = await service.create_user(name="Ada")
    made = await service.create_key("Ada", name="laptop")
    assert made.secret.startswith("tg-")
    assert len(made.secret) == 52
    assert made.key.prefix == made.secret[:9]
    assert (made.key.user_id, made.key.name, made.key.status) == (user.id, "laptop", "active")
    assert (made.key.expires_at, made.key.models, made.key.caches) == (None, None, False)
    assert made.key.allowance == Allowance()
    assert made.secret not in repr(made)
    assert await service.key(made.key.id) == made.key
    async with database.reading() as connection:
        (row,) = (await connection.execute(select(api_key_secrets))).all()
        kept = await connection.run_sync(everything)
    assert row.hash == hashlib.sha256(made.secret.encode()).digest()
    assert made.secret[9:20] not in kept
    assert "Ada" in kept


async def test_changes_and_expiry(service: AccountService, clock: Clock) -> None:
    await service.create_user(name="Ada")
    end = NEW_YEAR + timedelta(days=1)
    key = (await service.create_key("Ada", name="ci", expires_at=end, models=["b", "a"], concurrency=2)).key
    assert (key.expires_at, key.models, key.allowance.concurrency, key.status) == (end, ("a", "b"), 2, "active")
    clock.go(days=1)
    assert (await service.key(key.id)).status == "expired"
    assert [one.name for one in (await service.keys(status="expired")).items] == ["ci"]
    assert (await service.keys(status="active")).items == ()
    changed = await service.change_key(key.id, status="inactive", caches=True, name="ci-2")
    assert (changed.status, changed.caches, changed.name, changed.models) == ("inactive", True, "ci-2", ("a", "b"))
    assert (await service.keys(status="expired")).items == ()
    assert [one.name for one in (await service.keys(status="inactive")).items] == ["ci-2"]
    changed = await service.change_key(key.id, status="active", expires_at=None)
    assert (changed.status, changed.updated_at) == ("active", end)


async def test_what_cannot_be(service: AccountService) -> None:
    await service.create_user(name="Ada")
    with refused(Invalid, "name: is missing; give the key a name"):
        await service.create_key("Ada")
    with refused(Invalid, 'expires_at: "2027-01-01T12:00:00+00:00": is in the past; give a later time'):
        await service.create_key("Ada", name="a", expires_at=NEW_YEAR)
    with refused(NotFound, 'user: "Bob": is nobody\'s id or name...'):
        await service.create_key("Bob", name="a")
    key = (await service.create_key("Ada", name="a")).key
    with refused(Conflict, 'name: "a": is taken; give another name, or rotate the key that has it'):
        await service.create_key("Ada", name="a")
    other = (await service.create_key("Ada", name="b")).key
    with refused(Conflict, 'name: "a": is taken...'):
        await service.change_key(other.id, name="a")
    for id in ("key_0", "", "\0", "a"):
        with refused(NotFound, "key: ...: is no key's id; see `tallygate keys list`"):
            await service.key(id)
        with refused(NotFound, "key: ...: is no key's id; see `tallygate keys list`"):
            await service.rotate_key(id)
    with refused(Invalid, 'status: "old": is none of active, inactive, expired...'):
        await service.keys(status="old")
    with refused(Invalid, "grace_seconds: -1: is not between 0 and 31622400..."):
        await service.rotate_key(key.id, grace_seconds=-1)


async def test_two_users_may_name_their_keys_alike(service: AccountService) -> None:
    for name in ("Ada", "Bob"):
        await service.create_user(name=name)
        await service.create_key(name, name="laptop")
    (key,) = (await service.keys(user="Bob")).items
    assert key.user_id == (await service.user("Bob")).id
    assert len((await service.keys()).items) == 2


async def ends(database: Database) -> dict[bytes, datetime | None]:
    """When each secret ends."""
    async with database.reading() as connection:
        return {row.hash: row.valid_until for row in await connection.execute(select(api_key_secrets))}


def hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def test_a_rotated_key_keeps_its_old_secret_for_the_grace(
    service: AccountService, database: Database, clock: Clock
) -> None:
    await service.create_user(name="Ada")
    first = await service.create_key("Ada", name="ci")
    second = await service.rotate_key(first.key.id, grace_seconds=3600)
    assert second.secret != first.secret
    assert second.previous_until == NEW_YEAR + timedelta(hours=1)
    assert (second.key.id, second.key.prefix) == (first.key.id, second.secret[:9])
    assert await ends(database) == {hashed(first.secret): second.previous_until, hashed(second.secret): None}
    # A rotation shortens the time of what came before, and never lengthens it.
    clock.go(minutes=1)
    third = await service.rotate_key(first.key.id, grace_seconds=7200)
    assert await ends(database) == {
        hashed(first.secret): NEW_YEAR + timedelta(hours=1),
        hashed(second.secret): NEW_YEAR + timedelta(hours=2, minutes=1),
        hashed(third.secret): None,
    }
    fourth = await service.rotate_key(first.key.id)
    assert {end for end in (await ends(database)).values() if end is not None} == {clock.now}
    assert fourth.previous_until == clock.now


async def test_of_concurrent_rotations_one_secret_is_the_newest(service: AccountService, database: Database) -> None:
    await service.create_user(name="Ada")
    key = (await service.create_key("Ada", name="ci")).key
    made = await asyncio.gather(*[service.rotate_key(key.id) for _ in range(5)])
    left = [hash for hash, end in (await ends(database)).items() if end is None]
    assert len(await ends(database)) == 6
    (newest,) = [one for one in made if [hashed(one.secret)] == left]
    assert (await service.key(key.id)).prefix == newest.secret[:9]


def test_keys_tell_noise_from_themselves() -> None:
    secret = new_secret().encode()
    assert is_well_formed(secret)
    assert not is_well_formed(secret[:-1])
    assert not is_well_formed(secret + b"0")
    assert not is_well_formed(b"sk" + secret[2:])
    assert not is_well_formed(b"")
    for place in range(3, len(secret)):
        other = b"a" if secret[place : place + 1] != b"a" else b"b"
        assert not is_well_formed(secret[:place] + other + secret[place + 1 :])


@given(st.binary(max_size=80) | st.binary(min_size=49, max_size=49).map(lambda end: b"tg-" + end))
def test_random_bytes_are_no_keys(noise: bytes) -> None:
    assert not is_well_formed(noise)


def test_keys_and_ids_do_not_repeat() -> None:
    assert len({new_secret() for _ in range(1000)}) == 1000
    ids = [new_id("key") for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [id[:14] for id in ids] == sorted(id[:14] for id in ids)
    assert all(len(id) == 30 and id.islower() for id in ids)
