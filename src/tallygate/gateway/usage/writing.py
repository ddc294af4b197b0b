"""A batch of calls, written to the database in one transaction: once, or not at all.

The queue's position moves with it, from where the writer believes it to be: whoever is killed when, whatever became of
a commit whose answer was lost, no call is written twice. The database does the sums, and PostgreSQL even reads the
entries as they are, so that the worker's own event loop has little to do.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, String, bindparam, delete, insert, select, tuple_, update

from tallygate.gateway.database import named
from tallygate.gateway.usage.entry import decode_row
from tallygate.gateway.usage.spool import Spooled
from tallygate.gateway.usage.tables import tokens, usage_calls, usage_sources

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tallygate.gateway.database import Database

ROWS = (200, 50, 10, 1)
"""Calls in one INSERT on SQLite. Few numbers: each makes a statement of its own, which is read to know what it does."""
DELETED_AT_ONCE = 2000

COLUMNS = [column.name for column in usage_calls.columns]
_SUMS = [column.name for column in tokens()]
_COUNTS = {
    "calls": "1",
    "failed": "CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END",
    "cancelled": "CASE WHEN outcome = 'cancelled' THEN 1 ELSE 0 END",
    "unreported": "CASE WHEN outcome = 'completed' AND reported = 0 THEN 1 ELSE 0 END",
    "unpriced": "CASE WHEN reported = 1 AND priced = 0 THEN 1 ELSE 0 END",
}
_KEY = ("day", "key_id", "user_id", "provider", "model")

FIND_SOURCE = named(
    "usage.find_source",
    select(usage_sources.c.id, usage_sources.c.position).where(usage_sources.c.name == bindparam("source")),
)
ADD_SOURCE = named("usage.add_source", insert(usage_sources))
MOVE = named(
    "usage.move_position",
    update(usage_sources)
    .where(usage_sources.c.id == bindparam("source"), usage_sources.c.position == bindparam("since"))
    .values(
        position=bindparam("upto", type_=BigInteger),
        waiting=bindparam("left", type_=BigInteger),
        machine=bindparam("host", type_=String),
        written_at=bindparam("now"),
    ),
)
_old = (
    select(usage_calls.c.number, usage_calls.c.source_id)
    .where(usage_calls.c.number < bindparam("before"))
    .order_by(usage_calls.c.number, usage_calls.c.source_id)
    .limit(DELETED_AT_ONCE)
)
DELETE_OLD = named(
    "usage.delete_old_calls",
    delete(usage_calls).where(tuple_(usage_calls.c.number, usage_calls.c.source_id).in_(_old)),
)


class PositionMoved(Exception):
    """Somebody else has moved the queue's position."""


class Writer:
    """Writes the calls of one queue."""

    def __init__(self, database: Database, source: str) -> None:
        """source: the queue's name."""
        self._database, self._source = database, source
        self._id: int | None = None
        self._position = 0
        self._machine = socket.gethostname()

    async def find_position(self, known: int) -> int:
        """Up to which number the database has the queue's calls. known: what the queue itself knows to be written.

        Raises DatabaseAway.
        """
        async with self._database.begin() as connection:
            found = (await connection.execute(FIND_SOURCE, {"source": self._source})).first()
            if found is None:
                now = datetime.now(UTC)
                values = {
                    "name": self._source,
                    "machine": self._machine,
                    "position": known,
                    "waiting": 0,
                    "written_at": now,
                }
                added = await connection.execute(ADD_SOURCE, values)
                assert added.inserted_primary_key is not None
                self._id, self._position = added.inserted_primary_key[0], known
            else:
                self._id, self._position = found
        return self._position

    async def write(self, calls: Spooled, left: int) -> None:
        """Write these calls, the oldest that are not in the database. left: how many are behind them.

        Raises DatabaseAway: nothing is known then of what was written, until ``find_position`` tells. PositionMoved.
        """
        upto = calls[-1][0]
        async with self._database.begin() as connection:
            values = {
                "source": self._id,
                "since": self._position,
                "upto": upto,
                "left": left,
                "host": self._machine,
                "now": datetime.now(UTC),
            }
            moved = await connection.execute(MOVE, values)
            if moved.rowcount != 1:
                raise PositionMoved
            if self._database.kind == "sqlite":
                await _insert_sqlite(connection, self._id, calls)
            else:
                await _insert_postgresql(connection, self._id, calls)
            first = calls[0][0]
            await _execute(connection, "usage.add_up_days", _days(self._database.kind), (self._id, first, upto))
            await _execute(connection, "usage.add_up_users", _users(self._database.kind), (self._id, first, upto))
        self._position = upto

    async def delete_calls_before(self, moment: datetime) -> int:
        """Delete calls older than this, a bounded number at once; returns how many. Raises DatabaseAway."""
        async with self._database.begin() as connection:
            number = int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000
            return int((await connection.execute(DELETE_OLD, {"before": number})).rowcount)


async def _execute(connection: AsyncConnection, name: str, statement: str, values: tuple[Any, ...]) -> None:
    """A statement in the driver's own words: what it has many of would be slow otherwise."""
    await connection.exec_driver_sql(statement, values, execution_options={"query_id": name})


async def _insert_sqlite(connection: AsyncConnection, source: int | None, calls: Spooled) -> None:
    """Few statements with many rows each: the driver's thread holds the interpreter for none of them."""
    at = 0
    while at < len(calls):
        rows = next(number for number in ROWS if number <= len(calls) - at)
        some = calls[at : at + rows]
        at += rows
        values: list[Any] = []
        for number, entry in some:
            values += (number, source)
            values += decode_row(entry)
        await _execute(connection, "usage.insert_calls", _sqlite_insert(rows), tuple(values))


async def _insert_postgresql(connection: AsyncConnection, source: int | None, calls: Spooled) -> None:
    """All entries as one JSON document."""
    document = b"[" + b",".join([b"[%d,%s" % (number, entry[1:]) for number, entry in calls]) + b"]"
    await _execute(connection, "usage.insert_calls", _POSTGRESQL_INSERT, (source, document.decode()))


@cache
def _sqlite_insert(rows: int) -> str:
    row = f"({', '.join('?' * len(COLUMNS))})"
    return f"INSERT INTO usage_calls ({', '.join(COLUMNS)}) VALUES {', '.join([row] * rows)}"


def _postgresql_insert() -> str:
    types = [
        column.type.compile().partition("(")[0].replace("VARCHAR", "text").lower() for column in usage_calls.columns
    ]
    # The second column is the source; the others are the document's.
    picked = [f"(item ->> {index})::{type_}" for index, type_ in enumerate([types[0], *types[2:]])]
    return (
        f"INSERT INTO usage_calls ({', '.join(COLUMNS)}) SELECT {picked[0]}, $1::integer, {', '.join(picked[1:])} "
        "FROM jsonb_array_elements($2::text::jsonb) AS items (item)"
    )


_POSTGRESQL_INSERT = _postgresql_insert()


def _marks(kind: str) -> Sequence[str]:
    """Source, first and last number of the batch, as the driver has them."""
    return ("?", "?", "?") if kind == "sqlite" else ("$1::integer", "$2::bigint", "$3::bigint")


def _days(kind: str) -> str:
    day = "date(time / 1000, 'unixepoch')"
    if kind != "sqlite":
        day = "(to_timestamp(time / 1000) AT TIME ZONE 'UTC')::date"
    source, first, last = _marks(kind)
    sums = {**{name: f"sum({count})" for name, count in _COUNTS.items()}, **{name: f"sum({name})" for name in _SUMS}}
    # In one order, so that machines that write at once do not wait for each other in a circle.
    return (
        f"INSERT INTO usage_days ({', '.join((*_KEY, *sums))}) "
        f"SELECT {day}, {', '.join(_KEY[1:])}, {', '.join(sums.values())} FROM usage_calls "
        f"WHERE source_id = {source} AND number BETWEEN {first} AND {last} "
        "GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5 "
        f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
        + ", ".join(f"{name} = usage_days.{name} + excluded.{name}" for name in sums)
    )


def _users(kind: str) -> str:
    source, first, last = _marks(kind)
    spending = (
        "SELECT user_id, sum(cost + estimated_cost) AS amount FROM usage_calls "
        f"WHERE source_id = {source} AND number BETWEEN {first} AND {last} AND user_id <> '' GROUP BY user_id"
    )
    if kind == "sqlite":
        return (
            f"UPDATE users SET spent = spent + spending.amount FROM ({spending}) AS spending "
            "WHERE users.id = spending.user_id"
        )
    # Locked in one order first, for the same reason.
    return (
        f"WITH spending AS ({spending}), locked AS (SELECT users.id, amount FROM users JOIN spending ON users.id = "
        "spending.user_id ORDER BY users.id FOR NO KEY UPDATE OF users) "
        "UPDATE users SET spent = spent + locked.amount FROM locked WHERE users.id = locked.id"
    )
