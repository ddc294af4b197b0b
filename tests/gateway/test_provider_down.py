"""A provider that cannot be reached or is too slow: 502 and 504 in the shape of the API, counted as its fault."""

import json
import socket
from typing import Any

import anthropic
import openai
import pytest

from tests.gateway.apis import API, APIS
from tests.gateway.provided import provided, providers, recorded
from tests.gateway.running import ask

every_api = pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)


def unreachable(_: str) -> dict[str, Any]:
    """Providers at a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return {"providers": providers(f"http://127.0.0.1:{free.getsockname()[1]}")}


def message(api: API, status: int, body: bytes) -> str:
    """The message of an error body, which must be one of this API's."""
    document = json.loads(body)
    error = document["error"]
    match api.provider:
        case "openai":
            assert (error["type"], error["code"]) == (
                "server_error",
                "provider_timeout" if status == 504 else "provider_network",
            )
        case "anthropic":
            assert (document["type"], error["type"]) == ("error", "timeout_error" if status == 504 else "api_error")
        case _:
            assert (error["code"], error["status"]) == (
                status,
                "DEADLINE_EXCEEDED" if status == 504 else "UNAVAILABLE",
            )
    return str(error["message"])


@every_api
async def test_nobody_listens(api: API) -> None:
    async with provided(unreachable) as (running, _):
        answer = await ask(running.url + api.path("m", False), api.body("m", False))
        await recorded(running)
        page = running.page()
    assert answer.status == 502
    assert message(api, 502, answer.body).startswith("cannot connect to 127.0.0.1:")
    failed = {"provider": api.provider, "error_type": "provider_network", "domain": "provider"}
    assert page.total("tallygate_llm_errors_total", **failed) == page.total("tallygate_llm_errors_total") == 1
    assert page.total("tallygate_llm_calls_total", outcome="failed", status_code="network_error") == 1
    assert page.total("tallygate_upstream_attempts_total", error_type="provider_network") == 1
    assert page.total("tallygate_http_requests_total", status_code="502") == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0


@every_api
async def test_nothing_comes_in_time(api: API) -> None:
    async with provided({"limits": {"upstream_first_byte_seconds": 0.1}}) as (running, simulator):
        answer = await ask(running.url + api.path("m+slow_headers:60", False), api.body("m+slow_headers:60", False))
        await simulator.until(lambda served: served.count(outcome="client_gone") == 1)
        await recorded(running)
        page = running.page()
    assert answer.status == 504
    assert "0.1 s" in message(api, 504, answer.body)
    assert page.total("tallygate_llm_errors_total", error_type="provider_timeout") == 1
    assert page.total("tallygate_llm_calls_total", outcome="failed") == 1


async def test_a_whole_reply_has_its_time_too() -> None:
    limits = {"upstream_total_seconds": 0.3, "stream_idle_seconds": 30}
    async with provided({"limits": limits}) as (running, simulator):
        api, model = APIS[0], "m+slow_stream:0.1"
        answer = await ask(running.url + api.path(model, True), api.body(model, True))
        await simulator.until(lambda served: served.count(outcome="client_gone") == 1)
        await recorded(running)
        assert running.total("tallygate_llm_errors_total", error_type="provider_timeout") == 1
    assert (answer.status, answer.broken) == (200, True)


async def test_lists_of_models_fail_in_their_own_shape() -> None:
    async with provided(unreachable) as (running, _):
        openai_list = await ask(f"{running.url}/v1/models", method="GET")
        gemini_list = await ask(f"{running.url}/v1beta/models", method="GET")
        await recorded(running, 2)
        assert running.total("tallygate_llm_calls_total") == 0
    assert (openai_list.status, gemini_list.status) == (502, 502)
    message(APIS[0], 502, openai_list.body)
    message(APIS[5], 502, gemini_list.body)


async def test_sdks_raise_what_they_raise_for_a_server_at_fault() -> None:
    async with provided(unreachable) as (running, _):
        async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="k", max_retries=0) as client:
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
        async with anthropic.AsyncAnthropic(base_url=running.url, api_key="k", max_retries=0) as claude:
            with pytest.raises(anthropic.InternalServerError):
                await claude.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "Hi"}])
