"""Users, keys and credits printed: for people a line per field or per record, for programs the admin API's JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from tallygate.gateway.accounts.records import Credit, Key, NewKey, User
from tallygate.gateway.admin.telling import told_credit, told_key, told_new_key, told_user

USER_COLUMNS = ("id", "name", "kind", "status", "plan", "balance")
KEY_COLUMNS = ("id", "user_id", "name", "prefix", "status", "expires_at")
CREDIT_COLUMNS = ("created_at", "amount", "note")


def say(message: str) -> None:
    """Tell people, beside what a program reads."""
    print(message, file=sys.stderr)


def user(one: User, as_json: bool) -> None:
    """All of a user."""
    _one(told_user(one), as_json)


def users(some: Sequence[User], as_json: bool) -> None:
    """A list of users."""
    _several(USER_COLUMNS, [told_user(one) for one in some], as_json)


def key(one: Key, as_json: bool) -> None:
    """All of a key."""
    _one(told_key(one), as_json)


def keys(some: Sequence[Key], as_json: bool) -> None:
    """A list of keys."""
    _several(KEY_COLUMNS, [told_key(one) for one in some], as_json)


def new_key(made: NewKey, as_json: bool) -> None:
    """A secret: for programs alone on standard output, what people want to know beside it."""
    if as_json:
        _one(told_new_key(made), as_json)
        return
    print(made.secret)
    say(f"{made.key.id} {made.key.name!r}: this is the key, shown only now")
    if made.previous_until is not None:
        say(f"the old one works until {made.previous_until.isoformat(timespec='seconds')}")


def credits(some: Sequence[Credit], as_json: bool) -> None:
    """A list of credits."""
    _several(CREDIT_COLUMNS, [told_credit(one) for one in some], as_json)


def _plain(told: Any) -> Any:
    return json.loads(msgspec.json.encode(told))


def _one(told: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_plain(told), indent=2, ensure_ascii=False))
        return
    fields = _flat(_plain(told))
    width = max(map(len, fields))
    for name, value in fields.items():
        print(f"{name:<{width}}  {value}")


def _several(columns: Sequence[str], told: Sequence[Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(_plain(told), indent=2, ensure_ascii=False))
        return
    rows = [list(columns)]
    for one in told:
        fields = _flat(_plain(one))
        rows.append([fields[column] for column in columns])
    widths = [max(len(row[place]) for row in rows) for place in range(len(columns))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _flat(document: dict[str, Any]) -> dict[str, str]:
    """Fields as text, those of tables inside among the others."""
    fields: dict[str, str] = {}
    for name, value in document.items():
        match value:
            case dict():
                fields |= _flat(value)
            case list():
                fields[name] = ",".join(map(str, value))
            case None:
                fields[name] = "-"
            case bool():
                fields[name] = "yes" if value else "no"
            case _:
                fields[name] = str(value)
    return fields
