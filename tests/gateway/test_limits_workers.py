"""Limits hold over the workers of a gateway, and over their ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tallygate.simulator import Simulator, run_in_thread
from tests.gateway.apis import APIS
from tests.gateway.processes import PATIENCE, Served, served

CHAT = APIS[0]
BUSY, QUICK = "gpt-4o+stall", "gpt-4o"
PLACES, REQUESTS = 3, 40


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with run_in_thread() as running:
        yield running


def status(gateway: Served, model: str) -> int:
    return gateway.ask("POST", CHAT.path(model, False), CHAT.body(model, False))[0]


def begin(gateway: Served, stack: ExitStack) -> int:
    """The status of a request that does not end before the stack does, unless it is refused."""
    connection = gateway.connection()
    stack.callback(connection.close)
    connection.request("POST", CHAT.path(BUSY, True), CHAT.body(BUSY, True), {"content-type": "application/json"})
    answer = connection.getresponse()
    stack.callback(answer.close)
    return answer.status


def test_two_workers(tmp_path: Path, simulator: Simulator) -> None:
    rates = {"models": {QUICK: {"requests_per_minute": REQUESTS}, BUSY: {"concurrency": PLACES}}}
    with served(tmp_path, simulator.url, "--workers", "2", rates=rates) as gateway, ExitStack() as stack:
        if (left := 60 - time.monotonic() % 60) < 5:
            time.sleep(left)
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda _: status(gateway, QUICK), range(2 * REQUESTS)))
        assert sorted(statuses) == [200] * REQUESTS + [429] * REQUESTS

        assert [begin(gateway, stack) for _ in range(PLACES + 1)] == [200] * PLACES + [429]
        for worker in gateway.workers():
            os.kill(worker, signal.SIGKILL)
        # Others take their places, and free what the dead ones held.
        freed, deadline = 0, time.monotonic() + PATIENCE
        while freed < PLACES:
            assert time.monotonic() < deadline, "the places are not free again"
            with suppress(OSError):  # nobody listens for a moment
                freed += begin(gateway, stack) == 200
        assert begin(gateway, stack) == 429
