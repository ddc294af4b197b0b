"""No secret in any log, metric, error, admin answer or crash report: a gateway with secrets everywhere, and traffic
of all kinds, and then every byte that it said is searched for each of them, in every guise."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import redis
import yaml

from tallygate.dialects import DIALECTS
from tallygate.simulator import Simulator
from tests.gateway.apis import APIS
from tests.gateway.certificates import Authority, encrypted
from tests.gateway.running import Answer, ask
from tests.gateway.server.listening import Message, Receive, Send, listening
from tests.services.databases import new_database
from tests.services.postgres import PostgreSQL, postgres
from tests.services.redis import running_redis

__all__ = ["postgres"]

HERE = Path(__file__).parent
PATIENCE = 60.0
CHAT, MESSAGES, GEMINI = APIS[0], APIS[4], APIS[5]


def secret(kind: str) -> str:
    """A value that is nowhere else, with signs that are written otherwise in a URL and in JSON."""
    return f"{kind}+/=&{secrets.token_hex(12)}"


@dataclass
class Secrets:
    """One for every place that can have one."""

    master: str = field(default_factory=lambda: secret("master"))
    admin: str = field(default_factory=lambda: secret("admin-key-of-the-gateway"))
    scraper: str = field(default_factory=lambda: secret("scraper"))
    openai: str = field(default_factory=lambda: secret("sk-openai"))
    anthropic: str = field(default_factory=lambda: secret("sk-ant"))
    gemini: str = field(default_factory=lambda: secret("AIza"))
    header: str = field(default_factory=lambda: secret("header"))
    database: str = field(default_factory=lambda: secret("database"))
    redis: str = field(default_factory=lambda: secret("redis"))
    tls: str = field(default_factory=lambda: secret("tls"))
    stranger: str = field(default_factory=lambda: secret("sk-of-a-stranger"))
    in_url: str = field(default_factory=lambda: secret("in-url"))
    prometheus: str = field(default_factory=lambda: secret("prometheus"))

    def all(self) -> list[str]:
        return list(vars(self).values())


def guises(secret: str) -> Iterator[bytes]:
    """What a secret may look like: as it is, its end alone, and in the usual codings."""
    raw = secret.encode()
    yield raw
    yield raw[-8:]
    yield quote(secret, safe="").encode()
    yield quote_plus(secret).encode()
    yield repr(secret)[1:-1].encode()
    yield raw.hex().encode()
    for start in range(3):
        # The three ways in which base64 can have it inside of a longer text.
        coded = base64.b64encode(b"\0" * start + raw)
        inside = coded[(start * 8 + 5) // 6 : len(raw) * 8 // 6 - 1]
        yield inside
        yield inside.replace(b"+", b"-").replace(b"/", b"_")


def test_the_search_finds_every_guise() -> None:
    hidden = secret("k")
    for text in (
        f"x {hidden} y",
        f"...{hidden[-8:]}",
        quote(f"?key={hidden}", safe=""),
        json.dumps({"k": hidden}),
        base64.b64encode(f"Bearer {hidden}".encode()).decode(),
        base64.b64encode(f"user:{hidden}".encode()).decode(),
        base64.urlsafe_b64encode(f"u:{hidden}".encode()).decode(),
        hidden.encode().hex(),
    ):
        assert any(guise in text.encode() for guise in guises(hidden)), text


@asynccontextmanager
async def echoing_provider() -> AsyncIterator[str]:
    """Its errors repeat everything that it was sent: headers, and the URL."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        told = {name.decode(): value.decode() for name, value in scope["headers"]}
        url = f"{scope['path']}?{scope['query_string'].decode()}"
        body = json.dumps({"error": {"message": f"refused {url}: {told}", "type": "x", "code": "y"}}).encode()
        await send(
            {
                "type": "http.response.start",
                "status": 401,
                "headers": [
                    (b"content-length", b"%d" % len(body)),
                    (b"www-authenticate", f"Bearer got={told.get('authorization', '')}".encode()),
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async with listening(app) as server:
        yield f"http://127.0.0.1:{server.port}"


def configuration(s: Secrets, directory: Path, simulator: str, echo: str, database: str, store: str) -> dict[str, Any]:
    certificate, key = Authority(directory).issue()
    tls = {"certificate": str(certificate), "key": str(encrypted(key, s.tls)), "key_password": s.tls}
    more = {"headers": {"X-More": s.header}}
    return {
        "server": {"master_key": s.master},
        "metrics": {"secret": s.scraper, "listener": {"port": 0, "tls": tls}, "identities": {"api_key_id": "raw"}},
        "providers": {
            "openai": {"base_url": f"{simulator}/v1", "api_key": s.openai, **more},
            "anthropic": {"kind": "anthropic", "base_url": simulator, "api_key": s.anthropic, **more},
            "gemini": {"kind": "gemini", "base_url": simulator, "api_key": s.gemini},
            "echo": {"base_url": f"{echo}/v1", "api_key": s.openai, "models": ["echo"], **more},
            "gone": {"base_url": "http://127.0.0.1:9/v1", "api_key": s.openai, "models": ["gone"]},
            "nowhere": {"base_url": "https://nowhere.invalid/v1", "api_key": s.openai, "models": ["nowhere"]},
        },
        "accounts": {"enabled": True, "admin_key": s.admin, "database_url": database, "cache_seconds": 0.2},
        "shared": {"url": store, "state_directory": str(directory / "state")},
        "rates": {"key": {"requests_per_minute": 1000}},
        "limits": {"upstream_first_byte_seconds": 0.3, "stream_idle_seconds": 0.3, "body_bytes": 5000},
        "dashboard": {
            "refresh_seconds": 0.2,
            "prometheus_url": f"http://watcher:{quote(s.prometheus, safe='')}@{echo.removeprefix('http://')}/prometheus",
        },
        "log": {"level": "debug"},
    }


class Program:
    """The gateway as a program; everything it says is kept."""

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        self.file = directory / "tallygate.yaml"
        self.file.write_text(yaml.safe_dump(settings))
        self.directory = directory
        self.written: list[bytes] = []
        self.urls: list[str] = []
        self._listening = threading.Event()
        self._process = subprocess.Popen(
            self.command("serve", "--port", "0"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=directory, env=self.environ, start_new_session=True,
        )  # fmt: skip
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        assert self._listening.wait(PATIENCE), self.said

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        return {**kept, "PYTHONFAULTHANDLER": "1", "PYTHONPATH": str(HERE.parents[2])}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(HERE / "crashing.py"), *arguments, "--config", str(self.file)]

    @property
    def said(self) -> bytes:
        return b"".join(self.written)

    def run(self, *arguments: str) -> bytes:
        """All that a command says."""
        done = subprocess.run(
            self.command(*arguments), capture_output=True, cwd=self.directory, env=self.environ, check=False
        )
        return done.stdout + done.stderr

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.written.append(line)
            if b"prometheus metrics enabled" in line:
                self.urls.insert(0, json.loads(line)["prometheus_metrics_url"])
            if b"gateway is listening" in line:
                self.urls.append(json.loads(line)["url"])
                self._listening.set()
        self._process.stdout.close()
        self._listening.set()

    def end(self, number: int) -> int:
        """Send a signal; the exit status."""
        self._process.send_signal(number)
        status = self._process.wait(PATIENCE)
        self._reading.join(PATIENCE)
        return status


def written(file: Path) -> bytes:
    """What was ever written to a file that has holes."""
    found, end = [], 0
    with open(file, "rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        while end < size:
            try:
                start = os.lseek(opened.fileno(), end, os.SEEK_DATA)
            except OSError:  # nothing but a hole is left
                break
            end = os.lseek(opened.fileno(), start, os.SEEK_HOLE)
            found.append(os.pread(opened.fileno(), end - start, start))
    return b"".join(found)


@contextmanager
def program(directory: Path, settings: dict[str, Any]) -> Iterator[Program]:
    running = Program(directory, settings)
    try:
        yield running
    finally:
        running.end(signal.SIGKILL)


@pytest.mark.xdist_group("postgres")
async def test_no_secret_is_told(tmp_path: Path, postgres: PostgreSQL) -> None:
    s = Secrets()
    with running_redis() as store, new_database(postgres) as database:
        with redis.Redis.from_url(store.url) as client:
            client.config_set("requirepass", s.redis)
        # A directory of its own for the socket, so that the database can go away.
        place = tmp_path / "pg"
        place.mkdir()
        (place / ".s.PGSQL.5432").symlink_to(Path(postgres.host) / ".s.PGSQL.5432")
        database = database.replace("@", f":{quote(s.database, safe='')}@").replace(postgres.host, str(place))
        url = f"unix://:{quote(s.redis, safe='')}@{store.socket}"
        async with Simulator() as simulator, echoing_provider() as echo:
            settings = configuration(s, tmp_path, simulator.url, echo, database, url)
            with program(tmp_path, settings) as running:
                told, account_keys = await traffic(running, s, place)
                for form in ("toml", "json"):
                    told.append(await asyncio.to_thread(running.run, "config", "--format", form))
                told.append(await refused_starts(running, settings, s))
                # What is kept on disk for the workers to share.
                told += [written(one) for one in (tmp_path / "state").rglob("*") if one.is_file()]
                # A crash of the whole process, with a report.
                assert running.end(signal.SIGABRT) == -signal.SIGABRT
                said = running.said
    assert b"Fatal Python error: Aborted" in said
    assert b"a defect while asking" in said
    assert b"Traceback" in said
    assert b"provider failed" in said
    assert b"wrong admin key" in said
    found = [
        (secret, place, text[max(0, text.find(guise) - 300) : text.find(guise) + 100])
        for secret in (*s.all(), *account_keys)
        for guise in set(guises(secret))
        for place, text in (("log", said), *(("told", text) for text in told))
        if guise in text
    ]
    assert found == []


async def traffic(running: Program, s: Secrets, place: Path) -> tuple[list[bytes], list[str]]:
    """Requests of all kinds. Returns all that was answered, and the keys that the gateway gave out."""
    told: list[bytes] = []
    metrics, url = running.urls

    async def say(method: str, path: str, key: str, body: bytes = b"", **headers: str) -> Answer:
        sent = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        answer = await ask(url + path, body, {name: value for name, value in sent.items() if value}, method=method)
        told.append(json.dumps(answer.headers).encode() + answer.body)
        return answer

    def admin(method: str, path: str, document: object = None) -> Any:
        body = b"" if document is None else json.dumps(document).encode()
        return say(method, f"/admin{path}", s.admin, body)

    # Accounts: the answers that tell a new secret are the only ones that may.
    assert (await admin("POST", "/users", {"name": "research"})).status == 201
    made = json.loads((await admin("POST", "/keys", {"user": "research", "name": "one"})).body)
    told.pop()
    rotated = json.loads((await admin("POST", f"/keys/{made['key']['id']}/rotate", {"grace_seconds": 60})).body)
    told.pop()
    keys = [made["secret"], rotated["secret"]]

    # Good and bad answers of providers, of every API, with every kind of key.
    for key in (s.master, *keys):
        for api in (CHAT, MESSAGES, GEMINI):
            for model in ("m", "m+401", "m+500", "m+429", "m+reset", "m+stall", "m+slow_headers", "m+truncated_json"):
                for stream in (False, True):
                    if key == s.master or model == "m":
                        await say("POST", api.path(quote(model), stream), key, api.body(model, stream))
        for model in ("echo", "gone", "nowhere", "crash"):
            answer = await say("POST", CHAT.path(model, False), key, CHAT.body(model, False))
            assert answer.status == {"echo": 401, "crash": 500}.get(model, 502), answer
        await say("GET", f"/v1/models?key={quote(key)}", "", x_api_key=key)
    # What a gateway with no use for it is given.
    for path in ("/v1/chat/completions", "/v1/messages", "/v1beta/models/m:generateContent", "/v1/models", "/nowhere"):
        for method in ("GET", "POST", "DELETE"):
            await say(method, path, s.stranger)
            await say(method, f"{path}?key={quote(s.in_url)}&api_key={quote(s.in_url)}", "")
            await say(method, path, "", authorization=s.stranger)
            await say(method, path, "", x_api_key=s.stranger, cookie=f"session={s.stranger}")
    await say("POST", CHAT.path("m", False), s.master, b"x" * 5001)
    await say("POST", CHAT.path("m", False), s.master, json.dumps({"model": s.stranger, "messages": []}).encode())
    told.pop()  # a client's own words come back to it
    await say("POST", MESSAGES.path("", False), s.master, CHAT.body("echo", False))

    # The admin API.
    for key in (s.stranger, s.master, *keys, s.scraper):
        assert (await say("GET", "/admin/users", key)).status == 401
    for path in ("/users", "/keys", f"/keys/{made['key']['id']}", "/users/research/credits", "/usage", "/usage/calls"):
        assert (await admin("GET", path)).status == 200
    assert (await admin("GET", "/openapi.json")).status == 200
    assert (await admin("POST", "/users", {"name": 5})).status == 400

    # The metrics, in every dialect and form.
    trusted = place.parent / "ca.pem"
    for dialect in DIALECTS:
        for accept in ("text/plain", "application/openmetrics-text;version=1.0.0", "application/vnd.google.protobuf"):
            told.append(await asyncio.to_thread(scrape, f"{metrics}?dialect={dialect}", s.scraper, accept, trusted))
    assert b"tallygate_llm_calls_total" in told[-3 * len(DIALECTS)]
    told.append(await asyncio.to_thread(scrape, metrics, s.stranger, "text/plain", trusted))

    # The live page, whose Prometheus repeats what it was sent in its errors.
    for key in (s.stranger, s.scraper, s.master, s.admin, *keys):
        form = f"key={quote(key, safe='')}&more={quote(s.in_url, safe='')}".encode()
        entered = await say("POST", "/dashboard/sign-in", s.stranger, form, sec_fetch_site="same-origin")
        assert entered.status == (303 if key in (s.master, s.admin) else 403)
        cookie = entered.headers.get("set-cookie", "").partition(";")[0]
        for path in ("", "/sign-in", "/figures", "/figures?range=24h", f"/figures?range={quote(s.in_url)}", "/nowhere"):
            answer = await say("GET", f"/dashboard{path}", s.stranger, cookie=cookie)
            if cookie and path == "/figures":
                assert json.loads(answer.body)["problem"].endswith("answered 401; see dashboard.prometheus_token")
        await say("POST", "/dashboard/sign-out", s.stranger, cookie=cookie)

    # The database goes away, and the key was last seen too long ago.
    (place / ".s.PGSQL.5432").unlink()
    await asyncio.sleep(0.3)
    for key in keys:
        await say("POST", CHAT.path("m", False), key, CHAT.body("m", False))
    await admin("GET", "/users")
    return told, keys


def scrape(url: str, key: str, accept: str, trusted: Path) -> bytes:
    """What a scraper gets, whatever it is."""
    done = subprocess.run(
        ["curl", "-s", "-i", "--cacert", trusted, "-H", f"Authorization: Bearer {key}", "-H", f"Accept: {accept}", url],
        capture_output=True,
        check=True,
    )
    return done.stdout


async def refused_starts(running: Program, settings: dict[str, Any], s: Secrets) -> bytes:
    """What a gateway says that cannot start: with a database or a store that is away, with settings that are wrong."""
    said = b""
    gone = f"postgresql://u:{quote(s.database, safe='')}@127.0.0.1:9/d"
    accounts, shared = settings["accounts"], settings["shared"]
    wrong_ones: list[dict[str, Any]] = [
        {"accounts": {**accounts, "database_url": gone}},
        {
            "accounts": {**accounts, "database_url": f"mysql://u:{s.database}@h/d"},
            "shared": {**shared, "url": f"redis://:{quote(s.redis, safe='')}@127.0.0.1:port/0"},
            "server": {"master_key": [s.master]},
            "providers": {
                "p": {"base_url": f"https://u:{s.openai}@h/v1"},
                "q": {"base_url": "https://h/v1", "headers": {"X-More": f"{s.header}\0"}},
                "r": {"base_url": f"https://h/v1?key={s.gemini}", "api_key": {"key": s.gemini}},
            },
        },
        {
            "accounts": {**accounts, "database_url": f"postgresql://u:{quote(s.database)}@h:port/d"},
            "server": {"master_key": f"{s.master}\n{s.stranger}"},
        },
    ]
    for wrong in wrong_ones:
        running.file.write_text(yaml.safe_dump({**settings, **wrong}))
        told = await asyncio.to_thread(running.run, "serve", "--port", "0")
        assert told, wrong
        said += told
    return said
