"""Instrumented, the SDK gives, raises and sends what it does without; and is given back as it was."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from openai._base_client import AsyncAPIClient, SyncAPIClient
from pydantic import BaseModel

import tallygate
from tallygate import instrument
from tallygate.instrument.once import inside
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.llm_truth import new_model, page_of, served
from tests.instrument.openai_ways import CHAT, MESSAGES, USAGE, WAYS, Way

USAGE_TOLD = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def completion(content: str = "Hello", finish_reason: str = "stop", **further: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": finish_reason, "message": message}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **further}


Handler = Callable[[httpx2.Request], httpx2.Response]


def answering(answer: Any, status: int = 200) -> Handler:
    """Every request has this answer."""
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    kind = "text/html" if isinstance(answer, bytes) else "application/json"
    return lambda request: httpx2.Response(status, content=content, headers={"content-type": kind})


def client_of(handler: Handler, **settings: Any) -> OpenAI:
    http = httpx2.Client(transport=httpx2.MockTransport(handler))
    return OpenAI(**{"api_key": "key", "max_retries": 0, "http_client": http, **settings})


def ask(client: Any, model: str = "gpt-4o") -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES)


def calls(tally: Tally, **labels: str) -> float:
    return page_of(tally).total("tallygate_llm_calls_total", **labels)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread(Settings(seed=7)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def client(simulator: Simulator) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{simulator.url}/v1", api_key="key", max_retries=2) as client:
        yield client


# What users get


def shown(result: Any) -> Any:
    """Everything of a result that is compared: types and members, all the way down."""
    if isinstance(result, list):
        return [shown(item) for item in result]
    if isinstance(result, openai.BaseModel):
        return (type(result), result.model_dump(), result.__pydantic_extra__, getattr(result, "_request_id", None))
    return (type(result), getattr(result, "text", result))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_results_are_the_sdks_own(client: OpenAI, tally: Tally, way: Way) -> None:
    model = new_model("gpt", "tools+reasoning+cached")
    bare = way.ask(client, model)
    with instrument.openai(client, tally=tally):
        assert shown(way.ask(client, model)) == shown(bare)


def test_streams_have_all_that_streams_have(client: OpenAI, tally: Tally) -> None:
    bare = client.chat.completions.create(model="gpt-4o", **CHAT, **USAGE)
    with instrument.openai(client, tally=tally):
        stream = client.chat.completions.create(model="gpt-4o", **CHAT, **USAGE)
    with bare, stream:
        assert type(stream) is openai.Stream
        assert vars(stream).keys() == vars(bare).keys()
        assert type(stream._iterator) is type(bare._iterator)
        assert vars(stream.response).keys() == vars(bare.response).keys()
        assert iter(stream) is not stream
        assert next(stream) == next(bare)
        assert [*stream] == [*bare]
    with pytest.raises(StopIteration):
        next(stream)


def test_what_is_sent_is_what_was_sent_without(tally: Tally) -> None:
    sent: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return answering(completion(usage=USAGE_TOLD))(request)

    client = client_of(handler)
    ask(client)
    with instrument.openai(tally=tally):
        ask(client)
    bare, instrumented = [
        {name: value for name, value in request.headers.items() if "idempotency" not in name} for request in sent
    ]
    assert instrumented == bare
    assert sent[0].content == sent[1].content
    assert sent[0].extensions.keys() == sent[1].extensions.keys()


def test_responses_that_were_read_can_be_pickled(client: OpenAI, tally: Tally) -> None:
    with instrument.openai(client, tally=tally):
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o", **CHAT)
        with client.chat.completions.with_streaming_response.create(model="gpt-4o", **CHAT) as response:
            response.read()
        stream = client.chat.completions.create(model="gpt-4o", **CHAT, **USAGE)
        list(stream)
    for kept in (raw.http_response, response.http_response):
        assert pickle.loads(pickle.dumps(kept)).content == kept.content
    assert pickle.loads(pickle.dumps(stream.response)).status_code == 200


# What users catch


def test_exceptions_are_those_that_were_raised(tally: Tally) -> None:
    problem = httpx2.ConnectError("no route")

    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise problem

    client = client_of(refuse)
    with instrument.openai(client, tally=tally), pytest.raises(openai.APIConnectionError) as raised:
        ask(client)
    assert raised.value.__cause__ is problem
    page = page_of(tally)
    assert page.total("tallygate_llm_errors_total", error_type="provider_network") == 1
    assert page.total("tallygate_upstream_attempts_total", status_code="network_error") == 1


def test_errors_of_the_provider_keep_all_they_have(tally: Tally) -> None:
    told = {"error": {"message": "too long", "code": "context_length_exceeded", "type": "invalid_request_error"}}
    client = client_of(answering(told, 400))
    with instrument.openai(client, tally=tally), pytest.raises(openai.BadRequestError) as raised:
        ask(client)
    assert (raised.value.status_code, raised.value.code, raised.value.body) == (
        400,
        "context_length_exceeded",
        told["error"],
    )
    errors = page_of(tally)
    assert errors.total("tallygate_llm_errors_total", error_type="caller_context_length", domain="caller") == 1


class Weather(BaseModel):
    celsius: int


@pytest.mark.parametrize(
    ("content", "finish_reason", "problem"),
    [("{", "length", openai.LengthFinishReasonError), ("{}", "stop", ValueError)],
    ids=["too_short", "not_what_was_wanted"],
)
def test_a_reply_that_the_sdk_cannot_parse_was_a_reply(
    tally: Tally, content: str, finish_reason: str, problem: type[Exception]
) -> None:
    client = client_of(answering(completion(content, finish_reason, usage=USAGE_TOLD)))
    with instrument.openai(client, tally=tally), pytest.raises(problem):
        client.chat.completions.parse(model="gpt-4o", messages=MESSAGES, response_format=Weather)
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", outcome="completed") == 1
    assert page.total("tallygate_llm_tokens_total", type="input") == 10
    assert page.total("tallygate_llm_tokens_total", type="output") == 5


def test_a_page_in_place_of_a_reply(tally: Tally) -> None:
    with instrument.openai(client := client_of(answering(b"<html>")), tally=tally):
        assert ask(client) == "<html>"
    assert page_of(tally).total("tallygate_llm_errors_total", error_type="provider_invalid_response") == 1


@pytest.mark.parametrize(("content", "outcome"), [("", "failed"), ("So far", "completed")])
def test_what_a_filter_leaves(tally: Tally, content: str, outcome: str) -> None:
    reply = completion(content, "content_filter", usage=USAGE_TOLD)
    with instrument.openai(client := client_of(answering(reply)), tally=tally):
        ask(client)
    page = page_of(tally)
    assert calls(tally, outcome=outcome) == 1
    assert page.total("tallygate_llm_errors_total", error_type="policy_content_filter") == (outcome == "failed")


def test_a_defect_of_ours_is_counted_and_breaks_nothing(tally: Tally) -> None:
    reply = completion(usage={**USAGE_TOLD, "prompt_tokens_details": 7})
    with instrument.openai(client := client_of(answering(reply)), tally=tally):
        assert ask(client).choices[0].message.content == "Hello"
    page = page_of(tally)
    assert page.total("tallygate_dropped_observations_total", fact="LLMCall", reason="internal") == 1
    assert page.total("tallygate_llm_calls_total", outcome="completed") == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0


# Who is counted, and where


def test_attempts(client: OpenAI, simulator: Simulator, tally: Tally) -> None:
    model = new_model("gpt", "429:0+first:2")
    with instrument.openai(client, tally=tally):
        client.chat.completions.create(model=model, **CHAT)
    page = page_of(tally)
    assert sum(call["requests"] for call in served(simulator, model)) == 3
    refused = {"model": model, "status_code": "429", "error_type": "provider_rate_limit"}
    assert page.total("tallygate_upstream_attempts_total", **refused) == 2
    assert page.total("tallygate_upstream_attempts_total", model=model, status_code="200", error_type="") == 1
    assert page.total("tallygate_llm_rate_limit_events_total", model=model) == 2
    assert page.total("tallygate_llm_calls_total", outcome="completed") == 1
    assert page.total("tallygate_llm_errors_total") == 0


def test_the_wait_before_a_retry_is_no_part_of_an_attempt(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1.0

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal now
        now += 1
        return answering({}, 500)(request)

    def sleep(*client: object, **settings: object) -> None:
        nonlocal now
        now += 100

    monkeypatch.setattr("tallygate.instrument.llm_calls.perf_counter", lambda: now)
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
    marks: list[bool] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        marks.append(inside.get())
        return answering(completion(usage=USAGE_TOLD))(request)

    with instrument.openai(client := client_of(handler), tally=tally):
        ask(client)
        assert (marks, inside.get()) == ([True], False)
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


def test_a_tally_that_is_switched_off() -> None:
    off = Tally(enabled=False)
    with instrument.openai(client := client_of(answering(completion())), tally=off):
        assert ask(client).choices[0].message.content == "Hello"
    assert off.render() == b""


def test_anything_that_is_no_client() -> None:
    with pytest.raises(instrument.NotInstrumentable, match=r"takes a client of openai, or nothing .* got type"):
        instrument.openai(OpenAI)  # type: ignore[arg-type]  # what is tested
