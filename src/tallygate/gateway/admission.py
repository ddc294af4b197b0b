"""Letting a request in: rate limits, concurrency, credits and budgets, held before it is asked and freed after it."""

from __future__ import annotations

from typing import Protocol

from tallygate.gateway.exchange import Exchange


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

    def settle(self, exchange: Exchange, tokens: int, cost: int) -> None:
        """Free what was held; tokens and cost (units of 10^-11 USD) are what was used. Never waits, never raises."""
