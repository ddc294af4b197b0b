"""Records of the accounts as the structs that tell them."""

from __future__ import annotations

from typing import Any

from tallygate.gateway import caller
from tallygate.gateway.accounts import records
from tallygate.gateway.accounts.money import usd_of
from tallygate.gateway.admin.schemas import Allowance, Credit, Granted, Key, NewKey, User


def told_user(user: records.User) -> User:
    """A user, with money in USD."""
    return User(
        id=user.id,
        name=user.name,
        kind=_word(user.kind),
        status=_word(user.status),
        plan=user.plan,
        trial_ends_at=user.trial_ends_at,
        billing_cycle=_word(user.billing_cycle),
        prepaid=user.prepaid,
        granted=usd_of(user.granted),
        spent=usd_of(user.spent),
        balance=usd_of(user.balance),
        models=_listed(user.models),
        limits=_told_allowance(user.allowance),
        created_at=user.created_at,
        updated_at=user.updated_at,
    )


def told_key(key: records.Key) -> Key:
    """A key, which never has its secret."""
    return Key(
        id=key.id,
        user_id=key.user_id,
        name=key.name,
        prefix=key.prefix,
        status=_word(key.status),
        expires_at=key.expires_at,
        models=_listed(key.models),
        caches=key.caches,
        limits=_told_allowance(key.allowance),
        created_at=key.created_at,
        updated_at=key.updated_at,
    )


def told_new_key(new: records.NewKey) -> NewKey:
    """A key and its secret."""
    return NewKey(told_key(new.key), new.secret, new.previous_until)


def told_credit(credit: records.Credit) -> Credit:
    """A credit, in USD."""
    return Credit(credit.id, credit.user_id, usd_of(credit.amount), credit.note, credit.created_at)


def told_grant(granted: records.Granted) -> Granted:
    """A credit and its user."""
    return Granted(told_credit(granted.credit), told_user(granted.user))


def _told_allowance(allowance: caller.Allowance) -> Allowance:
    return Allowance(
        allowance.requests_per_minute,
        allowance.tokens_per_minute,
        allowance.concurrency,
        _usd(allowance.daily_budget),
        _usd(allowance.monthly_budget),
    )


def _usd(units: int | None) -> str | None:
    return None if units is None else usd_of(units)


def _listed(models: tuple[str, ...] | None) -> list[str] | None:
    return None if models is None else list(models)


def _word(word: str | None) -> Any:
    """A word that the database holds to those of its Literal."""
    return word
