"""Starting, draining and replacing processes, seen from outside."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PATIENCE = 30.0


class Served:
    """A server process that has said it is ready."""

    def __init__(self, process: subprocess.Popen[str], bound: list[tuple[str, int]]) -> None:
        self.process = process
        self.ports = [port for _, port in bound]

    def get(self, path: str = "/", listener: int = 0) -> str:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[listener], timeout=PATIENCE)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    @contextmanager
    def stream(self) -> Iterator[http.client.HTTPResponse]:
        """A stream that has begun."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[0], timeout=PATIENCE)
        connection.request("GET", "/stream")
        response = connection.getresponse()
        assert response.readline() == b"piece\n"
        yield response
        connection.close()

    def end(self) -> tuple[int, str, str]:
        """Wait for the end: exit status, standard output, standard error."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


def start(**arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(HERE / "served.py"), json.dumps(arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        start_new_session=True,
    )


@contextmanager
def served(**arguments: object) -> Iterator[Served]:
    """A running server, gone at the end whatever happens."""
    process = start(**arguments)
    try:
        assert process.stdout is not None
        word, _, bound = process.stdout.readline().partition(" ")
        assert word == "ready", process.communicate(timeout=PATIENCE)[1]
        yield Served(process, json.loads(bound))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)


BOTH = pytest.mark.parametrize("workers", [1, 2])


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_in_progress_ends_in_peace(workers: int, number: signal.Signals) -> None:
    with served(workers=workers, pieces=10) as server, server.stream() as stream:
        # To the whole group, as a terminal does with Ctrl-C.
        os.killpg(server.process.pid, number)
        assert stream.read() == b"piece\n" * 9 + b"end\n"
        status, out, err = server.end()
        assert (status, out, err) == (0, "lifespan ended\n" * workers, "")
        with pytest.raises(ConnectionError):
            server.get()


@BOTH
def test_a_stream_is_cut_when_the_grace_period_ends(workers: int) -> None:
    with served(workers=workers, pieces=1000, grace=0.3) as server, server.stream() as stream:
        server.process.terminate()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            stream.read()
        status, out, err = server.end()
        assert (status, out) == (0, "lifespan ended\n" * workers)
        assert "1 request(s) cut off at shutdown, unfinished after 0.3 s of grace" in err


@BOTH
def test_a_second_signal_cuts_at_once(workers: int) -> None:
    with served(workers=workers, pieces=1000, grace=1000) as server, server.stream() as stream:
        server.process.terminate()
        stream.readline()
        server.process.terminate()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            stream.read()
        assert server.end()[:2] == (0, "lifespan ended\n" * workers)


@BOTH
def test_the_side_application_has_a_port_of_its_own(workers: int) -> None:
    with served(workers=workers, side=True) as server:
        assert len(set(server.ports)) == 2
        assert server.get(listener=1) == "side"
        assert server.get().isdigit()


def test_all_workers_serve() -> None:
    with served(workers=2) as server:
        pids = {server.get() for _ in range(64)}
        assert len(pids) == 2
        assert str(server.process.pid) not in pids


def test_a_killed_worker_is_replaced() -> None:
    with served(workers=2) as server:
        before = {server.get() for _ in range(64)}
        victim = min(before)
        os.kill(int(victim), signal.SIGKILL)
        limit = time.monotonic() + PATIENCE
        after: set[str] = set()
        while len(after - before) < 1 and time.monotonic() < limit:
            after = {server.get() for _ in range(16)}
        assert victim not in after
        assert len(after - before) == 1
        server.process.terminate()
        status, _, err = server.end()
        assert status == 0
        assert f"worker {victim} ended with status -9; it is replaced after 0.1 s" in err


def test_a_worker_that_kills_itself_takes_no_other_along() -> None:
    with served(workers=2) as server:
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            server.get("/die")
        assert len({server.get() for _ in range(8)}) >= 1
        assert server.process.poll() is None


def test_workers_end_when_their_parent_is_killed() -> None:
    with served(workers=2) as server:
        server.process.kill()
        # Standard output closes when the last process that holds it has ended.
        assert server.end()[1] == "lifespan ended\n" * 2


@BOTH
def test_a_port_in_use_is_a_clear_error(workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        out, err = start(port=port, workers=workers).communicate(timeout=PATIENCE)
    assert (out, err) == (
        "",
        f"cannot start: port {port} on 127.0.0.1 is already in use: stop what listens there or choose another port\n",
    )


def test_two_servers_do_not_share_a_port() -> None:
    with served(workers=2) as server:
        _, err = start(port=server.ports[0], workers=2).communicate(timeout=PATIENCE)
        assert f"port {server.ports[0]} on 127.0.0.1 is already in use" in err


def test_a_host_that_is_not_here() -> None:
    process = start(host="192.0.2.1")
    assert process.communicate(timeout=PATIENCE)[1].startswith("cannot start: cannot listen on 192.0.2.1:0: ")
    assert process.returncode == 1


@BOTH
@pytest.mark.parametrize(
    ("broken", "message"),
    [("factory", "the ledger cannot be opened"), ("lifespan", "the application failed to start; the log says why")],
)
def test_an_application_that_cannot_start_ends_the_server(workers: int, broken: str, message: str) -> None:
    process = start(workers=workers, broken=broken)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (1, "")
    assert err.endswith(f"cannot start: {message}\n")


def test_localhost_is_reached_by_either_name() -> None:
    with served(host="localhost", workers=2) as server:
        assert server.get().isdigit()
