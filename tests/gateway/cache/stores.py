"""What the stores' tests share."""

from __future__ import annotations

from tallygate.gateway.cache.answer import Answer

HEADERS = ((b"content-type", b"application/json"),)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def answer(text: str, size: int = 0) -> Answer:
    """An answer with this text, filled up to a size."""
    return Answer(HEADERS, (text.encode().ljust(size, b"."),))
