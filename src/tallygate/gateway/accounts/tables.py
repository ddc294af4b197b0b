"""The tables of users, their API keys and their credits."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from tallygate.gateway.database.base import Instant, Money, metadata


def allowance() -> list[Column[int]]:
    """What a key or a user may use; NULL: without limit of its own."""
    return [
        Column("requests_per_minute", Integer),
        Column("tokens_per_minute", BigInteger),
        Column("concurrency", Integer),
        Column("daily_budget", Money),
        Column("monthly_budget", Money),
    ]


users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("plan", String(64), nullable=False),
    Column("trial_ends_at", Instant),
    Column("billing_cycle", String(16)),
    Column("prepaid", Boolean, nullable=False),
    Column("granted", Money, nullable=False, server_default="0"),
    Column("spent", Money, nullable=False, server_default="0"),
    Column("models", Text),
    *allowance(),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default="0", index=True),
    CheckConstraint("kind IN ('user', 'team')", name="kind"),
    CheckConstraint("status IN ('active', 'inactive')", name="status"),
    CheckConstraint("billing_cycle IN ('weekly', 'monthly', 'quarterly', 'yearly')", name="billing_cycle"),
    CheckConstraint("granted >= 0", name="granted"),
)
"""Who pays: people, and teams that share keys. ``granted`` is the sum of the user's ``credits``; ``spent`` what their
calls cost. ``models`` is a JSON list; NULL: all. ``revision`` is that of the last change of the user, a key or a credit
of theirs."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", String(32), ForeignKey(users.c.id), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("expires_at", Instant),
    Column("models", Text),
    Column("caches", Boolean, nullable=False),
    *allowance(),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("user_id", "name"),
    CheckConstraint("status IN ('active', 'inactive')", name="status"),
)
"""``prefix`` is the beginning of the newest secret, by which people know a key."""

api_key_secrets = Table(
    "api_key_secrets",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("key_id", String(32), ForeignKey(api_keys.c.id), nullable=False, index=True),
    Column("valid_until", Instant),
    Column("created_at", Instant, nullable=False),
)
"""SHA-256 of what callers present. A rotated key has two for a while; ``valid_until`` is NULL for the newest."""

credits = Table(
    "credits",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", String(32), ForeignKey(users.c.id), nullable=False),
    Column("amount", Money, nullable=False),
    Column("note", String(500), nullable=False),
    Column("idempotency_key", String(200)),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("user_id", "idempotency_key"),
    Index("ix_credits_user_id_created_at", "user_id", "created_at", "id"),
    CheckConstraint("amount <> 0", name="amount"),
)
"""Grants, and corrections, which are negative. Rows are only ever added."""

revisions = Table(
    "revisions",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Numbers that grow with every change of something: by them caches notice that they are out of date."""
