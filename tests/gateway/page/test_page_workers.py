"""The live page of a gateway with several workers, and over restarts."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tallygate.simulator import Simulator, run_in_thread
from tests.gateway.apis import APIS
from tests.gateway.page.looking import QUICK
from tests.gateway.processes import Served, served

CHAT = APIS[0]
KEY = "the-master-key"
ROUNDS = 400


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with run_in_thread() as running:
        yield running


def ask(
    gateway: Served, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own: any worker may take it."""
    connection = gateway.connection()
    try:
        connection.request(method, path, body, headers)
        answer: http.client.HTTPResponse = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def sign_in(gateway: Served) -> str:
    """The cookie of a new session."""
    form = urlencode({"key": KEY}).encode()
    status, headers, _ = ask(gateway, "POST", "/dashboard/sign-in", form, **{"Sec-Fetch-Site": "same-origin"})
    assert status == 303
    return headers["set-cookie"].partition(";")[0]


def figures(gateway: Served, cookie: str) -> dict[str, Any]:
    status, _, body = ask(gateway, "GET", "/dashboard/figures?range=1h", Cookie=cookie)
    assert status == 200, body
    document: dict[str, Any] = json.loads(body)
    return document


def test_every_worker_shows_the_whole_to_whoever_signed_in_at_one(tmp_path: Path, simulator: Simulator) -> None:
    settings = {**QUICK, "server": {"master_key": KEY}}
    with served(tmp_path, simulator.url, "--workers", "2", **settings) as gateway:
        cookie = sign_in(gateway)
        for number in range(12):
            model = ("gpt-4o", "gpt-4o+cached", "gpt-4o+429")[number % 3]
            ask(gateway, "POST", CHAT.path(model, False), CHAT.body(model, False), Authorization=f"Bearer {KEY}")
        shown: dict[float, dict[str, Any]] = {}
        for _ in range(ROUNDS):
            one = figures(gateway, cookie)
            if one["totals"]["requests"] == 12:
                # Each process says when it was started.
                shown[one["started"]] = one
            if len(shown) == 2:
                break
        first, second = shown.values()
        for what in ("totals", "providers", "models", "routes", "keys", "empty"):
            assert first[what] == second[what], what
        assert first["totals"]["errors"] == 4
        # Each saw it when it looked: the ticks are the same, the looks some milliseconds apart.
        told = [[{**error, "time": 0, "count": 0} for error in one["errors"]] for one in (first, second)]
        assert told[0][0] == told[1][0]
        assert [sum(error["count"] for error in one["errors"]) for one in (first, second)] == [4, 4]


def test_a_restart_keeps_the_session(tmp_path: Path, simulator: Simulator) -> None:
    settings: dict[str, Any] = {**QUICK, "server": {"master_key": KEY}, "metrics": {"state_directory": str(tmp_path)}}
    with served(tmp_path, simulator.url, **settings) as gateway:
        cookie = sign_in(gateway)
        ask(gateway, "POST", CHAT.path("m", False), CHAT.body("m", False), Authorization=f"Bearer {KEY}")
        while figures(gateway, cookie)["totals"]["requests"] != 1:
            continue
    with served(tmp_path, simulator.url, **settings) as gateway:
        after = figures(gateway, cookie)
        # The history begins anew; that something was counted is in the metrics, which outlived the gateway.
        assert (after["totals"]["requests"], after["empty"]) == (0, False)
