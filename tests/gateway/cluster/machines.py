"""Gateways as on several machines, and what their clients, their admins and their database see."""

import http.client
import itertools
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from tallygate.simulator import Simulator
from tests.gateway.processes import Served, served
from tests.gateway.running import Page, parsed

ADMIN_KEY = "admin-key-of-the-cluster-0123456789abcdef"
CACHE_SECONDS = 0.5
"""How long a worker trusts what it read of a key, at most."""
PATIENCE = 30.0

T = TypeVar("T")

_names = itertools.count(1)


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass(frozen=True)
class Key:
    """A key that an admin made."""

    id: str
    user_id: str
    secret: str = field(repr=False)


class Machine:
    """One of the gateways."""

    def __init__(self, gateway: Served) -> None:
        self.gateway = gateway

    def send(self, method: str, path: str, document: Any, key: str, **headers: str) -> Answer:
        """One request on a connection of its own, so that any worker may take it."""
        connection = self.gateway.connection()
        try:
            sent = {"content-type": "application/json", "authorization": f"Bearer {key}"}
            sent |= {name.replace("_", "-"): value for name, value in headers.items()}
            body = None if document is None else json.dumps(document)
            connection.request(method, path, body, sent)
            answer: http.client.HTTPResponse = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def admin(self, method: str, path: str, document: Any = None) -> dict[str, Any]:
        """What the admin API says; it must be content."""
        answer = self.send(method, f"/admin{path}", document, ADMIN_KEY)
        assert answer.status in (200, 201), answer
        return answer.document

    def new_key(self, user: dict[str, Any] | None = None, credit: str = "", **key: Any) -> Key:
        """A new key of a new user, who is granted so many USD."""
        name = f"user-{next(_names)}"
        made = self.admin("POST", "/users", {"name": name, **(user or {})})
        if credit:
            self.admin("POST", f"/users/{made['id']}/credits", {"amount": credit})
        new = self.admin("POST", "/keys", {"user": name, "name": "only", **key})
        return Key(new["key"]["id"], made["id"], new["secret"])

    def chat(
        self, key: Key, *, model: str = "gpt-4o-mini", tokens: int = 16, stream: bool = False, **headers: str
    ) -> Answer:
        """A chat completion."""
        document = {"model": model, "messages": [{"role": "user", "content": "Say this is a test."}], "stream": stream}
        return self.send("POST", "/v1/chat/completions", {**document, "max_tokens": tokens}, key.secret, **headers)

    def page(self) -> Page:
        """The metrics of this machine."""
        answer = self.send("GET", "/metrics", None, ADMIN_KEY)
        assert answer.status == 200, answer
        return Page(parsed(answer.body.decode()))


class Cluster:
    """The machines, and the database that they share."""

    def __init__(self, machines: tuple[Machine, ...], database: str) -> None:
        self.machines = machines
        self._database = database

    def at_once(self, calls: int, call: Callable[[Machine], T], threads: int = 16) -> list[T]:
        """So many calls, the machines by turns, many of them at the same time."""
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(call, itertools.islice(itertools.cycle(self.machines), calls)))

    def usage(self, key: Key) -> dict[str, int]:
        """What the ledger says that a key used, as soon as no call waits for the database any more."""
        with psycopg.connect(self._database) as connection:
            row = connection.execute(
                "SELECT count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),"
                " coalesce(sum(cost), 0) FROM usage_calls WHERE key_id = %s",
                (key.id,),
            ).fetchone()
        assert row is not None
        return dict(zip(("calls", "input_tokens", "output_tokens", "cost"), map(int, row), strict=True))

    def spent(self, key: Key) -> int:
        """What the database says that the key's user spent."""
        with psycopg.connect(self._database) as connection:
            row = connection.execute("SELECT spent FROM users WHERE id = %s", (key.user_id,)).fetchone()
        assert row is not None
        return int(row[0])


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until this is true. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


@contextmanager
def running_cluster(
    directory: Path, provider: Simulator, database: str, shared: str, machines: int = 2, **settings: Any
) -> Iterator[Cluster]:
    """Gateways with two workers each, on one database and one Redis."""
    sections = {
        "accounts": {
            "enabled": True,
            "database_url": database,
            "admin_key": ADMIN_KEY,
            "cache_seconds": CACHE_SECONDS,
        },
        "shared": {"url": shared, "state_directory": "state"},
        "usage": {"flush_seconds": 0.1},
        "metrics": {"secret": ADMIN_KEY},
        "cache": {"store": "shared"},
        **settings,
    }
    with ExitStack() as stack, ThreadPoolExecutor(machines) as pool:
        places = [directory / f"machine-{number + 1}" for number in range(machines)]
        for place in places:
            place.mkdir()
        # All at once: each finds an empty database and brings its tables up to date, or waits for the other.
        starting = [served(place, provider.url, "--workers", "2", **sections) for place in places]
        yield Cluster(tuple(map(Machine, pool.map(stack.enter_context, starting))), database)
