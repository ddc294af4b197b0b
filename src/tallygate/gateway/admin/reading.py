"""Requests of the admin API as structs, or as what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from tallygate.gateway.accounts import fields
from tallygate.gateway.accounts.money import units_of
from tallygate.gateway.accounts.problems import Invalid
from tallygate.gateway.admin.problems import Check, Refused, refused_by_schema
from tallygate.gateway.settings.problems import suggestion
from tallygate.gateway.usage.reports import GROUPS

T = TypeVar("T", bound=msgspec.Struct)

NUMBERS = ("limit", "before")
"""Parameters of queries that are whole numbers."""
NUMBER = re.compile(r"[0-9]{1,19}")
MONEY = ("daily_budget", "monthly_budget")
"""Fields of inputs that are USD there and units of 10^-11 USD in the accounts."""


def _amount(field: str, value: Any) -> int:
    if isinstance(value, str):
        return units_of(value, field)
    raise Invalid(field, value, "is no text", 'write USD in quotes, as in "12.50"')


def _group(field: str, value: Any) -> None:
    if value not in GROUPS:
        raise Invalid(field, value, f"is none of {', '.join(GROUPS)}", suggestion(str(value), GROUPS))


CHECKS: Mapping[str, Check] = {
    **fields.USER_FIELDS,
    **fields.KEY_FIELDS,
    **dict.fromkeys((*MONEY, "amount"), _amount),
    "note": fields.note,
    "grace_seconds": fields.grace,
    "limit": fields.limit,
    "after": fields.cursor,
    "by": _group,
}


def body_as(kind: type[T], body: bytes) -> T:
    """A body as this struct. Raises Refused(400)."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"the body is no JSON: {error}", mend="send a JSON object") from None
    except RecursionError:
        raise Refused(400, "the body is nested too deeply", mend="send the documented fields") from None
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise refused_by_schema(error, given, kind, CHECKS) from None


def query_as(kind: type[T], query: bytes) -> T:
    """A query as this struct; each parameter once. Raises Refused(400)."""
    given: dict[str, str | int] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name in given:
            raise Refused(400, f"{name[:50]}: is there twice; leave one", field=name[:50], mend="leave one")
        # In a query everything is text.
        given[name] = int(value) if name in NUMBERS and NUMBER.fullmatch(value) else value
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise refused_by_schema(error, given, kind, CHECKS) from None


def fields_of(given: msgspec.Struct) -> dict[str, Any]:
    """What was given, as the accounts take it: money in units. Raises Invalid for an amount that cannot be."""
    found = {name: value for name in given.__struct_fields__ if (value := getattr(given, name)) is not msgspec.UNSET}
    for name in MONEY:
        if isinstance(found.get(name), str):
            found[name] = units_of(found[name], name)
    return found
