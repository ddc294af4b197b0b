"""The tables of the usage ledger: every call for a while, sums per day for ever."""

from sqlalchemy import BigInteger, Column, Date, Integer, SmallInteger, String, Table, Text

from tallygate.gateway.database.base import Instant, Money, metadata


def tokens() -> list[Column[int]]:
    """Tokens and cost, of one call or of many: what providers reported, then what was estimated beyond it."""
    return [
        Column("input_tokens", BigInteger, nullable=False),
        Column("output_tokens", BigInteger, nullable=False),
        Column("cache_read_tokens", BigInteger, nullable=False),
        Column("cache_write_tokens", BigInteger, nullable=False),
        Column("reasoning_tokens", BigInteger, nullable=False),
        Column("cost", Money, nullable=False),
        Column("estimated_input_tokens", BigInteger, nullable=False),
        Column("estimated_output_tokens", BigInteger, nullable=False),
        Column("estimated_cost", Money, nullable=False),
    ]


usage_sources = Table(
    "usage_sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(32), nullable=False, unique=True),
    Column("machine", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("written_at", Instant, nullable=False),
)
"""Each machine's queue of calls. ``position`` is the number of the last one that was written: it moves in the same
transaction, so each is written once. ``waiting``: how many were behind it then."""

usage_calls = Table(
    "usage_calls",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("source_id", Integer, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("key_id", String(32), nullable=False),
    Column("user_id", String(32), nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("operation", String(32), nullable=False),
    Column("stream", SmallInteger, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("error_type", String(64), nullable=False),
    Column("reported", SmallInteger, nullable=False),
    Column("priced", SmallInteger, nullable=False),
    *tokens(),
    sqlite_with_rowid=False,
)
"""Every call that was sent to a provider. ``number`` follows the clock, in nanoseconds; ``time``, Unix time in
milliseconds, is when the call ended. The columns from ``time`` on are those of ``entry.Entry``, in its order."""

usage_days = Table(
    "usage_days",
    metadata,
    Column("day", Date, primary_key=True),
    Column("key_id", String(32), primary_key=True),
    Column("user_id", String(32), primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("cancelled", BigInteger, nullable=False),
    Column("unreported", BigInteger, nullable=False),
    Column("unpriced", BigInteger, nullable=False),
    *tokens(),
    sqlite_with_rowid=False,
)
"""Sums of calls per day, in UTC. ``unreported``: completed calls whose provider told no usage; ``unpriced``: calls with
usage whose model has no known price."""
