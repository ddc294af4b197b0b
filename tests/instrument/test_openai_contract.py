"""Instrumented, the SDK gives, raises and sends what it does without."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tallygate import instrument
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.llm_truth import new_model, page_of
from tests.instrument.openai_answers import USAGE_TOLD, answering, ask, calls, client_of, completion
from tests.instrument.openai_ways import CHAT, MESSAGES, USAGE, WAYS, Way


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
