"""What limits are made of, and what a store of them does: one machine's (``local``) or many machines' (``remote``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from tallygate.gateway.state.environment import Transaction

WINDOW_SECONDS = 60
"""Rate limits are per minute."""


@dataclass(frozen=True, slots=True)
class Purse:
    """A sum of money that only grows, and may grow up to a bound: what a user or a key has spent."""

    owner: Literal["user", "key"]
    id: str
    """As Caller.user_id or Caller.key_id."""
    period: str = ""
    """A UTC day (2026-11-21) or month (2026-11) for a budget; '' is all time, for credits."""

    @property
    def key(self) -> bytes:
        """Its name in a store."""
        return f"purse:{self.owner}:{self.id}:{self.period}".encode()


class SpentSource(Protocol):
    """Knows what was spent; asked when a store does not."""

    async def spent(self, purse: Purse) -> int:
        """Units of 10^-11 USD that finished calls have cost.

        As much of it as is known for good: what the database holds, and what waits on this machine to be written there.
        """


class WindowAsk(NamedTuple):
    """So much of a sliding window is asked for."""

    key: bytes
    limit: int
    """How much may pass in ``WINDOW_SECONDS``."""
    amount: int


class HoldAsk(NamedTuple):
    """So much is to be held until the call is settled."""

    key: bytes
    limit: int
    """How much may be held and spent, by all together."""
    amount: int
    purse: Purse | None = None
    """Whose money it is; None: a place among the calls at the same time."""


class WindowState(NamedTuple):
    """How full a window is."""

    remaining: int
    reset: float
    """Seconds until all of it is free again."""


class Granted(NamedTuple):
    """All that was asked for was taken."""

    windows: list[WindowState]
    """As the windows that were asked for, in their order."""
    moment: int
    """Which window the amounts are in; ``Store.settle`` wants to know."""
    holder: bytes
    """In whose name the holds are."""


class Refused(NamedTuple):
    """Nothing was taken."""

    which: int
    """Which one refused: windows are counted first, holds after them."""
    remaining: int
    """What is left of it."""
    retry: float | None
    """Seconds until it may pass; None when that cannot be told, or it never will."""
    reset: float
    """Seconds until the window is free again; 0 for a hold."""


class StateAway(Exception):
    """The store cannot be reached or written to: what was asked for is not known to be taken."""


class Store(Protocol):
    """Windows and holds that workers share. Each step is atomic."""

    joins: bool
    """Whether ``settle`` can join a transaction of the machine's environment."""

    async def admit(self, windows: list[WindowAsk], holds: list[HoldAsk]) -> Granted | Refused:
        """Take all that is asked for, or nothing. Raises StateAway."""

    def settle(
        self,
        granted: Granted,
        corrections: list[tuple[bytes, int]],
        holds: list[tuple[bytes, int, int]],
        transaction: Transaction | None = None,
    ) -> None:
        """Free what was held. Never waits, never raises but what ``transaction`` raises.

        corrections: windows, and by how much more (or less) was used than was asked for. holds: what was held, by key
        and amount, and how much of it was spent. transaction: of the machine's environment, to join.
        """

    async def start(self) -> None:
        """Open."""

    async def close(self) -> None:
        """Let go."""
