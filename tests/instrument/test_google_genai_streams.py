"""instrument.google_genai: streams that their users leave, and what users see of the instrumentation."""

from __future__ import annotations

import asyncio
import gc
import types as python_types
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from google.genai import Client, errors

import tallygate
from tallygate import instrument
from tallygate.instrument.support.gemini_replies import Generate
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.google_genai_ways import (
    ASK,
    ASYNC_STREAMED,
    ASYNC_WHOLE,
    STREAMED,
    TEXT,
    WHOLE,
    async_embed,
    embed,
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


# Streams that are left


def two_of(stream: Any) -> list[Any]:
    return [next(stream), next(stream)]


def test_a_stream_that_is_closed(client: Client, simulator: Simulator, tally: Tally) -> None:
    model = new_model("gemini", "stall:2")
    with instrument.google_genai(client, tally=tally):
        stream: Any = client.models.generate_content_stream(model=model, **ASK)
        assert calls(tally) == page_of(tally).total("tallygate_llm_calls_in_flight") == 0
        assert len(two_of(stream)) == 2
        assert page_of(tally).total("tallygate_llm_calls_in_flight") == 1
        stream.close()
        client.close()
        page = LEFT.check(tally, served(simulator, model))
    assert page.total("tallygate_llm_calls_total", status_code="200") == 1
    assert page.total("tallygate_llm_output_chunk_gap_seconds_count") == 1


def test_an_exception_in_the_users_loop(client: Client, tally: Tally) -> None:
    problem = ValueError("the user's own")

    def read() -> None:
        for _ in client.models.generate_content_stream(model="gemini+stall:2", **ASK):
            raise problem

    with instrument.google_genai(client, tally=tally), pytest.raises(ValueError, match="the user's own") as caught:
        read()
    assert caught.value is problem
    del caught
    problem.__traceback__ = None
    gc.collect()
    assert calls(tally, outcome="cancelled") == 1


def test_a_stream_that_is_left_after_its_last_chunk_is_complete(
    client: Client, simulator: Simulator, tally: Tally
) -> None:
    model = new_model("gemini")
    with instrument.google_genai(client, tally=tally):
        stream: Any = client.models.generate_content_stream(model=model, **ASK)
        for chunk in stream:
            if chunk.candidates[0].finish_reason:
                break
        stream.close()
        STREAM.check(tally, served(simulator, model))


async def test_a_task_that_is_cancelled_before_the_answer(simulator: Simulator, tally: Tally) -> None:
    sent = asyncio.Event()

    async def sending(request: httpx2.Request) -> None:
        sent.set()

    http = httpx2.AsyncClient(verify=PLAIN, event_hooks={"request": [sending]})
    with client_of(simulator, httpx_async_client=http) as client, instrument.google_genai(client, tally=tally):
        async with http:
            ask = client.aio.models.generate_content(model="gemini+slow_headers:60", **ASK)
            task = asyncio.create_task(ask)
            await sent.wait()
            assert page_of(tally).total("tallygate_llm_calls_in_flight") == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert calls(tally, outcome="cancelled", status_code="499") == 1


async def test_a_task_that_is_cancelled_in_its_stream(client: Client, simulator: Simulator, tally: Tally) -> None:
    model, two = new_model("gemini", "stall:2"), asyncio.Event()

    async def read() -> None:
        chunks = 0
        async for _ in await google.models.generate_content_stream(model=model, **ASK):
            chunks += 1
            if chunks == 2:
                two.set()

    with instrument.google_genai(client, tally=tally):
        async with client.aio as google:
            task = asyncio.create_task(read())
            await two.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        LEFT.check(tally, await asyncio.to_thread(served, simulator, model))


async def test_an_async_stream_that_is_dropped(client: Client, simulator: Simulator, tally: Tally) -> None:
    model, chunks = new_model("gemini", "stall:2"), 0
    with instrument.google_genai(client, tally=tally):
        async with client.aio as google:
            stream = await google.models.generate_content_stream(model=model, **ASK)
            async for _ in stream:
                chunks += 1
                if chunks == 2:
                    break
            del stream
            gc.collect()
        LEFT.check(tally, await asyncio.to_thread(served, simulator, model))


async def test_a_stream_that_is_never_read_sends_nothing(client: Client, tally: Tally) -> None:
    with instrument.google_genai(client, tally=tally):
        client.models.generate_content_stream(model="gemini", **ASK)
        async with client.aio as google:
            await google.models.generate_content_stream(model="gemini", **ASK)
        gc.collect()
    assert calls(tally) == 0


def test_an_error_within_a_stream_leaves_the_status_of_its_head(client: Client, tally: Tally) -> None:
    with instrument.google_genai(client, tally=tally), pytest.raises(errors.ServerError) as caught:
        list(client.models.generate_content_stream(model="gemini+error_event:2", **ASK))
    assert caught.value.code == 503
    assert calls(tally, status_code="200", outcome="failed") == 1
    assert page_of(tally).total("tallygate_llm_errors_total", error_type="provider_overloaded") == 1


# What users see


def told(seen: Any) -> Any:
    """Without the times in the heads of answers."""
    if isinstance(seen, list):
        return [told(one) for one in seen]
    assert seen.sdk_http_response.headers
    return seen.model_copy(update={"sdk_http_response": seen.sdk_http_response.body})


@pytest.mark.parametrize("way", [*WHOLE, *STREAMED, embed], ids=lambda way: way.__name__)
def test_results_are_those_of_the_bare_library(client: Client, tally: Tally, way: Any) -> None:
    bare = way(client, "gemini+cached+reasoning")
    with instrument.google_genai(client, tally=tally):
        seen = way(client, "gemini+cached+reasoning")
    assert type(seen) is type(bare)
    assert told(seen) == told(bare)
    assert calls(tally, outcome="completed") == 1


@pytest.mark.parametrize("way", [*ASYNC_WHOLE, *ASYNC_STREAMED, async_embed], ids=lambda way: way.__name__)
async def test_results_are_those_of_the_bare_asynchronous_library(client: Client, tally: Tally, way: Any) -> None:
    async with client.aio:
        bare = await way(client, "gemini+cached+reasoning")
        with instrument.google_genai(client, tally=tally):
            seen = await way(client, "gemini+cached+reasoning")
    assert type(seen) is type(bare)
    assert told(seen) == told(bare)
    assert calls(tally, outcome="completed") == 1


async def test_streams_are_generators_as_before(client: Client, tally: Tally) -> None:
    with instrument.google_genai(client, tally=tally):
        async with client.aio as google:
            assert type(client.models.generate_content_stream(model="gemini", **ASK)) is python_types.GeneratorType
            stream: Any = await google.models.generate_content_stream(model="gemini", **ASK)
            assert type(stream) is python_types.AsyncGeneratorType
            await stream.aclose()


@pytest.mark.parametrize("stream", [False, True])
def test_exceptions_are_the_transports_own(tally: Tally, stream: bool) -> None:
    problem = httpx2.ConnectError("no way")

    def fail(request: httpx2.Request) -> httpx2.Response:
        raise problem

    client = Client(api_key="key")
    client._api_client._httpx_client = httpx2.Client(transport=httpx2.MockTransport(fail))
    ask: Any = client.models.generate_content_stream if stream else client.models.generate_content
    with instrument.google_genai(client, tally=tally), pytest.raises(httpx2.ConnectError) as caught:
        list(ask(model="gemini", contents=TEXT))
    assert caught.value is problem
    page = page_of(tally)
    assert page.total("tallygate_llm_errors_total", error_type="provider_network") == 1
    assert page.total("tallygate_upstream_attempts_total", status_code="network_error") == 1


def test_a_defect_of_ours_is_counted_and_breaks_nothing(
    client: Client, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Generate, "whole", fail)
    monkeypatch.setattr(Generate, "event", fail)
    with instrument.google_genai(client, tally=tally):
        assert client.models.generate_content(model="gemini", **ASK).text
        assert page_of(tally).total("tallygate_dropped_observations_total") == 1
        assert len(list(client.models.generate_content_stream(model="gemini", **ASK))) == 12
    assert page_of(tally).total("tallygate_dropped_observations_total") == 13
    assert calls(tally) == 2


def test_calls_have_the_dimensions_of_their_context(client: Client, tally: Tally) -> None:
    with instrument.google_genai(client, tally=tally):
        with tallygate.context(route="summary"):
            client.models.generate_content(model="gemini", **ASK)
            list(client.models.generate_content_stream(model="gemini", **ASK))
        client.models.generate_content(model="gemini", **ASK)
    assert calls(tally, route="summary") == 2
    assert calls(tally, route="") == 1
