"""Users, keys and credits, as the command line and the admin API see and change them.

Every change is one transaction that also raises the revision of the accounts, by which the caches of all gateways know
that they are out of date. What is wrong raises Invalid, NotFound or Conflict; what the database cannot do now,
DatabaseAway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar, Unpack

from sqlalchemy import Row, Select, Table
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tallygate.gateway.accounts import fields
from tallygate.gateway.accounts import statements as do
from tallygate.gateway.accounts.fields import KEY_FIELDS, USER_FIELDS, KeyFields, UserFields, checked
from tallygate.gateway.accounts.ids import new_id
from tallygate.gateway.accounts.money import MOST_UNITS, usd_of
from tallygate.gateway.accounts.problems import Conflict, Invalid, NotFound
from tallygate.gateway.accounts.records import Credit, Granted, Key, NewKey, Page, User
from tallygate.gateway.accounts.rows import credit_of, key_of, user_of
from tallygate.gateway.accounts.secrets import hash_of, new_secret, prefix_of
from tallygate.gateway.accounts.tables import api_keys, credits, users
from tallygate.gateway.database import Database

T = TypeVar("T")

PAGE: Final = 100
"""How much of a list is told at once unless asked otherwise."""
NEW_USER: Final[UserFields] = {
    "kind": "user",
    "status": "active",
    "plan": "free",
    "trial_ends_at": None,
    "billing_cycle": None,
    "prepaid": False,
    "models": None,
}
NEW_KEY: Final[KeyFields] = {"status": "active", "expires_at": None, "models": None, "caches": False}


def utc_now() -> datetime:
    return datetime.now(UTC)


class _Change:
    """A transaction that changes something of one user's."""

    __slots__ = ("execute", "user")

    def __init__(self, connection: AsyncConnection) -> None:
        self.execute = connection.execute
        self.user = ""


class AccountService:
    """Reads and changes accounts in a database that has been started."""

    def __init__(
        self,
        database: Database,
        *,
        changed: Callable[[int], None] = lambda revision: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """changed: told each new revision once it is in the database. clock: the time, in UTC."""
        self._database, self._changed, self._clock = database, changed, clock

    # Users

    async def create_user(self, **given: Unpack[UserFields]) -> User:
        """A new user or team. ``name`` is required. Raises Conflict for a name that is taken."""
        row = checked(USER_FIELDS, {**NEW_USER, **given})
        if "name" not in row:
            raise Invalid("name", None, "is missing", "give the user a name")
        _one_plan(row)
        now = self._clock()
        row |= {"id": new_id("usr"), "granted": 0, "spent": 0, "created_at": now, "updated_at": now}
        async with self._changing("name", row["name"], "give another name") as change:
            change.user = row["id"]
            await change.execute(do.users_add, row)
            return user_of((await change.execute(do.users_get, {"user": row["id"]})).one())

    async def user(self, id_or_name: str) -> User:
        """The user who has this id or name. Raises NotFound."""
        async with self._database.reading() as connection:
            return user_of(await _user(connection, id_or_name))

    async def users(
        self,
        *,
        kind: str | None = None,
        status: str | None = None,
        plan: str | None = None,
        after: str | None = None,
        limit: int = PAGE,
    ) -> Page[User]:
        """Users by age, oldest first. after: what the page before said is ``next``."""
        wanted = checked(USER_FIELDS, _given(kind=kind, status=status, plan=plan))
        return await self._page(do.users_list, users, wanted, after, limit, user_of)

    async def change_user(self, id_or_name: str, **given: Unpack[UserFields]) -> User:
        """Change what is given. Raises NotFound, Conflict for a name that is taken."""
        row = checked(USER_FIELDS, given)
        async with self._changing("name", row.get("name"), "give another name") as change:
            before = await _user(change, id_or_name)
            _one_plan({**before._mapping, **row})
            change.user, row["updated_at"] = before.id, self._clock()
            return user_of((await change.execute(do.users_change.values(**row), {"user": before.id})).one())

    # Keys

    async def create_key(self, user: str, **given: Unpack[KeyFields]) -> NewKey:
        """A new key of this user, by id or name. ``name`` is required.

        Raises NotFound for the user, Conflict for a name that another key of the user has.
        """
        row = checked(KEY_FIELDS, {**NEW_KEY, **given})
        if "name" not in row:
            raise Invalid("name", None, "is missing", "give the key a name")
        now, secret = self._clock(), new_secret()
        if row["expires_at"] is not None and row["expires_at"] <= now:
            raise Invalid("expires_at", row["expires_at"].isoformat(), "is in the past", "give a later time")
        async with self._changing("name", row["name"], "give another name, or rotate the key that has it") as change:
            change.user = (await _user(change, user)).id
            row |= {"id": new_id("key"), "user_id": change.user, "prefix": prefix_of(secret)}
            await change.execute(do.keys_add, row | {"created_at": now, "updated_at": now})
            await _add_secret(change, row["id"], secret, now)
            return NewKey(key_of((await change.execute(do.keys_get, {"key": row["id"]})).one(), now), secret)

    async def key(self, id: str) -> Key:
        """The key of this id. Raises NotFound."""
        async with self._database.reading() as connection:
            return key_of(await _key(connection, id), self._clock())

    async def keys(
        self, *, user: str | None = None, status: str | None = None, after: str | None = None, limit: int = PAGE
    ) -> Page[Key]:
        """Keys by age, oldest first. user: of this one, by id or name. status: active, inactive or expired."""
        now, statement = self._clock(), do.keys_list
        if status is not None:
            fields.key_status("status", status)
            expires, expired = api_keys.c.expires_at, status == "expired"
            statement = statement.where(api_keys.c.status == ("active" if expired else status))
            if status != "inactive":
                statement = statement.where(expires <= now if expired else expires.is_(None) | (expires > now))
        wanted = {} if user is None else {"user_id": (await self.user(user)).id}
        return await self._page(statement, api_keys, wanted, after, limit, lambda row: key_of(row, now))

    async def change_key(self, id: str, **given: Unpack[KeyFields]) -> Key:
        """Change what is given. Raises NotFound, Conflict for a name that another key of the user has."""
        row = checked(KEY_FIELDS, given)
        async with self._changing("name", row.get("name"), "give another name") as change:
            found = await _key(change, id)
            change.user, row["updated_at"] = found.user_id, self._clock()
            changed = (await change.execute(do.keys_change.values(**row), {"key": found.id})).one()
            return key_of(changed, row["updated_at"])

    async def rotate_key(self, id: str, *, grace_seconds: int = 0) -> NewKey:
        """Give a key a new secret. grace_seconds: how long the ones before it go on working. Raises NotFound."""
        fields.grace("grace_seconds", grace_seconds)
        now, secret = self._clock(), new_secret()
        until = now + timedelta(seconds=grace_seconds)
        async with self._changing() as change:
            found = await _key(change, id)
            change.user = found.user_id
            await change.execute(do.secrets_retire, {"key": found.id, "until": until})
            await _add_secret(change, found.id, secret, now)
            changed = do.keys_change.values(prefix=prefix_of(secret), updated_at=now)
            row = (await change.execute(changed, {"key": found.id})).one()
            return NewKey(key_of(row, now), secret, until)

    # Credits

    async def grant(self, user: str, amount: int, *, note: str = "", idempotency_key: str | None = None) -> Granted:
        """Add credits to a user, by id or name; or take some away again, with an amount below zero.

        amount: units of 10^-11 USD. idempotency_key: the same grant asked for again under it is made once. Raises
        Conflict when it stands for another grant, Invalid when more is taken than was ever granted.
        """
        if not fields.amount("amount", amount):
            raise Invalid("amount", amount, "is nothing", "grant more, or take away less, than 0")
        note = fields.note("note", note) if note else ""
        if idempotency_key is not None:
            idempotency_key = fields.idempotency_key("idempotency_key", idempotency_key)
        async with self._changing() as change:
            owner = await _user(change, user)
            change.user = owner.id
            if idempotency_key is not None:
                named = {"user": owner.id, "once": idempotency_key}
                before = (await change.execute(do.credits_find, named)).one_or_none()
                if before is not None:
                    if (before.amount, before.note) == (amount, note):
                        return Granted(credit_of(before), user_of(owner), repeated=True)
                    problem = f"stands for another grant, of {usd_of(before.amount)} USD"
                    raise Conflict("idempotency_key", idempotency_key, problem, "use a new one for a new grant")
            if not 0 <= owner.granted + amount <= 9 * MOST_UNITS:
                problem = f"would make the credits ever granted {usd_of(owner.granted + amount)} USD"
                mend = f"they were {usd_of(owner.granted)}, and stay between 0 and {usd_of(9 * MOST_UNITS)}"
                raise Invalid("amount", usd_of(amount), problem, mend)
            now = self._clock()
            credit = Credit(new_id("crd"), owner.id, amount, note, idempotency_key, now)
            row = {column.name: getattr(credit, column.name) for column in credits.c}
            await change.execute(do.credits_add, row)
            raised = await change.execute(do.users_grant, {"user": owner.id, "amount": amount, "now": now})
            return Granted(credit, user_of(raised.one()), repeated=False)

    async def credits(self, user: str, *, after: str | None = None, limit: int = PAGE) -> Page[Credit]:
        """The credits of a user, by id or name, oldest first."""
        owner = (await self.user(user)).id
        return await self._page(do.credits_list, credits, {}, after, limit, credit_of, {"user": owner})

    # What these share

    @asynccontextmanager
    async def _changing(self, field: str = "", value: object = "", mend: str = "") -> AsyncIterator[_Change]:
        """A change of the accounts; one at a time. field, value, mend: of the name that must be nobody else's."""
        revision = 0
        try:
            async with self._database.begin() as connection:
                # First, as all who change something wait for this row: what is read from here on stays as it is.
                revision = (await connection.execute(do.revision_raise)).scalar_one()
                change = _Change(connection)
                yield change
                await connection.execute(do.users_touch, {"user": change.user, "to": revision})
        except IntegrityError:
            if not field:
                raise
            raise Conflict(field, value, "is taken", mend) from None
        self._changed(revision)

    async def _page(
        self,
        statement: Select[Any],
        table: Table,
        wanted: dict[str, Any],
        after: str | None,
        limit: int,
        make: Callable[[Row[Any]], T],
        values: dict[str, Any] | None = None,
    ) -> Page[T]:
        limit = fields.limit("limit", limit)
        for name, value in wanted.items():
            statement = statement.where(table.c[name] == value)
        if after is not None:
            statement = statement.where(table.c.id > fields.cursor("after", after))
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement.limit(limit + 1), values or {})).all()
        return Page(tuple(map(make, rows[:limit])), rows[limit - 1].id if len(rows) > limit else None)


async def _user(reading: _Change | AsyncConnection, id_or_name: str) -> Row[Any]:
    for statement in (do.users_get, do.users_find) if _can_be_looked_up(id_or_name) else ():
        row = (await reading.execute(statement, {"user": id_or_name})).one_or_none()
        if row is not None:
            return row
    raise NotFound("user", id_or_name, "is nobody's id or name", "see `tallygate users list`")


async def _key(reading: _Change | AsyncConnection, id: str) -> Row[Any]:
    row = (await reading.execute(do.keys_get, {"key": id})).one_or_none() if _can_be_looked_up(id) else None
    if row is None:
        raise NotFound("key", id, "is no key's id", "see `tallygate keys list`")
    return row


async def _add_secret(change: _Change, key: str, secret: str, now: datetime) -> None:
    row = {"hash": hash_of(secret.encode()), "key_id": key, "valid_until": None, "created_at": now}
    await change.execute(do.secrets_add, row)


def _can_be_looked_up(text: object) -> bool:
    """A database takes no NUL and no half of a character."""
    return isinstance(text, str) and "\0" not in text and text.encode("utf-8", "replace").decode() == text


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _one_plan(row: dict[str, Any]) -> None:
    if row["trial_ends_at"] is not None and row["billing_cycle"] is not None:
        problem = "goes with a subscription, not with a trial"
        raise Invalid("billing_cycle", row["billing_cycle"], problem, "clear it, or trial_ends_at")
