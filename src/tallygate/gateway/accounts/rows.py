"""From rows of the tables to what the accounts tell."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from tallygate.gateway.accounts.fields import listed
from tallygate.gateway.accounts.records import Credit, Key, User
from tallygate.gateway.caller import Allowance


def allowance_of(row: Row[Any], prefix: str = "") -> Allowance:
    """The columns of an allowance. prefix: of their names."""
    return Allowance(**{name: getattr(row, prefix + name) for name in Allowance.__slots__})


def user_of(row: Row[Any]) -> User:
    """A row of ``users``."""
    return User(
        id=row.id,
        name=row.name,
        kind=row.kind,
        status=row.status,
        plan=row.plan,
        trial_ends_at=row.trial_ends_at,
        billing_cycle=row.billing_cycle,
        prepaid=row.prepaid,
        granted=row.granted,
        spent=row.spent,
        models=listed(row.models),
        allowance=allowance_of(row),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def key_of(row: Row[Any], now: datetime) -> Key:
    """A row of ``api_keys``. now: decides whether it has expired."""
    expired = row.expires_at is not None and row.expires_at <= now
    return Key(
        id=row.id,
        user_id=row.user_id,
        name=row.name,
        prefix=row.prefix,
        status="expired" if expired and row.status == "active" else row.status,
        expires_at=row.expires_at,
        models=listed(row.models),
        caches=row.caches,
        allowance=allowance_of(row),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def credit_of(row: Row[Any]) -> Credit:
    """A row of ``credits``."""
    return Credit(
        id=row.id,
        user_id=row.user_id,
        amount=row.amount,
        note=row.note,
        idempotency_key=row.idempotency_key,
        created_at=row.created_at,
    )
