"""What a part of the gateway is that lives beside the requests: connections, background work."""

from typing import Protocol


class Service(Protocol):
    """Started before the first request and closed after the last one, in the worker's event loop."""

    async def start(self) -> None:
        """Open what it needs. What it raises ends the start of the worker."""

    async def close(self) -> None:
        """Finish what must not be lost, and let go."""
