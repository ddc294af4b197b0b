"""Purses are compared with what was spent: a store that was away, or was lost, has missed some of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from tallygate.gateway.state.interface import Purse, SpentSource, StateAway

log = structlog.get_logger("tallygate.gateway")

AGAIN_SECONDS = 10.0
"""When a purse is compared for the second time: by then what was under way is written."""
LOOK_SECONDS = 1.0
AT_ONCE = 50
"""Purses that are compared in a second."""
MOST_KNOWN = 100_000

Raise = Callable[[Purse, int], Awaitable[None]]
"""Sees to it that a purse has spent so much at least."""


class Comparing:
    """Compares each purse when this worker first meets it, and again after everything that may have been missed."""

    def __init__(self, spent: SpentSource | None, raise_to: Raise) -> None:
        """spent: None without accounts, when there are no purses."""
        self._spent, self._raise = spent, raise_to
        self._known: set[bytes] = set()
        self._due: deque[tuple[float, Purse]] = deque()
        self._beginning: dict[bytes, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End."""
        ending = [*self._beginning.values(), *([] if self._task is None else [self._task])]
        self._task = None
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)

    def met(self, key: bytes, purse: Purse) -> None:
        """A call is paid from this purse."""
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known.add(key)
            self._due.append((0.0, purse))

    def missed(self) -> None:
        """The store may have missed something: compare all purses again when they are met."""
        self._known.clear()

    async def begin(self, purse: Purse) -> None:
        """Begin a purse that the store does not know: once, for all who wait for it.

        Raises StateAway, and what the store raises.
        """
        key = purse.key
        task = self._beginning.get(key)
        if task is None:
            task = self._beginning[key] = asyncio.create_task(self._compare(purse))
            task.add_done_callback(lambda _: self._beginning.pop(key))
        await asyncio.shield(task)

    async def look(self, now: float) -> None:
        """Compare what is due. Raises StateAway, and what the store raises."""
        for _ in range(min(len(self._due), AT_ONCE)):
            due, purse = self._due[0]
            if due > now:
                break
            self._due.popleft()
            try:
                await self._compare(purse)
            except Exception:
                self._due.append((now + AGAIN_SECONDS, purse))
                raise
            if not due:
                self._due.append((now + AGAIN_SECONDS, purse))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look(loop.time())
            except Exception as problem:
                log.debug("purses cannot be compared now", why=str(problem))

    async def _compare(self, purse: Purse) -> None:
        await self._raise(purse, await self._spent_of(purse))

    async def _spent_of(self, purse: Purse) -> int:
        assert self._spent is not None
        try:
            return await self._spent.spent(purse)
        except Exception as problem:
            raise StateAway(f"what was spent is not known: {problem}") from problem
