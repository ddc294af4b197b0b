"""Who of this machine's workers is alive: each locks a file as long as it lives, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tallygate.gateway.state.environment import Environment

DIRECTORY = "workers"
NUMBER = b"worker"


class Worker:
    """A place among the workers that share an environment. Its number is never given to another."""

    def __init__(self, environment: Environment) -> None:
        self._directory = environment.directory / DIRECTORY
        self._directory.mkdir(mode=0o700, exist_ok=True)
        numbers = environment.database("numbers")
        with environment.write() as transaction:
            self.number = int(transaction.get(NUMBER, b"0", db=numbers)) + 1
            transaction.put(NUMBER, b"%d" % self.number, db=numbers)
        self._path = self._directory / str(self.number)
        # Locked before it has its name: nobody may take it for that of a dead worker.
        draft = self._path.with_suffix(".new")
        self._lock = os.open(draft, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        draft.rename(self._path)

    def dead(self) -> Iterator[int]:
        """The numbers of workers that died without a word. Each is forgotten when the next one is asked for."""
        for number, path in _numbers(self._directory):
            if number == self.number:
                continue
            try:
                file = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield number
                path.unlink(missing_ok=True)
            except BlockingIOError:
                continue
            finally:
                os.close(file)

    def close(self) -> None:
        """Leave; what it held must be free by now."""
        if self._lock >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1


def _numbers(directory: Path) -> list[tuple[int, Path]]:
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        found = [(int(entry.name), Path(entry.path)) for entry in entries if entry.name.isdecimal()]
    return sorted(found)
