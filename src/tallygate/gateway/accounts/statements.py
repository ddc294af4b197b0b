"""Every statement of the accounts, by its name."""

from __future__ import annotations

from sqlalchemy import bindparam, func, insert, select, update

from tallygate.gateway.accounts.tables import api_key_secrets, api_keys, credits, revisions, users
from tallygate.gateway.database import named

ACCOUNTS = "accounts"
"""The row of ``revisions`` that grows with every change of a user, key or credit."""

users_add = named("accounts.users.add", insert(users))
users_get = named("accounts.users.get", select(users).where(users.c.id == bindparam("user")))
users_find = named("accounts.users.find", select(users).where(users.c.name == bindparam("user")))
users_list = named("accounts.users.list", select(users).order_by(users.c.id))
users_change = named("accounts.users.change", update(users).where(users.c.id == bindparam("user")).returning(users))
users_grant = named(
    "accounts.users.grant",
    update(users)
    .where(users.c.id == bindparam("user"))
    .values(granted=users.c.granted + bindparam("amount"), updated_at=bindparam("now"))
    .returning(users),
)
users_count = named(
    "accounts.users.count",
    select(
        users.c.plan,
        users.c.prepaid,
        users.c.billing_cycle,
        (users.c.trial_ends_at.is_not(None)).label("has_trial"),
        (users.c.trial_ends_at <= bindparam("now")).label("trial_ended"),
        func.count().label("users"),
        func.sum(users.c.granted - users.c.spent).label("balance"),
    )
    .where(users.c.status == "active")
    .group_by("plan", "prepaid", "billing_cycle", "has_trial", "trial_ended"),
)
users_balances = named(
    "accounts.users.balances",
    select(users.c.id, users.c.plan, (users.c.granted - users.c.spent).label("balance"))
    .where(users.c.status == "active", users.c.prepaid, users.c.id > bindparam("after"))
    .order_by(users.c.id)
    .limit(bindparam("most")),
)

keys_add = named("accounts.keys.add", insert(api_keys))
keys_get = named("accounts.keys.get", select(api_keys).where(api_keys.c.id == bindparam("key")))
keys_list = named("accounts.keys.list", select(api_keys).order_by(api_keys.c.id))
keys_change = named(
    "accounts.keys.change", update(api_keys).where(api_keys.c.id == bindparam("key")).returning(api_keys)
)
keys_count = named(
    "accounts.keys.count",
    select(
        api_keys.c.status,
        (api_keys.c.expires_at <= bindparam("now")).label("expired"),
        func.count().label("keys"),
    ).group_by("status", "expired"),
)

secrets_add = named("accounts.secrets.add", insert(api_key_secrets))
secrets_retire = named(
    "accounts.secrets.retire",
    update(api_key_secrets)
    .where(
        api_key_secrets.c.key_id == bindparam("key"),
        api_key_secrets.c.valid_until.is_(None) | (api_key_secrets.c.valid_until > bindparam("until")),
    )
    .values(valid_until=bindparam("until")),
)
callers_find = named(
    "accounts.callers.find",
    select(
        api_key_secrets.c.hash,
        api_key_secrets.c.valid_until,
        select(revisions.c.value).where(revisions.c.name == ACCOUNTS).scalar_subquery().label("revision"),
        api_keys,
        *[column.label(f"user_{column.name}") for column in users.c if column.name != "id"],
    )
    .join_from(api_key_secrets, api_keys, api_keys.c.id == api_key_secrets.c.key_id)
    .join(users, users.c.id == api_keys.c.user_id)
    .where(api_key_secrets.c.hash.in_(bindparam("hashes", expanding=True))),
)

credits_add = named("accounts.credits.add", insert(credits))
credits_find = named(
    "accounts.credits.find",
    select(credits).where(credits.c.user_id == bindparam("user"), credits.c.idempotency_key == bindparam("once")),
)
credits_list = named(
    "accounts.credits.list", select(credits).where(credits.c.user_id == bindparam("user")).order_by(credits.c.id)
)

revision_raise = named(
    "accounts.revision.raise",
    update(revisions)
    .where(revisions.c.name == ACCOUNTS)
    .values(value=revisions.c.value + 1)
    .returning(revisions.c.value),
)
users_touch = named(
    "accounts.users.touch",
    update(users).where(users.c.id == bindparam("user")).values(revision=bindparam("to")),
)
changes_find = named(
    "accounts.changes.find",
    select(revisions.c.value, users.c.id)
    .join_from(revisions, users, users.c.revision > bindparam("since"), isouter=True)
    .where(revisions.c.name == ACCOUNTS),
)
"""The revision now, and the users that changed since; NULL where nobody did."""
