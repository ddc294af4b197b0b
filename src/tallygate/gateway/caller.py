"""Who calls: what is known of a key that the gateway gave out, looked up once per request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key or a user may use; None: without limit of its own."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    daily_budget: int | None = None
    """Units of 10^-11 USD per day, in UTC."""
    monthly_budget: int | None = None
    """Units of 10^-11 USD per calendar month, in UTC."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A key, and the user (or team) whose it is. Ids are random text that tells nothing of the key."""

    key_id: str
    user_id: str
    plan: str
    """Name of the user's plan: free, trial, pro, ..."""
    prepaid: bool
    """Whether calls are taken from the user's credit balance, and refused when it does not cover them."""
    granted: int
    """Credits that the user was ever granted, in units of 10^-11 USD; the balance is this less what was spent."""
    models: frozenset[str] | None
    """Models that may be asked for, by the names that callers use; None: all."""
    caches: bool
    """Whether answers to this key's requests may come from the response cache without a header asking for it."""
    key: Allowance
    user: Allowance
