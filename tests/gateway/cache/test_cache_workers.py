"""Several workers and several programs: a memory each, or one store for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tallygate.gateway.cache.shared import KEYS
from tallygate.simulator import Simulator, run_in_thread
from tests.gateway.cache.asking import CHAT
from tests.gateway.processes import Served, served
from tests.gateway.running import Page
from tests.services.redis import Redis

PATIENCE = 30.0
MIB = 1024 * 1024


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with run_in_thread() as running:
        yield running


@pytest.fixture
def client(redis_server: Redis) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=redis_server.socket) as client:
        client.flushall()
        yield client


def ask(gateway: Served) -> tuple[bytes, str]:
    """Body, and what the answer says of the cache."""
    connection = gateway.connection()
    try:
        headers = {"content-type": "application/json", "x-tallygate-cache": "use"}
        connection.request("POST", CHAT.path("gpt-4o", True), CHAT.body("gpt-4o", True), headers)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read(), answer.headers["x-tallygate-cache"]
    finally:
        connection.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline


def calls(simulator: Simulator) -> int:
    requests: int = simulator.served()["totals"]["requests"]
    return requests


def filled(entries: int) -> Callable[[Page], bool]:
    return lambda page: page.total("tallygate_cache_entries") == entries


def test_each_worker_has_a_memory_and_their_gauges_add_up(tmp_path: Path, simulator: Simulator) -> None:
    cache = {"capacity": 2 * MIB, "largest_answer": MIB}
    with served(tmp_path, simulator.url, "--workers", "2", cache=cache) as gateway:
        said = [ask(gateway)]
        while calls(simulator) < 2:
            said.append(ask(gateway))
            assert len(said) < 1000
        said += [ask(gateway) for _ in range(10)]
        page = gateway.wait(filled(2))
    assert len({body for body, _ in said}) == 1
    assert [word for _, word in said].count("miss") == 2
    assert page.total("tallygate_cache_lookups_total", result="hit") == len(said) - 2
    assert page.total("tallygate_cache_capacity_bytes") == 4 * MIB
    assert page.total("tallygate_cache_time_to_live_seconds") == 3600


@pytest.mark.xdist_group("redis")
def test_workers_and_programs_share_one_store_that_is_told_once(
    tmp_path: Path, simulator: Simulator, redis_server: Redis, client: redis.Redis
) -> None:
    settings = {"cache": {"store": "shared", "capacity": 2 * MIB}, "shared": {"url": redis_server.url}}
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with (
        served(tmp_path / "one", simulator.url, "--workers", "2", **settings) as one,
        served(tmp_path / "two", simulator.url, **settings) as two,
    ):
        first = ask(one)
        until(lambda: client.hlen(KEYS[0]) == 1)
        later = [ask(gateway) for gateway in (one, two) * 10]
        one_page, two_page = one.page(), two.page()
        until(lambda: sum(gateway.page().total("tallygate_cache_entries") for gateway in (one, two)) == 1)
        capacity = sum(gateway.page().total("tallygate_cache_capacity_bytes") for gateway in (one, two))
        client.hset(KEYS[0], client.hkeys(KEYS[0])[0], client.hvals(KEYS[0])[0][:-1])
        poisoned = ask(two)
    assert first[1] == "miss"
    assert later == [(first[0], "hit")] * 20
    assert poisoned == (first[0], "miss")
    assert calls(simulator) == 2
    assert one_page.total("tallygate_cache_lookups_total", result="hit") == 10
    assert two_page.total("tallygate_cache_lookups_total", result="hit") == 10
    assert capacity == 2 * MIB
