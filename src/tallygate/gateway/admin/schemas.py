"""What the admin API takes and gives, as structs: they read and write JSON, and make the OpenAPI document.

Money is in USD, as text with up to 11 digits after the point, so that nothing rounds it. Times have a zone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Name = Annotated[str, Meta(min_length=1, max_length=200, description="name, as people know it")]
Plan = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,63}$", description="name of the plan: free, trial, pro, ...")]
Models = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=256)]],
    Meta(min_length=1, max_length=1000, description="models that may be asked for; null: all"),
]
PerMinute = Annotated[int, Meta(ge=1, le=2**31 - 1, description="null: without limit of its own")]
TokensPerMinute = Annotated[int, Meta(ge=1, le=2**53, description="null: without limit of its own")]
USD = Annotated[str, Meta(pattern=r"^-?\d{1,8}(\.\d{1,11})?$", description="USD, as in 12.5")]
"""An amount that is given: as text, for numbers of JSON are rounded by who reads them."""
Budget = Annotated[str, Meta(pattern=r"^\d{1,8}(\.\d{1,11})?$", description="USD, as in 12.5; null: without budget")]
Money = Annotated[str, Meta(pattern=r"^-?\d+\.\d{2,11}$", description="USD, exactly")]
"""An amount that is told."""

Instant = Annotated[datetime, Meta(tz=True, description="with its zone, as in 2027-01-31T00:00:00Z")]

UserKind = Literal["user", "team"]
Status = Literal["active", "inactive"]
KeyStatus = Literal["active", "inactive", "expired"]
Cycle = Literal["weekly", "monthly", "quarterly", "yearly"]


class Input(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is sent to the API: other fields are errors, fields that are left out stay as they are."""


class Limits(Input):
    """What may be used per minute, at once, per day and per month (UTC)."""

    requests_per_minute: PerMinute | UnsetType | None = UNSET
    tokens_per_minute: TokensPerMinute | UnsetType | None = UNSET
    concurrency: PerMinute | UnsetType | None = UNSET
    daily_budget: Budget | UnsetType | None = UNSET
    monthly_budget: Budget | UnsetType | None = UNSET


class UserChange(Limits):
    """What to change of a user."""

    name: Name | UnsetType = UNSET
    kind: UserKind | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    plan: Plan | UnsetType = UNSET
    trial_ends_at: Instant | UnsetType | None = UNSET
    billing_cycle: Cycle | UnsetType | None = UNSET
    prepaid: bool | UnsetType = UNSET
    models: Models | UnsetType | None = UNSET


class UserDraft(UserChange, kw_only=True):
    """A user to be made."""

    name: Name


class KeyChange(Limits):
    """What to change of a key."""

    name: Name | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    expires_at: Instant | UnsetType | None = UNSET
    models: Models | UnsetType | None = UNSET
    caches: bool | UnsetType = UNSET


class KeyDraft(KeyChange, kw_only=True):
    """A key to be made."""

    user: Annotated[str, Meta(description="id or name of the user whose it is")]
    name: Name


class Rotation(Input):
    """How a key gets its new secret."""

    grace_seconds: Annotated[int, Meta(ge=0, le=366 * 86400, description="how long the old secret goes on")] = 0


class Grant(Input):
    """Credits to add to a user, or to take away with an amount below zero."""

    amount: USD
    note: Annotated[str, Meta(max_length=500)] = ""


class Allowance(Struct):
    """What may be used; null: without limit of its own."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None
    daily_budget: Money | None
    monthly_budget: Money | None


class User(Struct):
    """A person, or a team that shares its keys."""

    id: str
    name: str
    kind: UserKind
    status: Status
    plan: str
    trial_ends_at: Instant | None
    billing_cycle: Cycle | None
    prepaid: bool
    granted: Money
    spent: Money
    balance: Money
    models: list[str] | None
    limits: Allowance
    created_at: Instant
    updated_at: Instant


class Key(Struct):
    """An API key, without its secret."""

    id: str
    user_id: str
    name: str
    prefix: Annotated[str, Meta(description="how its secret begins")]
    status: KeyStatus
    expires_at: Instant | None
    models: list[str] | None
    caches: bool
    limits: Allowance
    created_at: Instant
    updated_at: Instant


class NewKey(Struct):
    """A key with its secret, which is told this once and kept nowhere."""

    key: Key
    secret: str
    previous_until: Annotated[Instant | None, Meta(description="how long the secrets before it go on working")]


class Credit(Struct):
    """A grant, or a correction below zero."""

    id: str
    user_id: str
    amount: Money
    note: str
    created_at: Instant


class Granted(Struct):
    """A credit, and its user with it."""

    credit: Credit
    user: User


class Users(Struct):
    """A page of users."""

    items: list[User]
    next: Annotated[str | None, Meta(description="`after` of the next page; null at the end")]


class Keys(Struct):
    """A page of keys."""

    items: list[Key]
    next: Annotated[str | None, Meta(description="`after` of the next page; null at the end")]


class Credits(Struct):
    """A page of credits."""

    items: list[Credit]
    next: Annotated[str | None, Meta(description="`after` of the next page; null at the end")]


Most = Annotated[int, Meta(ge=1, le=1000, description="how many at once, at most")]
After = Annotated[str, Meta(min_length=1, max_length=32, description="`next` of the page before")]


class PageQuery(Input):
    """Which part of a list."""

    limit: Most = 100
    after: After | UnsetType = UNSET


class UsersQuery(PageQuery):
    """Which users."""

    kind: UserKind | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    plan: Plan | UnsetType = UNSET


class KeysQuery(PageQuery):
    """Which keys."""

    user: Annotated[str, Meta(description="of this user, by id or name")] | UnsetType = UNSET
    status: KeyStatus | UnsetType = UNSET


class Problem(Struct, omit_defaults=True):
    """What is wrong, as in RFC 9457."""

    title: str
    status: int
    detail: str
    field: Annotated[str, Meta(description="which field or parameter")] = ""
    value: Annotated[str, Meta(description="its value, as JSON")] = ""
    mend: Annotated[str, Meta(description="what mends it")] = ""
