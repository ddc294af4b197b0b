"""The ways in which the library ``google-genai`` is asked for something; each reads all there is."""

from __future__ import annotations

from typing import Any

from google.genai import Client, types

TEXT = "Say something about the weather, please."
TOOL = types.Tool(function_declarations=[types.FunctionDeclaration(name="look_up")])
CONFIG = types.GenerateContentConfig(max_output_tokens=12, tools=[TOOL])
ASK: Any = {"contents": TEXT, "config": CONFIG}
RAW = types.GenerateContentConfig(max_output_tokens=12, tools=[TOOL], should_return_http_response=True)


def generate(client: Client, model: str) -> Any:
    return client.models.generate_content(model=model, **ASK)


def generate_raw(client: Client, model: str) -> Any:
    return client.models.generate_content(model=model, contents=TEXT, config=RAW)


def chat(client: Client, model: str) -> Any:
    return client.chats.create(model=model, config=CONFIG).send_message(TEXT)


def stream(client: Client, model: str) -> Any:
    return list(client.models.generate_content_stream(model=model, **ASK))


def chat_stream(client: Client, model: str) -> Any:
    return list(client.chats.create(model=model, config=CONFIG).send_message_stream(TEXT))


def embed(client: Client, model: str) -> Any:
    return client.models.embed_content(model=model, contents=[TEXT, "and more"])


WHOLE = (generate, generate_raw, chat)
STREAMED = (stream, chat_stream)
"""Those of the synchronous client, not streamed and streamed."""


async def async_generate(client: Client, model: str) -> Any:
    return await client.aio.models.generate_content(model=model, **ASK)


async def async_chat(client: Client, model: str) -> Any:
    return await client.aio.chats.create(model=model, config=CONFIG).send_message(TEXT)


async def async_stream(client: Client, model: str) -> Any:
    return [chunk async for chunk in await client.aio.models.generate_content_stream(model=model, **ASK)]


async def async_chat_stream(client: Client, model: str) -> Any:
    chat = client.aio.chats.create(model=model, config=CONFIG)
    return [chunk async for chunk in await chat.send_message_stream(TEXT)]


async def async_embed(client: Client, model: str) -> Any:
    return await client.aio.models.embed_content(model=model, contents=[TEXT, "and more"])


ASYNC_WHOLE = (async_generate, async_chat)
ASYNC_STREAMED = (async_stream, async_chat_stream)
"""Those of the asynchronous client."""
