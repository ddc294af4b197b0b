"""A Redis or Valkey server."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PATIENCE = 30


@dataclass(frozen=True)
class Redis:
    """A server, reached through its socket file; nothing is kept on disk."""

    socket: str

    @property
    def url(self) -> str:
        """As the clients' ``from_url`` takes it."""
        return f"unix://{self.socket}"


def program() -> str:
    """The server's. Raises RuntimeError when there is none."""
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise RuntimeError("redis-server is not installed; apt-get install redis-server, or run scripts/test")
    return found


@contextmanager
def running_redis() -> Iterator[Redis]:
    """A new, empty server."""
    with tempfile.TemporaryDirectory(prefix="tallygate-redis-") as directory:  # a socket's path is short
        socket = str(Path(directory) / "socket")
        process = subprocess.Popen(
            [program(), "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", directory],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "eady to accept connections" in line:
                break
        else:
            raise RuntimeError(f"{program()} failed:\n{''.join(said)}")
        rest = threading.Thread(target=process.stdout.read)
        rest.start()
        try:
            yield Redis(socket)
        finally:
            process.terminate()
            process.wait(PATIENCE)
            rest.join()
            process.stdout.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """The server of this test process. Tests use keys or databases of their own."""
    with running_redis() as server:
        yield server
