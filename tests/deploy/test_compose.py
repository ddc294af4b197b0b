"""The compose file: what it names is there; gateways, balancer and scraper do what it says, run here as processes."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tallygate.gateway.settings import Settings, load
from tallygate.simulator import Simulator, run_in_thread
from tests.deploy.composed import COMPOSE, FILE, environment, names, secrets, variables
from tests.services.databases import new_database
from tests.services.postgres import PostgreSQL, postgres
from tests.services.redis import Redis, redis_server

__all__ = ["postgres", "redis_server", "secrets"]

GATEWAYS = ("gateway-1", "gateway-2")
TALLYGATE = (sys.executable, "-m", "tallygate.cli")
PATIENCE = 30


@pytest.mark.parametrize("service", FILE["services"])
def test_all_that_a_service_names_is_there(service: str) -> None:
    parts = FILE["services"][service]
    for kind in ("secrets", "configs", "networks"):
        assert names(parts.get(kind, ())) <= set(FILE[kind])
    assert {volume.partition(":")[0] for volume in parts.get("volumes", ())} <= set(FILE["volumes"])
    assert set(parts.get("depends_on", {})) <= set(FILE["services"])
    for needed, how in parts.get("depends_on", {}).items():
        if FILE["services"][needed]["restart"] == "no":
            assert how == {"condition": "service_completed_successfully"}
            continue
        # The gateways' health check is the image's.
        assert how == {"condition": "service_healthy"}
        assert "healthcheck" in FILE["services"][needed] or needed in GATEWAYS
    for config in FILE["configs"].values():
        assert "content" in config or (COMPOSE / config["file"]).is_file()


def test_gateways_have_state_of_their_own() -> None:
    volumes = [FILE["services"][name]["volumes"] for name in GATEWAYS]
    assert volumes == [["gateway-1:/var/lib/tallygate"], ["gateway-2:/var/lib/tallygate"]]


def test_what_can_be_set_is_in_the_example_with_its_default() -> None:
    found = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", (COMPOSE / "compose.yaml").read_text()))
    assert found == variables()


def test_every_secret_is_made_once(secrets: Path) -> None:
    assert {entry["file"] for entry in FILE["secrets"].values()} == {
        f"secrets/{file.name}" for file in secrets.iterdir()
    }
    assert secrets.stat().st_mode & 0o777 == 0o700
    before = {file.name: file.read_text() for file in secrets.iterdir()}
    assert before["openai_api_key"] == "sk-real"
    assert all(before.values())
    subprocess.run([secrets.parent / "make-secrets"], check=True)
    assert {file.name: file.read_text() for file in secrets.iterdir()} == before


def settings(secrets: Path) -> Settings:
    return load(file=COMPOSE / "tallygate.yaml", environ=environment("gateway-1", secrets))


def test_the_gateway_takes_its_configuration(secrets: Path) -> None:
    found = settings(secrets)
    database, shared = found.accounts.database_url, found.shared.url
    assert database is not None
    password = (secrets / "postgres_password").read_text()
    assert database.get_secret_value() == f"postgresql://tallygate:{password}@postgres:5432/tallygate"
    assert shared is not None
    assert shared.get_secret_value() == "redis://valkey:6379/0"
    key = found.providers["openai"].api_key
    assert key is not None
    assert key.get_secret_value() == "sk-real"
    stop = FILE["services"]["gateway-1"]["stop_grace_period"]
    assert int(stop.removesuffix("s")) >= found.server.grace_seconds + 5


def test_every_gateway_is_scraped_with_its_secret(secrets: Path, tmp_path: Path) -> None:
    found = settings(secrets)
    job, *_ = yaml.safe_load((COMPOSE / "prometheus.yml").read_text())["scrape_configs"]
    assert found.metrics.listener is not None
    assert job["static_configs"] == [{"targets": [f"{name}:{found.metrics.listener.port}" for name in GATEWAYS]}]
    assert job["authorization"] == {"credentials_file": "/run/secrets/metrics_secret"}
    config = tmp_path / "prometheus.yml"
    config.write_text((COMPOSE / "prometheus.yml").read_text().replace("/run/secrets", str(secrets)))
    subprocess.run(["promtool", "check", "config", str(config)], check=True, capture_output=True)


class Gateway:
    """A gateway of the compose file as a process of its own: what stands beside it is elsewhere."""

    def __init__(self, service: str, directory: Path, secrets: Path, elsewhere: dict[str, str]) -> None:
        (config,) = FILE["services"][service]["configs"]
        environ = environment(service, secrets)
        assert environ["TALLYGATE_CONFIG"] == config["target"]
        assert environ.pop("TALLYGATE_ACCOUNTS__DATABASE_URL_FILE") == str(secrets / "database_url")
        directory.mkdir()
        self.environ = environ | {
            "PATH": os.environ["PATH"],
            "TALLYGATE_CONFIG": str(COMPOSE / FILE["configs"][config["source"]]["file"]),
            "TALLYGATE_METRICS__LISTENER__PORT": "0",
            "TALLYGATE_METRICS__STATE_DIRECTORY": str(directory / "metrics"),
            "TALLYGATE_SERVER__HOST": "127.0.0.1",
            "TALLYGATE_SHARED__STATE_DIRECTORY": str(directory / "state"),
            **elsewhere,
        }
        self.process = subprocess.Popen(
            [*TALLYGATE, "serve", "--port", "0"], cwd=directory, env=self.environ, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        said: list[dict[str, Any]] = []
        for line in self.process.stderr:
            said.append(json.loads(line))
            if said[-1]["msg"] == "gateway is listening":
                break
        else:
            raise AssertionError(said)
        self.port = int(said[-1]["url"].rpartition(":")[2])
        self.log = threading.Thread(target=self.process.stderr.read)
        self.log.start()

    def command(self, *arguments: str) -> dict[str, Any]:
        """What a command says inside of its container."""
        done = subprocess.run([*TALLYGATE, *arguments, "--json"], env=self.environ, capture_output=True, check=True)
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def close(self) -> int:
        """End it; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(PATIENCE)
        self.log.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


@contextmanager
def balancer(directory: Path, gateways: list[Gateway]) -> Iterator[int]:
    """HAProxy with the compose file's configuration; only names and ports are others. Yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    text = (COMPOSE / "haproxy.cfg").read_text()
    for name, gateway in zip(GATEWAYS, gateways, strict=True):
        assert f"server {name} {name}:4000" in text
        text = text.replace(f"{name}:4000", f"127.0.0.1:{gateway.port}")
    config = directory / "haproxy.cfg"
    text = text.replace("bind :4000", f"bind fd@{listener.fileno()}")
    config.write_text(text.replace("maxconn 8000", "maxconn 100"))  # whatever this machine's limit of files is
    # Debian keeps it where only root's path leads.
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None, "haproxy is not installed; apt-get install haproxy, or run scripts/test"
    command = [program, "-db", "-f", str(config)]
    process = subprocess.Popen(
        command, pass_fds=[listener.fileno()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield int(listener.getsockname()[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        listener.close()


@pytest.fixture
def provider() -> Iterator[Simulator]:
    with run_in_thread() as running:
        yield running


def ask(port: int, key: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]})
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@pytest.mark.xdist_group("postgres")
def test_callers_hardly_notice_when_a_gateway_is_replaced(
    secrets: Path, provider: Simulator, postgres: PostgreSQL, redis_server: Redis, tmp_path: Path
) -> None:
    with new_database(postgres) as database, ExitStack() as stack:
        elsewhere = {
            "TALLYGATE_ACCOUNTS__DATABASE_URL": database,
            "TALLYGATE_PROVIDERS__OPENAI__BASE_URL": f"{provider.url}/v1",
            "TALLYGATE_SHARED__URL": f"{redis_server.url}?db=8",
        }
        gateways = [Gateway(name, tmp_path / name, secrets, elsewhere) for name in GATEWAYS]
        for gateway in gateways:
            stack.callback(gateway.close)
        leaves, stays = gateways
        leaves.command("users", "create", "search-team")
        key = str(leaves.command("keys", "create", "search-team", "first")["secret"])
        port = stack.enter_context(balancer(tmp_path, gateways))
        statuses = [ask(port, key) for _ in range(20)]
        statuses += [ask(gateway.port, key) for gateway in gateways]  # each of them serves
        leaving = threading.Thread(target=leaves.close)
        leaving.start()
        while leaving.is_alive():
            statuses.append(ask(port, key))
        leaving.join()
        assert leaves.process.returncode == 0
        statuses += [ask(port, key) for _ in range(20)]
        # A connection that stands in the queue of a socket as it closes is cut; whose request it was is told so.
        answered = statuses.count(200)
        assert len(statuses) - answered <= 1
        assert set(statuses) <= {200, 502}
        assert provider.served()["totals"]["requests"] == answered
        assert stays.close() == 0
        # Who ends in order leaves nothing behind: every call of both is in the database.
        with psycopg.connect(database) as connection:
            assert connection.execute("SELECT count(*) FROM usage_calls").fetchone() == (answered,)
