"""The usage ledger of one worker: its calls go to the machine's queue, and from there to the database."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING

import structlog

from tallygate.gateway.state.environment import Environment
from tallygate.gateway.usage.flushing import Flusher
from tallygate.gateway.usage.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tallygate.gateway.database import Database
    from tallygate.gateway.settings.usage import UsageSettings
    from tallygate.gateway.state.environment import Transaction
    from tallygate.tally import Tally

log = structlog.get_logger("tallygate.gateway")

LOOK_EVERY = 64
"""Calls of one worker between two looks at how many wait; oftener where few may."""
MOST_KEPT = 10_000
"""Calls that a worker holds in memory when the queue takes none: those that were being served, for new ones are
refused."""
DRAIN_SECONDS = 4.0
"""How long the end of a worker waits for its calls to be written."""
RETRY_AFTER = 5
"""Seconds after which a refused call may be tried again."""


class Ledger:
    """A UsageLedger, and a service."""

    def __init__(self, directory: Path, database: Database, settings: UsageSettings, tally: Tally) -> None:
        """directory: of the machine's state."""
        self._directory, self._database, self._settings, self._tally = directory, database, settings, tally
        self._look_every = min(LOOK_EVERY, math.ceil(settings.backlog_calls / 100))
        self._until_look = 0
        self._full = False
        self._added: list[tuple[bytes, Callable[[Transaction | None], None] | None]] = []
        """What was added in this turn of the loop, and who waits for it to be written."""
        self._waiting: list[asyncio.Future[None]] = []
        self._kept: deque[bytes] = deque(maxlen=MOST_KEPT)
        self._environment: Environment
        self._spool: Spool
        self._flusher: Flusher
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the queue and begin to write. Raises StateError."""
        # Now, and not at the first call that has a price.
        self._tally.prices.load()
        self._environment = Environment(self._directory)
        self._spool = Spool(self._environment)
        self._flusher = Flusher(self._environment, self._spool, self._database, self._settings, self._tally)
        self._look()
        self._task = asyncio.create_task(self._flusher.run(self._stop))

    async def close(self) -> None:
        """Write what is there, unless the database is away."""
        if self._task is None:
            return
        if self._added:
            self._write_added()
        self._stop.set()
        ending = asyncio.create_task(self._end(self._task))
        self._task = None
        # Whatever is cut off here is found again at the next start.
        _, unfinished = await asyncio.wait([ending], timeout=DRAIN_SECONDS)
        if unfinished:
            ending.cancel()
            await asyncio.wait([ending])
        self._flusher.close()
        self._environment.close()

    async def _end(self, task: asyncio.Task[None]) -> None:
        await task
        self._look()
        await self._flusher.drain()

    # As UsageLedger

    retry_after = RETRY_AFTER

    @property
    def spool(self) -> Spool:
        """The queue; there once it has started."""
        return self._spool

    @property
    def full(self) -> bool:
        """As UsageLedger.full."""
        return self._full and self._look()

    def add(self, entry: bytes, settle: Callable[[Transaction | None], None] | None = None) -> None:
        """As UsageLedger.add."""
        if not self._added:
            asyncio.get_running_loop().call_soon(self._write_added)
        self._added.append((entry, settle))

    async def written(self) -> None:
        """As UsageLedger.written."""
        if self._added:
            written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(written)
            await written

    def _write_added(self) -> None:
        added, self._added = self._added, []
        if not added:  # written at the end of the worker
            return
        waiting, self._waiting = self._waiting, []
        try:
            with self._environment.write() as transaction:
                self._spool.append(transaction, *[entry for entry, _ in added])
                for _, settle in added:
                    if settle is not None:
                        settle(transaction)
                self._until_look -= len(added)
                if self._until_look < 0:
                    self._until_look = self._look_every
                    self._full = self._spool.waiting_within(transaction) >= self._settings.backlog_calls
        except Exception as problem:
            for entry, settle in added:
                self._keep(entry, problem)
                if settle is not None:
                    settle(None)
        for written in waiting:
            if not written.done():
                written.set_result(None)

    def _keep(self, entry: bytes, problem: Exception) -> None:
        """The queue could not take an entry: hold it until it can."""
        if not self._full:
            log.error("the queue of calls takes no more; new calls are refused", problem=str(problem))
        self._full = True
        self._kept.append(entry)
        self._tally.record_store_failure("usage")

    def _look(self) -> bool:
        """Whether new calls must be refused, as it is now."""
        try:
            self._take_kept()
            self._full = bool(self._kept) or self._spool.waiting >= self._settings.backlog_calls
        except Exception as problem:
            self._full = True
            self._tally.record_store_failure("usage")
            log.debug("the queue of calls cannot be looked at", problem=str(problem))
        return self._full

    def _take_kept(self) -> None:
        """What the queue did not take, it may take now."""
        while self._kept:
            with self._environment.write() as transaction:
                self._spool.append(transaction, self._kept[0])
            self._kept.popleft()
