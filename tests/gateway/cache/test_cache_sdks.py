"""The official SDKs read the same from a hit as from a miss, and the provider is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anthropic
import openai
import pytest_asyncio
from google import genai
from google.genai import types

from tallygate.gateway.routes import LLM_PATHS
from tests.gateway.cache.asking import Cached, cached

MESSAGES: Any = [{"role": "user", "content": "How many tokens are these?"}]
CONFIG = types.GenerateContentConfig(max_output_tokens=6)
Seen = tuple[Any, str | None]
"""What an SDK made of an answer, and what the answer said of the cache."""


@pytest_asyncio.fixture
async def running() -> AsyncIterator[Cached]:
    """Every path is cached: the SDKs need not ask."""
    async with cached(routes=list(LLM_PATHS)) as running:
        yield running


async def check(running: Cached, ask: Callable[[], Awaitable[list[Seen]]]) -> None:
    first = await ask()
    served = running.served
    second = await ask()
    assert [said for _, said in first] == ["miss"] * len(first)
    assert [said for _, said in second] == ["hit"] * len(first)
    assert [body for body, _ in second] == [body for body, _ in first]
    assert all(body for body, _ in first)
    assert served == running.served == len(first)


SAID = "x-tallygate-cache"


async def test_openai(running: Cached) -> None:
    async def ask() -> list[Seen]:
        seen: list[Seen] = []
        async with openai.AsyncOpenAI(base_url=f"{running.gateway.url}/v1", api_key="k", max_retries=0) as client:
            for raw in (
                await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES),
                await client.responses.with_raw_response.create(model="gpt-4o", input="Hi"),
                await client.embeddings.with_raw_response.create(model="text-embedding-3-small", input=["a", "b"]),
            ):
                assert raw.parse()
                seen.append((raw.http_response.content, raw.headers.get(SAID)))
            async with client.chat.completions.with_streaming_response.create(
                model="gpt-4o", messages=MESSAGES, stream=True
            ) as response:
                seen.append((await response.read(), response.headers.get(SAID)))
            stream = await client.responses.create(model="gpt-4o", input="Hi", stream=True)
            seen.append(([event.to_json() async for event in stream], stream.response.headers.get(SAID)))
        return seen

    await check(running, ask)


async def test_openai_sync(running: Cached) -> None:
    def ask() -> list[Seen]:
        with openai.OpenAI(base_url=f"{running.gateway.url}/v1", api_key="k", max_retries=0) as client:
            raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
            assert raw.parse().choices
            stream = client.chat.completions.create(
                model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
            )
            chunks = [chunk.to_json() for chunk in stream]
            assert '"usage"' in chunks[-1]
            return [(raw.http_response.content, raw.headers.get(SAID)), (chunks, stream.response.headers.get(SAID))]

    await check(running, lambda: asyncio.to_thread(ask))


async def test_anthropic(running: Cached) -> None:
    async def ask() -> list[Seen]:
        async with anthropic.AsyncAnthropic(base_url=running.gateway.url, api_key="k", max_retries=0) as client:
            raw = await client.messages.with_raw_response.create(model="claude", messages=MESSAGES, max_tokens=5)
            assert (await raw.parse()).content
            async with client.messages.stream(model="claude", messages=MESSAGES, max_tokens=5) as stream:
                message = await stream.get_final_message()
                said = stream.response.headers.get(SAID)
            return [(raw.http_response.content, raw.headers.get(SAID)), (message.to_json(), said)]

    await check(running, ask)


async def test_anthropic_sync(running: Cached) -> None:
    def ask() -> list[Seen]:
        with anthropic.Anthropic(base_url=running.gateway.url, api_key="k", max_retries=0) as client:
            raw = client.messages.with_raw_response.create(model="claude", messages=MESSAGES, max_tokens=5)
            with client.messages.stream(model="claude", messages=MESSAGES, max_tokens=5) as stream:
                text, said = stream.get_final_text(), stream.response.headers.get(SAID)
            return [(raw.http_response.content, raw.headers.get(SAID)), (text, said)]

    await check(running, lambda: asyncio.to_thread(ask))


def read_by(reply: types.GenerateContentResponse) -> Seen:
    headers = reply.sdk_http_response.headers if reply.sdk_http_response is not None else None
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return reply.model_dump(exclude={"sdk_http_response"}), lower.get(SAID)


async def test_google(running: Cached) -> None:
    async def ask() -> list[Seen]:
        options = types.HttpOptions(base_url=running.gateway.url)
        async with genai.Client(api_key="k", http_options=options).aio as google:
            whole = read_by(await google.models.generate_content(model="gemini", contents="Hi", config=CONFIG))
            stream = await google.models.generate_content_stream(model="gemini", contents="Hi", config=CONFIG)
            chunks = [read_by(chunk) async for chunk in stream]
        return [whole, ([chunk for chunk, _ in chunks], chunks[0][1])]

    await check(running, ask)


async def test_google_sync(running: Cached) -> None:
    def ask() -> list[Seen]:
        options = types.HttpOptions(base_url=running.gateway.url)
        with genai.Client(api_key="k", http_options=options) as google:
            whole = read_by(google.models.generate_content(model="gemini", contents="Hi", config=CONFIG))
            stream = google.models.generate_content_stream(model="gemini", contents="Hi", config=CONFIG)
            chunks = [read_by(chunk) for chunk in stream]
        return [whole, ([chunk for chunk, _ in chunks], chunks[0][1])]

    await check(running, lambda: asyncio.to_thread(ask))
