"""Limits of one machine: windows and holds in the LMDB environment that its workers share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import lmdb
import structlog

from tallygate.gateway.state import holds as records
from tallygate.gateway.state.comparing import Comparing
from tallygate.gateway.state.environment import THIS_BOOT, Database, Environment, StateError, Transaction
from tallygate.gateway.state.interface import (
    WINDOW_SECONDS,
    Asked,
    Granted,
    HoldAsk,
    Purse,
    Refused,
    SpentSource,
    StateAway,
)
from tallygate.gateway.state.windows import RECORD, Window, corrected, window_at
from tallygate.gateway.state.workers import Worker

log = structlog.get_logger("tallygate.gateway")

MINUTE = WINDOW_SECONDS * 1000
WINDOWS, HOLDS, NUMBERS = "limits.windows", "limits.holds", "numbers"
BOOT = b"limits.boot"
LOOK_SECONDS = 1.0
"""How often a worker looks whether others died, and gives back what they held."""
SWEEP_SECONDS = 600.0
"""How often records of which nothing is left are removed."""
AT_ONCE = 250
"""Records that are looked at in one transaction."""
read_window, write_window = RECORD.unpack, RECORD.pack


def milliseconds() -> int:
    """A clock that all processes of the machine share, and nobody sets."""
    return time.monotonic_ns() // 1_000_000


Settlement = tuple[Granted, int, int, Sequence[HoldAsk] | None]
"""What was granted, the tokens used, the cost, and holds as for ``Store.settle``."""


Answer = Granted | Refused | list[Purse]
"""Or the purses that are not known."""


class LocalStore:
    """As ``Store``. What a worker held that was killed is free within ``LOOK_SECONDS``, as long as another one lives;
    else when the next one starts."""

    joins = True

    def __init__(
        self,
        environment: Environment,
        spent: SpentSource | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        """environment: closed with the store. spent: asked about purses that it does not know. clock: milliseconds."""
        self._environment, self._clock = environment, clock or milliseconds
        self._comparing = Comparing(spent, self._raise)
        self.windows = environment.database(WINDOWS)
        self._holds = environment.database(HOLDS)
        self._worker: Worker | None = None
        self._holder = b""
        self._looking: asyncio.Task[None] | None = None
        self._asking: list[tuple[Asked, int, int, asyncio.Future[Answer]]] = []
        """What is asked in this turn of the loop: what for, tokens, money, and where to answer."""
        self._owed: list[Settlement] = []
        """What could not be settled because the environment was full."""

    async def start(self) -> None:
        """Become a worker. Raises StateError."""
        try:
            self._worker = Worker(self._environment)
            self._forget_other_boots()
            await self._look()
        except (lmdb.Error, OSError) as problem:
            raise StateError(f"cannot use the state in {self._environment.directory}: {problem}") from problem
        self._looking = asyncio.create_task(self._keep_looking())
        self._comparing.start()

    async def close(self) -> None:
        """Leave; what is still held is free."""
        await self._comparing.close()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
            self._looking = None
        if self._worker is not None:
            await self._look()  # the last one to leave: who died just now would hold on
            worker, self._worker = self._worker, None
            await self._free(worker.number)
            worker.close()
        self._environment.close()

    async def admit(self, asked: Asked, tokens: int = 0, money: int = 0) -> Granted | Refused:
        """As ``Store.admit``."""
        while isinstance(answer := await self._ask(asked, tokens, money), list):
            for purse in answer:
                await self._comparing.begin(purse)
        for key, purse in asked.purses:
            self._comparing.met(key, purse)
        return answer

    async def _ask(self, asked: Asked, tokens: int, money: int) -> Answer:
        """All that is asked in one turn of the loop is looked at in one transaction."""
        loop = asyncio.get_running_loop()
        if not self._asking:
            loop.call_soon(self._answer)
        answer: asyncio.Future[Answer] = loop.create_future()
        self._asking.append((asked, tokens, money, answer))
        try:
            return await answer
        except asyncio.CancelledError:
            came = answer.done() and not answer.cancelled() and answer.exception() is None
            if came and isinstance(granted := answer.result(), Granted):
                self.settle(granted, 0, 0)  # just before the cancellation: nobody will
            raise

    def _answer(self) -> None:
        asking, self._asking = self._asking, []
        answers: list[Answer] = []
        try:
            with self._environment.write() as transaction:
                now = self._clock()
                for asked, tokens, money, answer in asking:
                    answers.append([] if answer.done() else self._admit(transaction, now, asked, tokens, money))
        except Exception as problem:
            self._comparing.missed()
            for _, _, _, answer in asking:
                if not answer.done():
                    away = isinstance(problem, (lmdb.Error, StateError))
                    answer.set_exception(StateAway(str(problem)) if away else problem)
            return
        for (_, _, _, answer), found in zip(asking, answers, strict=True):
            if not answer.done():
                answer.set_result(found)

    def _admit(self, transaction: Transaction, now: int, asked: Asked, tokens: int, money: int) -> Answer:
        assert self._worker is not None
        remaining: list[int] = []
        changes: list[tuple[bytes, bytes, Database]] = []
        unknown: list[Purse] = []
        get, database = transaction.get, self.windows
        step, into = divmod(now, MINUTE)
        for key, limit, amount in asked.windows:
            if amount is None:
                amount = tokens if tokens < limit else limit
            record = get(key, None, database)
            kept, previous, current = read_window(record) if record is not None else (step, 0, 0)
            if kept != step:
                step, previous, current, rest, _ = window_at(record, now, MINUTE)
                into = MINUTE - rest
            left = limit - current - previous * (MINUTE - into) // MINUTE
            if amount > left:
                window = Window(step, previous, current, MINUTE - into, MINUTE)
                return _refused(len(remaining), window, limit, amount)
            changes.append((key, write_window(step, previous, current + amount), database))
            remaining.append(left - amount)
        database = self._holds
        for place, (key, limit, amount, purse) in enumerate(asked.holds, len(remaining)):
            if amount is None:
                amount = money
            record = get(key, None, database)
            if record is None:
                if purse is not None:
                    unknown.append(purse)
                    continue
                values = [0]
            else:
                values = records.unpack(record)
            left = limit - sum(values[::2])
            if amount > left or (purse is not None and left <= 0):
                return Refused(place, max(left, 0), None, 0.0)
            if amount:
                records.hold(values, self._worker.number, amount)
                changes.append((key, records.pack(values), database))
        if unknown:
            return unknown
        put = transaction.put
        for key, value, database in changes:
            put(key, value, db=database)
        return Granted(asked, tokens, money, remaining, (2 * MINUTE - into) / 1000, step, self._holder)

    async def _raise(self, purse: Purse, spent: int) -> None:
        with self._environment.write() as transaction:
            record = transaction.get(purse.key, db=self._holds)
            values = [0] if record is None else records.unpack(record)
            if record is None or spent > values[0]:
                values[0] = min(spent, records.MOST)
                transaction.put(purse.key, records.pack(values), db=self._holds)

    def settle(
        self,
        granted: Granted,
        tokens: int,
        cost: int,
        transaction: Transaction | None = None,
        holds: Sequence[HoldAsk] | None = None,
    ) -> None:
        """As ``Store.settle``."""
        if transaction is not None:
            self._settle(transaction, granted, tokens, cost, holds)
            return
        try:
            with self._environment.write() as own:
                self._settle(own, granted, tokens, cost, holds)
        except (lmdb.Error, StateError) as problem:
            if not self._owed:
                log.error("limits cannot be settled; tried again every second", problem=str(problem))
            self._owed.append((granted, tokens, cost, holds))

    def _settle(
        self, transaction: Transaction, granted: Granted, tokens: int, cost: int, holds: Sequence[HoldAsk] | None
    ) -> None:
        assert self._worker is not None
        worker = self._worker.number
        get, put = transaction.get, transaction.put
        if granted.asked.tokens:
            now, database = self._clock(), self.windows
            for key, limit, _ in granted.asked.tokens:
                more = tokens - min(granted.tokens, limit)
                if more:
                    record = corrected(get(key, None, database), now, MINUTE, granted.moment, more)
                    if record is not None:
                        put(key, record, db=database)
        database = self._holds
        for key, _, amount, purse in granted.asked.holds if holds is None else holds:
            record = get(key, None, database)
            if record is None:
                continue
            values = records.unpack(record)
            if purse is not None and cost:
                values[0] = min(values[0] + cost, records.MOST)
            if amount is None:
                amount = granted.money
            if amount:
                records.hold(values, worker, -amount)
            put(key, records.pack(values), db=database)

    async def _keep_looking(self) -> None:
        """Give back what dead workers held; settle what is owed; remove what is empty."""
        next_sweep = time.monotonic() + SWEEP_SECONDS
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
                owed, self._owed = self._owed, []
                for granted, tokens, cost, holds in owed:
                    self.settle(granted, tokens, cost, None, holds)
                if time.monotonic() >= next_sweep:
                    next_sweep = time.monotonic() + SWEEP_SECONDS
                    await self._sweep()
            except Exception as problem:
                log.error("limits' state cannot be kept", problem=str(problem))

    async def _look(self) -> None:
        assert self._worker is not None
        for number in self._worker.dead():
            freed = await self._free(number)
            self._environment.free_dead_readers()
            log.warning("a worker died; what it held is free again", worker=number, limits=freed)

    async def _free(self, worker: int) -> int:
        """Free all that a worker holds; in how many records that was."""
        freed = 0

        def without(key: bytes, record: bytes) -> bytes | None:
            nonlocal freed
            values = records.unpack(record)
            if worker not in values[1::2]:
                return record
            freed += 1
            records.hold(values, worker, -records.MOST)
            return records.pack(values)

        await self._go_through(self._holds, without)
        return freed

    async def _sweep(self) -> None:
        """Remove windows in which nothing is, places that nobody holds, and purses of days and months long past."""
        now, month = self._clock(), time.strftime("%Y-%m", time.gmtime(time.time() - 40 * 86400)).encode()

        def window(key: bytes, record: bytes) -> bytes | None:
            seen = window_at(record, now, MINUTE)
            return record if seen.previous or seen.current else None

        def held(key: bytes, record: bytes) -> bytes | None:
            if len(record) > 8:
                return record
            if not key.startswith(b"purse:"):
                return None
            period = key.rpartition(b":")[2]
            return None if period and period < month else record

        await self._go_through(self.windows, window)
        await self._go_through(self._holds, held)

    async def _go_through(self, database: Database, change: Callable[[bytes, bytes], bytes | None]) -> None:
        """Change every record, or remove it; some at a time, so that requests have their turn."""
        after: bytes | None = b""
        while after is not None:
            with self._environment.write() as transaction:
                cursor = transaction.cursor(database)
                more = cursor.set_range(after) if after else cursor.first()
                after = None
                changes: list[tuple[bytes, bytes, bytes | None]] = []
                for key, record in cursor if more else ():
                    if len(changes) == AT_ONCE:
                        after = key
                        break
                    changes.append((key, record, change(key, record)))
                for key, record, new in changes:
                    if new is None:
                        transaction.delete(key, db=database)
                    elif new is not record:
                        transaction.put(key, new, db=database)
            await asyncio.sleep(0)

    def _forget_other_boots(self) -> None:
        """Since the machine started, nobody holds anything, the clock is another, and purses are asked for again."""
        boot = THIS_BOOT.read_bytes().strip() if THIS_BOOT.exists() else b""
        numbers = self._environment.database(NUMBERS)
        with self._environment.write() as transaction:
            if transaction.get(BOOT, db=numbers) != boot:
                transaction.drop(self.windows, delete=False)
                transaction.drop(self._holds, delete=False)
                transaction.put(BOOT, boot, db=numbers)


def _refused(place: int, window: Window, limit: int, amount: int) -> Refused:
    wait = window.wait(limit, amount)
    return Refused(place, max(limit - window.used, 0), None if wait is None else wait / 1000, window.reset / 1000)
