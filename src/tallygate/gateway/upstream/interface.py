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
    provider_invalid_response or provider_stream_cut (gateway_internal when the gateway itself closed its connections);
    the message names the cause without any secret."""

    def __init__(self, error_type: ErrorType, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class Reply(Protocol):
    """A provider's reply: its head, then its body as it arrives."""

    status: int
    headers: Headers
    """As received, names in lower case; hop-by-hop headers left out."""

    def body(self) -> AsyncIterator[bytes]:
        """The body as it came: content encoding untouched, chunked framing removed.

        Raises UpstreamError if it breaks off.
        Reads no more than the consumer takes: back-pressure reaches the provider.
        """

    async def close(self) -> None:
        """Let go. Idempotent.

        The connection returns to its pool if the body was read whole, else it is dropped at once.
        """


class Upstream(Protocol):
    """Keeps connections to providers and sends requests over them."""

    async def send(self, method: str, url: str, headers: Headers, body: bytes, timeouts: Timeouts) -> Reply:
        """Send one request; returns at the reply's head. Cancelled, it drops the connection at once.

        Raises UpstreamError; ValueError, before anything is sent, for a URL, header name or value that HTTP forbids.
        """

    async def close(self) -> None:
        """Drop all connections."""
