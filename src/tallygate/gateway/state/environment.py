"""The LMDB environment that the workers of one machine share. A transaction is atomic across processes and survives
``kill -9``: what was not committed never was.

    environment = Environment(directory)
    spool = environment.database("spool")
    with environment.write() as transaction:
        transaction.put(key, value, db=spool)

Nothing is flushed to the disk as long as the machine runs, so a loss of power can leave a torn file. It is noticed at
the next start: what can still be read is copied to a new file, and one that cannot is set aside.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import RLock
from typing import TypeAlias

import lmdb
import structlog

from tallygate.gateway.state.salvage import DATABASES

log = structlog.get_logger("tallygate.gateway")

FILE, LOCK_FILE = "state.lmdb", "state.lmdb-lock"
OPENING = "opening"
"""Locked while somebody opens or closes the environment."""
USERS = "users"
"""Locked, shared, by all who have the environment open."""
BOOT = "boot"
"""Which boot of the machine has written since the file was last flushed; missing when nobody has."""
THIS_BOOT = Path("/proc/sys/kernel/random/boot_id")
DEFAULT_SIZE = 1024 * 1024 * 1024
READERS = 1024
RESERVE = 32 * 1024 * 1024
"""Bytes on the disk that are taken before they are needed: a full disk would kill whoever writes to the map."""
RESERVE_EVERY = 256
"""Transactions after which it is looked whether enough is reserved."""
SALVAGE_SECONDS = 120.0
BROKEN = (lmdb.InvalidError, lmdb.CorruptedError, lmdb.PageNotFoundError)

Database: TypeAlias = lmdb._Database
Transaction: TypeAlias = "lmdb.Transaction[bytes]"


class StateError(Exception):
    """The environment cannot be opened or written to; the message says which, why, and what mends it."""


class Environment:
    """An open environment; several of one directory in a process share one handle.

    Not to be taken across a fork. A write transaction belongs to its thread, which must not begin another inside it;
    all writers of the machine take turns, so it must be short.
    """

    def __init__(self, directory: Path, size: int = DEFAULT_SIZE) -> None:
        """size: bytes that it may hold at most; it grows up to that as needed. Raises StateError."""
        self.directory = directory
        self._handle: _Handle | None = _share(directory, size)
        self.write = self._handle.write
        self.read = self._handle.read

    def database(self, name: str) -> Database:
        """A named database, made when it is not there yet. To be called outside of any transaction."""
        assert self._handle is not None
        return self._handle.database(name)

    def free_dead_readers(self) -> int:
        """Let pages go that killed processes were reading; how many such readers there were."""
        assert self._handle is not None
        return self._handle.lmdb.reader_check()

    @property
    def used_bytes(self) -> int:
        """How much of its size was ever in use. Pages that are free again count, and are used before others."""
        assert self._handle is not None
        return self._handle.used_bytes

    def close(self) -> None:
        """Let go; the last process to do so flushes all to the disk. Idempotent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            _let_go(handle)


class _Handle:
    """An environment as LMDB has it: once per process and directory."""

    def __init__(self, directory: Path, size: int) -> None:
        self.directory, self.size, self.references = directory, size, 1
        self._databases: dict[str, Database] = {}
        self._until_reserve, self._reserved = RESERVE_EVERY, 0
        with _locked(directory / OPENING):
            self.users = os.open(directory / USERS, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if _try_lock(self.users, fcntl.LOCK_EX):
                    _mend(directory, size)
                _note_boot(directory)
                self.lmdb = _open(directory, size)
                fcntl.flock(self.users, fcntl.LOCK_SH)
            except BaseException:
                os.close(self.users)
                raise
        try:
            self._page = self.lmdb.stat()["psize"]
            self._reserved = self.used_bytes
            self._reserve()
        except BaseException:
            self.close()
            raise

    def write(self) -> Transaction:
        """Begin a write transaction: committed at the end of its ``with`` block, undone when that raises.

        Raises StateError when the disk is full. In it ``put`` raises lmdb.MapFullError when the environment is.
        """
        self._until_reserve -= 1
        if self._until_reserve < 0:
            self._reserve()
        try:
            return self.lmdb.begin(write=True)
        except lmdb.MapResizedError:  # by a process with a larger size
            self.lmdb.set_mapsize(0)
            return self.lmdb.begin(write=True)

    def read(self) -> Transaction:
        """Begin a read transaction: what was committed when it began. It must end soon, for it keeps old pages."""
        try:
            return self.lmdb.begin()
        except lmdb.MapResizedError:
            self.lmdb.set_mapsize(0)
            return self.lmdb.begin()

    def database(self, name: str) -> Database:
        found = self._databases.get(name)
        if found is None:
            found = self._databases[name] = self.lmdb.open_db(name.encode())
        return found

    @property
    def used_bytes(self) -> int:
        return (self.lmdb.info()["last_pgno"] + 1) * self._page

    def _reserve(self) -> None:
        """Have the disk's blocks before they are written to. Raises StateError when the disk is full."""
        used = self.used_bytes
        if min(used + RESERVE, self.size) > self._reserved:
            end = min(used + 2 * RESERVE, self.size)
            try:
                with open(self.directory / FILE, "r+b") as file:
                    os.posix_fallocate(file.fileno(), self._reserved, end - self._reserved)
            except OSError as problem:
                mend = "make room on its disk, or set shared.state_directory to a place with more"
                raise StateError(f"{self.directory / FILE} cannot grow: {problem.strerror}; {mend}") from problem
            self._reserved = end
        self._until_reserve = RESERVE_EVERY

    def close(self) -> None:
        with _locked(self.directory / OPENING):
            last = _try_lock(self.users, fcntl.LOCK_EX)
            if last:
                self.lmdb.sync(True)
            self.lmdb.close()
            if last:
                (self.directory / BOOT).unlink(missing_ok=True)
            os.close(self.users)


_handles: dict[Path, _Handle] = {}
_handles_lock = RLock()


def _share(directory: Path, size: int) -> _Handle:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _handles_lock:
            place = directory.resolve()
            handle = _handles.get(place)
            if handle is None:
                handle = _handles[place] = _Handle(place, size)
            else:
                handle.references += 1
            return handle
    except OSError as problem:
        mend = "set shared.state_directory to a directory that the gateway may write to"
        raise StateError(f"cannot use {problem.filename or directory}: {problem.strerror}; {mend}") from problem


def _let_go(handle: _Handle) -> None:
    with _handles_lock:
        handle.references -= 1
        if handle.references == 0:
            del _handles[handle.directory]
            handle.close()


def _open(directory: Path, size: int) -> lmdb.Environment:
    """Open the file, or make it. Raises StateError."""
    path = directory / FILE
    try:
        environment = lmdb.open(
            str(path),
            map_size=size,
            subdir=False,
            mode=0o600,
            max_dbs=DATABASES,
            max_readers=READERS,
            writemap=True,
            sync=False,
            metasync=False,
            readahead=False,
        )
    except lmdb.Error as problem:
        what = str(problem).removeprefix(f"{path}: ")
        if isinstance(problem, BROKEN):
            raise StateError(f"{path} is broken and in use ({what}); stop all gateways that use it") from problem
        mend = "start the version that made it, or move it away: calls in it that are not in the database are then lost"
        raise StateError(f"cannot open {path}: {what}; {mend}") from problem
    environment.reader_check()
    return environment


def _mend(directory: Path, size: int) -> None:
    """Nobody has it open: make sure that the file can be used, or that there is none."""
    path, boot = directory / FILE, directory / BOOT
    if not path.exists():
        return
    torn = boot.exists() and boot.read_text() != _this_boot()
    if not torn:
        try:
            _open(directory, size).close()
            return
        except StateError as problem:
            if not isinstance(problem.__cause__, BROKEN):
                raise
    (directory / LOCK_FILE).unlink(missing_ok=True)
    aside = path.with_name(f"{FILE}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.broken")
    copy = path.with_name(f"{FILE}.copy")
    copy.unlink(missing_ok=True)
    # A torn file can crash who reads it, so another process does.
    command = [sys.executable, "-m", "tallygate.gateway.state.salvage", str(path), str(copy), str(size)]
    try:
        run = subprocess.run(command, capture_output=True, timeout=SALVAGE_SECONDS, check=False)
        ended = f"status {run.returncode}: {run.stderr.decode(errors='replace').strip()[-200:]}"
        saved = run.returncode == 0
    except subprocess.TimeoutExpired:
        ended, saved = f"not finished after {SALVAGE_SECONDS:g} s", False
    if saved:
        copy.replace(path)
        log.warning("state was not closed before the machine stopped; all of it was read", file=str(path))
    else:
        copy.unlink(missing_ok=True)
        path.replace(aside)
        log.error("state is broken and was set aside; a new one is begun", file=str(path), aside=str(aside), why=ended)


def _note_boot(directory: Path) -> None:
    """From now on the file may be torn by a loss of power: that is on the disk before anything is written."""
    if (directory / BOOT).exists() and (directory / BOOT).read_text() == _this_boot():
        return
    with open(directory / BOOT, "w") as file:
        file.write(_this_boot())
        file.flush()
        os.fsync(file.fileno())
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _this_boot() -> str:
    """What tells this boot of the machine from others; '' where the system does not say."""
    try:
        return THIS_BOOT.read_text().strip()
    except OSError:
        return ""


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _try_lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
