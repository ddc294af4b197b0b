"""What the pipeline asks of the usage ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallygate.gateway.state.environment import Transaction


class UsageLedger(Protocol):
    """Takes what calls used, at once and for good; brings it to the database in the background."""

    @property
    def full(self) -> bool:
        """Whether so many calls wait for the database that new ones must be refused (503)."""

    @property
    def retry_after(self) -> int:
        """Seconds after which one that was refused may be tried again."""

    def add(self, entry: bytes, settle: Callable[[Transaction | None], None] | None = None) -> None:
        """Put an encoded entry into the queue, together with all others of this turn of the event loop. Never raises.

        settle: called in the same transaction; again with None when that failed.
        """

    async def written(self) -> None:
        """Wait until what was added is in the queue: nothing but a loss of power takes it from there."""
