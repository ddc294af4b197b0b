"""instrument.anthropic: streams that their users leave, and what users see of the instrumentation."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic

import tallygate
from tallygate import instrument
from tallygate.instrument.anthropic import Messages
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.anthropic_ways import ASK, ASYNC_STREAMED, ASYNC_WHOLE, STREAMED, WHOLE
from tests.instrument.llm_truth import Expected, new_model, page_of, served

WHOLE_CALL = Expected("anthropic", "chat", "/messages", False)
STREAM = Expected("anthropic", "chat", "/messages", True)
LEFT = Expected("anthropic", "chat", "/messages", True, "cancelled")


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


# Streams that are left


def read_two(stream: Any) -> Iterator[Any]:
    """The stream's events up to the second delta, where a stalled one would wait for ever."""
    deltas = 0
    for event in stream:
        yield event
        deltas += event.type == "content_block_delta"
        if deltas == 2:
            return


def test_a_stream_that_is_closed(client: Anthropic, simulator: Simulator, tally: Tally) -> None:
    model = new_model("claude", "stall:2")
    with instrument.anthropic(client, tally=tally):
        with client.messages.create(model=model, stream=True, **ASK) as stream:
            list(read_two(stream))
            assert calls(tally) == 0
        page = LEFT.check(tally, served(simulator, model))
    assert page.total("tallygate_llm_calls_total", status_code="200") == 1
    assert page.total("tallygate_llm_output_chunk_gap_seconds_count") == 1


def test_a_stream_that_is_dropped(client: Anthropic, simulator: Simulator, tally: Tally) -> None:
    model = new_model("claude", "stall:2")
    with instrument.anthropic(client, tally=tally):
        stream = client.messages.create(model=model, stream=True, **ASK)
        list(read_two(stream))
        del stream
        gc.collect()
        LEFT.check(tally, served(simulator, model))


def test_a_stream_that_is_never_read(client: Anthropic, tally: Tally) -> None:
    with instrument.anthropic(client, tally=tally):
        client.messages.create(model="claude", stream=True, **ASK).close()
        stream = client.messages.create(model="claude", stream=True, **ASK)
        del stream
        gc.collect()
        with client.messages.stream(model="claude", **ASK):
            pass
    assert calls(tally, outcome="cancelled") == 3
    assert calls(tally) == 3


def test_an_exception_in_the_users_loop(client: Anthropic, simulator: Simulator, tally: Tally) -> None:
    model = new_model("claude", "stall:2")
    problem = ValueError("the user's own")

    def read() -> None:
        with client.messages.stream(model=model, **ASK) as stream:
            for event in stream:
                if event.type == "content_block_delta":
                    raise problem

    with instrument.anthropic(client, tally=tally), pytest.raises(ValueError, match="the user's own") as caught:
        read()
    assert caught.value is problem
    assert calls(tally, outcome="cancelled") == 1


def test_a_stream_that_is_left_after_its_last_event_is_complete(
    client: Anthropic, simulator: Simulator, tally: Tally
) -> None:
    model = new_model("claude")
    with instrument.anthropic(client, tally=tally):
        with client.messages.create(model=model, stream=True, **ASK) as stream:
            for event in stream:
                if event.type == "message_stop":
                    break
        STREAM.check(tally, served(simulator, model))


async def test_a_task_that_is_cancelled_before_the_answer(simulator: Simulator, tally: Tally) -> None:
    sent = asyncio.Event()

    async def sending(request: httpx2.Request) -> None:
        sent.set()

    http = httpx2.AsyncClient(verify=False, event_hooks={"request": [sending]})
    async with AsyncAnthropic(base_url=simulator.url, api_key="key", http_client=http) as client:
        with instrument.anthropic(client, tally=tally):
            task = asyncio.create_task(client.messages.create(model="claude+slow_headers:60", **ASK))
            await sent.wait()
            assert page_of(tally).total("tallygate_llm_calls_in_flight") == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert calls(tally, outcome="cancelled", status_code="499") == 1
    assert page_of(tally).total("tallygate_llm_calls_in_flight") == 0


async def test_a_task_that_is_cancelled_in_its_stream(
    async_client: AsyncAnthropic, simulator: Simulator, tally: Tally
) -> None:
    model, two = new_model("claude", "stall:2"), asyncio.Event()

    async def read() -> None:
        deltas = 0
        async with async_client.messages.stream(model=model, **ASK) as stream:
            async for event in stream:
                deltas += event.type == "content_block_delta"
                if deltas == 2:
                    two.set()

    with instrument.anthropic(async_client, tally=tally):
        task = asyncio.create_task(read())
        await two.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        LEFT.check(tally, await asyncio.to_thread(served, simulator, model))


async def test_an_async_stream_that_is_dropped(
    async_client: AsyncAnthropic, simulator: Simulator, tally: Tally
) -> None:
    model, deltas = new_model("claude", "stall:2"), 0
    with instrument.anthropic(async_client, tally=tally):
        stream = await async_client.messages.create(model=model, stream=True, **ASK)
        async for event in stream:
            deltas += event.type == "content_block_delta"
            if deltas == 2:
                break
        del stream, event
        gc.collect()
        LEFT.check(tally, await asyncio.to_thread(served, simulator, model))


def test_an_error_within_a_stream_leaves_the_status_of_its_head(client: Anthropic, tally: Tally) -> None:
    with instrument.anthropic(client, tally=tally), pytest.raises(anthropic.APIStatusError):
        list(client.messages.create(model="claude+error_event:2", stream=True, **ASK))
    assert calls(tally, status_code="200", outcome="failed") == 1
    assert page_of(tally).total("tallygate_llm_errors_total", error_type="provider_overloaded") == 1


# What users see


@pytest.mark.parametrize("way", [*WHOLE, *STREAMED], ids=lambda way: way.__name__)
def test_results_are_those_of_the_bare_library(client: Anthropic, tally: Tally, way: Any) -> None:
    bare = way(client, "claude+cached+reasoning")
    with instrument.anthropic(client, tally=tally):
        seen = way(client, "claude+cached+reasoning")
    assert type(seen) is type(bare)
    if way.__name__ == "raw":
        assert (seen.text(), dict(seen.headers)) == (bare.text(), dict(bare.headers))
    else:
        assert seen == bare
    assert calls(tally, outcome="completed") == 1


@pytest.mark.parametrize("way", [*ASYNC_WHOLE, *ASYNC_STREAMED], ids=lambda way: way.__name__)
async def test_results_are_those_of_the_bare_asynchronous_library(
    async_client: AsyncAnthropic, tally: Tally, way: Any
) -> None:
    bare = await way(async_client, "claude+cached+reasoning")
    with instrument.anthropic(async_client, tally=tally):
        seen = await way(async_client, "claude+cached+reasoning")
    assert type(seen) is type(bare)
    assert seen == bare
    assert calls(tally, outcome="completed") == 1


def test_streams_are_the_librarys_own(client: Anthropic, tally: Tally) -> None:
    with instrument.anthropic(client, tally=tally):
        stream = client.messages.create(model="claude", stream=True, **ASK)
        assert type(stream) is anthropic.Stream
        assert stream.response.status_code == 200
        assert next(stream).type == "message_start"
        stream.close()
        with client.messages.stream(model="claude", **ASK) as helper:
            assert type(helper) is anthropic.MessageStream
            assert helper.request_id
            assert len(list(helper.text_stream)) == 12
            assert helper.current_message_snapshot.usage.output_tokens == 12


@pytest.mark.parametrize("stream", [False, True])
def test_exceptions_are_the_librarys_own(client: Anthropic, tally: Tally, stream: bool) -> None:
    problem = httpx2.ConnectError("no way")

    def fail(request: httpx2.Request) -> httpx2.Response:
        raise problem

    broken = client.with_options(http_client=httpx2.Client(transport=httpx2.MockTransport(fail)), max_retries=0)
    with instrument.anthropic(broken, tally=tally), pytest.raises(anthropic.APIConnectionError) as caught:
        broken.messages.create(model="claude", stream=stream, **ASK)
    assert caught.value.__cause__ is problem
    page = page_of(tally)
    assert page.total("tallygate_llm_errors_total", error_type="provider_network") == 1
    assert page.total("tallygate_upstream_attempts_total", status_code="network_error") == 1


def test_a_defect_of_ours_is_counted_and_breaks_nothing(
    client: Anthropic, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Messages, "whole", fail)
    monkeypatch.setattr(Messages, "event", fail)
    with instrument.anthropic(client, tally=tally):
        assert client.messages.create(model="claude", **ASK).usage.output_tokens == 12
        assert page_of(tally).total("tallygate_dropped_observations_total") == 1
        events = list(client.messages.create(model="claude", stream=True, **ASK))
    assert page_of(tally).total("tallygate_dropped_observations_total") == 1 + len(events)
    assert calls(tally) == 2


def test_calls_have_the_dimensions_of_their_context(client: Anthropic, tally: Tally) -> None:
    with instrument.anthropic(client, tally=tally):
        with tallygate.context(route="summary", agent_name="writer"):
            client.messages.create(model="claude", **ASK)
            stream = client.messages.create(model="claude", stream=True, **ASK)
        list(stream)
        client.messages.create(model="claude", **ASK)
    assert calls(tally, route="summary", agent_name="writer", stream="false") == 1
    assert calls(tally, route="summary", agent_name="writer", stream="true") == 1
    assert calls(tally, route="") == 1


def test_middleware_sees_and_sends_what_it_would(simulator: Simulator, tally: Tally) -> None:
    seen: list[str] = []

    def watch(request: Any, call_next: Any) -> Any:
        response = call_next(request)
        seen.append(type(response).__name__)
        return response

    model = new_model("claude")
    with (
        Anthropic(base_url=simulator.url, api_key="key", middleware=[watch]) as client,
        instrument.anthropic(client, tally=tally),
    ):
        assert client.messages.create(model=model, **ASK).usage.output_tokens == 12
        WHOLE_CALL.check(tally, served(simulator, model))
        assert len(list(client.messages.create(model=model, stream=True, **ASK))) > 12
    assert seen == ["APIResponse"] * 2
    assert calls(tally, outcome="completed", stream="true") == 1


def test_what_a_middleware_answers_by_itself_is_no_call(tally: Tally) -> None:
    cached = anthropic.types.Message.model_construct(
        type="message", usage=anthropic.types.Usage(input_tokens=1, output_tokens=2)
    )

    def answer(request: Any, call_next: Any) -> Any:
        return cached

    with Anthropic(api_key="key", middleware=[answer]) as client, instrument.anthropic(client, tally=tally):
        assert client.messages.create(model="claude", **ASK) is cached
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total") == page.total("tallygate_llm_calls_in_flight") == 0
    assert page.total("tallygate_llm_tokens_total") == page.total("tallygate_dropped_observations_total") == 0


def test_the_raw_bytes_of_bedrocks_streams_are_complete_and_tell_no_usage(tally: Tally) -> None:
    body = bytes(range(256)) * 10

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            200, content=iter([body]), headers={"content-type": "application/vnd.amazon.eventstream"}
        )

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = anthropic.AnthropicBedrock(aws_region="us-east-1", api_key="key", http_client=http)
    with (
        instrument.anthropic(client, tally=tally),
        client.messages.with_streaming_response.create(model="claude", stream=True, **ASK) as response,
    ):
        assert response.read() == body
    assert calls(tally, provider="bedrock", outcome="completed", stream="true") == 1
    assert page_of(tally).total("tallygate_llm_unmetered_calls_total", provider="bedrock") == 1
