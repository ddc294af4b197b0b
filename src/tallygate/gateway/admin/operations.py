"""What can be done with users, keys and credits: Operations, of which both routes and the OpenAPI document are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from tallygate.gateway.accounts.money import units_of
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.admin import schemas
from tallygate.gateway.admin.reading import fields_of
from tallygate.gateway.admin.telling import told_credit, told_grant, told_key, told_new_key, told_user
from tallygate.gateway.cache.interface import ResponseCache
from tallygate.gateway.usage.reports import Reports


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, read."""

    accounts: AccountService
    reports: Reports
    path: dict[str, str]
    query: Any
    """As the operation's ``query``; None where it has none."""
    body: Any
    """As the operation's ``body``; None where it has none."""
    idempotency_key: str | None
    cache: ResponseCache | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    name: str
    """Of the operation in the OpenAPI document."""
    summary: str
    act: Callable[[Asked], Awaitable[msgspec.Struct]]
    answer: type[msgspec.Struct]
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    body_required: bool = True
    status: int = 200
    idempotent: bool = False
    """Whether it takes an Idempotency-Key."""
    conflicts: bool = False
    """Whether it may contradict what is there (409)."""


async def list_users(asked: Asked) -> schemas.Users:
    page = await asked.accounts.users(**fields_of(asked.query))
    return schemas.Users([told_user(user) for user in page.items], page.next)


async def create_user(asked: Asked) -> schemas.User:
    return told_user(await asked.accounts.create_user(**fields_of(asked.body)))


async def get_user(asked: Asked) -> schemas.User:
    return told_user(await asked.accounts.user(asked.path["user"]))


async def change_user(asked: Asked) -> schemas.User:
    return told_user(await asked.accounts.change_user(asked.path["user"], **fields_of(asked.body)))


async def list_credits(asked: Asked) -> schemas.Credits:
    page = await asked.accounts.credits(asked.path["user"], **fields_of(asked.query))
    return schemas.Credits([told_credit(credit) for credit in page.items], page.next)


async def grant_credits(asked: Asked) -> schemas.Granted:
    amount = units_of(asked.body.amount, "amount")
    user, once = asked.path["user"], asked.idempotency_key
    return told_grant(await asked.accounts.grant(user, amount, note=asked.body.note, idempotency_key=once))


async def list_keys(asked: Asked) -> schemas.Keys:
    page = await asked.accounts.keys(**fields_of(asked.query))
    return schemas.Keys([told_key(key) for key in page.items], page.next)


async def create_key(asked: Asked) -> schemas.NewKey:
    given = fields_of(asked.body)
    return told_new_key(await asked.accounts.create_key(given.pop("user"), **given))


async def get_key(asked: Asked) -> schemas.Key:
    return told_key(await asked.accounts.key(asked.path["key"]))


async def change_key(asked: Asked) -> schemas.Key:
    return told_key(await asked.accounts.change_key(asked.path["key"], **fields_of(asked.body)))


async def rotate_key(asked: Asked) -> schemas.NewKey:
    grace = asked.body.grace_seconds if asked.body is not None else 0
    return told_new_key(await asked.accounts.rotate_key(asked.path["key"], grace_seconds=grace))


USERS, USER = "/admin/users", "/admin/users/{user}"
KEYS, KEY = "/admin/keys", "/admin/keys/{key}"
OPERATIONS = (
    Operation("GET", USERS, "listUsers", "Users, oldest first", list_users, schemas.Users, schemas.UsersQuery),
    Operation(
        "POST", USERS, "createUser", "Make a user or a team", create_user, schemas.User,
        body=schemas.UserDraft, status=201, conflicts=True,
    ),
    Operation("GET", USER, "getUser", "One user, by id or name", get_user, schemas.User),
    Operation(
        "PATCH", USER, "changeUser", "Change a user", change_user, schemas.User,
        body=schemas.UserChange, conflicts=True,
    ),
    Operation(
        "GET", f"{USER}/credits", "listCredits", "Credits of a user, oldest first", list_credits, schemas.Credits,
        schemas.PageQuery,
    ),
    Operation(
        "POST", f"{USER}/credits", "grantCredits", "Grant credits, or take some away", grant_credits, schemas.Granted,
        body=schemas.Grant, idempotent=True, conflicts=True,
    ),
    Operation("GET", KEYS, "listKeys", "Keys, oldest first", list_keys, schemas.Keys, schemas.KeysQuery),
    Operation(
        "POST", KEYS, "createKey", "Make a key; its secret is told this once", create_key, schemas.NewKey,
        body=schemas.KeyDraft, status=201, conflicts=True,
    ),
    Operation("GET", KEY, "getKey", "One key", get_key, schemas.Key),
    Operation(
        "PATCH", KEY, "changeKey", "Change a key; status inactive turns it off", change_key, schemas.Key,
        body=schemas.KeyChange, conflicts=True,
    ),
    Operation(
        "POST", f"{KEY}/rotate", "rotateKey", "Give a key a new secret, which is told this once", rotate_key,
        schemas.NewKey, body=schemas.Rotation, body_required=False,
    ),
)  # fmt: skip
