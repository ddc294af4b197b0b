"""Rates in the terms of the library ``limits``."""

from __future__ import annotations

from limits import RateLimitItemPerMinute


class PerMinute(RateLimitItemPerMinute):
    """So much per minute. Its key does not hold the amount: a limit that is changed goes on with the same window."""

    __slots__: list[str] = []

    def key_for(self, *identifiers: bytes | str | int | float) -> str:
        """The names, joined: key/3f9c.../requests."""
        return "/".join(one.decode() if isinstance(one, bytes) else str(one) for one in identifiers)
