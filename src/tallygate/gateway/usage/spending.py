"""What was spent of credits and budgets, for a store of limits that does not know."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, cast, func, select

from tallygate.gateway.accounts.tables import users
from tallygate.gateway.database import named
from tallygate.gateway.usage.entry import decode
from tallygate.gateway.usage.tables import usage_days, usage_sources

if TYPE_CHECKING:
    from tallygate.gateway.database import Database
    from tallygate.gateway.state.interface import Purse
    from tallygate.gateway.usage.entry import Entry
    from tallygate.gateway.usage.spool import Spool

TRIES = 5

_position = func.coalesce(
    select(usage_sources.c.position).where(usage_sources.c.name == bindparam("source")).scalar_subquery(), 0
)
"""In the same statement as the sum: what the one has counted is what the other has passed."""


def _of_days(owner: ColumnElement[str]) -> Select[Any]:
    spent = (
        select(cast(func.coalesce(func.sum(usage_days.c.cost + usage_days.c.estimated_cost), 0), BigInteger))
        .where(owner == bindparam("owner"), usage_days.c.day.between(bindparam("first"), bindparam("last")))
        .scalar_subquery()
    )
    return select(spent, _position)


SPENT_BY_USER = named(
    "usage.spent_by_user",
    select(
        func.coalesce(select(users.c.spent).where(users.c.id == bindparam("owner")).scalar_subquery(), 0), _position
    ),
)
SPENT_BY_USER_IN_DAYS = named("usage.spent_by_user_in_days", _of_days(usage_days.c.user_id))
SPENT_BY_KEY_IN_DAYS = named("usage.spent_by_key_in_days", _of_days(usage_days.c.key_id))


class Spending:
    """A SpentSource."""

    def __init__(self, database: Database, spool: Spool) -> None:
        """spool: this machine's queue."""
        self._database, self._spool = database, spool

    async def spent(self, purse: Purse) -> int:
        """As SpentSource.spent. Raises DatabaseAway; ValueError for a purse that there cannot be."""
        for _ in range(TRIES):
            written, position = await self._written(purse)
            waiting = self._spool.read_all(position)
            if waiting is not None:
                break
            # Calls were written and taken away after the database was asked: ask again.
        else:
            # The database has lost its place in the queue, and with it what is no longer there.
            waiting = self._spool.read_all(self._spool.last) or []
        return written + sum(entry.charged for entry in map(decode, waiting) if _is_of(entry, purse))

    async def _written(self, purse: Purse) -> tuple[int, int]:
        """What the database knows to be spent, and up to which call of this machine."""
        values: dict[str, object] = {"owner": purse.id, "source": self._spool.source}
        if purse.period:
            statement = SPENT_BY_USER_IN_DAYS if purse.owner == "user" else SPENT_BY_KEY_IN_DAYS
            first, last = days_of(purse.period)
            values |= {"first": first, "last": last}
        elif purse.owner == "user":
            statement = SPENT_BY_USER
        else:
            raise ValueError(f"{purse}: credits are a user's, not a key's")
        async with self._database.reading() as connection:
            row = (await connection.execute(statement, values)).one()
        return int(row[0]), int(row[1])


def days_of(period: str) -> tuple[date, date]:
    """The first and the last day of a day or month, as in 2026-11-21 and 2026-11. Raises ValueError."""
    if period.count("-") == 2:
        day = date.fromisoformat(period)
        return day, day
    first = date.fromisoformat(f"{period}-01")
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _is_of(entry: Entry, purse: Purse) -> bool:
    owner = entry.user_id if purse.owner == "user" else entry.key_id
    return owner == purse.id and (not purse.period or entry.day.startswith(purse.period))
