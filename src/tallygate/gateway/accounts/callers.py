"""Who calls, as the database knows it: rows to entries that a worker keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from math import inf
from time import monotonic
from typing import Any

from sqlalchemy import Row

from tallygate.gateway.accounts.fields import listed
from tallygate.gateway.accounts.rows import allowance_of
from tallygate.gateway.caller import Caller


class Use(StrEnum):
    """What came of showing a key."""

    SUCCESS = "success"
    UNKNOWN = "unknown"
    INACTIVE = "inactive"
    EXPIRED = "expired"
    USER_INACTIVE = "user_inactive"
    TRIAL_ENDED = "trial_ended"
    UNAVAILABLE = "unavailable"


class Entry:
    """What a worker knows of a key."""

    __slots__ = ("again_at", "asked", "caller", "ends_as", "ends_at")

    def __init__(self, caller: Caller, ends_at: float, ends_as: Use, again_at: float) -> None:
        self.caller = caller
        self.ends_at = ends_at
        """When it works no longer, by the monotonic clock."""
        self.ends_as = ends_as
        """And why."""
        self.again_at = again_at
        """When to look again, by the monotonic clock."""
        self.asked = False
        """Whether somebody is looking again already."""


def entry_of(row: Row[Any], seconds: float) -> Entry:
    """A row of ``callers_find``. seconds: after which to look again."""
    ticks, now = monotonic(), datetime.now(UTC)
    ends: list[tuple[float, Use]] = [(inf, Use.SUCCESS)]
    if row.status != "active":
        ends.append((-inf, Use.INACTIVE))
    if row.user_status != "active":
        ends.append((-inf, Use.USER_INACTIVE))
    for moment, word in (
        (row.valid_until, Use.EXPIRED),
        (row.expires_at, Use.EXPIRED),
        (row.user_trial_ends_at, Use.TRIAL_ENDED),
    ):
        if moment is not None:
            ends.append((ticks + (moment - now).total_seconds(), word))
    ends_at, ends_as = min(ends, key=lambda end: end[0])
    return Entry(_caller(row), ends_at, ends_as, ticks + seconds)


def _caller(row: Row[Any]) -> Caller:
    of_key, of_user = listed(row.models), listed(row.user_models)
    models = None if of_key is None and of_user is None else frozenset(of_key or of_user or ())
    if of_key is not None and of_user is not None:
        models = frozenset(of_key) & frozenset(of_user)
    return Caller(
        key_id=row.id,
        user_id=row.user_id,
        plan=row.user_plan,
        prepaid=row.user_prepaid,
        granted=row.user_granted,
        models=models,
        caches=row.caches,
        key=allowance_of(row),
        user=allowance_of(row, "user_"),
    )
