"""The gateway as its users run it: a program with workers, seen from outside."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.gateway.provided import providers
from tests.gateway.running import Page, parsed

PATIENCE = 30.0


class Served:
    """A gateway program that says it listens."""

    def __init__(self, process: "subprocess.Popen[str]", said: list[dict[str, Any]]) -> None:
        self.process, self.said = process, said
        self.port = int(str(said[-1]["url"]).rpartition(":")[2])

    @property
    def metrics_url(self) -> str:
        """Where the gateway says that its metrics are."""
        (url,) = [str(entry["prometheus_metrics_url"]) for entry in self.said if "prometheus_metrics_url" in entry]
        return url

    def peak_bytes(self) -> int:
        """The most memory that any of its processes has had resident."""
        return max(_status(pid, "VmHWM") for pid in self.workers())

    def connection(self) -> http.client.HTTPConnection:
        """A new connection: with several workers, any of them may take it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        connection = self.connection()
        try:
            connection.request(method, path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def page(self) -> Page:
        """What one worker says on the metrics page."""
        status, body = self.ask("GET", "/metrics")
        assert status == 200, body
        return Page(parsed(body.decode()))

    def wait(self, condition: Callable[[Page], bool]) -> Page:
        """Scrape until this holds. Raises TimeoutError with nothing else to wait for."""
        deadline = time.monotonic() + PATIENCE
        while True:
            page = self.page()
            if condition(page):
                return page
            if time.monotonic() > deadline:
                raise TimeoutError

    def workers(self) -> list[int]:
        """Process ids of the workers; of the gateway itself when it has none."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found = [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        return found or [pid]

    def end(self) -> tuple[int, str]:
        """Wait for the end: exit status and what was logged since the start."""
        _, log = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, log


def start(directory: Path, settings: dict[str, Any], *flags: str) -> "subprocess.Popen[str]":
    """Start the gateway's own command with these settings in a file."""
    file = directory / "tallygate.yaml"
    # JSON is YAML.
    file.write_text(json.dumps(settings))
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return subprocess.Popen(
        [sys.executable, "-m", "tallygate.cli", "serve", "--config", str(file), "--port", "0", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        env=environ,
        start_new_session=True,
    )


@contextmanager
def served(directory: Path, provider: str, *flags: str, **settings: Any) -> Iterator[Served]:
    """A running gateway in front of the simulator at ``provider``, gone at the end whatever happens."""
    process = start(directory, {"providers": providers(provider), **settings}, *flags)
    try:
        yield Served(process, _start_log(process))
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise


def _start_log(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    """What is logged until the gateway listens."""
    assert process.stderr is not None
    said: list[dict[str, Any]] = []
    for line in process.stderr:
        said.append(json.loads(line))
        if said[-1]["msg"] == "gateway is listening":
            return said
    raise AssertionError(said)


def _status(pid: int, name: str) -> int:
    """A size in /proc/PID/status, in bytes."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024
