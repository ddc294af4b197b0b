"""Whose key a request shows, from the worker's memory; the database is asked in the background.

A worker keeps what it knows of the keys that it has seen, and the revision of the accounts up to which that is right.
The revision stands in a file that the workers of a machine share, and is looked at for every request; and once a second
every worker asks the database for it. When it has grown, the worker asks which users changed, and forgets their keys.

While the database is away, keys that are known go on working, for as long as ``accounts.stale_seconds`` says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from tallygate.errors import ErrorType
from tallygate.facts import APIKeyUse
from tallygate.gateway.access import WRONG, Access, presented_key
from tallygate.gateway.accounts import statements as do
from tallygate.gateway.accounts.callers import Entry, Use, entry_of
from tallygate.gateway.accounts.loading import Loader, TooMany
from tallygate.gateway.accounts.revision import RevisionFile
from tallygate.gateway.accounts.secrets import hash_of, is_well_formed
from tallygate.gateway.caller import Caller
from tallygate.gateway.database import Database, DatabaseAway
from tallygate.gateway.refusal import Refusal

if TYPE_CHECKING:
    from tallygate.gateway.settings.accounts import AccountSettings
    from tallygate.tally import Tally

log = structlog.get_logger("tallygate.gateway")

T = TypeVar("T")

POLL_SECONDS: Final = 1.0
"""How often every worker asks for the revision: how long a change on another machine may take to be known."""
PATIENCE: Final = 2.0
"""Seconds that a query may take before the database counts as away."""
LATEST: Final = 2**63 - 1
"""A revision after which there is none."""

MESSAGES: Final = {
    Use.UNKNOWN: (401, ErrorType.CALLER_AUTHENTICATION, WRONG),
    Use.INACTIVE: (401, ErrorType.CALLER_AUTHENTICATION, "this API key is not active"),
    Use.EXPIRED: (401, ErrorType.CALLER_AUTHENTICATION, "this API key has expired"),
    Use.USER_INACTIVE: (403, ErrorType.CALLER_PERMISSION, "the account of this API key is not active"),
    Use.TRIAL_ENDED: (403, ErrorType.CALLER_PERMISSION, "the trial of this API key's account has ended"),
    Use.UNAVAILABLE: (
        503,
        ErrorType.GATEWAY_UNAVAILABLE,
        "the gateway cannot look up this API key, because its database is away; try again later",
    ),
}
RETRY: Final = ((b"retry-after", b"1"),)


class Directory:
    """The accounts as the pipeline sees them (``interface.Accounts``), and a service."""

    def __init__(
        self, database: Database, access: Access, settings: AccountSettings, state_directory: Path, tally: Tally
    ) -> None:
        """access: knows the master key. state_directory: of this machine's workers."""
        self._database, self._access, self._tally = database, access, tally
        self._seconds, self._most = settings.cache_seconds, settings.cache_entries
        self._stale_seconds = settings.stale_seconds
        self._state_directory = state_directory
        self._entries: dict[bytes, Entry] = {}
        self._unknown: dict[bytes, float] = {}
        """Keys that nobody has, and until when that is believed."""
        self._loader: Loader[Entry] = Loader(self._load)
        self._numbers = memoryview(bytes(8)).cast("q")
        self._told = 0
        """What stood in the file when the database was last asked for changes."""
        self._revision = -1
        """Up to which changes are known."""
        self._in_step_at = -inf
        """When the database last told them."""
        self._away = False
        self._catching_up: asyncio.Task[None] | None = None
        self._polling: asyncio.Task[None] | None = None
        self._record_success: Callable[[], None] = _nothing
        self._identified = tally.identities is not None and "api_key_id" in tally.identities.names
        if tally.enabled:
            # Each word shows at 0 before it happens.
            rows = {use: tally.tables[APIKeyUse].row("", use.value) for use in Use}
            self._record_success = rows[Use.SUCCESS].record

    async def start(self) -> None:
        """Begin to watch for changes. Raises OSError when the state directory cannot be used, DatabaseAway."""
        self._file = RevisionFile(self._state_directory)
        self._numbers = self._file.numbers
        await self._ask_for_changes()
        self._polling = asyncio.create_task(self._poll())

    async def close(self) -> None:
        """Watch no more."""
        for task in (self._polling, self._catching_up):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])
        await self._loader.close()
        self._file.close()

    def tell(self, revision: int) -> None:
        """This process changed the accounts: let the workers of this machine know."""
        self._file.tell(revision)

    async def caller(self, headers: dict[bytes, bytes], query: bytes) -> Caller | None:
        """See ``interface.Accounts``."""
        presented = presented_key(headers, query)
        hash = hash_of(presented)
        entry, now = self._entries.get(hash), monotonic()
        if entry is None or now >= entry.again_at or self._numbers[0] != self._told:
            if entry is None and self._access.is_master(presented):
                return None
            entry = await self._look_up(presented, hash)
        if now >= entry.ends_at:
            raise self._refusal(entry.ends_as, entry)
        if self._identified:
            self._tally.record_api_key_use(Use.SUCCESS, entry.caller.key_id)
        else:
            self._record_success()
        return entry.caller

    def _refusal(self, use: Use, entry: Entry | None = None) -> Refusal:
        self._tally.record_api_key_use(use.value, None if entry is None else entry.caller.key_id)
        status, error_type, message = MESSAGES[use]
        return Refusal(status, error_type, message, RETRY if status == 503 else ())

    async def _look_up(self, presented: bytes, hash: bytes) -> Entry:
        """What is known of a key that is not at hand, or may have changed. Raises Refusal."""
        if not is_well_formed(presented):
            raise self._refusal(Use.UNKNOWN)
        while self._numbers[0] != self._told and not self._away:
            await self._catch_up()
        entry, now = self._entries.get(hash), monotonic()
        if entry is not None:
            if now < entry.again_at:
                return entry
            if not self._away and now >= entry.again_at + self._seconds:
                # Not seen for long: what is known of it is too old, unless there is nothing better.
                return await self._ask(hash) or self._stale(entry)
            if not self._away and not entry.asked:
                # A key in use never waits: what is known of it is good while it is looked at again.
                with suppress(TooMany):
                    self._loader.ask(hash)
                    entry.asked = True
            return self._stale(entry)
        if self._unknown.get(hash, -inf) > now:
            raise self._refusal(Use.UNKNOWN)
        entry = None if self._away else await self._ask(hash)
        if entry is None:
            raise self._refusal(Use.UNAVAILABLE)
        return entry

    def _stale(self, entry: Entry) -> Entry:
        """What was known, as long as the database is away no longer than may be."""
        if monotonic() - self._in_step_at > self._stale_seconds:
            raise self._refusal(Use.UNAVAILABLE, entry)
        return entry

    async def _ask(self, hash: bytes) -> Entry | None:
        """What the database says of a key; None when it says nothing. Raises Refusal when there is no such key."""
        try:
            entry = await asyncio.shield(self._loader.ask(hash))
        except (DatabaseAway, TooMany):
            return None
        if entry is None:
            raise self._refusal(Use.UNKNOWN)
        return entry

    async def _load(self, hashes: Iterable[bytes]) -> Mapping[bytes, Entry]:
        """The keys of these hashes, and keep what is found. Raises DatabaseAway."""
        hashes = list(hashes)
        while True:
            try:
                async with asyncio.timeout(PATIENCE), self._database.reading() as connection:
                    rows = (await connection.execute(do.callers_find, {"hashes": hashes})).all()
            except Exception as problem:
                raise self._lost(problem) from None
            # Rows of before a change that is known already came too late to be forgotten with the others.
            if all(row.revision >= self._revision for row in rows):
                break
            await self._catch_up()
        found = {row.hash: entry_of(row, self._seconds) for row in rows}
        for hash in hashes:
            self._entries.pop(hash, None)
            self._unknown.pop(hash, None)
            if hash in found:
                _keep(self._entries, hash, found[hash], self._most)
            else:
                _keep(self._unknown, hash, monotonic() + self._seconds, self._most)
        return found

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Learn what has changed; several who want it do it together. Never raises."""
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.create_task(self._try_to_catch_up())
        await asyncio.shield(self._catching_up)

    async def _try_to_catch_up(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ask_for_changes()
        except Exception as problem:
            self._lost(problem)

    async def _ask_for_changes(self) -> None:
        number = self._numbers[0]
        since = self._revision if self._entries else LATEST
        async with self._database.reading() as connection:
            rows = (await connection.execute(do.changes_find, {"since": since})).all()
        revision = int(rows[0].value)
        if revision < self._revision:  # another database, or an older copy of it
            self._entries.clear()
        elif revision > self._revision:
            changed = {row.id for row in rows}
            for hash in [hash for hash, entry in self._entries.items() if entry.caller.user_id in changed]:
                del self._entries[hash]
        self._revision, self._told, self._in_step_at = revision, number, monotonic()
        if self._away:
            self._away = False
            log.info("the database of accounts is back", database=self._database.shown)

    def _lost(self, problem: Exception) -> DatabaseAway:
        """Note that the database cannot be asked, for whatever reason."""
        expected = isinstance(problem, (DatabaseAway, TimeoutError))
        if not self._away:
            self._away = True
            log.warning(
                "the database of accounts is away; known keys go on working",
                problem=str(problem) or "it does not answer",
                seconds=self._stale_seconds,
                exc_info=not expected,
            )
        return problem if isinstance(problem, DatabaseAway) else DatabaseAway("it does not answer")


def _keep(kept: dict[bytes, T], hash: bytes, value: T, most: int) -> None:
    """Keep this one, and let go of the oldest when there are too many."""
    if len(kept) >= most:
        del kept[next(iter(kept))]
    kept[hash] = value


def _nothing() -> None:
    return None
