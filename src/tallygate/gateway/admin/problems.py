"""Answers of the admin API to what is wrong: ``application/problem+json``, naming field, value and mend."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from tallygate.gateway.accounts.problems import AccountError, Conflict, NotFound
from tallygate.gateway.admin.schemas import Problem
from tallygate.gateway.database import DatabaseAway
from tallygate.gateway.settings.problems import shown, suggestion

MEDIA_TYPE = b"application/problem+json"

_PLACE = re.compile(r" - at `(?:key in )?\$\.?(.*)`\Z")
_NAMED = re.compile(r"Object (missing required|contains unknown) field `(.*)`\Z")

Check = Callable[[str, Any], object]
"""Makes a value of a field right, or raises Invalid with its mend: what is wrong, in better words than a schema's."""
Headers = Sequence[tuple[bytes, bytes]]


class Refused(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self, status: int, detail: str, *, field: str = "", value: str = "", mend: str = "", headers: Headers = ()
    ) -> None:
        super().__init__(detail)
        self.status, self.headers = status, headers
        self.problem = Problem(HTTPStatus(status).phrase, status, detail, field, value, mend)


def refused_by_accounts(error: AccountError) -> Refused:
    """What the accounts say no to."""
    status = 404 if isinstance(error, NotFound) else 409 if isinstance(error, Conflict) else 400
    return Refused(status, str(error), field=error.field, value=error.value, mend=error.mend)


def database_away(error: DatabaseAway) -> Refused:
    """The accounts cannot be reached now."""
    return Refused(
        503, "the database of the accounts cannot be reached", mend="try again", headers=[(b"retry-after", b"5")]
    )


def refused_by_schema(
    error: msgspec.ValidationError, given: Any, kind: type[msgspec.Struct], checks: Mapping[str, Check]
) -> Refused:
    """What does not fit its struct. given: what was decoded, without types. checks: who knows a field's mend."""
    text = str(error)
    place = _PLACE.search(text)
    text, path = (text[: place.start()], place[1]) if place else (text, "")
    named = _NAMED.match(text)
    if named is not None:
        field, known = named[2][:50], kind.__struct_fields__
        missing = named[1].startswith("missing")
        problem, mend = ("is missing", "add it") if missing else ("there is no such field", suggestion(field, known))
        return Refused(400, f"{field}: {problem}; {mend}", field=field, mend=mend)
    if not path:
        return Refused(400, "the body is no JSON object", mend="send one with the documented fields")
    field = path.partition("[")[0]
    value = given.get(field) if isinstance(given, dict) else None
    try:
        if field in checks:
            checks[field](field, value)
    except AccountError as told:
        return refused_by_accounts(told)
    problem = text[:1].lower() + text[1:]
    mend = "see the OpenAPI document"
    told_value = f"{shown(value)}: " if shown(value) else ""
    return Refused(400, f"{path}: {told_value}{problem}; {mend}", field=path, value=shown(value), mend=mend)
