"""Servers under measurement: started, awaited, pinned to a core, their CPU time and memory read from /proc."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """A running server and how to look at it."""

    name: str
    url: str
    process: subprocess.Popen[bytes]

    def family(self) -> list[int]:
        """The process and all its descendants."""
        found, waiting = [], [self.process.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    waiting.extend(int(child) for child in task.read_text().split())
        return found

    def cpu_seconds(self) -> float:
        """User and system time of the whole family so far."""
        total = 0
        for pid in self.family():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def lift_threads(self) -> None:
        """Under real-time priority, give its threads a turn as soon as they want one, as without it they had.

        Otherwise a thread waits for the end of the event loop's slice, 100 ms, each time that it wants the interpreter:
        SQLite would write the ledger after the load, and not beside it.
        """
        if os.sched_getscheduler(0) != os.SCHED_RR:
            return
        higher = os.sched_param(os.sched_getparam(0).sched_priority + 1)
        for pid in self.family():
            for task in Path(f"/proc/{pid}/task").glob("*"):
                if int(task.name) != pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.sched_setscheduler(int(task.name), os.SCHED_RR, higher)

    def resident_bytes(self) -> int:
        """Resident memory of the whole family."""
        pages = 0
        for pid in self.family():
            with contextlib.suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def private_bytes(self) -> int:
        """The part of resident memory that is the processes' own: neither files nor what they share."""
        total = 0
        for pid in self.family():
            with contextlib.suppress(OSError):
                (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if "RssAnon" in each]
                total += int(line.split()[1]) * 1024
        return total


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    ready: str,
    core: int | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = 120,
    log: Path,
) -> Iterator[Server]:
    """Start a server, wait until ``ready`` (a path) answers, and stop it afterwards."""
    pinned = ["taskset", "-c", str(core)] if core is not None and shutil.which("taskset") else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*pinned, *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    server = Server(name, f"http://127.0.0.1:{port}", process)
    try:
        _await(server, ready, time.monotonic() + seconds, log)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(server: Server, path: str, deadline: float, log: Path) -> None:
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise SystemExit(f"{server.name} ended with status {server.process.returncode}:\n{log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(server.url + path, timeout=2).read()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{server.name} did not answer {path} in time:\n{log.read_text()[-2000:]}")
