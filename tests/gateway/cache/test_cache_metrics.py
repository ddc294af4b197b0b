"""What the pages say of the cache, in every vocabulary that has words for it."""

from __future__ import annotations

from typing import Any

import pytest

from tallygate.gateway.cache.memory import OVERHEAD
from tests.gateway.cache.asking import CHAT, USE, Cached, cache_of, cached
from tests.services.redis import running_redis

MIB = 1024 * 1024
ERATO = {
    "erato_cache_max_size_bytes": 2 * MIB,
    "erato_cache_used_size_bytes": 0,
    "erato_cache_fill_ratio": 0,
    "erato_cache_entries": 0,
    "erato_cache_time_to_live_seconds": 120,
    "erato_cache_time_to_idle_seconds": 30,
}
SETTINGS: dict[str, Any] = {"capacity": 2 * MIB, "time_to_live_seconds": 120, "time_to_idle_seconds": 30}


async def test_all_is_there_before_the_first_look(store: dict[str, Any]) -> None:
    async with cached(**SETTINGS, **store) as running:
        erato, gatewayz = running.gateway.page("erato"), running.gateway.page("gatewayz")
        hyperagent, own = running.gateway.page("hyperagent"), running.gateway.page()
    assert {name: erato.values(name, cache="responses") for name in ERATO} == {
        name: {value} for name, value in ERATO.items()
    }
    for name in ("cache_hits_total", "cache_misses_total", "cache_size_bytes"):
        assert gatewayz.values(name, cache_name="responses") == {0}, name
    for name in ("llm_cache_hits_total", "llm_cache_misses_total"):
        assert hyperagent.values(name, route="") == {0}, name
    for result in ("hit", "miss"):
        assert own.values("tallygate_cache_lookups_total", cache="responses", route="", result=result) == {0}
    failures = own.values("tallygate_store_failures_total", store="response_cache")
    assert failures == ({0} if store else set())


async def test_every_vocabulary_tells_the_same_truth(store: dict[str, Any]) -> None:
    async with cached(**SETTINGS, **store) as running:
        for model in ("a", "a", "b", "a"):
            await running.ask(model=model)
        erato, gatewayz = await running.page("erato"), await running.page("gatewayz")
        hyperagent = await running.page("hyperagent")
        fill = await cache_of(running.gateway)._store.fill()
    assert fill is not None
    assert (fill.entries, erato.total("erato_cache_entries")) == (2, 2)
    assert fill.used > 2 * 663
    assert erato.total("erato_cache_used_size_bytes") == gatewayz.total("cache_size_bytes") == fill.used
    assert erato.total("erato_cache_fill_ratio") == pytest.approx(fill.used / (2 * MIB), abs=1e-6)
    assert (gatewayz.total("cache_hits_total"), gatewayz.total("cache_misses_total")) == (2, 2)
    assert (hyperagent.total("llm_cache_hits_total"), hyperagent.total("llm_cache_misses_total")) == (2, 2)


async def test_the_weight_is_that_of_the_answers_and_their_places() -> None:
    async with cached() as running:
        miss = await running.ask()
        used = (await running.page()).total("tallygate_cache_used_bytes")
    assert len(miss.body) + OVERHEAD < used < len(miss.body) + OVERHEAD + 800


async def test_by_the_callers_route() -> None:
    settings = {"dimensions": {"route": {"values": ["chat", "search"]}}}

    async def ask(running: Cached, route: str) -> str | None:
        return await running.says(headers=USE | {"x-tallygate-route": route})

    async with cached(settings) as running:
        before = running.gateway.page()
        said = [await ask(running, route) for route in ("chat", "chat", "search", "made-up", "made-up-2")]
        said.append(await running.says())
        page = running.gateway.page()
    assert said == ["miss", "hit", "hit", "hit", "hit", "hit"]
    for route, hits, misses in (("chat", 1, 1), ("search", 1, 0), ("other", 2, 0), ("", 1, 0)):
        assert before.values("tallygate_cache_lookups_total", route=route) == {0}, route
        assert page.total("tallygate_cache_lookups_total", route=route, result="hit") == hits, route
        assert page.total("tallygate_cache_lookups_total", route=route, result="miss") == misses, route
    assert page.total("tallygate_cache_lookups_total") == 6


async def test_without_metrics_the_cache_works() -> None:
    async with cached({"metrics": {"enabled": False}}) as running:
        assert [await running.says() for _ in range(2)] == ["miss", "hit"]


async def test_a_store_that_is_away_costs_hits_and_nothing_else() -> None:
    with running_redis() as server:
        async with cached({"shared": {"url": server.url}}, store="shared") as running:
            assert [await running.says() for _ in range(2)] == ["miss", "hit"]
            server_gone = running
            await stop(server.socket)
            answers = [await running.ask(stream=stream) for stream in (False, True, False)]
            page = await server_gone.page()
            assert running.served == 4
    assert [one.status for one in answers] == [200, 200, 200]
    assert [one.headers["x-tallygate-cache"] for one in answers] == ["miss", "miss", "miss"]
    assert page.total("tallygate_store_failures_total", store="response_cache", operation="read") == 3
    assert page.total("tallygate_store_failures_total", store="response_cache", operation="store") == 3
    assert page.total("tallygate_cache_lookups_total", result="miss") == 4
    assert page.total("tallygate_cache_capacity_bytes") == page.total("tallygate_cache_used_bytes") == 0
    assert page.total("tallygate_llm_calls_total", outcome="completed") == 4


async def stop(socket: str) -> None:
    import redis.asyncio as redis

    async with redis.Redis(unix_socket_path=socket) as client:
        await client.shutdown(nosave=True)


async def test_a_store_that_is_away_at_the_start_is_used_when_it_comes(tmp_path: Any) -> None:
    async with cached({"shared": {"url": f"unix://{tmp_path}/nobody"}}, store="shared") as running:
        assert [await running.says() for _ in range(2)] == ["miss", "miss"]
        page = running.gateway.page("erato")
    assert page.total("erato_cache_max_size_bytes") == 0
    assert page.total("erato_cache_time_to_live_seconds") == 3600


async def test_what_expires_is_gone_from_the_page(store: dict[str, Any]) -> None:
    async with cached(time_to_live_seconds=0.05, **store) as running:
        await running.ask(body=CHAT.body("gpt-4o", False))
        while (await running.page()).total("tallygate_cache_entries"):
            pass
        assert (await running.page()).total("tallygate_cache_used_bytes") == 0
        assert await running.says() == "miss"
