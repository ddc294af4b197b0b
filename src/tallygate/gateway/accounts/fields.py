"""What may be said of users and keys: each field, and what its values can be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypedDict

from tallygate.gateway.accounts.money import MOST_UNITS
from tallygate.gateway.accounts.problems import Invalid
from tallygate.gateway.settings.problems import suggestion

BILLING_CYCLES: Final = ("weekly", "monthly", "quarterly", "yearly")
MOST_MODELS, LONGEST_MODEL = 1000, 256

_PLAN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")


class AllowanceFields(TypedDict, total=False):
    """What may be used; None: without limit of its own. Budgets are in units of 10^-11 USD."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None
    daily_budget: int | None
    monthly_budget: int | None


class UserFields(AllowanceFields, total=False):
    """What can be said of a user; see ``records.User``."""

    name: str
    kind: str
    status: str
    plan: str
    trial_ends_at: datetime | None
    billing_cycle: str | None
    prepaid: bool
    models: tuple[str, ...] | list[str] | None


class KeyFields(AllowanceFields, total=False):
    """What can be said of a key; see ``records.Key``."""

    name: str
    status: str
    expires_at: datetime | None
    models: tuple[str, ...] | list[str] | None
    caches: bool


def _text(most: int) -> Callable[[str, Any], str]:
    def check(field: str, value: Any) -> str:
        if not isinstance(value, str):
            raise Invalid(field, value, "is no text", "write it as text")
        text = value.strip()
        if not text:
            raise Invalid(field, value, "is empty", "give it a value")
        if len(text) > most:
            raise Invalid(field, value, f"is longer than {most} characters", "make it shorter")
        if not text.isprintable() or not text.encode("utf-8", "replace").decode() == text:
            raise Invalid(field, value, "has characters that cannot be shown", "use letters, digits and spaces")
        return text

    return check


def _optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda field, value: None if value is None else check(field, value)


def _word(*words: str) -> Callable[[str, Any], str]:
    def check(field: str, value: Any) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise Invalid(field, value, f"is none of {', '.join(words)}", suggestion(str(value), words))

    return check


def _plan(field: str, value: Any) -> str:
    if isinstance(value, str) and _PLAN.match(value):
        return value
    raise Invalid(field, value, "is no name for a plan", "use lower-case letters, digits, - and _, 64 at most")


def _truth(field: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise Invalid(field, value, "is no truth value", "use true or false")


def _number(least: int, most: int) -> Callable[[str, Any], int]:
    def check(field: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Invalid(field, value, "is no whole number", "write one, or leave it out")
        if not least <= value <= most:
            raise Invalid(field, value, f"is not between {least} and {most}", "use a number in these bounds")
        return value

    return check


def moment(field: str, value: Any) -> datetime:
    """A time, in UTC."""
    if not isinstance(value, datetime):
        raise Invalid(field, value, "is no time", "write it as in 2027-01-31T00:00:00Z")
    if value.tzinfo is None:
        raise Invalid(field, value.isoformat(), "has no time zone", "end it with Z for UTC, or with +01:00")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Invalid(field, value.isoformat(), "is out of all time", "use a year from 2 to 9998") from None


def _models(field: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise Invalid(field, value, "is no list of models", "write their names as a list")
    if not value:
        raise Invalid(field, "[]", "names no model", "leave it out to allow all")
    if len(value) > MOST_MODELS:
        raise Invalid(field, len(value), f"names more than {MOST_MODELS} models", "leave it out to allow all")
    check = _text(LONGEST_MODEL)
    return tuple(sorted({check(field, one) for one in value}))


_INT32, _INT64 = 2**31 - 1, 2**53
_ALLOWANCE: Mapping[str, Callable[[str, Any], Any]] = {
    "requests_per_minute": _optional(_number(1, _INT32)),
    "tokens_per_minute": _optional(_number(1, _INT64)),
    "concurrency": _optional(_number(1, _INT32)),
    "daily_budget": _optional(_number(0, MOST_UNITS)),
    "monthly_budget": _optional(_number(0, MOST_UNITS)),
}
USER_FIELDS: Mapping[str, Callable[[str, Any], Any]] = {
    "name": _text(200),
    "kind": _word("user", "team"),
    "status": _word("active", "inactive"),
    "plan": _plan,
    "trial_ends_at": _optional(moment),
    "billing_cycle": _optional(_word(*BILLING_CYCLES)),
    "prepaid": _truth,
    "models": _optional(_models),
    **_ALLOWANCE,
}
"""What makes a value of each field of a user right; raises Invalid."""
KEY_FIELDS: Mapping[str, Callable[[str, Any], Any]] = {
    "name": _text(200),
    "status": _word("active", "inactive"),
    "expires_at": _optional(moment),
    "models": _optional(_models),
    "caches": _truth,
    **_ALLOWANCE,
}
"""The same of a key."""

note = _text(500)
idempotency_key = _text(200)
amount = _number(-MOST_UNITS, MOST_UNITS)
grace = _number(0, 366 * 86400)
limit = _number(1, 1000)
key_status = _word("active", "inactive", "expired")
cursor = _text(32)


def checked(fields: Mapping[str, Callable[[str, Any], Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, as the tables keep it. Raises Invalid."""
    for name in given:
        if name not in fields:
            raise Invalid(name, None, "there is no such field", suggestion(name, list(fields)))
    kept = {name: fields[name](name, value) for name, value in given.items()}
    if kept.get("models") is not None:
        kept["models"] = json.dumps(kept["models"], ensure_ascii=False)
    return kept


def listed(models: str | None) -> tuple[str, ...] | None:
    """A column ``models`` as a tuple."""
    return None if models is None else tuple(json.loads(models))
