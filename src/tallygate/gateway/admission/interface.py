"""What the pipeline asks of limits, credits and budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tallygate.gateway.exchange import Exchange
    from tallygate.gateway.refusal import Refusal
    from tallygate.gateway.state.environment import Transaction
    from tallygate.gateway.state.interface import Granted


class Admission:
    """What is held for one request."""

    __slots__ = ("attempt", "day", "entry")

    def __init__(self, entry: Granted | None, day: int) -> None:
        """entry: what was taken to let it in. day: on which budgets are held, days since 1970; 0 without any."""
        self.entry, self.day = entry, day
        self.attempt: Granted | None = None
        """What was taken for the attempt at a provider."""


class Gate(Protocol):
    """Decides who gets in. Tells the limits that matter in headers of the answer."""

    async def admit(self, exchange: Exchange) -> None:
        """Hold what the request may use, and note it as ``exchange.admission``.

        Raises Refusal: 429 with Retry-After when a rate limit or the concurrency is used up, 402 when credits or a
        budget do not cover it, 503 when the store of limits is away and calls must not pass without it.
        """

    async def try_provider(self, exchange: Exchange, provider: str) -> Refusal | None:
        """Hold what an attempt at a provider may use; what an attempt before it held is free again.

        Returns None when the attempt may be made, else the refusal (429, or 503 as in ``admit``) to answer with when no
        other provider is left.
        """

    def settle(self, exchange: Exchange, tokens: int, cost: int, transaction: Transaction | None = None) -> None:
        """Free what was held; tokens and cost (units of 10^-11 USD) are what was used. Never waits.

        transaction: a write transaction of the machine's environment, in which it is then done, if the limits are in
        there at all; what it raises is the caller's, who settles again without it. Otherwise it never raises.
        """
