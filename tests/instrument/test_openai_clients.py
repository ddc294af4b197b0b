"""Whose calls are counted, where, and how often; the SDK is given back as it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from openai._base_client import AsyncAPIClient, SyncAPIClient

import tallygate
from tallygate import instrument
from tallygate.instrument.support.once import inside
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.llm_truth import new_model, page_of, served
from tests.instrument.openai_answers import USAGE_TOLD, answering, ask, calls, client_of, completion
from tests.instrument.openai_ways import CHAT, MESSAGES, USAGE


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread(Settings(seed=7)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def client(simulator: Simulator) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{simulator.url}/v1", api_key="key", max_retries=2) as client:
        yield client


async def at_once(*client: object, **settings: object) -> None:
    """In place of waiting before a retry."""


def check_attempts(simulator: Simulator, tally: Tally, model: str, stream: str) -> None:
    """Two requests were refused, the third was served."""
    page = page_of(tally)
    assert sum(call["requests"] for call in served(simulator, model)) == 3
    refused = {"model": model, "status_code": "429", "error_type": "provider_rate_limit"}
    assert page.total("tallygate_upstream_attempts_total", **refused) == 2
    assert page.total("tallygate_upstream_attempts_total", model=model, status_code="200", error_type="") == 1
    assert page.total("tallygate_llm_rate_limit_events_total", model=model) == 2
    assert page.total("tallygate_llm_calls_total", outcome="completed", stream=stream) == 1
    assert page.total("tallygate_llm_errors_total") == 0


def test_attempts(client: OpenAI, simulator: Simulator, tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SyncAPIClient, "_sleep_for_retry", lambda *client, **settings: None)
    model = new_model("gpt", "429+first:2")
    with instrument.openai(client, tally=tally):
        client.chat.completions.create(model=model, **CHAT)
    check_attempts(simulator, tally, model, "false")


async def test_attempts_of_coroutines(simulator: Simulator, tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncAPIClient, "_sleep_for_retry", at_once)
    model = new_model("gpt", "429+first:2")
    async with AsyncOpenAI(base_url=f"{simulator.url}/v1", api_key="key", max_retries=2) as client:
        with instrument.openai(client, tally=tally):
            async for _ in await client.chat.completions.create(model=model, **CHAT, **USAGE):
                continue
    check_attempts(simulator, tally, model, "true")


def test_the_wait_before_a_retry_is_no_part_of_an_attempt(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1.0

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal now
        now += 1
        return answering({}, 500)(request)

    def sleep(*client: object, **settings: object) -> None:
        nonlocal now
        now += 100

    monkeypatch.setattr("tallygate.instrument.support.llm_calls.perf_counter", lambda: now)
    monkeypatch.setattr(SyncAPIClient, "_sleep_for_retry", sleep)
    client = client_of(answer, max_retries=1)
    for stream in (False, True):
        with instrument.openai(client, tally=tally), pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
    page = page_of(tally)
    assert page.total("tallygate_upstream_attempt_duration_seconds_sum") == 4
    assert page.total("tallygate_upstream_attempts_total", status_code="500") == 4


def test_all_clients_also_those_made_before(tally: Tally) -> None:
    before = client_of(answering(completion(usage=USAGE_TOLD)))
    resource = before.chat.completions
    with instrument.openai(tally=tally):
        resource.create(model="m", messages=MESSAGES)
        ask(client_of(answering(completion(usage=USAGE_TOLD))))
    ask(before)
    assert calls(tally) == 2


def test_one_client_alone_and_its_copies(tally: Tally) -> None:
    client, other = (client_of(answering(completion(usage=USAGE_TOLD))) for _ in range(2))
    with instrument.openai(client, tally=tally):
        ask(other)
        assert calls(tally) == 0
        ask(client)
        ask(client.with_options(timeout=3))
        ask(client.copy(max_retries=1).with_options(max_retries=0))
        kept = copy.copy(client)
        ask(kept)
        assert calls(tally) == 4
    with instrument.openai(other, tally=tally):
        ask(kept)
        assert calls(tally) == 4


def test_once_however_many_instrumentations() -> None:
    every, own, later = (Tally(capacity_bytes=16 << 20) for _ in range(3))
    client, other = (client_of(answering(completion(usage=USAGE_TOLD))) for _ in range(2))
    with instrument.openai(tally=every), instrument.openai(client, tally=own):
        ask(client)
        ask(other)
        with instrument.openai(tally=later):
            ask(client)
            ask(other)
            with instrument.openai(client, tally=later):
                ask(client)
            ask(client)
    assert [calls(tally) for tally in (every, own, later)] == [1, 3, 2]
    for tally in (every, own, later):
        tally.close()


def test_the_sdk_is_given_back_as_it_was(tally: Tally) -> None:
    kinds = (SyncAPIClient, AsyncAPIClient, OpenAI, AsyncOpenAI, AzureOpenAI, openai.Stream, openai.AsyncStream)
    before = [dict(vars(kind)) for kind in kinds]
    client = client_of(answering(completion(usage=USAGE_TOLD)))
    first, second = instrument.openai(tally=tally), instrument.openai(client, tally=tally)
    assert [dict(vars(kind)) for kind in kinds] != before
    first.remove()
    ask(client)
    second.remove()
    second.remove()
    assert [dict(vars(kind)) for kind in kinds] == before
    ask(client)
    assert calls(tally) == 1


def test_a_stream_that_outlives_the_instrumentation(client: OpenAI, tally: Tally) -> None:
    with instrument.openai(client, tally=tally):
        stream = client.chat.completions.create(model="gpt-4o", **CHAT, **USAGE)
    assert len(list(stream)) == 15
    assert calls(tally, outcome="completed") == 1


def test_the_programs_tally_and_its_context(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(answering(completion(usage=USAGE_TOLD)))
    with instrument.openai(client):
        ask(client)  # before init: recorded nowhere
        monkeypatch.setattr("tallygate.record.default.default.recorder", tally)
        with tallygate.context(route="chat", agent_name="planner", source="email"):
            ask(client)
    assert calls(tally) == calls(tally, route="chat", agent_name="planner", source="email") == 1


def test_an_outer_instrumentation_records_alone(tally: Tally) -> None:
    marks: list[object] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        marks.append(inside.get())
        return answering(completion(usage=USAGE_TOLD))(request)

    with instrument.openai(client := client_of(handler), tally=tally):
        ask(client)
        assert ([mark is not None for mark in marks], inside.get()) == ([True], None)
        token = inside.set(True)
        ask(client)
        inside.reset(token)
    assert calls(tally) == 1


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://team.openai.azure.com/openai/v1", "azure"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", "bedrock"),
        ("https://gpu-7.compute.amazonaws.com/v1", "openai"),
        ("http://127.0.0.1:8000/v1", "openai"),
    ],
)
def test_providers_by_their_hosts(tally: Tally, base_url: str, provider: str) -> None:
    client = client_of(answering(completion(usage=USAGE_TOLD)), base_url="https://api.mistral.ai/v1")
    with instrument.openai(client, tally=tally):
        ask(client)
        client.base_url = base_url
        ask(client)
    assert calls(tally, provider="mistral") == 1
    assert calls(tally, provider=provider, model="gpt-4o", endpoint="/chat/completions") == 1


def test_the_modules_own_client(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    http = httpx2.Client(transport=httpx2.MockTransport(answering(completion(usage=USAGE_TOLD))))
    for name, value in {"api_key": "key", "http_client": http, "_client": None}.items():
        monkeypatch.setattr(openai, name, value)
    with instrument.openai(tally=tally):
        for url in ("https://api.groq.com/openai/v1", "https://api.x.ai/v1"):
            monkeypatch.setattr(openai, "base_url", url)
            ask(openai)
    assert calls(tally) == 2
    assert calls(tally, provider="groq") == calls(tally, provider="xai") == 1


def test_azure(simulator: Simulator, tally: Tally) -> None:
    model = new_model("deployed")
    with (
        AzureOpenAI(azure_endpoint=simulator.url, api_version="2024-10-21", api_key="key") as client,
        instrument.openai(client, tally=tally),
    ):
        client.chat.completions.create(model=model, **CHAT)
        client.with_options(timeout=5).embeddings.create(model=model, input="text")
    labels = {"provider": "azure", "model": model}
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", **labels, endpoint="/chat/completions") == 1
    assert page.total("tallygate_llm_calls_total", **labels, endpoint="/embeddings", operation="embeddings") == 1
    told = sum(call["input_tokens"] for call in served(simulator, model))
    assert page.total("tallygate_llm_tokens_total", **labels, type="input") == told


def test_what_is_no_call_of_a_model(tally: Tally) -> None:
    models = {"object": "list", "data": []}
    with instrument.openai(client := client_of(answering(models)), tally=tally):
        client.models.list()
        client.post("/moderations", body={"input": "x"}, cast_to=object)
        client.post("/embeddings", body={"input": "x"}, cast_to=object)
    assert calls(tally) == calls(tally, model="other", endpoint="/embeddings") == 1


def test_a_tally_that_is_switched_off_changes_nothing() -> None:
    off, before = Tally(enabled=False), dict(vars(SyncAPIClient))
    with instrument.openai(client := client_of(answering(completion())), tally=off), instrument.openai(tally=off):
        assert dict(vars(SyncAPIClient)) == before
        assert ask(client).choices[0].message.content == "Hello"
    assert off.render() == b""


def test_anything_that_is_no_client() -> None:
    with pytest.raises(instrument.NotInstrumentable, match=r"takes a client of openai, or nothing .* got type"):
        instrument.openai(OpenAI)  # type: ignore[arg-type]  # what is tested
