"""Settings of the usage ledger: what each call used and cost."""

from __future__ import annotations

from pydantic import Field

from tallygate.gateway.settings.kinds import Count, Seconds, SomeCount
from tallygate.gateway.settings.section import Section


class UsageSettings(Section):
    """How calls reach the usage ledger in the accounts' database."""

    backlog_calls: Count = Field(
        default=100_000, description="calls that may wait for the database, per machine; above it new calls get 503"
    )
    flush_seconds: Seconds = Field(default=0.5, description="how often calls are written to the database")
    batch_calls: Count = Field(default=1000, description="calls written to the database in one transaction, at most")
    retention_days: SomeCount = Field(
        default=90, description="how long the database keeps each single call; `0`: for ever, as the sums of each day"
    )
