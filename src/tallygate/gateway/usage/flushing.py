"""The one worker of a machine that brings the queue's calls to the database; when it dies, another takes over."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import DBAPIError

from tallygate.gateway.usage.writing import DELETED_AT_ONCE, PositionMoved, Writer

if TYPE_CHECKING:
    from tallygate.gateway.database import Database
    from tallygate.gateway.settings.usage import UsageSettings
    from tallygate.gateway.state.environment import Environment
    from tallygate.gateway.usage.spool import Spool, Spooled
    from tallygate.tally import Tally

log = structlog.get_logger("tallygate.gateway")

LOCK = "usage.flusher"
"""Locked by the worker that writes."""
SLICE = 100
"""Entries read or taken away at once: others wait for the queue, and requests for the event loop, no longer than that
takes."""
LONGEST_PAUSE = 5.0
"""Seconds between two attempts while the database is away."""
DRAIN_PAUSE = 0.02
DELETE_EVERY = 3600.0
"""Seconds between two looks for calls that are kept no longer."""
RETRIED = ("40",)
"""Beginnings of PostgreSQL's codes: the transaction lost against another and may win the next time."""


class Flusher:
    """Writes batches as long as it holds the lock."""

    def __init__(
        self, environment: Environment, spool: Spool, database: Database, settings: UsageSettings, tally: Tally
    ) -> None:
        self._spool, self._database, self._settings, self._tally = spool, database, settings, tally
        self._lock = os.open(environment.directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._elected = False
        self._turn = asyncio.Lock()
        self._writer = Writer(database, spool.source)
        self._position: int | None = None
        """Up to where the queue is in the database; None when that must be asked."""
        self._batch = settings.batch_calls
        self._pause = settings.flush_seconds
        self._away_since: float | None = None
        self._delete_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Flush now and then until told to stop."""
        while not stop.is_set():
            await self.flush()
            try:
                async with asyncio.timeout(self._pause):
                    await stop.wait()
            except TimeoutError:
                continue

    async def drain(self) -> None:
        """See the calls that wait now into the database, whoever writes them; not for long, and not while it is
        away."""
        upto = self._spool.newest
        while (first := self._spool.first) is not None and first <= upto:
            if await self.flush() or self._elected:
                break
            await asyncio.sleep(DRAIN_PAUSE)
        left = self._spool.waiting
        if left and self._elected:
            log.warning("calls wait for the database; they are written at the next start", calls=left)

    def close(self) -> None:
        """Let another worker write."""
        os.close(self._lock)

    async def flush(self) -> bool:
        """Write what waits, if this is the worker that does; whether all of it could be written."""
        if not self._elected and not self._elect():
            return False
        async with self._turn:
            try:
                more = True
                while more:
                    more = await self._flush_batch()
                await self._delete_old()
                self._note_back()
                return True
            except Exception as problem:
                # The database is away; or it is a defect of ours, which must not end the writing either.
                self._note_away(problem)
                return False
            finally:
                self._show()

    def _elect(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._elected = True
        return True

    async def _flush_batch(self) -> bool:
        """Write one batch; whether there may be more. Raises DatabaseAway."""
        if self._position is None:
            self._position = await self._writer.find_position(self._spool.last)
            await self._forget(self._position)
        calls = await self._read(self._position)
        if not calls:
            return False
        left = max(0, self._spool.waiting - len(calls))
        position, self._position = self._position, None
        try:
            await self._writer.write(calls, left)
        except PositionMoved:
            self._rename(position)
            return True
        except DBAPIError as problem:
            await self._write_less(calls, problem)
            return True
        self._position = calls[-1][0]
        await self._forget(self._position)
        self._batch = min(self._batch * 2, self._settings.batch_calls)
        return bool(left)

    async def _read(self, after: int) -> Spooled:
        calls: Spooled = []
        while len(calls) < self._batch:
            limit = min(SLICE, self._batch - len(calls))
            some = self._spool.read(calls[-1][0] if calls else after, limit)
            calls += some
            if len(some) < limit:
                break
            await asyncio.sleep(0)
        return calls

    async def _forget(self, upto: int) -> None:
        more = True
        while more:
            more = self._spool.forget(upto, SLICE) == SLICE
            await asyncio.sleep(0)

    async def _write_less(self, calls: Spooled, problem: DBAPIError) -> None:
        """The database is there and does not take a batch: find out which call it does not take, and go on without."""
        code = getattr(problem.orig, "sqlstate", None)
        if isinstance(code, str) and code.startswith(RETRIED):
            await asyncio.sleep(DRAIN_PAUSE)
        elif len(calls) > 1:
            self._batch = max(1, len(calls) // 2)
        else:
            number, entry = calls[0]
            self._spool.set_aside(number)
            self._tally.record_store_failure("usage")
            log.error(
                "the database does not take a call; it was set aside",
                problem=str(problem.orig),
                call=entry.decode(errors="replace"),
            )

    def _rename(self, position: int) -> None:
        """The queue's name is used twice: another machine has a copy of this one's state."""
        self._spool.rename()
        self._writer = Writer(self._database, self._spool.source)
        log.error(
            "another gateway writes calls under the name of this machine's queue; this one takes a new name. "
            "Give each machine a state directory of its own: shared.state_directory must not be copied",
            position=position,
        )

    async def _delete_old(self) -> None:
        days, now = self._settings.retention_days, time.monotonic()
        if not days or now < self._delete_at:
            return
        gone = await self._writer.delete_calls_before(datetime.now(UTC) - timedelta(days=days))
        if gone < DELETED_AT_ONCE:
            self._delete_at = now + DELETE_EVERY

    def _note_away(self, problem: Exception) -> None:
        self._position = None
        self._pause = min(max(self._pause, 0.05) * 2, LONGEST_PAUSE)
        self._tally.record_store_failure("usage")
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.warning(
                "calls cannot be written to the database; they wait",
                problem=f"{type(problem).__name__}: {problem}",
                calls=self._spool.waiting,
                at_most=self._settings.backlog_calls,
            )

    def _note_back(self) -> None:
        self._pause = self._settings.flush_seconds
        if self._away_since is not None:
            seconds = round(time.monotonic() - self._away_since, 1)
            self._away_since = None
            log.info("calls are written to the database again", after_seconds=seconds)

    def _show(self) -> None:
        first = self._spool.first
        age = 0.0 if first is None else max(0.0, time.time() - first / 1e9)
        self._tally.set_queue("usage", self._spool.waiting, age)
