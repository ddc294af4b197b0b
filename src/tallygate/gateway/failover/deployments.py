"""A model at a provider, and what is known against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from tallygate.gateway.failover.breaker import Breaker
    from tallygate.gateway.providers import Provider
    from tallygate.ledger.interface import Batch

Headers = tuple[tuple[bytes, bytes], ...]

PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


class Deployment:
    """A model at a provider."""

    __slots__ = ("_told", "breaker", "cooling_until", "label", "model", "provider", "streams", "troubled", "wholes")

    def __init__(self, provider: Provider, model: str, label: str, breaker: Breaker | None = None) -> None:
        """breaker: None for a model that is not configured, of which nothing is remembered."""
        self.provider = provider
        self.model = model
        """The name to ask the provider for."""
        self.label = label
        """The name on labels: bounded by the configuration and the price catalogue, whatever clients send."""
        self.breaker = breaker
        self.cooling_until = 0.0
        """Until when its provider asked to be spared."""
        self.troubled = False
        """Whether something is known against it, so that ``in_service`` must be asked."""
        self.wholes: dict[str, tuple[Batch, Batch]] = {}
        """How calls whose replies come whole are recorded, by the path they came to: kept for ``Recording``."""
        self.streams: dict[str, tuple[Batch, Batch]] = {}
        """The same for streams."""
        self._told: Headers | None = None

    @property
    def told(self) -> Headers:
        """What headers of an answer say of it."""
        if self._told is None:
            model = quote(self.label, safe=PRINTABLE).encode()
            self._told = ((b"x-tallygate-provider", self.provider.name.encode()), (b"x-tallygate-model", model))
        return self._told

    def in_service(self, now: float) -> bool:
        """Whether it can be asked at this reading of the clock. Forgets troubles that are over."""
        if not self.troubled:
            return True
        if self.is_out(now) or self.is_resting(now):
            return False
        self.troubled = self.breaker is not None and self.breaker.state != "closed"
        return True

    def is_out(self, now: float) -> bool:
        """Whether its breaker lets no call through."""
        return self.breaker is not None and not self.breaker.admits(now)

    def is_resting(self, now: float) -> bool:
        """Whether others go first: its provider asked to be spared, or did not answer a probe."""
        return now < self.cooling_until or not self.provider.reachable

    def cool_down(self, until: float) -> None:
        """Spare it until then."""
        if until > self.cooling_until:
            self.cooling_until, self.troubled = until, True
