"""Many who wait for keys to be looked up, and one query at a time for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Generic, TypeVar

V = TypeVar("V")


class TooMany(Exception):
    """So many wait already that no more can."""


class Loader(Generic[V]):
    """Looks up what is asked for while it is busy in its next round: whatever is asked, and by however many, it sends
    one query at a time, and of one key there is one look-up."""

    def __init__(
        self,
        load: Callable[[Iterable[bytes]], Awaitable[Mapping[bytes, V]]],
        *,
        most_at_once: int = 500,
        most_waiting: int = 10_000,
    ) -> None:
        """load: gives what is there of these. most_waiting: keys that may wait; more raise TooMany."""
        self._load, self._most_at_once, self._most_waiting = load, most_at_once, most_waiting
        self._waiting: dict[bytes, asyncio.Future[V | None]] = {}
        self._loading: dict[bytes, asyncio.Future[V | None]] = {}
        self._rounds: asyncio.Task[None] | None = None

    def ask(self, key: bytes) -> asyncio.Future[V | None]:
        """What there is of this key; None for nothing, or what ``load`` raised. Shared: wait for it shielded."""
        future = self._waiting.get(key) or self._loading.get(key)
        if future is None:
            if len(self._waiting) >= self._most_waiting:
                raise TooMany
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            # Nobody need wait for it to its end.
            future.add_done_callback(_seen)
            if self._rounds is None:
                self._rounds = asyncio.create_task(self._go_round())
        return future

    async def _go_round(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._most_at_once]
                self._loading = {key: self._waiting.pop(key) for key in keys}
                try:
                    found = await self._load(keys)
                except Exception as problem:
                    for future in self._loading.values():
                        future.set_exception(problem)
                else:
                    for key, future in self._loading.items():
                        future.set_result(found.get(key))
                self._loading = {}
        finally:
            self._rounds = None
            self._give_up()

    async def close(self) -> None:
        """End. Who still waits is cancelled."""
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.wait([self._rounds])
        # The task may not have begun.
        self._give_up()

    def _give_up(self) -> None:
        for future in (*self._loading.values(), *self._waiting.values()):
            future.cancel()
        self._loading, self._waiting = {}, {}


def _seen(future: asyncio.Future[V | None]) -> None:
    if not future.cancelled():
        future.exception()
