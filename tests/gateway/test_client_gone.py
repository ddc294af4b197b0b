"""A client that goes away: the provider's call ends with it, and is counted once, as cancelled."""

import asyncio

import pytest

from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.provided import provided, recorded
from tests.gateway.raw import connected, request
from tests.gateway.running import Gateway

PROMISED = 0.1
"""Seconds within which the provider's call is to be cancelled."""
ALLOWED = 2.0
"""Seconds after which a test fails: machines that run tests are busy."""

CHAT, MESSAGES, GEMINI = APIS[0], APIS[4], APIS[5]
WAYS = [(api, stream) for api in (CHAT, MESSAGES, GEMINI) for stream in (False, True)]


def post(api: API, model: str, stream: bool) -> bytes:
    return request(f"POST {api.path(model, stream)} HTTP/1.1", "", api.body(model, stream))


async def seconds_until_gone(simulator: Simulator) -> float:
    """How long the provider's call outlives its client."""
    loop = asyncio.get_running_loop()
    left_at = loop.time()
    await simulator.until(lambda served: served.count(outcome="client_gone") == 1 and not served.in_progress, ALLOWED)
    return loop.time() - left_at


async def check_cancelled(running: Gateway, simulator: Simulator, api: API, stream: bool, status: str) -> None:
    await recorded(running)
    page = running.page()
    assert page.total("tallygate_llm_calls_total") == 1
    ended = {"outcome": "cancelled", "status_code": status, "stream": str(stream).lower(), "provider": api.provider}
    assert page.total("tallygate_llm_calls_total", **ended) == 1
    assert page.total("tallygate_llm_errors_total") == 0
    assert page.total("tallygate_llm_calls_in_flight") == page.total("tallygate_http_requests_in_flight") == 0
    assert page.total("tallygate_http_requests_total") == 1
    assert page.total("tallygate_upstream_attempts_total", error_type="") == 1
    assert page.total("tallygate_llm_unmetered_calls_total") == 0
    assert page.total("tallygate_llm_call_duration_seconds_count") == 1
    assert simulator.served()["totals"]["requests"] == 1


@pytest.mark.parametrize(("api", "stream"), WAYS)
async def test_before_the_head_of_the_reply(api: API, stream: bool) -> None:
    async with provided() as (running, simulator):
        async with connected(running) as (_, writer):
            writer.write(post(api, "model+slow_headers:60", stream))
            await simulator.until(lambda served: served.in_progress == 1)
        print(f"cancelled after {await seconds_until_gone(simulator):.4f} s, promised are {PROMISED} s")
        await check_cancelled(running, simulator, api, stream, "499")


@pytest.mark.parametrize("api", [CHAT, MESSAGES, GEMINI])
async def test_in_the_middle_of_a_reply_that_is_no_stream(api: API) -> None:
    async with provided() as (running, simulator):
        async with connected(running) as (_, writer):
            writer.write(post(api, "model+stall", False))
            await simulator.until(lambda served: served.in_progress == 1)
            attempts = "tallygate_upstream_attempts_total"
            assert running.total(attempts) == 0
        print(f"cancelled after {await seconds_until_gone(simulator):.4f} s, promised are {PROMISED} s")
        await recorded(running)
        assert running.total("tallygate_llm_calls_total", outcome="cancelled") == 1
        assert running.total("tallygate_llm_calls_in_flight") == 0


@pytest.mark.parametrize("api", [CHAT, MESSAGES, GEMINI])
@pytest.mark.parametrize("behaviour", ["stall:3", "slow_stream:30", "long:100MB"])
async def test_in_the_middle_of_a_stream(api: API, behaviour: str) -> None:
    async with provided() as (running, simulator):
        async with connected(running) as (reader, writer):
            writer.write(post(api, f"model+{behaviour}", True))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            if not behaviour.startswith("slow") or api is MESSAGES:
                await reader.readuntil(b"data:")
        print(f"cancelled after {await seconds_until_gone(simulator):.4f} s, promised are {PROMISED} s")
        await check_cancelled(running, simulator, api, True, "200")


async def test_within_its_own_request() -> None:
    async with provided() as (running, simulator):
        async with connected(running) as (_, writer):
            writer.write(request("POST /v1/chat/completions HTTP/1.1", "", b'{"model":', length=1000))
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(ALLOWED):
            await recorded(running)
        page = running.page()
        assert simulator.served()["totals"]["requests"] == 0
    assert page.total("tallygate_http_requests_total", status_code="499") == 1
    assert page.total("tallygate_llm_calls_total") == page.total("tallygate_llm_errors_total") == 0
    assert page.total("tallygate_http_requests_in_flight") == 0


async def test_when_all_was_sent_the_call_is_complete() -> None:
    async with provided() as (running, simulator):
        async with connected(running) as (reader, writer):
            writer.write(post(CHAT, "gpt-4o", True))
            await reader.readuntil(b"[DONE]\n\n")
        await recorded(running)
        assert running.total("tallygate_llm_calls_total", outcome="completed") == 1
        assert (
            running.total("tallygate_llm_tokens_total", type="output") == simulator.served()["totals"]["output_tokens"]
        )


async def test_many_at_once_leave_nothing_behind() -> None:
    async with provided() as (running, simulator):

        async def leave() -> None:
            async with connected(running) as (reader, writer):
                writer.write(post(CHAT, "gpt-4o+stall:2", True))
                await reader.readuntil(b"data:")

        await asyncio.gather(*(leave() for _ in range(50)))
        await simulator.until(lambda served: served.count(outcome="client_gone") == 50, ALLOWED)
        await recorded(running, 50)
        page = running.page()
    assert page.total("tallygate_llm_calls_total", outcome="cancelled") == 50
    assert page.total("tallygate_llm_calls_total") == 50
    assert page.total("tallygate_llm_calls_in_flight") == 0
