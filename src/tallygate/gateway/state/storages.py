"""The gateway's windows as storages of the library ``limits``: its strategies see, and hit, what the gateway counts.

    from limits.storage import storage_from_string
    from limits.strategies import SlidingWindowCounterRateLimiter

    from tallygate.gateway.state import storages  # registers the schemes
    from tallygate.gateway.state.rates import PerMinute

    limiter = SlidingWindowCounterRateLimiter(storage_from_string("tallygate:///var/lib/tallygate/state"))
    limiter.get_window_stats(PerMinute(60), "key", key_id, "requests").remaining

``async+tallygate+redis://HOST:6379/0`` is the same for the shared server, with the strategies of ``limits.aio``. The
gateway itself does not go through them: it asks for all that a request needs in one step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import lmdb
from limits.aio import storage as asynchronous
from limits.storage import SlidingWindowCounterSupport, Storage

from tallygate.gateway.state.environment import Environment, StateError
from tallygate.gateway.state.local import WINDOWS, milliseconds
from tallygate.gateway.state.redis import Redis, StoreAway, StoreRefused
from tallygate.gateway.state.remote import PREFIX
from tallygate.gateway.state.scripts import ADMIT, ALL, PEEK
from tallygate.gateway.state.windows import RECORD, window_at

ONLY = "the gateway's windows slide: use the sliding window counter"


class Sliding:
    """What every storage of ``limits`` must have for fixed windows, of which there are none."""

    def incr(self, key: str, expiry: int, amount: int = 1) -> NoReturn:
        """Not there."""
        raise NotImplementedError(ONLY)

    def get(self, key: str) -> NoReturn:
        """Not there."""
        raise NotImplementedError(ONLY)

    def get_expiry(self, key: str) -> NoReturn:
        """Not there."""
        raise NotImplementedError(ONLY)

    def clear(self, key: str) -> NoReturn:
        """Not there."""
        raise NotImplementedError(ONLY)

    def reset(self) -> NoReturn:
        """Not there."""
        raise NotImplementedError("a limit is cleared by its key")


class LocalStorage(Sliding, Storage, SlidingWindowCounterSupport):
    """``tallygate:///DIRECTORY``: the windows of one machine, in its state directory."""

    STORAGE_SCHEME = ["tallygate"]  # noqa: RUF012  # the library declares no class variable

    def __init__(self, uri: str, wrap_exceptions: bool = False, **options: float | str | bool) -> None:
        """Raises StateError."""
        super().__init__(uri, wrap_exceptions, **options)
        self._environment = Environment(Path(unquote(urlsplit(uri).path)))
        self._windows = self._environment.database(WINDOWS)
        self.clock: Callable[[], int] = milliseconds

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return (lmdb.Error, StateError)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Whether so much may pass; it then has."""
        with self._environment.write() as transaction:
            window = window_at(transaction.get(key.encode(), db=self._windows), self.clock(), expiry * 1000)
            if amount > limit - window.used:
                return False
            record = RECORD.pack(window.step, window.previous, window.current + amount)
            return transaction.put(key.encode(), record, db=self._windows)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """What passed in the step before and in this one, and the seconds that each still counts."""
        with self._environment.read() as transaction:
            window = window_at(transaction.get(key.encode(), db=self._windows), self.clock(), expiry * 1000)
        left = window.left / 1000
        return window.previous, left if window.previous else 0.0, window.current, left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Nothing has passed."""
        with self._environment.write() as transaction:
            transaction.delete(key.encode(), db=self._windows)

    def check(self) -> bool:
        """Whether the state can be read."""
        with self._environment.read():
            return True

    def close(self) -> None:
        """Let go of the state."""
        self._environment.close()


class RemoteStorage(Sliding, asynchronous.Storage, asynchronous.SlidingWindowCounterSupport):
    """``async+tallygate+redis://...`` (or ``+rediss``, ``+unix``): the windows of many machines, on their server."""

    STORAGE_SCHEME = [  # noqa: RUF012  # the library declares no class variable
        "async+tallygate+redis",
        "async+tallygate+rediss",
        "async+tallygate+unix",
    ]

    def __init__(self, uri: str, wrap_exceptions: bool = False, **options: float | str | bool) -> None:
        """Raises AddressError."""
        super().__init__(uri, wrap_exceptions, **options)
        self._redis = Redis(uri.removeprefix("async+tallygate+"), 5.0, "store of rate limits", ALL)
        self._starting: asyncio.Task[None] | None = None

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return (StoreAway, StoreRefused)

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Whether so much may pass; it then has."""
        await self._connected()
        reply = await self._redis.run(ADMIT, [PREFIX + key.encode()], [1, b"", expiry * 1000, limit, amount, b"0 0"])
        return bool(reply[0] == 0)

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """What passed in the step before and in this one, and the seconds that each still counts."""
        await self._connected()
        previous, current, left = await self._redis.run(PEEK, [PREFIX + key.encode()], [expiry * 1000])
        return previous, left / 1000 if previous else 0.0, current, left / 1000 + expiry

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Nothing has passed."""
        await self._connected()
        await self._redis.call(b"DEL", PREFIX + key.encode())

    async def check(self) -> bool:
        """Whether the server answers."""
        await self._connected()
        return bool(await self._redis.call(b"PING") == b"PONG")

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.close()

    async def _connected(self) -> None:
        if self._starting is None:
            self._starting = asyncio.create_task(self._redis.start())
        await asyncio.shield(self._starting)
