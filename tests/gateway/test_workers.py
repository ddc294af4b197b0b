"""Several processes, one tally: exact totals on every worker, through kills, drains and restarts."""

import json
import os
import signal
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tallygate.simulator import Simulator, run_in_thread
from tests.gateway.apis import APIS
from tests.gateway.processes import Served, served, start
from tests.gateway.provided import providers
from tests.gateway.running import Page, parsed

CHAT = APIS[0]
TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with run_in_thread() as running:
        yield running


def truth(simulator: Simulator) -> dict[str, Any]:
    """What the provider served, once nothing is in progress any more."""
    with urllib.request.urlopen(f"{simulator.url}/served?settle=10") as answer:
        document: dict[str, Any] = json.load(answer)
    assert document["in_progress"] == 0
    return {**document["totals"], "calls": document["calls"]}


def call(gateway: Served, model: str, stream: bool) -> tuple[int, bytes]:
    return gateway.ask("POST", CHAT.path(model, stream), CHAT.body(model, stream))


def totals(page: Page) -> dict[str, float]:
    """What the tests compare with the truth."""
    kinds = {f"{kind}_tokens": page.total("tallygate_llm_tokens_total", type=kind) for kind in TOKENS}
    return {"requests": page.total("tallygate_llm_calls_total"), **kinds}


def at_least(requests: int) -> Callable[[Page], bool]:
    """So many requests are counted: clients may see their answers a moment earlier."""
    return lambda page: page.total("tallygate_http_requests_total") >= requests


def test_every_worker_shows_the_exact_totals_of_all(tmp_path: Path, simulator: Simulator) -> None:
    models = ("gpt-4o", "gpt-4o+cached", "gpt-4o+reasoning", "gpt-4o+429", "gpt-4o-mini+cut_stream")
    with served(tmp_path, simulator.url, "--workers", "2") as gateway:
        assert len(set(gateway.workers())) == 2
        with ThreadPoolExecutor(8) as pool:
            asked = [(models[number % 5], number % 2 == 0) for number in range(200)]
            statuses = list(pool.map(lambda ask: call(gateway, *ask)[0], asked))
        assert statuses.count(429) == 40
        said = truth(simulator)
        gateway.wait(at_least(200))
        pages = [gateway.page() for _ in range(16)]
    expected = {name: said[name] for name in ("requests", *(f"{kind}_tokens" for kind in TOKENS))}
    assert expected["requests"] == 200
    assert [totals(page) for page in pages] == [expected] * 16
    for page in pages:
        assert page.total("tallygate_workers") == page.total("tallygate_ledger_workers") == 2
        assert page.total("tallygate_llm_calls_in_flight") == 0
        assert page.total("tallygate_llm_errors_total", error_type="provider_rate_limit") == 40
        assert page.total("tallygate_dropped_observations_total") == 0
    with pytest.raises(ConnectionError):
        gateway.page()


def test_a_killed_worker_takes_no_number_with_it(tmp_path: Path, simulator: Simulator) -> None:
    stop = threading.Event()
    answered: list[int] = []

    def load(model: str) -> None:
        while not stop.is_set():
            try:
                status, body = call(gateway, model, True)
            except (OSError, HTTPException):
                continue
            if status == 200 and body.endswith(b"[DONE]\n\n"):
                answered.append(1)

    with served(tmp_path, simulator.url, "--workers", "2") as gateway, ThreadPoolExecutor(6) as pool:
        threads = [pool.submit(load, "gpt-4o+slow_stream:0.01" if one % 2 else "gpt-4o") for one in range(6)]
        try:
            page = gateway.wait(lambda page: page.total("tallygate_llm_calls_total") >= 20)
            victim, survivor = gateway.workers()
            os.kill(victim, signal.SIGKILL)
            seen = [page]
            while True:
                try:
                    page = gateway.page()
                except (OSError, HTTPException):
                    continue
                seen.append(page)
                if page.total("tallygate_workers") == 2 and len(gateway.workers()) == 2:
                    break
            enough = page.total("tallygate_llm_calls_total") + 20
            gateway.wait(lambda page: page.total("tallygate_llm_calls_total") >= enough)
        finally:
            stop.set()
        for thread in threads:
            thread.result()
        last = gateway.wait(lambda page: page.total("tallygate_http_requests_in_flight") == 0)
        now = gateway.workers()
        said = truth(simulator)
    assert survivor in now
    assert victim not in now
    for before, after in zip(seen, [*seen[1:], last], strict=True):
        for (name, labels), value in before.samples.items():
            if name.startswith(("tallygate_llm_", "tallygate_http_")) and name.endswith(
                ("_total", "_count", "_bucket")
            ):
                assert after.samples[name, labels] >= value, (name, labels)
    assert last.total("tallygate_llm_calls_in_flight") == 0
    counted = last.total("tallygate_llm_calls_total")
    # What the victim was serving when it died was served, and never became a fact.
    assert len(answered) - 6 <= counted <= said["requests"]
    assert said["requests"] - counted <= 6


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stream_may_end_before_the_gateway_does(tmp_path: Path, simulator: Simulator, workers: str) -> None:
    with served(tmp_path, simulator.url, "--workers", workers, "--grace", "20") as gateway:
        connection = gateway.connection()
        model = "gpt-4o+slow_stream:0.05"
        connection.request("POST", CHAT.path(model, True), CHAT.body(model, True))
        answer = connection.getresponse()
        begun = answer.readline()
        gateway.process.send_signal(signal.SIGTERM)
        rest = answer.read()
        connection.close()
        status, log = gateway.end()
        assert begun.startswith(b"data: ")
        assert rest.endswith(b"data: [DONE]\n\n")
        assert (status, log) == (0, "")
    assert truth(simulator)["calls"][0]["outcome"] == "completed"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_counters_in_a_state_directory_outlive_the_gateway(tmp_path: Path, simulator: Simulator, workers: str) -> None:
    kept = {"metrics": {"state_directory": str(tmp_path / "state" / "of-metrics")}}
    for life in (1, 2, 3):
        with served(tmp_path, simulator.url, "--workers", workers, **kept) as gateway:
            before = gateway.page()
            assert before.total("tallygate_llm_calls_total") == 3 * (life - 1)
            assert before.total("tallygate_llm_calls_in_flight") == 0
            assert before.total("tallygate_workers") == int(workers)
            for _ in range(3):
                assert call(gateway, "gpt-4o", False)[0] == 200
            page = gateway.wait(at_least(3 * life))
            expected = truth(simulator)
            assert totals(page) == {name: expected[name] for name in totals(page)}
            if life == 2:
                os.killpg(gateway.process.pid, signal.SIGKILL)
            else:
                gateway.process.terminate()
                assert gateway.end() == (0, "")


def test_without_a_state_directory_they_do_not(tmp_path: Path, simulator: Simulator) -> None:
    for _ in range(2):
        with served(tmp_path, simulator.url, "--workers", "2") as gateway:
            assert totals(gateway.page())["requests"] == 0
            assert call(gateway, "gpt-4o", False)[0] == 200


def test_a_state_directory_that_cannot_be_is_said_in_one_line(tmp_path: Path, simulator: Simulator) -> None:
    (tmp_path / "taken").write_text("")
    kept = {"metrics": {"state_directory": str(tmp_path / "taken" / "state")}}
    process = start(tmp_path, {"providers": providers(simulator.url), **kept})
    _, log = process.communicate(timeout=30)
    assert process.returncode == 1
    assert str(tmp_path / "taken") in log
    assert len(log.splitlines()) == 1, log


def test_the_metrics_listener_of_two_workers(tmp_path: Path, simulator: Simulator) -> None:
    apart = {"metrics": {"listener": {"port": 0}}}
    with served(tmp_path, simulator.url, "--workers", "2", **apart) as gateway:
        assert gateway.ask("GET", "/metrics")[0] == 404
        assert call(gateway, "gpt-4o", False)[0] == 200
        assert int(gateway.metrics_url.split(":")[2].removesuffix("/metrics")) != gateway.port
        for _ in range(8):
            with urllib.request.urlopen(gateway.metrics_url) as answer:
                assert totals(Page(parsed(answer.read().decode())))["requests"] == 1
        gateway.process.terminate()
        assert gateway.end()[0] == 0
