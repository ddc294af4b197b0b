"""What the accounts tell: users, keys, credits. Money is in units of 10^-11 USD, times are in UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from tallygate.gateway.caller import Allowance

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class User:
    """A person, or a team that shares its keys: whoever pays."""

    id: str
    name: str
    """Nobody else's."""
    kind: str
    """user or team."""
    status: str
    """active or inactive; an inactive user's keys do not work."""
    plan: str
    """Name of the plan: free, trial, pro, ...; a label on metrics."""
    trial_ends_at: datetime | None
    """When the trial ends, and with it the use of the keys; None: no trial."""
    billing_cycle: str | None
    """weekly, monthly, quarterly or yearly; None: no subscription."""
    prepaid: bool
    """Whether calls are refused once the credits do not cover them."""
    granted: int
    """The sum of all credits."""
    spent: int
    """What calls cost that are in the database."""
    models: tuple[str, ...] | None
    """Models that the user's keys may ask for; None: all."""
    allowance: Allowance
    created_at: datetime
    updated_at: datetime

    @property
    def balance(self) -> int:
        """Credits that are left; below zero when calls cost more than was granted."""
        return self.granted - self.spent


@dataclass(frozen=True, slots=True)
class Key:
    """An API key, without its secret: that is shown once, when it is made."""

    id: str
    user_id: str
    name: str
    """No other key of the user has it."""
    prefix: str
    """How the secret begins."""
    status: str
    """active, inactive or expired."""
    expires_at: datetime | None
    models: tuple[str, ...] | None
    """Models that may be asked for, of those that the user may; None: all of these."""
    caches: bool
    """Whether answers may come from the response cache without a header asking for it."""
    allowance: Allowance
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made, or was given a new secret."""

    key: Key
    secret: str = field(repr=False)
    """What callers present. It is kept nowhere: shown now or never."""
    previous_until: datetime | None = None
    """How long the secrets before it go on working; None: there is none."""


@dataclass(frozen=True, slots=True)
class Credit:
    """A grant, or a correction, which may be negative."""

    id: str
    user_id: str
    amount: int
    note: str
    idempotency_key: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Granted:
    """A credit, and its user with it."""

    credit: Credit
    user: User
    repeated: bool
    """Whether the same was granted before under this idempotency key: nothing was added then."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list."""

    items: tuple[T, ...]
    next: str | None
    """What to give as ``after`` for the next page; None at the end."""
