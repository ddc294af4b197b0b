"""SDKs send their requests with HTTP clients; with all of them instrumented, a call is still one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from anthropic import Anthropic, AsyncAnthropic
from google import genai
from openai import AsyncOpenAI, OpenAI

from tallygate import instrument
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.llm_requests import address
from tests.instrument.llm_truth import page_of

HI: Any = [{"role": "user", "content": "hi"}]
MODELS = ("a", "b", "c", "d", "e", "f", "g", "h")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread(Settings(seed=7)) as simulator:
        yield simulator


async def ask_all(url: str) -> None:
    """Every SDK, synchronous and not, streamed and not, each for a model of its own."""
    with OpenAI(base_url=f"{url}/v1", api_key="key") as client:
        client.chat.completions.create(model="a", messages=HI)
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="key") as asynchronous:
        stream = await asynchronous.chat.completions.create(model="b", messages=HI, stream=True)
        async for _ in stream:
            pass
    with Anthropic(base_url=url, api_key="key") as anthropic:
        list(anthropic.messages.create(model="c", stream=True, max_tokens=5, messages=HI))
    async with AsyncAnthropic(base_url=url, api_key="key") as anthropic_async:
        await anthropic_async.messages.create(model="d", max_tokens=5, messages=HI)
    gemini = genai.Client(api_key="key", http_options={"base_url": url})
    gemini.models.generate_content(model="e", contents="hi")
    list(gemini.models.generate_content_stream(model="f", contents="hi"))
    await gemini.aio.models.generate_content(model="g", contents="hi")
    async for _ in await gemini.aio.models.generate_content_stream(model="h", contents="hi"):
        pass
    await gemini.aio.aclose()
    gemini.close()


def calls(tally: Tally) -> dict[str, float]:
    """Completed calls by model."""
    page = page_of(tally)
    found = {model: page.total("tallygate_llm_calls_total", model=model, outcome="completed") for model in MODELS}
    assert page.total("tallygate_llm_calls_total") == sum(found.values())
    return {model: number for model, number in found.items() if number}


async def test_a_call_is_recorded_by_its_sdk_alone(simulator: Simulator, tally: Tally) -> None:
    hosts = {address(simulator): "local"}
    with ExitStack() as stack:
        for handle in (
            instrument.httpx(hosts=hosts, tally=tally),
            instrument.aiohttp(hosts=hosts, tally=tally),
            instrument.openai(tally=tally),
            instrument.anthropic(tally=tally),
            instrument.google_genai(tally=tally),
        ):
            stack.enter_context(handle)
        await ask_all(simulator.url)
    assert calls(tally) == dict.fromkeys(MODELS, 1)
    assert page_of(tally).total("tallygate_llm_calls_total", provider="local") == 0


async def test_without_that_it_is_recorded_by_the_http_client(simulator: Simulator, tally: Tally) -> None:
    hosts = {address(simulator): "local"}
    with instrument.httpx(hosts=hosts, tally=tally), instrument.aiohttp(hosts=hosts, tally=tally):
        await ask_all(simulator.url)
    assert calls(tally) == dict.fromkeys(MODELS, 1)
    assert page_of(tally).total("tallygate_llm_calls_total", provider="local") == len(MODELS)
