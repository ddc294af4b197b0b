"""What the pipeline asks of the response cache."""

from typing import Protocol

from tallygate.gateway.exchange import Exchange


class ResponseCache(Protocol):
    """Answers a request that was answered before, where a route, a key or a header asks for it."""

    async def answer(self, exchange: Exchange) -> bool:
        """Answer the request from the cache, if it may be and can be; whether it was."""
