"""What the server takes from clients before an application sees it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits per process; the application limits the body."""

    head_bytes: int = 64 * 1024
    """Request line and headers together; above it 431."""
    head_seconds: float = 10.0
    """From a connection's beginning, or a request's first byte, to the end of its head; then 408."""
    keepalive_seconds: float = 75.0
    """How long a connection may rest between two requests."""
    send_seconds: float = 60.0
    """How long a client may take nothing of its answer before it is cut off."""
    linger_seconds: float = 2.0
    """How long what a refused client still sends is thrown away, so that it can read why, before the close."""
    connections: int = 10_000
    """Connections at once; the requests of any more are answered 503."""
