"""What limits are made of, and what a store of them does: one machine's (``local``) or many machines' (``remote``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    amount: int | None
    """None: the request's tokens; of more than the limit no more than that, so that it passes when nothing else did."""


class HoldAsk(NamedTuple):
    """So much is to be held until the call is settled."""

    key: bytes
    limit: int
    """How much may be held and spent, by all together."""
    amount: int | None
    """None: the request's money."""
    purse: Purse | None = None
    """Whose money it is; None: a place among the calls at the same time."""


class Asked:
    """All that a request asks for, prepared once: those that ask for the same differ in their tokens and money only."""

    __slots__ = ("holds", "prepared", "purses", "tokens", "windows")

    def __init__(self, windows: Sequence[WindowAsk] = (), holds: Sequence[HoldAsk] = ()) -> None:
        self.windows, self.holds = tuple(windows), tuple(holds)
        self.tokens = tuple(window for window in windows if window.amount is None)
        """Those that are corrected in the end."""
        self.purses = tuple((hold.key, hold.purse) for hold in holds if hold.purse is not None)
        self.prepared: Any = None
        """What a store keeps with it."""


class Granted(NamedTuple):
    """All that was asked for was taken."""

    asked: Asked
    tokens: int
    money: int
    remaining: list[int]
    """What is left of the windows, in their order."""
    reset: float
    """Seconds until all of them are free again."""
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

    async def admit(self, asked: Asked, tokens: int = 0, money: int = 0) -> Granted | Refused:
        """Take all that is asked for, or nothing. Raises StateAway."""

    def settle(
        self,
        granted: Granted,
        tokens: int,
        cost: int,
        transaction: Transaction | None = None,
        holds: Sequence[HoldAsk] | None = None,
    ) -> None:
        """Free what was held. Never waits, never raises but what ``transaction`` raises.

        tokens: how many were used. cost: taken from the purses. transaction: of the machine's environment, to join.
        holds: to be freed and paid from, where they are no longer those that were asked for.
        """

    async def start(self) -> None:
        """Open."""

    async def close(self) -> None:
        """Let go."""
