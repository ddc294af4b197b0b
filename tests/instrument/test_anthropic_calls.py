"""instrument.anthropic: which clients, who serves them, how often a call counts, and its requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import (
    Anthropic,
    AnthropicBedrock,
    AnthropicBedrockMantle,
    AnthropicFoundry,
    AnthropicVertex,
    AsyncAnthropic,
)

from tallygate import instrument
from tallygate.record.default import default
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.anthropic_ways import ASK, MESSAGES
from tests.instrument.llm_truth import Expected, new_model, page_of, served

WHOLE_CALL = Expected("anthropic", "chat", "/messages", False)
STREAM = Expected("anthropic", "chat", "/messages", True)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread(Settings(seed=7)) as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Anthropic]:
    """Not instrumented."""
    with Anthropic(base_url=simulator.url, api_key="key", http_client=httpx2.Client(verify=False)) as client:
        yield client


@pytest.fixture
async def async_client(simulator: Simulator) -> AsyncIterator[AsyncAnthropic]:
    http = httpx2.AsyncClient(verify=False)
    async with AsyncAnthropic(base_url=simulator.url, api_key="key", http_client=http) as client:
        yield client


def calls(tally: Tally, **labels: str) -> float:
    return page_of(tally).total("tallygate_llm_calls_total", **labels)


# Which clients


def test_without_a_client_it_is_all_of_them_also_those_made_before(simulator: Simulator, tally: Tally) -> None:
    before, later = new_model("claude"), new_model("claude")
    with Anthropic(base_url=simulator.url, api_key="key") as old, instrument.anthropic(tally=tally):
        old.messages.create(model=before, **ASK)
        with Anthropic(base_url=simulator.url, api_key="key") as new:
            list(new.messages.create(model=later, stream=True, **ASK))
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", stream="false") == 1
    assert page.total("tallygate_llm_calls_total", stream="true") == 1
    told = sum(call["output_tokens"] for call in served(simulator, before, later))
    assert page.total("tallygate_llm_tokens_total", type="output") == told == 24


async def test_with_a_client_it_is_that_one_alone(
    client: Anthropic, async_client: AsyncAnthropic, simulator: Simulator, tally: Tally
) -> None:
    with instrument.anthropic(async_client, tally=tally):
        client.messages.create(model="claude", **ASK)
        assert calls(tally) == 0
        model = new_model("claude")
        await async_client.messages.create(model=model, **ASK)
        WHOLE_CALL.check(tally, served(simulator, model))


def test_a_removed_one_records_nothing_and_leaves_the_library_as_it_was(client: Anthropic, tally: Tally) -> None:
    from anthropic import AsyncStream, Stream
    from anthropic._base_client import AsyncAPIClient, SyncAPIClient

    kinds = (Anthropic, AsyncAnthropic, AnthropicBedrock, SyncAPIClient, AsyncAPIClient, Stream, AsyncStream)
    before = [dict(vars(kind)) for kind in kinds]
    everywhere, alone = instrument.anthropic(tally=tally), instrument.anthropic(client, tally=tally)
    assert [dict(vars(kind)) for kind in kinds] != before
    everywhere.remove()
    client.messages.create(model="claude", **ASK)
    assert calls(tally) == 1
    alone.remove()
    alone.remove()
    client.messages.create(model="claude", **ASK)
    assert calls(tally) == 1
    assert [dict(vars(kind)) for kind in kinds] == before


def test_a_stream_that_is_read_after_the_removal_is_still_recorded(client: Anthropic, tally: Tally) -> None:
    with instrument.anthropic(client, tally=tally):
        stream = client.messages.create(model="claude", stream=True, **ASK)
    list(stream)
    assert calls(tally, outcome="completed") == 1


def test_a_call_is_counted_once_by_the_clients_own(client: Anthropic, simulator: Simulator, tally: Tally) -> None:
    other, model = Tally(capacity_bytes=16 << 20), new_model("claude")
    with instrument.anthropic(tally=other), instrument.anthropic(client, tally=tally):
        client.messages.create(model=model, **ASK)
        client.with_options(timeout=9).messages.create(model=model, **ASK)
        list(client.copy().with_options(max_retries=0).messages.create(model=model, stream=True, **ASK))
    assert calls(other) == 0
    assert calls(tally, stream="false") == 2
    assert calls(tally, stream="true") == 1
    other.close()


def test_with_the_http_client_instrumented_too_a_call_is_counted_once(
    client: Anthropic, simulator: Simulator, tally: Tally
) -> None:
    hosts = {simulator.url.removeprefix("http://"): "anthropic"}
    with instrument.httpx(hosts=hosts, tally=tally):
        client.messages.create(model="claude", **ASK)
        assert calls(tally) == 1
        with instrument.anthropic(tally=tally):
            client.messages.create(model="claude", **ASK)
            list(client.messages.create(model="claude", stream=True, **ASK))
    assert calls(tally, outcome="completed") == 3
    assert page_of(tally).total("tallygate_upstream_attempts_total") == 3


def test_only_clients_are_taken() -> None:
    with pytest.raises(
        instrument.NotInstrumentable,
        match=r"^instrument.anthropic\(\) takes a client of anthropic, or nothing for all of them; got str$",
    ):
        instrument.anthropic("client")  # type: ignore[arg-type]  # that is the point


def test_the_programs_tally_may_be_made_later(client: Anthropic, tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    with instrument.anthropic(client):
        client.messages.create(model="claude", **ASK)
        monkeypatch.setattr(default, "recorder", tally)
        client.messages.create(model="claude", **ASK)
    assert calls(tally) == 1


def test_a_tally_that_is_turned_off_records_nothing(client: Anthropic) -> None:
    tally = Tally(enabled=False)
    with instrument.anthropic(client, tally=tally):
        assert client.messages.create(model="claude", **ASK).usage.output_tokens == 12
        assert len(list(client.messages.create(model="claude", stream=True, **ASK))) > 12


# Who serves


def bedrock(**given: Any) -> Any:
    return AnthropicBedrock(aws_region="us-east-1", aws_access_key="a", aws_secret_key="b", **given)


def mantle(**given: Any) -> Any:
    return AnthropicBedrockMantle(aws_region="us-east-1", api_key="key", **given)


def vertex(**given: Any) -> Any:
    return AnthropicVertex(region="europe-west1", project_id="project", access_token="token", **given)


def foundry(**given: Any) -> Any:
    return AnthropicFoundry(api_key="key", resource="resource", **given)


def direct(**given: Any) -> Any:
    return Anthropic(api_key="key", **given)


def elsewhere(**given: Any) -> Any:
    return Anthropic(api_key="key", base_url="https://api.deepseek.com/anthropic", **given)


REPLY = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 3, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2},
}


@pytest.mark.parametrize(
    ("make", "provider", "model", "path"),
    [
        (direct, "anthropic", "claude-haiku-4-5", "/v1/messages"),
        (elsewhere, "deepseek", "deepseek-chat", "/anthropic/v1/messages"),
        (foundry, "azure", "claude-haiku-4-5", "/anthropic/v1/messages"),
        (mantle, "bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", "/anthropic/v1/messages"),
        (
            vertex,
            "vertex",
            "claude-sonnet-4-5@20250929",
            "/v1/projects/project/locations/europe-west1/publishers/anthropic/models/"
            "claude-sonnet-4-5@20250929:rawPredict",
        ),
    ],
)
def test_the_provider_is_who_serves(make: Any, provider: str, model: str, path: str, tally: Tally) -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(200, json=REPLY)

    client = make(http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))
    with instrument.anthropic(client, tally=tally):
        assert client.messages.create(model=model, max_tokens=9, messages=MESSAGES).usage.output_tokens == 3
    assert asked == [path]
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", provider=provider, model=model, endpoint="/messages") == 1
    assert page.total("tallygate_llm_tokens_total", type="input") == 15
    assert page.total("tallygate_llm_cost_usd_total", provider=provider) > 0


# Several requests


async def test_retries_are_attempts_of_one_call(
    client: Anthropic, async_client: AsyncAnthropic, simulator: Simulator, tally: Tally
) -> None:
    model = new_model("claude", "429:0.01+first:2")
    with instrument.anthropic(client, tally=tally):
        client.with_options(max_retries=3).messages.create(model=model, **ASK)
    page = WHOLE_CALL.check(tally, served(simulator, model))
    assert page.total("tallygate_llm_rate_limit_events_total") == 2
    attempts = {
        (status, error_type): page.total("tallygate_upstream_attempts_total", status_code=status, error_type=error_type)
        for status, error_type in (("429", "provider_rate_limit"), ("200", ""))
    }
    assert attempts == {("429", "provider_rate_limit"): 2, ("200", ""): 1}


async def test_retries_of_a_stream(async_client: AsyncAnthropic, simulator: Simulator, tally: Tally) -> None:
    model = new_model("claude", "429:0.01+first:1")
    with instrument.anthropic(tally=tally):
        async with async_client.messages.stream(model=model, **ASK) as stream:
            await stream.get_final_message()
    page = STREAM.check(tally, served(simulator, model))
    assert page.total("tallygate_upstream_attempts_total") == 2


def test_retries_that_are_used_up(client: Anthropic, simulator: Simulator, tally: Tally) -> None:
    model = new_model("claude", "429:0.01")
    with instrument.anthropic(client, tally=tally), pytest.raises(anthropic.RateLimitError):
        client.with_options(max_retries=2).messages.create(model=model, **ASK)
    failed = Expected("anthropic", "chat", "/messages", False, "failed", "provider_rate_limit")
    page = failed.check(tally, served(simulator, model))
    assert page.total("tallygate_upstream_attempts_total", status_code="429") == 3


def test_each_turn_of_a_tool_runner_is_a_call(tally: Tally) -> None:
    asked: list[str] = []

    @anthropic.beta_tool
    def look_up(query: str) -> str:
        """Look it up."""
        asked.append(query)
        return "found"

    use = {"type": "tool_use", "id": "1", "name": "look_up", "input": {"query": "weather"}}
    replies = [{**REPLY, "content": [use], "stop_reason": "tool_use"}, REPLY]

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=replies.pop(0))

    client = direct(http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))
    with instrument.anthropic(client, tally=tally):
        runner = client.beta.messages.tool_runner(model="claude", max_tokens=9, tools=[look_up], messages=MESSAGES)
        assert runner.until_done().content[0].text == "Hello"
    assert asked == ["weather"]
    assert calls(tally, outcome="completed") == 2
    assert page_of(tally).total("tallygate_llm_tokens_total", type="output") == 6


def test_counting_tokens_and_listing_models_are_no_calls(client: Anthropic, tally: Tally) -> None:
    with instrument.anthropic(client, tally=tally):
        client.models.list()
        with pytest.raises(anthropic.APIStatusError):
            client.messages.count_tokens(model="claude+404", messages=MESSAGES)
    assert calls(tally) == 0


def test_a_request_that_never_leaves_is_no_attempt(tally: Tally) -> None:
    client = bedrock()
    with instrument.anthropic(client, tally=tally), pytest.raises(ValueError, match="non-empty value for `model`"):
        client.messages.create(model="", **ASK)
    page = page_of(tally)
    assert page.total("tallygate_llm_errors_total", provider="bedrock", error_type="gateway_internal") == 1
    assert page.total("tallygate_upstream_attempts_total") == 0
