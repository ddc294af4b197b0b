"""What the pipeline asks of the response cache, and the cache of its store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tallygate.gateway.cache.answer import Answer
    from tallygate.gateway.exchange import Exchange
    from tallygate.gateway.parts import Parts


class ResponseCache(Protocol):
    """Answers a request that was answered before, where a route, a key or a header asks for it."""

    async def answer(self, parts: Parts, exchange: Exchange) -> bool:
        """Answer the request from the cache, if it may be and can be; whether it was.

        Where it may be and cannot, the exchange gets a ``capture``. Raises Refusal for a header that cannot be read.
        """

    def keep(self, exchange: Exchange) -> None:
        """Keep what was captured, if it is a whole and good answer. Never waits, never raises."""

    async def purge(self) -> None:
        """Forget all answers: those of all workers of this machine, or of all who share the store.

        Raises StoreAway or StoreRefused when the shared store cannot do so.
        """


@dataclass(frozen=True, slots=True)
class Found:
    """A kept answer."""

    answer: Answer
    age: float
    """Seconds since it was given first."""


class Fill(NamedTuple):
    """What a store holds."""

    used: int
    """Bytes."""
    entries: int


class Store(Protocol):
    """Keeps answers by key: no more bytes than its capacity, none longer than its times say."""

    async def start(self) -> None:
        """Before the first request."""

    async def close(self) -> None:
        """After the last one."""

    async def get(self, key: bytes, max_age: int | None) -> Found | None:
        """The answer that is kept, unless it is older than ``max_age`` seconds. A store that is away has none."""

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer; what was used least recently makes room. Never waits, never raises."""

    async def fill(self) -> Fill | None:
        """What it holds now, less what has expired; None when it is not this worker's to tell."""

    async def purge(self) -> None:
        """Forget all. Raises StoreAway, StoreRefused."""
