"""What was used: sums by key, user, provider, model or day, and single calls.

Days are UTC. What still waits on this machine or another to be written is not in the sums; a report says how many calls
that are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from sqlalchemy import BigInteger, ColumnElement, Select, String, cast, func, literal, select

from tallygate.facts import USD
from tallygate.gateway.accounts.tables import api_keys, users
from tallygate.gateway.database import named
from tallygate.gateway.usage.tables import usage_calls, usage_days, usage_sources

if TYPE_CHECKING:
    from tallygate.gateway.database import Database
    from tallygate.gateway.usage.spool import Spool

By = Literal["key", "user", "provider", "model", "day"]
GROUPS: Final[tuple[By, ...]] = get_args(By)
MOST_CALLS: Final = 1000
"""Single calls that are told at once."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over calls that were sent to a provider."""

    calls: int
    failed: int
    cancelled: int
    """Left by their callers."""
    unreported: int
    """Completed, and the provider told no usage."""
    unpriced: int
    """With usage, and the model has no known price: not in ``cost``."""
    input_tokens: int
    """As providers reported it; those read from and written to a cache included."""
    output_tokens: int
    """Reasoning included."""
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: Decimal
    """USD, of what providers reported: the same as on the metrics page."""
    estimated_input_tokens: int
    """Beyond what was reported: of calls that broke off, or whose provider told no usage."""
    estimated_output_tokens: int
    estimated_cost: Decimal
    """USD, of the estimated tokens."""

    @property
    def charged(self) -> Decimal:
        """USD that are taken from credits and budgets."""
        return self.cost + self.estimated_cost


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report."""

    group: str
    """Id of the key or user ('' for the master key), provider, model, or day as in 2026-11-21."""
    name: str
    """Of the key or user, as people know it; '' where there is none."""
    totals: Totals


@dataclass(frozen=True, slots=True)
class Report:
    """Lines, the most expensive first (days: the oldest), and their sum."""

    by: By
    lines: tuple[Line, ...]
    total: Totals
    waiting: int
    """Calls that wait to be written: on this machine now, on others when they last wrote."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was sent to a provider."""

    number: int
    """Grows with time; those of several machines may be the same."""
    ended_at: datetime
    key_id: str
    user_id: str
    provider: str
    model: str
    operation: str
    stream: bool
    outcome: str
    """completed, failed or cancelled."""
    error_type: str
    reported: bool
    """Whether the provider told what was used."""
    priced: bool
    """Whether the model has a known price."""
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: Decimal
    estimated_input_tokens: int
    estimated_output_tokens: int
    estimated_cost: Decimal


_COUNTS = [name for name in Totals.__dataclass_fields__ if name != "charged"]


def _sums() -> list[ColumnElement[Any]]:
    # On PostgreSQL sums have another type: what is summed are sums already, which fit.
    return [cast(func.coalesce(func.sum(usage_days.c[name]), 0), BigInteger).label(name) for name in _COUNTS]


def _by(by: By) -> Select[Any]:
    """Group, name and sums."""
    nobody = literal("", String).label("name")
    match by:
        case "key":
            grouped = usage_days.c.key_id
            named_by = func.coalesce(func.max(api_keys.c.name), "").label("name")
            rows = select(grouped, named_by, *_sums()).outerjoin_from(usage_days, api_keys, api_keys.c.id == grouped)
        case "user":
            grouped = usage_days.c.user_id
            named_by = func.coalesce(func.max(users.c.name), "").label("name")
            rows = select(grouped, named_by, *_sums()).outerjoin_from(usage_days, users, users.c.id == grouped)
        case _:
            grouped = usage_days.c[by]
            rows = select(grouped, nobody, *_sums())
    return rows.group_by(grouped)


REPORTS: Final = {by: named(f"usage.report_by_{by}", _by(by)) for by in GROUPS}
WAITING: Final = named(
    "usage.waiting",
    select(usage_sources.c.name, usage_sources.c.waiting).where(usage_sources.c.waiting > 0),
)
CALLS: Final = named("usage.list_calls", select(usage_calls))


class Reports:
    """Reads the ledger in a database that has been started."""

    def __init__(self, database: Database, spool: Spool | None = None) -> None:
        """spool: this machine's queue, where there is one."""
        self._database, self._spool = database, spool

    async def report(
        self,
        by: By,
        since: date | None = None,
        until: date | None = None,
        *,
        key_id: str | None = None,
        user_id: str | None = None,
    ) -> Report:
        """What was used from the day ``since`` to the day ``until``, both included, by one key or user, or by all.

        Raises DatabaseAway.
        """
        statement = REPORTS[by]
        conditions = [
            (usage_days.c.day >= since) if since is not None else None,
            (usage_days.c.day <= until) if until is not None else None,
            (usage_days.c.key_id == key_id) if key_id is not None else None,
            (usage_days.c.user_id == user_id) if user_id is not None else None,
        ]
        for condition in conditions:
            if condition is not None:
                statement = statement.where(condition)
        async with self._database.reading() as connection:
            # First who waits: what is written meanwhile is told of twice, not left out of both.
            waiting = self._waiting(await connection.execute(WAITING))
            rows = (await connection.execute(statement)).all()
        sums = [row[2:] for row in rows]
        total = _totals([sum(column) for column in zip(*sums, strict=True)] or [0] * len(_COUNTS))
        lines = [Line(str(row[0]), row[1], _totals(row[2:])) for row in rows]
        if by == "day":
            lines.sort(key=lambda line: line.group)
        else:
            lines.sort(key=lambda line: (-line.totals.charged, -line.totals.calls, line.group))
        return Report(by, tuple(lines), total, waiting)

    async def calls(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        key_id: str | None = None,
        user_id: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Call, ...]:
        """Single calls that are in the database, the newest first. since, until: when they ended, about.

        before: the number of the last call of the page before this one. Raises DatabaseAway.
        """
        statement = CALLS
        for condition in (
            None if since is None else usage_calls.c.number >= _number(since),
            None if until is None else usage_calls.c.number < _number(until),
            None if before is None else usage_calls.c.number < before,
            None if key_id is None else usage_calls.c.key_id == key_id,
            None if user_id is None else usage_calls.c.user_id == user_id,
        ):
            if condition is not None:
                statement = statement.where(condition)
        newest = statement.order_by(usage_calls.c.number.desc(), usage_calls.c.source_id).limit(min(limit, MOST_CALLS))
        async with self._database.reading() as connection:
            return tuple([_call(row) for row in (await connection.execute(newest)).mappings()])

    def _waiting(self, sources: Iterable[Sequence[Any]]) -> int:
        """How many calls wait: what machines said when they last wrote, and what this one has now."""
        mine = None if self._spool is None else self._spool.source
        others = sum(int(source[1]) for source in sources if source[0] != mine)
        return others + (0 if self._spool is None else self._spool.waiting)


def usd(units: int) -> Decimal:
    """Units of 10^-11 USD as USD, exactly."""
    return Decimal(units).scaleb(USD)


def _totals(values: Sequence[Any]) -> Totals:
    numbers = dict(zip(_COUNTS, map(int, values), strict=True))
    return Totals(**{**numbers, "cost": usd(numbers["cost"]), "estimated_cost": usd(numbers["estimated_cost"])})  # type: ignore[arg-type]  # two of them are Decimals


def _call(row: Mapping[Any, Any]) -> Call:
    values = dict(row)
    del values["source_id"]
    values["ended_at"] = datetime.fromtimestamp(values.pop("time") / 1000, UTC)
    for name in ("stream", "reported", "priced"):
        values[name] = bool(values[name])
    for name in ("cost", "estimated_cost"):
        values[name] = usd(values[name])
    return Call(**values)


def _number(moment: datetime) -> int:
    """The number that a call has that ends at this moment, as far as the column can hold it."""
    return max(0, min(int(moment.timestamp() * 1_000_000) * 1000, 2**63 - 1))
