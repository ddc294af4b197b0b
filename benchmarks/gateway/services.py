"""PostgreSQL and Redis beside a gateway under load: started on core 1, their CPU told apart."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.services import postgres as pg
from tests.services import redis as valkey

from benchmarks.processes import Server

PATIENCE = 60.0
REALTIME = 1
"""Of PostgreSQL, when the others have a real-time priority: theirs is higher."""


@contextmanager
def postgres() -> Iterator[Server]:
    """An empty cluster with PostgreSQL's own defaults: every commit is on disk. ``url``: of its database."""
    directory = Path(tempfile.mkdtemp(prefix="tallygate-pg-"))
    user = pg.unprivileged()
    if user is not None:
        shutil.chown(directory, user)
    data = str(directory / "data")
    try:
        _run([pg.program("initdb"), "-D", data, "-U", pg.USER, "-A", "trust", "-E", "UTF8"], directory, user)
        # It stands on another machine in truth: what it writes in batches must not hold up the provider and the load.
        realtime = os.sched_getscheduler(0) == os.SCHED_RR
        before = ["chrt", "--rr", str(REALTIME)] if realtime else ["nice", "-n", "10"]
        command = [*before, pg.program("postgres"), "-D", data, "-k", str(directory), "-c", "listen_addresses="]
        with _running("PostgreSQL", command, directory, user, f"postgresql://{pg.USER}@/postgres?host={directory}") as (
            server
        ):
            _await(directory / ".s.PGSQL.5432", server)
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def redis() -> Iterator[Server]:
    """An empty server that keeps nothing on disk. ``url``: of its database."""
    with tempfile.TemporaryDirectory(prefix="tallygate-redis-") as folder:
        socket = Path(folder) / "socket"
        command = [valkey.program(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
        with _running("Redis", command, Path(folder), None, f"unix://{socket}") as server:
            _await(socket, server)
            yield server


def _run(command: Sequence[str], directory: Path, user: str | None) -> None:
    subprocess.run(command, user=user, cwd=directory, stdout=subprocess.DEVNULL, check=True)


@contextmanager
def _running(name: str, command: Sequence[str], directory: Path, user: str | None, url: str) -> Iterator[Server]:
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            ["taskset", "-c", "1", *command],
            user=user,
            extra_groups=None if user is None else [],
            cwd=directory,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )
    try:
        yield Server(name, url, process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)


def _await(socket: Path, server: Server) -> None:
    """Wait until the server has opened its socket file."""
    deadline = time.monotonic() + PATIENCE
    while not socket.exists():
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{server.name} did not start")
        time.sleep(0.05)
