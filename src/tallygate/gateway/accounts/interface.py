"""What the pipeline asks of the accounts."""

from typing import Protocol

from tallygate.gateway.caller import Caller


class Accounts(Protocol):
    """Knows the keys that the gateway gave out."""

    async def caller(self, headers: dict[bytes, bytes], query: bytes) -> Caller | None:
        """Whose key a request shows; None for the master key. A key that was seen lately costs microseconds.

        Raises Refusal: 401 for a key that is missing, unknown, inactive or expired; 503 when the key is not at hand and
        the database is away.
        """
