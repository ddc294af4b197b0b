"""Memory stays what it is, however long a reply and however slow its reader."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tallygate.simulator import Simulator, run_in_thread
from tests.gateway.apis import API, APIS
from tests.gateway.processes import Served, served

MB = 1_000_000
GROWTH = 30 * MB
CHAT, RESPONSES, MESSAGES, GEMINI = APIS[0], APIS[2], APIS[4], APIS[5]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread() as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, simulator: Simulator) -> Iterator[Served]:
    with urllib.request.urlopen(urllib.request.Request(f"{simulator.url}/served", method="DELETE")):
        pass
    with served(tmp_path, simulator.url) as running:
        # One small call of each kind, so that what is made once is made.
        for api in (CHAT, RESPONSES, MESSAGES, GEMINI):
            for stream in (False, True):
                assert running.ask("POST", api.path("warm", stream), api.body("warm", stream))[0] == 200
        running.page()
        yield running


def totals(simulator: Simulator) -> dict[str, Any]:
    with urllib.request.urlopen(f"{simulator.url}/served?settle=10") as answer:
        document: dict[str, Any] = json.load(answer)
    return {**document["totals"], "in_progress": document["in_progress"]}


def read(gateway: Served, api: API, model: str, stream: bool) -> int:
    """Read a whole reply; how many bytes it has."""
    connection = gateway.connection()
    connection.request("POST", api.path(model, stream), api.body(model, stream))
    answer = connection.getresponse()
    assert answer.status == 200
    buffer, size = bytearray(1 << 20), 0
    while count := answer.readinto(buffer):
        size += count
    connection.close()
    return size


@pytest.mark.parametrize(
    ("api", "stream", "size"),
    [(CHAT, True, 200), (RESPONSES, True, 30), (MESSAGES, True, 30), (GEMINI, True, 30), (CHAT, False, 100)],
    ids=["chat-stream", "responses-stream", "messages-stream", "gemini-stream", "chat-whole"],
)
def test_a_long_reply_needs_no_more_memory(
    gateway: Served, simulator: Simulator, api: API, stream: bool, size: int
) -> None:
    before = gateway.peak_bytes()
    assert read(gateway, api, f"big+long:{size}MB", stream) > size * MB
    growth = gateway.peak_bytes() - before
    page = gateway.wait(lambda page: page.total("tallygate_llm_calls_total") == 9)
    print(f"{size} MB of {api.name}: {growth / MB:.1f} MB more")
    assert growth < GROWTH
    assert page.total("tallygate_llm_calls_total", outcome="completed") == 9
    assert page.total("tallygate_llm_tokens_total", type="output") == totals(simulator)["output_tokens"]
    assert page.total("tallygate_llm_tokens_total", type="input") == totals(simulator)["input_tokens"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_reader_that_stops_stops_the_provider(gateway: Served, simulator: Simulator, stream: bool) -> None:
    before = gateway.peak_bytes()
    connection = gateway.connection()
    connection.request("POST", CHAT.path("", stream), CHAT.body("big+long:200MB", stream))
    answer = connection.getresponse()
    assert len(answer.read(1000)) == 1000
    # Others are served meanwhile; in that time the gateway could have taken in all of it.
    for _ in range(5):
        read(gateway, CHAT, "other+long:10MB", True)
    growth = gateway.peak_bytes() - before
    with urllib.request.urlopen(f"{simulator.url}/served") as said:
        document = json.load(said)
    assert document["in_progress"] == 1
    print(f"a reader that stopped: {growth / MB:.1f} MB more")
    assert growth < GROWTH
    connection.close()
    answer.close()
    assert totals(simulator)["in_progress"] == 0
    page = gateway.wait(lambda page: page.total("tallygate_llm_calls_in_flight") == 0)
    assert page.total("tallygate_llm_calls_total", outcome="cancelled") == 1
