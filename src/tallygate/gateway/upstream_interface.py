"""The seam between the gateway and whatever speaks HTTP to providers."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tallygate.errors import ErrorType

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for a provider, in seconds."""

    connect: float = 10.0
    first_byte: float = 600.0
    """From the request's last byte to the reply's head."""
    idle: float = 300.0
    """Between two reads of the body."""
    total: float = 3600.0


class UpstreamError(Exception):
    """A provider could not be reached or broke off. ``error_type`` is provider_network, provider_timeout,
    provider_invalid_response or provider_stream_cut; the message names the cause without any secret."""

    def __init__(self, error_type: ErrorType, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class Reply(Protocol):
    """A provider's reply: its head, then its body as it arrives."""

    status: int
    headers: Headers
    """As received, names in lower case; hop-by-hop headers left out."""

    def body(self) -> AsyncIterator[bytes]:
        """The body as it came (content encoding untouched, chunked framing removed). Raises UpstreamError when it breaks off.
        Reads no more than the consumer takes (back-pressure reaches the provider)."""

    async def close(self) -> None:
        """Let go: the connection returns to its pool when the body was read whole, else it is dropped at once. Idempotent."""


class Upstream(Protocol):
    """Keeps connections to providers and sends requests over them."""

    async def send(
        self, method: str, url: str, headers: Headers, body: bytes, timeouts: Timeouts
    ) -> Reply:
        """Send one request; returns at the reply's head. Raises UpstreamError. Cancelling it drops the connection at once."""

    async def close(self) -> None:
        """Drop all connections."""
