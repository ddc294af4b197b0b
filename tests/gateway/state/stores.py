"""Stores of limits, and what tests ask of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tallygate.gateway.state import local
from tallygate.gateway.state.environment import Environment
from tallygate.gateway.state.interface import Asked, Granted, HoldAsk, Purse, Refused, WindowAsk
from tallygate.gateway.state.local import LocalStore
from tallygate.gateway.state.remote import RemoteStore

AnyStore = LocalStore | RemoteStore
Place = Path | str
"""A state directory, or the URL of a shared server."""
Another = Callable[[], Awaitable[AnyStore]]

CREDITS = Purse("user", "u1")


class Books:
    """What was spent, as the database would know."""

    def __init__(self) -> None:
        self.known: dict[Purse, int] = {}
        self.asked: list[Purse] = []
        self.problem: Exception | None = None

    async def spent(self, purse: Purse) -> int:
        self.asked.append(purse)
        if self.problem is not None:
            raise self.problem
        return self.known.get(purse, 0)


def stop_the_minute(monkeypatch: pytest.MonkeyPatch, into: float = 20.0) -> None:
    """Let no minute end before the test does: on one machine it is always so many seconds into one.

    A shared server's clock goes on; where a minute is about to end, its end is waited for.
    """
    monkeypatch.setattr(local, "milliseconds", lambda: 500 * 60_000 + int(into * 1000))
    left = 60 - time.time() % 60
    if left < 3:
        time.sleep(left + 0.01)


def open_in(place: Place, books: Books | None = None) -> AnyStore:
    """A store that is not started yet."""
    if isinstance(place, str):
        return RemoteStore(place, 30.0, books or Books(), lease=4.0)
    return LocalStore(Environment(place), books or Books())


def window(name: str, limit: int, amount: int = 1) -> WindowAsk:
    return WindowAsk(name.encode(), limit, amount)


def tokens(name: str, limit: int) -> WindowAsk:
    return WindowAsk(name.encode(), limit, None)


def place(name: str, limit: int) -> HoldAsk:
    return HoldAsk(name.encode(), limit, 1)


def money(limit: int, amount: int, purse: Purse = CREDITS) -> HoldAsk:
    return HoldAsk(purse.key, limit, amount, purse)


async def granted(store: AnyStore, windows: list[WindowAsk], holds: list[HoldAsk], tokens: int = 0) -> Granted:
    answer = await store.admit(Asked(windows, holds), tokens)
    assert isinstance(answer, Granted), answer
    return answer


async def refused(store: AnyStore, windows: list[WindowAsk], holds: list[HoldAsk], tokens: int = 0) -> tuple[int, int]:
    """Which one refused, and what is left of it."""
    answer = await store.admit(Asked(windows, holds), tokens)
    assert isinstance(answer, Refused), answer
    return answer.which, answer.remaining
