"""The ways in which the library ``anthropic`` is asked for a message; each reads all there is."""

from __future__ import annotations

from typing import Any

from anthropic import Anthropic, AsyncAnthropic

MESSAGES: Any = [{"role": "user", "content": "Say something about the weather, please."}]
TOOL: Any = {"name": "look_up", "input_schema": {"type": "object"}}
ASK: Any = {"messages": MESSAGES, "max_tokens": 12, "tools": [TOOL]}


def create(client: Anthropic, model: str) -> Any:
    return client.messages.create(model=model, **ASK)


def raw(client: Anthropic, model: str) -> Any:
    return client.messages.with_raw_response.create(model=model, **ASK)


def raw_parsed(client: Anthropic, model: str) -> Any:
    return client.messages.with_raw_response.create(model=model, **ASK).parse()


def streaming_response(client: Anthropic, model: str) -> Any:
    with client.messages.with_streaming_response.create(model=model, **ASK) as response:
        return response.read()


def streaming_response_parsed(client: Anthropic, model: str) -> Any:
    with client.messages.with_streaming_response.create(model=model, **ASK) as response:
        return response.parse()


def beta(client: Anthropic, model: str) -> Any:
    return client.beta.messages.create(model=model, **ASK)


def parse(client: Anthropic, model: str) -> Any:
    return client.messages.parse(model=model, **ASK)


def events(client: Anthropic, model: str) -> Any:
    return list(client.messages.create(model=model, stream=True, **ASK))


def events_by_next(client: Anthropic, model: str) -> Any:
    stream, found = client.messages.create(model=model, stream=True, **ASK), []
    while (event := next(stream, None)) is not None:
        found.append(event)
    return found


def final_message(client: Anthropic, model: str) -> Any:
    with client.messages.stream(model=model, **ASK) as stream:
        return stream.get_final_message()


def texts(client: Anthropic, model: str) -> Any:
    with client.messages.stream(model=model, **ASK) as stream:
        return list(stream.text_stream)


def raw_events(client: Anthropic, model: str) -> Any:
    return list(client.messages.with_raw_response.create(model=model, stream=True, **ASK).parse())


def lines(client: Anthropic, model: str) -> Any:
    with client.messages.with_streaming_response.create(model=model, stream=True, **ASK) as response:
        return list(response.iter_lines())


def beta_events(client: Anthropic, model: str) -> Any:
    with client.beta.messages.stream(model=model, **ASK) as stream:
        return list(stream)


WHOLE = (create, raw, raw_parsed, streaming_response, streaming_response_parsed, beta, parse)
STREAMED = (events, events_by_next, final_message, texts, raw_events, lines, beta_events)
"""Those of the synchronous client, not streamed and streamed."""


async def async_create(client: AsyncAnthropic, model: str) -> Any:
    return await client.messages.create(model=model, **ASK)


async def async_raw(client: AsyncAnthropic, model: str) -> Any:
    return await (await client.messages.with_raw_response.create(model=model, **ASK)).parse()


async def async_streaming_response(client: AsyncAnthropic, model: str) -> Any:
    async with client.messages.with_streaming_response.create(model=model, **ASK) as response:
        return await response.read()


async def async_beta(client: AsyncAnthropic, model: str) -> Any:
    return await client.beta.messages.create(model=model, **ASK)


async def async_events(client: AsyncAnthropic, model: str) -> Any:
    return [event async for event in await client.messages.create(model=model, stream=True, **ASK)]


async def async_final_message(client: AsyncAnthropic, model: str) -> Any:
    async with client.messages.stream(model=model, **ASK) as stream:
        return await stream.get_final_message()


async def async_texts(client: AsyncAnthropic, model: str) -> Any:
    async with client.messages.stream(model=model, **ASK) as stream:
        return [text async for text in stream.text_stream]


async def async_lines(client: AsyncAnthropic, model: str) -> Any:
    async with client.messages.with_streaming_response.create(model=model, stream=True, **ASK) as response:
        return [line async for line in response.iter_lines()]


async def async_beta_events(client: AsyncAnthropic, model: str) -> Any:
    async with client.beta.messages.stream(model=model, **ASK) as stream:
        return [event async for event in stream]


ASYNC_WHOLE = (async_create, async_raw, async_streaming_response, async_beta)
ASYNC_STREAMED = (async_events, async_final_message, async_texts, async_lines, async_beta_events)
"""Those of the asynchronous client."""
