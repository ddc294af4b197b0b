"""Prometheus and Alertmanager as the compose file starts them: its commands and files, other places."""

import json
import queue
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from tests.deploy.composed import FILE, filled

PATIENCE = 30.0
POLL = 0.05
LISTENING = re.compile(r"Listening on\W.*address=(?:\S+:)?(\d+)", re.IGNORECASE)


@dataclass
class Running:
    """A server that is asked over HTTP."""

    port: int

    def ask(self, path: str, body: Any = None) -> Any:
        """The answer's document; posts when there is a body."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", content, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            answer = reply.read()
        return json.loads(answer) if answer else None

    def wait(self) -> None:
        """Until it serves: it listens before that, and says 503."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=PATIENCE):
                    return
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
            assert time.monotonic() < deadline
            time.sleep(POLL)

    def until(self, path: str, right: Callable[[Any], bool]) -> Any:
        """The first answer that is right; fails when none comes."""
        deadline = time.monotonic() + PATIENCE
        while not right(answer := self.ask(path)):
            assert time.monotonic() < deadline, answer
            time.sleep(POLL)
        return answer


@contextmanager
def service(name: str, program: str, places: Mapping[str, str], more: Sequence[str] = ()) -> Iterator[Running]:
    """A service's command, run here on a free port; ``places``: its paths, and where they are on this machine."""
    command = [filled(word) for word in FILE["services"][name]["command"]]
    for inside, here in places.items():
        command = [word.replace(f"={inside}", f"={here}") for word in command]
    process = subprocess.Popen(
        [program, *command, "--web.listen-address=127.0.0.1:0", *more], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said: list[str] = []
    port = 0
    for line in process.stderr:
        said.append(line)
        if (found := LISTENING.search(line)) and int(found[1]):
            port = int(found[1])
            break
    reading = threading.Thread(target=process.stderr.read)
    reading.start()
    try:
        assert port, f"{name} ended:\n{''.join(said)}"
        running = Running(port)
        running.wait()
        yield running
    finally:
        process.terminate()
        process.wait(PATIENCE)
        reading.join()
        process.stderr.close()


@contextmanager
def webhook() -> Iterator[tuple[str, "queue.Queue[Any]"]]:
    """An address, and what was posted to it."""
    posted: queue.Queue[Any] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", posted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
