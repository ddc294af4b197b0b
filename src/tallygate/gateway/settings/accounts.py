"""Settings of accounts: users, API keys and credits in a database."""

from __future__ import annotations

from pydantic import Field

from tallygate.gateway.settings.addresses import DatabaseURL, SecretURL
from tallygate.gateway.settings.kinds import Count, Seconds, Secret, Truth
from tallygate.gateway.settings.section import Section


class AccountSettings(Section):
    """Who may call, with keys that the gateway gives out; and where they are kept."""

    enabled: Truth = Field(
        default=False, description="callers need a key made with `tallygate keys` or under `/admin`; the master key too"
    )
    database_url: DatabaseURL | None = Field(
        default=None,
        description="where users, keys, credits and usage are kept: `postgresql://USER@HOST/NAME` or `sqlite:///FILE`; "
        "unset: `sqlite:///tallygate.db`",
    )
    database_connections: Count = Field(default=5, description="connections to the database at once, per worker")
    admin_key: Secret = Field(
        default=None, description="the key of the admin API under `/admin`; unset: the admin API is off"
    )
    cache_seconds: Seconds = Field(
        default=5.0, description="how long a worker trusts what it read of a key before it looks again"
    )
    cache_entries: Count = Field(default=10_000, description="how many keys a worker keeps at hand")
    stale_seconds: Seconds = Field(
        default=3600.0,
        description="how long keys that a worker knows go on working when the database is away; others get 503",
    )

    @property
    def url(self) -> SecretURL:
        """Where the database is."""
        return self.database_url or SecretURL("sqlite:///tallygate.db")
