"""Calls that are not yet in the database: a queue in the machine's state, which survives whatever is killed when.

Every entry has a number. Numbers only grow, even over a queue that was empty or a state that was lost and begun anew
(they follow the clock), so that "written up to this number" says all that the database needs to know.
"""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable

from tallygate.gateway.state.environment import Environment, Transaction

SPOOL, ABOUT, ASIDE = "usage.calls.1", "usage.about", "usage.aside"
"""Databases of the environment. The form of the entries is in the first one's name."""
SOURCE, LAST = b"source", b"last"
_number = struct.Struct(">Q")
pack, unpack = _number.pack, _number.unpack

Spooled = list[tuple[int, bytes]]
"""Numbers and entries, oldest first."""


class Spool:
    """The queue. All workers of the machine append to it, one of them takes from it."""

    def __init__(self, environment: Environment, clock: Callable[[], int] = time.time_ns) -> None:
        """clock: Unix time in nanoseconds."""
        self._environment, self._clock = environment, clock
        self._calls = environment.database(SPOOL)
        self._about = environment.database(ABOUT)
        self._aside = environment.database(ASIDE)
        with environment.write() as transaction:
            name = transaction.get(SOURCE, db=self._about)
            if name is None:
                name = secrets.token_hex(16).encode()
                transaction.put(SOURCE, name, db=self._about)
        self.source = bytes(name).decode()
        """What this queue is called in the database: its numbers mean nothing beside those of another."""

    def append(self, transaction: Transaction, *entries: bytes) -> int:
        """Add entries, in a transaction that may do more; returns the last one's number. Raises lmdb.MapFullError."""
        cursor = transaction.cursor(db=self._calls)
        if cursor.last():
            last = unpack(cursor.key())[0]
        else:
            kept = transaction.get(LAST, db=self._about)
            last = 0 if kept is None else unpack(kept)[0]
        number: int = max(last, self._clock() - 1)
        for entry in entries:
            number += 1
            cursor.put(pack(number), entry, append=True)
        return number

    def read(self, after: int, limit: int) -> Spooled:
        """The entries with the next higher numbers, at most so many."""
        found: Spooled = []
        with self._environment.read() as transaction:
            cursor = transaction.cursor(db=self._calls)
            if cursor.set_range(pack(after + 1)):
                for key, entry in cursor:
                    found.append((unpack(key)[0], bytes(entry)))
                    if len(found) >= limit:
                        break
        return found

    def read_all(self, after: int) -> list[bytes] | None:
        """All entries with higher numbers; None when some of them are no longer there."""
        with self._environment.read() as transaction:
            kept = transaction.get(LAST, db=self._about)
            if kept is not None and unpack(kept)[0] > after:
                return None
            cursor = transaction.cursor(db=self._calls)
            return [bytes(entry) for _, entry in cursor] if cursor.set_range(pack(after + 1)) else []

    def forget(self, upto: int, limit: int) -> int:
        """Take away entries up to this number, at most so many; returns how many it were."""
        gone, last, highest = 0, b"", pack(upto)
        with self._environment.write() as transaction:
            cursor = transaction.cursor(db=self._calls)
            cursor.first()
            while gone < limit and b"" != (key := cursor.key()) <= highest:
                last = key
                cursor.delete()
                gone += 1
            if gone:
                transaction.put(LAST, last, db=self._about)
        return gone

    def set_aside(self, number: int) -> None:
        """Move an entry that the database does not take to where nobody waits for it."""
        with self._environment.write() as transaction:
            key = pack(number)
            entry = transaction.pop(key, db=self._calls)
            if entry is not None:
                transaction.put(key, entry, db=self._aside)
                transaction.put(LAST, key, db=self._about)

    @property
    def last(self) -> int:
        """The highest number that is known to be written; 0 when none is."""
        with self._environment.read() as transaction:
            kept = transaction.get(LAST, db=self._about)
        return 0 if kept is None else int(unpack(kept)[0])

    @property
    def first(self) -> int | None:
        """The number of the oldest entry, which is when it was made in Unix nanoseconds; None when there is none."""
        with self._environment.read() as transaction:
            cursor = transaction.cursor(db=self._calls)
            return int(unpack(cursor.key())[0]) if cursor.first() else None

    @property
    def newest(self) -> int:
        """The number of the newest entry; 0 when there is none."""
        with self._environment.read() as transaction:
            cursor = transaction.cursor(db=self._calls)
            return int(unpack(cursor.key())[0]) if cursor.last() else 0

    @property
    def waiting(self) -> int:
        """How many entries there are."""
        with self._environment.read() as transaction:
            return self.waiting_within(transaction)

    def waiting_within(self, transaction: Transaction) -> int:
        """The same, as this transaction sees it."""
        return int(transaction.stat(self._calls)["entries"])

    def rename(self) -> None:
        """Take a new name, because another queue has this one's."""
        self.source = secrets.token_hex(16)
        with self._environment.write() as transaction:
            transaction.put(SOURCE, self.source.encode(), db=self._about)
