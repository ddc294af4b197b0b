"""The store of limits is away: calls pass, or are refused, and both are counted."""

from __future__ import annotations

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from tests.gateway.limiting import MODEL, Limited, call, limited, limits_of, minute, simulator
from tests.gateway.state.proxy import Proxy
from tests.services.redis import Redis, redis_server

__all__ = ["limited", "minute", "redis_server", "simulator"]


@pytest.mark.parametrize("when_away", ["open", "closed"])
async def test_a_store_that_is_away(limited: Limited, unused_tcp_port: int, when_away: str) -> None:
    with capture_logs() as logs:
        shared = {"url": f"redis://:secret@127.0.0.1:{unused_tcp_port}", "when_away": when_away}
        running = await limited(shared, models={MODEL: {"requests_per_minute": 1}})
        answers = [await call(running) for _ in range(3)]
    page = running.page()
    assert page.total("tallygate_store_failures_total", store="limits", operation="store") == 3
    assert "secret" not in str(logs)
    said = [entry["event"] for entry in logs if "limits" in entry["event"]]
    if when_away == "open":
        assert [answer.status for answer in answers] == [200, 200, 200]
        assert said == ["shared store of limits is away", "limits cannot be kept; requests pass without limits"]
    else:
        assert [answer.status for answer in answers] == [503, 503, 503]
        assert limits_of(answers[0]) == {"retry-after": "1"}
        assert json.loads(answers[0].body)["error"] == {
            "message": "the gateway cannot look at rate limits and credits, because their store is away; "
            "try again later",
            "type": "server_error",
            "param": None,
            "code": "gateway_unavailable",
        }
        assert said == ["shared store of limits is away", "limits cannot be kept; requests are refused"]


@pytest.mark.xdist_group("redis")
async def test_two_gateways_share_a_server_and_both_get_over_its_loss(
    limited: Limited, redis_server: Redis, unused_tcp_port: int
) -> None:
    between = Proxy(redis_server.socket)
    server = await asyncio.start_server(between.serve, "127.0.0.1", unused_tcp_port)
    shared = {"url": f"redis://127.0.0.1:{unused_tcp_port}/9", "timeout_seconds": 5.0}
    name = f"model-{unused_tcp_port}"
    first = await limited(shared, models={name: {"requests_per_minute": 3}})
    second = await limited(shared, models={name: {"requests_per_minute": 3}})
    assert [(await call(one, model=name)).status for one in (first, second, first)] == [200, 200, 200]
    assert [(await call(one, model=name)).status for one in (first, second)] == [429, 429]
    server.close()
    await between.end()
    async with asyncio.timeout(10):
        while (await call(first, model=name)).status != 200:
            pass
    assert first.total("tallygate_store_failures_total", store="limits") == 1
    server = await asyncio.start_server(between.serve, "127.0.0.1", unused_tcp_port)
    async with asyncio.timeout(20):
        while (await call(first, model=name)).status != 429:
            pass
        while (await call(second, model=name)).status != 429:
            pass
    server.close()
    await between.end()
