"""Letting a request in: rate limits, concurrency, credits and budgets, held before it is asked and freed after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tallygate.gateway.exchange import Exchange

if TYPE_CHECKING:
    from tallygate.gateway.refusal import Refusal
    from tallygate.gateway.state.environment import Transaction


class Admission:
    """What is held for one request."""

    __slots__ = ()


class Gate(Protocol):
    """Decides who gets in. Tells the limits that matter in headers of the answer."""

    async def admit(self, exchange: Exchange) -> None:
        """Hold what the request may use, and note it as ``exchange.admission``.

        Raises Refusal: 429 with Retry-After when a rate limit or the concurrency is used up, 402 when credits or a
        budget do not cover it, 503 when the store of limits is away and calls must not pass without it.
        """

    async def try_provider(self, exchange: Exchange, provider: str) -> Refusal | None:
        """Hold what an attempt at a provider may use; what an attempt before it held is free again.

        Returns None when the attempt may be made, else the refusal (429) to answer with when no other provider is left.
        """

    def settle(self, exchange: Exchange, tokens: int, cost: int, transaction: Transaction | None = None) -> None:
        """Free what was held; tokens and cost (units of 10^-11 USD) are what was used. Never waits.

        transaction: a write transaction of the machine's environment, in which it is then done, if the limits are in
        there at all; what it raises is the caller's, who settles again without it. Otherwise it never raises.
        """
