"""An answer that is being relayed, noted so that it can be kept."""

from __future__ import annotations

from tallygate.gateway.cache.answer import Answer, Headers, kept_headers


class Capture:
    """Takes note of what is written to the client, up to a size."""

    __slots__ = ("_headers", "_limit", "_pieces", "_size", "key")

    def __init__(self, key: bytes, limit: int) -> None:
        """limit: bytes of the body above which nothing is kept."""
        self.key = key
        self._limit, self._size = limit, 0
        self._headers: tuple[tuple[bytes, bytes], ...] = ()
        self._pieces: list[bytes] = []

    def begin(self, headers: Headers) -> None:
        """The head of the answer, as the provider sent it."""
        self._headers = kept_headers(headers)

    def write(self, data: bytes) -> None:
        """A piece of its body, as it is relayed."""
        self._size += len(data)
        if self._size > self._limit:
            self._pieces.clear()
        elif data:
            self._pieces.append(data)

    @property
    def held(self) -> int:
        """Bytes of the body that it holds."""
        return sum(map(len, self._pieces))

    def answer(self) -> Answer | None:
        """What was relayed; None when it was too large, or nothing."""
        return Answer(self._headers, tuple(self._pieces)) if self._pieces else None
