"""What the pipeline asks of the usage ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tallygate.gateway.state.environment import Transaction


class UsageLedger(Protocol):
    """Takes what calls used, at once and for good; brings it to the database in the background."""

    @property
    def full(self) -> bool:
        """Whether so many calls wait for the database that new ones must be refused (503)."""

    @property
    def retry_after(self) -> int:
        """Seconds after which one that was refused may be tried again."""

    def write(self) -> Transaction:
        """Begin a transaction in the machine's state, to append in. Raises StateError."""

    def append(self, transaction: Transaction, entry: bytes) -> None:
        """Put an encoded entry into the queue. Raises lmdb.Error."""

    def keep(self, entry: bytes, problem: Exception) -> None:
        """The queue could not take an entry: hold it until it can. Never raises."""
