"""Errors of providers without the gateway's own credentials, which some repeat: callers are not to have them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from tallygate.gateway.upstream import Headers, Reply, UpstreamError

SHORTEST = 8
"""Shorter secrets are left alone: their letters are in every word."""


class Concealer:
    """Puts asterisks in the place of secrets, as many as they have bytes: the length of a body stays what it is."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST}
        self._secrets = sorted(known, key=len, reverse=True)
        self.overlap = len(self._secrets[0]) - 1 if self._secrets else 0
        """How much of a piece may be the beginning of a secret that goes on in the next."""

    def __call__(self, data: bytes) -> bytes:
        for secret in self._secrets:
            if secret in data:
                data = data.replace(secret, b"*" * len(secret))
        return data


class Concealed:
    """A Reply in which secrets are concealed."""

    def __init__(self, reply: Reply, conceal: Concealer) -> None:
        self._reply, self._conceal = reply, conceal
        self.status = reply.status
        self.headers: Headers = [(name, conceal(value)) for name, value in reply.headers]

    async def body(self) -> AsyncIterator[bytes]:
        """As Reply.body, in other pieces."""
        held = b""
        try:
            async for data in self._reply.body():
                data = self._conceal(held + data)
                end = max(0, len(data) - self._conceal.overlap)
                held = data[end:]
                if end:
                    yield data[:end]
        except UpstreamError:
            # What came before the break is the client's all the same.
            if held:
                yield held
            raise
        if held:
            yield held

    async def close(self) -> None:
        """As Reply.close."""
        await self._reply.close()
