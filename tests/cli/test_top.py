"""`tallygate top --once`: the figures of known traffic through a real gateway, in every dialect."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tallygate.cli.commands import app
from tallygate.cli.doctor import examine
from tallygate.cli.top import once
from tallygate.dialects import DIALECTS
from tests.cli.looked import looking_at
from tests.cli.running import Ended, tallygate
from tests.gateway.apis import APIS
from tests.gateway.provided import provided, providers, recorded
from tests.gateway.running import Gateway, ask
from tests.prometheus.traffic import PRICE
from tests.scraping.servers import Asked, Reply, always, reply, serving

MASTER, SECRET = "master-of-the-gateway", "for-scrapers-only"
MODEL = "gpt-x"
CHAT = APIS[0]
WENT_WELL, FAILED = 3, 2
TOKENS_PER_SECOND = ("tallygate", "archestra")
SAMPLED = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}


def settings(simulator: str) -> dict[str, object]:
    listed = providers(simulator)
    listed["openai"]["models"] = [{"name": MODEL, "price": PRICE}]
    return {"server": {"master_key": MASTER}, "metrics": {"secret": SECRET}, "providers": listed}


async def call(running: Gateway, *, stream: bool = False, behaviour: str = "") -> None:
    path = CHAT.path(MODEL, stream) + (f"?simulate={behaviour}" if behaviour else "")
    await ask(running.url + path, CHAT.body(MODEL, stream), {"authorization": f"Bearer {MASTER}", **SAMPLED})


@asynccontextmanager
async def known() -> AsyncIterator[tuple[Gateway, dict[str, Any]]]:
    """A gateway that served a stream and two whole answers, and two calls that the provider refused."""
    async with provided(settings) as (running, simulator):
        for stream in (True, False, False):
            await call(running, stream=stream)
        await call(running, behaviour="500")
        await call(running, behaviour="400")
        for hit in (True, True, True, False):
            running.app.tally.cache_lookup("answers", hit=hit, route="chat")
        await recorded(running, WENT_WELL + FAILED)
        yield running, simulator.served()["totals"]


def cost(totals: dict[str, Any]) -> float:
    prices = {name: Decimal(price) for name, price in PRICE.items()}
    return float((totals["input_tokens"] * prices["input"] + totals["output_tokens"] * prices["output"]) / 1_000_000)


async def told(running: Gateway, dialect: str) -> dict[str, Any]:
    """What --once --json tells of a dialect, since the start."""
    target = looking_at(f"{running.url}?dialect={dialect}", key=SECRET)
    document: dict[str, Any] = json.loads(await asyncio.to_thread(once, target, 0.0, as_json=True))
    return document


TYPES = {
    "tallygate": {"provider_server_error": 1, "caller_invalid_request": 1},
    "otel": {"provider_server_error": 1, "caller_invalid_request": 1},
    "erato": {"provider_error": 1, "invalid_request": 1},
    "aurora": {"500": 1, "400": 1},
    "gatewayz": {},
    "archestra": {"500": 1, "400": 1},
    "hyperagent": {"api_error": 1, "validation": 1},
}
"""Failures in each dialect's words."""
HAS = {
    "requests": set(DIALECTS) - {"erato"},
    "tokens": set(DIALECTS) - {"erato", "aurora"},
    "cost": {"tallygate", "archestra", "hyperagent"},
    "first token": {"tallygate", "otel", "erato", "archestra"},
    "cache": {"tallygate", "gatewayz", "hyperagent"},
    "in flight": {"tallygate", "aurora", "hyperagent"},
    "providers": set(DIALECTS) - {"hyperagent"},
    "models": set(DIALECTS) - {"erato"},
}
"""Which dialects tell what."""


async def test_the_figures_of_every_dialect() -> None:
    async with known() as (running, totals):
        documents = {dialect: await told(running, dialect) for dialect in DIALECTS}
    assert (totals["input_tokens"] > 0, totals["output_tokens"] > 0) == (True, True)
    for dialect, document in documents.items():

        def has(what: str, value: Any, dialect: str = dialect) -> Any:
            return value if dialect in HAS[what] else None

        assert document["dialects"] == [dialect]
        assert document["requests"]["total"] == has("requests", WENT_WELL + FAILED), dialect
        assert document["errors"]["total"] == FAILED, dialect
        assert {name: each["total"] for name, each in document["errors_by_type"].items()} == TYPES[dialect]
        for kind in ("input_tokens", "output_tokens"):
            assert document[kind]["total"] == has("tokens", totals[kind]), dialect
        assert document["cost_usd"]["total"] == (
            pytest.approx(cost(totals), rel=1e-9) if dialect in HAS["cost"] else None
        )
        assert document["cache_hit_ratio"] == has("cache", 0.75)
        assert document["in_flight"] == has("in flight", 0)
        assert document["latency_s"] is not None
        assert (document["ttft_s"] is None) is (dialect not in HAS["first token"])
        assert (document["tokens_per_s"] is None) is (dialect not in TOKENS_PER_SECOND)
        failing = [each["name"] for each in document["providers"] if each["errors"]["total"]]
        assert failing == (has("providers", ["openai"]) or []), dialect
        assert [each["name"] for each in document["models"]] == (has("models", [MODEL]) or []), dialect


async def test_every_dialect_is_healthy() -> None:
    """To the doctor, who asks each page as Prometheus would; HyperAgent's milliseconds are its own."""
    async with known() as (running, _):
        found = {}
        for dialect in DIALECTS:
            target = looking_at(f"{running.url}?dialect={dialect}", key=SECRET)
            said, status = await asyncio.to_thread(examine, target, strict=False, as_json=True)
            assert status == 0, said
            found[dialect] = [each["name"] for each in json.loads(said)["findings"]]
    assert {dialect: names for dialect, names in found.items() if names} == {
        "erato": ["lint-type", "lint-suffix"],
        "archestra": ["lint-not-counter", "lint-word"],
        "hyperagent": ["lint-unit"],
    }


async def test_rates_are_of_the_time_between_two_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here two more calls happen meanwhile."""
    async with known() as (running, totals):
        loop = asyncio.get_running_loop()

        async def more() -> None:
            for _ in range(2):
                await call(running)
            await running.settled()

        def sleep(seconds: float) -> None:
            assert seconds == 60
            asyncio.run_coroutine_threadsafe(more(), loop).result(30)

        monkeypatch.setattr("tallygate.cli.top.sleep", sleep)
        monkeypatch.setattr("tallygate.scraping.figures.Scraped.age", 1000.0)
        target = looking_at(f"{running.url}/metrics", key=SECRET)
        document = json.loads(await asyncio.to_thread(once, target, 60.0, as_json=True))
    seconds = document["seconds"]
    assert document["restarted"] is False
    assert document["requests"] == {"total": 7, "per_second": pytest.approx(2 / seconds)}
    assert document["errors"] == {"total": 2, "per_second": 0}
    tokens = totals["input_tokens"] / WENT_WELL * 2
    assert document["input_tokens"]["per_second"] == pytest.approx(tokens / seconds)
    assert document["ttft_s"] is None  # no stream was among them


PAGE = """\
# TYPE tallygate_llm_calls_total counter
tallygate_llm_calls_total{provider="openai",model="gpt 4",outcome="completed"} 8
tallygate_llm_calls_total{provider="\x1b[31mbad",model="m",outcome="failed"} 2
# TYPE tallygate_llm_errors_total counter
tallygate_llm_errors_total{provider="\x1b[31mbad",model="m",domain="provider",error_type="provider_timeout"} 2
# TYPE tallygate_llm_cost_usd_total counter
tallygate_llm_cost_usd_total{provider="openai",model="gpt 4"} 0.5
# TYPE tallygate_llm_call_duration_seconds histogram
tallygate_llm_call_duration_seconds_bucket{provider="openai",model="gpt 4",le="1"} 8
tallygate_llm_call_duration_seconds_bucket{provider="openai",model="gpt 4",le="+Inf"} 8
tallygate_llm_call_duration_seconds_bucket{provider="\x1b[31mbad",model="m",le="1"} 0
tallygate_llm_call_duration_seconds_bucket{provider="\x1b[31mbad",model="m",le="+Inf"} 2
# TYPE tallygate_provider_available gauge
tallygate_provider_available{provider="openai"} 1
tallygate_provider_available{provider="idle"} 0
"""


def test_the_lines() -> None:
    with serving(always(PAGE)) as server:
        lines = once(looking_at(server.url), 0, as_json=False)
        (asked,) = server.asked
    assert asked.headers["accept"] == "text/plain;version=0.0.4"
    assert lines == (
        "#page  seconds  dialect    address\n"
        f"page         -  tallygate  {server.url}/metrics\n"
        "\n"
        "#amount        rate  per  total\n"
        "requests          -  s       10\n"
        "errors            -  s        2\n"
        "input_tokens      -  s        -\n"
        "output_tokens     -  s        -\n"
        "cached_tokens     -  s        -\n"
        "cost_usd          -  h      0.5\n"
        "\n"
        "#percentile     p50  p95  p99\n"
        "latency_s     0.625   >1   >1\n"
        "ttft_s            -    -    -\n"
        "tokens_per_s      -    -    -\n"
        "\n"
        "#now             value\n"
        "cache_hit_ratio      -\n"
        "in_flight            -\n"
        "\n"
        "#error  rate  per  total  name\n"
        "error      -  s        2  provider_timeout\n"
        "\n"
        "#each     requests  req_per_s  errors  err_per_s  tokens  tok_per_s  cost_usd  usd_per_h  p95_s  ttft_p95_s"
        "  state  name\n"
        "provider         2          -       2          -       -          -         0          -     >1           -"
        "  -      \N{REPLACEMENT CHARACTER}[31mbad\n"
        "provider         -          -       -          -       -          -         -          -      -           -"
        "  down   idle\n"
        "provider         8          -       0          -       -          -       0.5          -   0.95           -"
        "  up     openai\n"
        "model            8          -       0          -       -          -       0.5          -   0.95           -"
        "  -      gpt 4\n"
        "model            2          -       2          -       -          -         0          -     >1           -"
        "  -      m\n"
    )


def test_above_the_last_bound_json_has_the_last_bound() -> None:
    with serving(always(PAGE)) as server:
        document = json.loads(once(looking_at(server.url), 0, as_json=True))
    assert document["latency_s"] == {"p50": 0.625, "p95": 1, "p99": 1}
    assert [each["state"] for each in document["providers"]] == [None, "down", "up"]


def test_a_young_gateway_tells_all_since_its_start() -> None:
    """Without waiting for a second page."""
    page = PAGE + f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {time.time() - 20}\n"
    with serving(always(page)) as server:
        document = json.loads(once(looking_at(server.url), 600, as_json=True))
        assert len(server.asked) == 1
    assert document["seconds"] == pytest.approx(20, abs=5)
    assert document["requests"]["per_second"] == pytest.approx(10 / document["seconds"])


def test_a_restart_between_the_pages() -> None:
    def answer(asked: Asked) -> Reply:
        return reply(PAGE if not asked.number else PAGE.replace('"completed"} 8', '"completed"} 3'))

    with serving(answer) as server:
        document = json.loads(once(looking_at(server.url), 0.01, as_json=True))
    assert document["restarted"] is True
    assert document["requests"]["per_second"] == pytest.approx(5 / document["seconds"])


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (reply(status="401 Unauthorized"), "401: a key is needed, or this one is wrong; see --key-file"),
        (reply(status="404 Not Found"), "404: no metrics here"),
        (reply(status="500 Oh"), "it answered with status 500"),
        (reply("<html>", content_type="text/html"), "this is no metrics page but text/html"),
        (
            reply("tallygate_llm_calls_total x\n"),
            "line 1: could not convert string to float: 'x', in 'tallygate_llm_calls_total x'",
        ),
        (
            reply("# TYPE up gauge\nup 1\n"),
            "this page has no metrics of a gateway, in none of the dialects; `tallygate doctor` says more",
        ),
    ],
)
def test_no_page(answer: bytes, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(lambda asked: answer) as server, pytest.raises(typer.Exit) as ended:
        once(looking_at(server.url), 0, as_json=False)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == f"{server.url}/metrics: {problem}\n"


async def run(directory: Path, *arguments: str, **variables: str) -> Ended:
    """The command, while the gateway goes on in this event loop."""
    return await asyncio.to_thread(tallygate, directory, *arguments, **variables)


async def test_the_local_gateway_is_found_by_its_configuration(tmp_path: Path) -> None:
    """And its key."""
    async with known() as (running, _):
        port = running.url.rpartition(":")[2]
        (tmp_path / "gateway.toml").write_text(
            f'[server]\nhost = "0.0.0.0"\nport = {port}\n[metrics]\nsecret = "{SECRET}"\n[providers.x]\nbase_url = "http://x"\n'
        )
        ended = await run(tmp_path, "top", "--once", "--interval", "0", "--config", "gateway.toml")
        assert (ended.status, ended.err) == (0, "")
        assert "\nrequests " in ended.out
        (tmp_path / "key").write_text(f"{SECRET}\n")
        ended = await run(tmp_path, "doctor", running.url, "--key-file", "key")
        assert (ended.status, ended.err, ended.out.splitlines()[-1]) == (0, "", "healthy: nothing was found")


def test_where_keys_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration's is not for a gateway that it does not configure."""
    monkeypatch.chdir(tmp_path)
    Path("key").write_text("from-file\n")
    Path("gateway.toml").write_text('[metrics]\nsecret = "from-configuration"\n')
    with serving(always(PAGE)) as server:
        for variables, arguments in (
            ({}, ()),
            ({}, ("--config", "gateway.toml")),
            ({"TALLYGATE_METRICS__SECRET": "from-environment"}, ()),
            ({"TALLYGATE_METRICS__SECRET": "from-environment"}, ("--key", "from-option")),
            ({"TALLYGATE_METRICS__SECRET": "from-environment"}, ("--key-file", "key")),
        ):
            done = CliRunner().invoke(app, ["top", server.url, "--json", "--interval", "0", *arguments], env=variables)
            assert (done.exit_code, json.loads(done.stdout)["dialects"]) == (0, ["tallygate"])
            assert "from-" not in done.output
    shown = [asked.headers.get("authorization") for asked in server.asked]
    assert shown == [None, None, "Bearer from-environment", "Bearer from-option", "Bearer from-file"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("top", "ftp://x"), "ftp://x: ftp is not spoken here, only http and https are"),
        (("doctor", "x", "--key-file", "none"), "--key-file: none cannot be read: No such file or directory"),
        (("doctor", "x", "--key-file", "empty"), "--key-file: empty is empty"),
        (("doctor", "x", "--ca-file", "empty"), "--ca-file: empty holds no certificate"),
        (("doctor", "x", "--ca-file", "empty", "--insecure"), "--ca-file and --insecure: give one of them"),
        (("top", "x"), "this is no terminal; --once prints a table, --json all there is"),
        (("top", "--config", "off.toml"), "metrics.enabled is false: the local gateway has no metrics"),
        (("top", "--config", "any.toml"), "the local gateway takes any free port; give the URL that its log tells"),
    ],
)
def test_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], problem: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("")
    (tmp_path / "off.toml").write_text("[metrics]\nenabled = false\n")
    (tmp_path / "any.toml").write_text("[server]\nport = 0\n")
    ended = CliRunner().invoke(app, arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(problem)


def test_a_key_that_cannot_be_sent(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        looking_at("x", key="two\nlines")
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == (
        "the key cannot be in a header: it has characters that are not printable ASCII\n"
    )


@pytest.mark.parametrize(("command", "module"), [("top", "textual"), ("doctor", "prometheus_client")])
def test_without_the_extra(command: str, module: str) -> None:
    program = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv[1:] = [{command!r}, 'x'];"
        "from tallygate.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=dict(os.environ), capture_output=True, text=True, check=False, timeout=60
    )
    name = module.replace("_", "-")
    assert (done.returncode, done.stderr) == (1, f"this needs {name}: pip install 'tallygate[gateway,terminal]'\n")
