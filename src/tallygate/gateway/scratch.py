"""A place in memory for the ledger that workers share: gone when the gateway is, however it ended."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
"""Where the ledger lives unless told otherwise: a disk would stall writers."""
PREFIX = "tallygate-ledger-"
LEDGER = "ledger"


@contextmanager
def scratch_ledger(root: Path | None = None) -> Iterator[Path]:
    """The path of a new ledger. Raises OSError when there is no place for one.

    Its directory is locked as long as this process lives; what a killed gateway left behind is removed at the start.
    """
    if root is None:
        root = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for left in root.glob(f"{PREFIX}*"):
        _remove_if_left(left)
    directory, lock = _locked_directory(root)
    try:
        yield directory / LEDGER
    finally:
        _remove(directory)
        os.close(lock)


def _locked_directory(root: Path) -> tuple[Path, int]:
    """A new directory and the descriptor that holds its lock."""
    while True:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another gateway that is just starting may have taken it for one left behind.
        if directory.exists():
            return directory, lock
        os.close(lock)


def _remove_if_left(directory: Path) -> None:
    """Remove a directory whose gateway is gone; one that is in use, or is not ours, stays."""
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(directory)
    except BlockingIOError:
        return
    finally:
        os.close(lock)


def _remove(directory: Path) -> None:
    """Remove the ledger and its directory, which holds nothing else."""
    with contextlib.suppress(OSError):
        for file in directory.glob(f"{LEDGER}*"):
            file.unlink()
        directory.rmdir()
