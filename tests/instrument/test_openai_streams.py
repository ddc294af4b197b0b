"""Streams of the SDK that do not run to their end, and those that do: each call ends once, when it ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tallygate import instrument
from tallygate.instrument.support.once import inside
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.gateway.running import Page
from tests.instrument.llm_truth import new_model, page_of
from tests.instrument.openai_ways import CHAT, RESPONSES, USAGE


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread(Settings(seed=7)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def shared(simulator: Simulator) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{simulator.url}/v1", api_key="key", max_retries=0) as client:
        yield client


@pytest.fixture
def client(shared: OpenAI, tally: Tally) -> Iterator[OpenAI]:
    with instrument.openai(shared, tally=tally):
        yield shared


def begin(client: Any, model: str = "") -> Any:
    return client.chat.completions.create(model=model or new_model("gpt"), **CHAT, **USAGE)


def check(tally: Tally, outcome: str, deltas: int, error_type: str = "", status_code: str = "200") -> Page:
    """One call, ended like this after so many content deltas, and nothing left behind."""
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total") == 1
    assert page.total("tallygate_llm_calls_total", outcome=outcome, status_code=status_code) == 1
    assert page.total("tallygate_llm_errors_total", error_type=error_type) == (outcome == "failed")
    assert page.total("tallygate_llm_calls_in_flight") == 0
    assert page.total("tallygate_llm_time_to_first_token_seconds_count") == (deltas > 0)
    assert page.total("tallygate_llm_output_chunk_gap_seconds_count") == max(0, deltas - 1)
    assert page.total("tallygate_dropped_observations_total") == 0
    assert page.total("tallygate_upstream_attempts_total", error_type=error_type) == 1
    return page


def in_flight(tally: Tally) -> float:
    return page_of(tally).total("tallygate_llm_calls_in_flight", stream="true")


def take(stream: Any, events: int) -> None:
    for _ in range(events):
        next(stream)


def test_a_stream_is_in_flight_until_it_is_closed(client: OpenAI, tally: Tally) -> None:
    stream = begin(client)
    take(stream, 5)
    assert in_flight(tally) == 1
    assert page_of(tally).total("tallygate_llm_calls_total") == 0
    stream.close()
    check(tally, "cancelled", 4)  # the first event has a role, and no content
    stream.close()
    check(tally, "cancelled", 4)


def test_a_stream_that_nobody_reads(client: OpenAI, tally: Tally) -> None:
    begin(client).close()
    check(tally, "cancelled", 0)


@pytest.mark.parametrize("events", [0, 3])
def test_a_stream_that_is_thrown_away(client: OpenAI, tally: Tally, events: int) -> None:
    stream = begin(client)
    take(stream, events)
    response = stream.response
    del stream
    gc.collect()
    response.close()
    del response
    gc.collect()
    check(tally, "cancelled", max(0, events - 1))


def test_an_exception_in_the_loop_of_its_reader(client: OpenAI, tally: Tally) -> None:
    problem = LookupError("the reader's own")

    def read() -> None:
        with begin(client) as stream:
            for number, _ in enumerate(stream):
                if number == 2:
                    raise problem

    with pytest.raises(LookupError) as raised:
        read()
    assert raised.value is problem
    check(tally, "cancelled", 2)


def test_a_reader_that_stops_after_the_last_word(client: OpenAI, tally: Tally) -> None:
    with begin(client) as stream:
        for chunk in stream:
            if chunk.choices[0].finish_reason:
                break
    page = check(tally, "completed", 12)
    assert page.total("tallygate_llm_unmetered_calls_total") == 1


def test_a_helper_that_is_left_early(client: OpenAI, tally: Tally) -> None:
    with client.responses.stream(model=new_model("gpt"), **RESPONSES) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break
    check(tally, "cancelled", 1)


def test_bytes_that_are_not_all_read(client: OpenAI, tally: Tally) -> None:
    model = new_model("gpt", "unbuffered")
    with client.chat.completions.with_streaming_response.create(model=model, **CHAT, **USAGE) as response:
        assert next(response.iter_lines()).startswith("data: ")
    assert page_of(tally).total("tallygate_llm_calls_total", outcome="cancelled") == 1
    assert page_of(tally).total("tallygate_llm_calls_in_flight") == 0


def test_a_reply_of_which_only_the_head_is_read(client: OpenAI, tally: Tally) -> None:
    with client.chat.completions.with_streaming_response.create(model=new_model("gpt"), **CHAT) as response:
        assert response.headers["content-type"] == "application/json"
    assert page_of(tally).total("tallygate_llm_calls_total", outcome="cancelled", stream="false") == 1


def test_usage_that_nobody_asked_for_is_not_asked_for(client: OpenAI, tally: Tally, simulator: Simulator) -> None:
    model = new_model("gpt")
    chunks = list(client.chat.completions.create(model=model, stream=True, **CHAT))
    assert [chunk for chunk in chunks if chunk.usage is not None] == []
    page = check(tally, "completed", 12)
    assert page.total("tallygate_llm_unmetered_calls_total") == 1
    assert page.total("tallygate_llm_tokens_total") == 0
    (truth,) = [call for call in simulator.served()["calls"] if call["model"] == model]
    assert truth["reported_usage"] == 0


def test_only_the_sending_is_marked(client: OpenAI, tally: Tally) -> None:
    marks = []
    stream = begin(client)
    for _ in stream:
        marks.append(inside.get())
    assert set(marks) == {None}


# Asynchronous


@pytest.fixture
def asynchronous(simulator: Simulator, tally: Tally) -> Iterator[Callable[[], AsyncOpenAI]]:
    """Makes a client; all of them are instrumented."""
    with instrument.openai(tally=tally):
        yield lambda: AsyncOpenAI(base_url=f"{simulator.url}/v1", api_key="key", max_retries=0)


async def test_an_asynchronous_stream_is_in_flight_until_it_is_closed(
    asynchronous: Callable[[], AsyncOpenAI], tally: Tally
) -> None:
    async with asynchronous() as client:
        async with await begin(client) as stream:
            for _ in range(5):
                await anext(stream)
            assert in_flight(tally) == 1
        check(tally, "cancelled", 4)


async def test_a_task_that_is_cancelled_while_it_reads(asynchronous: Callable[[], AsyncOpenAI], tally: Tally) -> None:
    reading = asyncio.Event()

    async def read(client: AsyncOpenAI) -> None:
        async for chunk in await begin(client, new_model("gpt", "stall:3")):
            if chunk.choices[0].delta.content:
                reading.set()

    async with asynchronous() as client:
        task = asyncio.create_task(read(client))
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        page = page_of(tally)
        assert page.total("tallygate_llm_calls_total", outcome="cancelled", status_code="200") == 1
        assert page.total("tallygate_llm_calls_in_flight") == 0


async def test_a_task_that_is_cancelled_while_it_waits_for_an_answer(tally: Tally) -> None:
    waiting = asyncio.Event()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        waiting.set()
        await asyncio.Event().wait()
        raise AssertionError

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    async with AsyncOpenAI(api_key="key", http_client=http) as client:
        with instrument.openai(client, tally=tally):
            task = asyncio.create_task(begin(client))
            await waiting.wait()
            assert in_flight(tally) == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", outcome="cancelled", status_code="499") == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0
    assert page.total("tallygate_llm_errors_total") == 0


async def test_an_asynchronous_stream_that_is_thrown_away(
    asynchronous: Callable[[], AsyncOpenAI], tally: Tally
) -> None:
    async with asynchronous() as client:
        stream = await begin(client)
        await anext(stream)
        await anext(stream)
        response = stream.response
        del stream
        gc.collect()
        await asyncio.sleep(0)  # the loop closes what was collected in a task of its own
        await response.aclose()
        del response
        gc.collect()
        check(tally, "cancelled", 1)


async def test_many_streams_at_once(asynchronous: Callable[[], AsyncOpenAI], tally: Tally) -> None:
    model = new_model("gpt")

    async def read(client: AsyncOpenAI) -> int:
        return len([chunk async for chunk in await begin(client, model)])

    async with asynchronous() as client:
        counts = await asyncio.gather(*[read(client) for _ in range(20)])
    assert set(counts) == {15}
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", outcome="completed") == 20
    assert page.total("tallygate_llm_tokens_total", type="output") == 240
    assert page.total("tallygate_llm_output_chunk_gap_seconds_count") == 220


async def test_asynchronous_streams_are_the_sdks_own(asynchronous: Callable[[], AsyncOpenAI], tally: Tally) -> None:
    async with asynchronous() as client:
        stream = await begin(client)
        assert type(stream) is openai.AsyncStream
        assert stream.response.status_code == 200
        await stream.close()
        assert stream.response.is_closed
