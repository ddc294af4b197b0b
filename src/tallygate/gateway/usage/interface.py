"""What the pipeline asks of the usage ledger."""

from typing import Protocol


class UsageLedger(Protocol):
    """Takes what calls used, at once and for good; brings it to the database in the background."""

    @property
    def full(self) -> bool:
        """Whether so many calls wait for the database that new ones must be refused (503)."""
