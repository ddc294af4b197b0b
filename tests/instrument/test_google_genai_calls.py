"""instrument.google_genai: which clients, who serves them, and their requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from aiohttp import ClientSession
from google.genai import Client, errors, types
from google.genai._api_client import BaseApiClient
from google.genai.models import AsyncModels, Models

from tallygate import instrument
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.google_genai_ways import (
    ASK,
    TEXT,
)
from tests.instrument.llm_truth import Expected, new_model, page_of, served
from tests.instrument.test_google_genai import ENDPOINTS, PLAIN, client_of

WHOLE_CALL = Expected("gemini", "generate_content", ENDPOINTS[0], False)
STREAM = Expected("gemini", "generate_content", ENDPOINTS[1], True)
LEFT = Expected("gemini", "generate_content", ENDPOINTS[1], True, "cancelled")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread(Settings(seed=7)) as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Client]:
    """Not instrumented."""
    with client_of(simulator) as client:
        yield client


def calls(tally: Tally, **labels: str) -> float:
    return page_of(tally).total("tallygate_llm_calls_total", **labels)


# Which clients


def test_without_a_client_it_is_all_of_them_also_those_made_before(
    client: Client, simulator: Simulator, tally: Tally
) -> None:
    with instrument.google_genai(tally=tally), client_of(simulator) as later:
        client.models.generate_content(model="gemini", **ASK)
        list(later.models.generate_content_stream(model="gemini", **ASK))
    assert calls(tally, stream="false") == 1
    assert calls(tally, stream="true") == 1


async def test_with_a_client_it_is_that_one_alone_in_both_its_forms(
    client: Client, simulator: Simulator, tally: Tally
) -> None:
    with client_of(simulator) as other:
        for one in (client, client.aio):
            with instrument.google_genai(one, tally=tally):
                other.models.generate_content(model="gemini", **ASK)
                client.models.generate_content(model="gemini", **ASK)
                await client.aio.models.generate_content(model="gemini", **ASK)
    assert calls(tally) == 4
    await client.aio.aclose()


def test_a_removed_one_records_nothing_and_leaves_the_library_as_it_was(client: Client, tally: Tally) -> None:
    kinds = (Models, AsyncModels, BaseApiClient, ClientSession)
    before = [dict(vars(kind)) for kind in kinds]
    everywhere, alone = instrument.google_genai(tally=tally), instrument.google_genai(client, tally=tally)
    assert [dict(vars(kind)) for kind in kinds] != before
    everywhere.remove()
    client.models.generate_content(model="gemini", **ASK)
    assert calls(tally) == 1
    alone.remove()
    alone.remove()
    client.models.generate_content(model="gemini", **ASK)
    assert calls(tally) == 1
    assert [dict(vars(kind)) for kind in kinds] == before


def test_a_call_is_counted_once_by_the_clients_own(client: Client, tally: Tally) -> None:
    other = Tally(capacity_bytes=16 << 20)
    with instrument.google_genai(tally=other), instrument.google_genai(client, tally=tally):
        client.models.generate_content(model="gemini", **ASK)
        list(client.chats.create(model="gemini").send_message_stream(TEXT))
    assert calls(other) == 0
    assert calls(tally) == 2
    other.close()


@pytest.mark.parametrize("transport", ["aiohttp", "httpx2"])
async def test_with_the_http_clients_instrumented_too_a_call_is_counted_once(
    simulator: Simulator, tally: Tally, transport: str
) -> None:
    http = httpx2.AsyncClient(verify=PLAIN)
    given: Any = {} if transport == "aiohttp" else {"httpx_async_client": http}
    hosts = {simulator.url.removeprefix("http://"): "gemini"}

    def clients() -> list[instrument.Instrumentation]:
        return [instrument.aiohttp(hosts=hosts, tally=tally), instrument.httpx(hosts=hosts, tally=tally)]

    for inside_first in (True, False):
        handles = clients() if inside_first else []
        handles.append(instrument.google_genai(tally=tally))
        handles += [] if inside_first else clients()
        async with client_of(simulator, **given).aio as google:
            await google.models.generate_content(model="gemini", **ASK)
            assert [chunk async for chunk in await google.models.generate_content_stream(model="gemini", **ASK)]
        for handle in handles:
            handle.remove()
    await http.aclose()
    assert calls(tally, stream="false") == calls(tally, stream="true") == 2
    assert page_of(tally).total("tallygate_upstream_attempts_total") == 4


def test_only_clients_are_taken() -> None:
    with pytest.raises(
        instrument.NotInstrumentable,
        match=r"^instrument.google_genai\(\) takes a client of google-genai, or nothing for all of them; got str$",
    ):
        instrument.google_genai("client")  # type: ignore[arg-type]  # that is the point


def test_a_tally_that_is_turned_off_records_nothing(client: Client) -> None:
    with instrument.google_genai(client, tally=Tally(enabled=False)):
        assert client.models.generate_content(model="gemini", **ASK).text
        assert len(list(client.models.generate_content_stream(model="gemini", **ASK))) == 12


# Who serves, and what


REPLY = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
    "usageMetadata": {
        "promptTokenCount": 15,
        "toolUsePromptTokenCount": 2,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 4,
        "cachedContentTokenCount": 5,
    },
}
EMBEDDINGS = {"predictions": [{"embeddings": {"values": [0.5], "statistics": {"truncated": False, "token_count": 6}}}]}


def answering(client: Client, reply: Any) -> list[str]:
    """Let this reply answer all requests of the client; gives the paths that are asked for."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(200, json=reply)

    client._api_client._httpx_client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return asked


def tokens(tally: Tally) -> dict[str, float]:
    kinds = ("input", "output", "cache_read", "reasoning")
    return {kind: page_of(tally).total("tallygate_llm_tokens_total", type=kind) for kind in kinds}


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "models/gemini-2.5-flash"])
def test_geminis_own_api(tally: Tally, model: str) -> None:
    client = Client(api_key="key")
    asked = answering(client, REPLY)
    with instrument.google_genai(client, tally=tally):
        client.models.generate_content(model=model, contents=TEXT)
    assert [path.partition("/models/")[2] for path in asked] == ["gemini-2.5-flash:generateContent"]
    assert calls(tally, provider="gemini", model="gemini-2.5-flash", endpoint=ENDPOINTS[0]) == 1
    assert tokens(tally) == {"input": 17, "output": 7, "cache_read": 5, "reasoning": 4}
    assert page_of(tally).total("tallygate_llm_cost_usd_total", provider="gemini") > 0


def test_vertex(tally: Tally) -> None:
    client = Client(vertexai=True, api_key="key")
    asked = answering(client, REPLY)
    with instrument.google_genai(client, tally=tally):
        client.models.generate_content(model="gemini-2.5-flash", contents=TEXT)
    assert asked == ["/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent"]
    assert calls(tally, provider="vertex", model="gemini-2.5-flash", endpoint=ENDPOINTS[0]) == 1
    assert page_of(tally).total("tallygate_llm_cost_usd_total", provider="vertex") > 0


def test_vertex_tells_the_tokens_of_embeddings(tally: Tally) -> None:
    client = Client(vertexai=True, api_key="key")
    asked = answering(client, EMBEDDINGS)
    with instrument.google_genai(client, tally=tally):
        assert client.models.embed_content(model="text-embedding-005", contents=TEXT).embeddings
    assert asked == ["/v1beta1/publishers/google/models/text-embedding-005:predict"]
    assert calls(tally, provider="vertex", operation="embeddings", endpoint="/models/{model}:predict") == 1
    assert tokens(tally) == {"input": 6, "output": 0, "cache_read": 0, "reasoning": 0}


def test_a_function_that_is_called_automatically_makes_two_calls(client: Client, tally: Tally) -> None:
    asked: list[str] = []

    def look_up(query: str) -> str:
        """Look it up."""
        asked.append(query)
        return "found"

    call = {"functionCall": {"name": "look_up", "args": {"query": "weather"}}}
    replies = [{**REPLY, "candidates": [{"content": {"role": "model", "parts": [call]}}]}, REPLY]

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=replies.pop(0))

    client._api_client._httpx_client = httpx2.Client(transport=httpx2.MockTransport(answer))
    with instrument.google_genai(client, tally=tally):
        config = types.GenerateContentConfig(tools=[look_up])
        assert client.models.generate_content(model="gemini", contents=TEXT, config=config).text == "Hello"
    assert asked == ["weather"]
    assert calls(tally, outcome="completed") == 2
    assert tokens(tally) == {"input": 34, "output": 14, "cache_read": 10, "reasoning": 8}


# Several requests


def retrying(simulator: Simulator) -> Client:
    retry = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002, jitter=0.001)
    return client_of(simulator, retry_options=retry)


def test_retries_are_attempts_of_one_call(simulator: Simulator, tally: Tally) -> None:
    model = new_model("gemini", "429+first:2")
    with retrying(simulator) as client, instrument.google_genai(client, tally=tally):
        client.models.generate_content(model=model, **ASK)
    page = WHOLE_CALL.check(tally, served(simulator, model))
    assert page.total("tallygate_llm_rate_limit_events_total") == 2
    attempts = {
        (status, error_type): page.total("tallygate_upstream_attempts_total", status_code=status, error_type=error_type)
        for status, error_type in (("429", "provider_rate_limit"), ("200", ""))
    }
    assert attempts == {("429", "provider_rate_limit"): 2, ("200", ""): 1}


async def test_retries_of_a_stream(simulator: Simulator, tally: Tally) -> None:
    model = new_model("gemini", "503+first:1")
    with retrying(simulator) as client, instrument.google_genai(client, tally=tally):
        async with client.aio:
            assert [chunk async for chunk in await client.aio.models.generate_content_stream(model=model, **ASK)]
    page = STREAM.check(tally, served(simulator, model))
    assert page.total("tallygate_upstream_attempts_total", status_code="503") == 1


def test_retries_that_are_used_up(simulator: Simulator, tally: Tally) -> None:
    model = new_model("gemini", "429")
    with retrying(simulator) as client, instrument.google_genai(client, tally=tally), pytest.raises(errors.ClientError):
        client.models.generate_content(model=model, **ASK)
    failed = Expected("gemini", "generate_content", ENDPOINTS[0], False, "failed", "provider_rate_limit")
    page = failed.check(tally, served(simulator, model))
    assert page.total("tallygate_upstream_attempts_total", status_code="429") == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_the_retry_that_aiohttp_gets_unasked_is_an_attempt(
    simulator: Simulator, tally: Tally, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    async def at_once(seconds: float) -> None:
        return None

    model = new_model("gemini", "reset+first:1")
    with client_of(simulator, retry_options=None) as client, instrument.google_genai(client, tally=tally):
        async with client.aio:
            monkeypatch.setattr("google.genai._api_client.asyncio.sleep", at_once)
            if stream:
                assert [chunk async for chunk in await client.aio.models.generate_content_stream(model=model, **ASK)]
            else:
                await client.aio.models.generate_content(model=model, **ASK)
            monkeypatch.undo()
    page = (STREAM if stream else WHOLE_CALL).check(tally, await asyncio.to_thread(served, simulator, model))
    assert page.total("tallygate_upstream_attempts_total", error_type="provider_network") == 1
    assert page.total("tallygate_upstream_attempts_total", status_code="200") == 1


def test_counting_tokens_and_listing_models_are_no_calls(client: Client, tally: Tally) -> None:
    with instrument.google_genai(client, tally=tally):
        list(client.models.list())
        with pytest.raises(errors.APIError):
            client.models.count_tokens(model="gemini+404", contents=TEXT)
    assert calls(tally) == 0
