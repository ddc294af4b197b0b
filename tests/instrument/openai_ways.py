"""Every way in which the library ``openai`` is asked for something, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

TEXT = "Say something about the weather, please."
MESSAGES: Any = [{"role": "user", "content": TEXT}]
TOOL: Any = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}, "strict": True}}
CHAT: Any = {"messages": MESSAGES, "max_tokens": 12}
TEXTS: Any = {"prompt": TEXT, "max_tokens": 12}
RESPONSES: Any = {"input": TEXT, "max_output_tokens": 12}
USAGE: Any = {"stream": True, "stream_options": {"include_usage": True}}

Call = Callable[[Any, str], Any]


@dataclass(frozen=True)
class Way:
    """One of them. ``ask``: with a client and a model, awaited if the client is asynchronous; reads all there is."""

    name: str
    endpoint: str
    stream: bool
    ask: Call
    operation: str = "chat"


async def everything(stream: Any) -> list[Any]:
    return [item async for item in stream]


def read_by_next(stream: Any) -> list[Any]:
    found = []
    while (item := next(stream, None)) is not None:
        found.append(item)
    return found


def chat_stream(client: Any, model: str) -> Any:
    return list(client.chat.completions.create(model=model, **CHAT, **USAGE))


def responses_stream(client: Any, model: str) -> Any:
    return list(client.responses.create(model=model, stream=True, **RESPONSES))


def chat_helper(client: Any, model: str) -> Any:
    with client.chat.completions.stream(model=model, stream_options={"include_usage": True}, **CHAT) as stream:
        return stream.get_final_completion()


def responses_helper(client: Any, model: str) -> Any:
    with client.responses.stream(model=model, **RESPONSES) as stream:
        return list(stream)


def bytes_of_whole(client: Any, model: str) -> Any:
    with client.chat.completions.with_streaming_response.create(model=model, **CHAT) as response:
        return b"".join(response.iter_bytes(7))


def json_of_whole(client: Any, model: str) -> Any:
    with client.responses.with_streaming_response.create(model=model, **RESPONSES) as response:
        return response.json()


def parsed_whole(client: Any, model: str) -> Any:
    with client.chat.completions.with_streaming_response.create(model=model, **CHAT) as response:
        return response.parse()


def lines_of_stream(client: Any, model: str) -> Any:
    with client.chat.completions.with_streaming_response.create(model=model, **CHAT, **USAGE) as response:
        return list(response.iter_lines())


def texts_of_stream(client: Any, model: str) -> Any:
    with client.responses.with_streaming_response.create(model=model, stream=True, **RESPONSES) as response:
        return list(response.iter_text())


def parsed_stream(client: Any, model: str) -> Any:
    with client.completions.with_streaming_response.create(model=model, **TEXTS, **USAGE) as response:
        return list(response.parse())


WAYS = (
    Way("chat", "/chat/completions", False, lambda c, m: c.chat.completions.create(model=m, **CHAT)),
    Way("chat_parse", "/chat/completions", False, lambda c, m: c.chat.completions.parse(model=m, tools=[TOOL], **CHAT)),
    Way(
        "chat_raw",
        "/chat/completions",
        False,
        lambda c, m: c.chat.completions.with_raw_response.create(model=m, **CHAT).parse(),
    ),
    Way("chat_bytes", "/chat/completions", False, bytes_of_whole),
    Way("chat_parsed", "/chat/completions", False, parsed_whole),
    Way(
        "chat_stream", "/chat/completions", True, lambda c, m: list(c.chat.completions.create(model=m, **CHAT, **USAGE))
    ),
    Way("chat_helper", "/chat/completions", True, chat_helper),
    Way(
        "chat_raw_stream",
        "/chat/completions",
        True,
        lambda c, m: read_by_next(c.chat.completions.with_raw_response.create(model=m, **CHAT, **USAGE).parse()),
    ),
    Way("chat_lines", "/chat/completions", True, lines_of_stream),
    Way("completion", "/completions", False, lambda c, m: c.completions.create(model=m, **TEXTS), "text_completion"),
    Way(
        "completion_stream",
        "/completions",
        True,
        lambda c, m: list(c.completions.create(model=m, **TEXTS, **USAGE)),
        "text_completion",
    ),
    Way("completion_parsed", "/completions", True, parsed_stream, "text_completion"),
    Way("responses", "/responses", False, lambda c, m: c.responses.create(model=m, **RESPONSES)),
    Way("responses_parse", "/responses", False, lambda c, m: c.responses.parse(model=m, **RESPONSES)),
    Way("responses_json", "/responses", False, json_of_whole),
    Way(
        "responses_stream", "/responses", True, lambda c, m: list(c.responses.create(model=m, stream=True, **RESPONSES))
    ),
    Way("responses_helper", "/responses", True, responses_helper),
    Way("responses_texts", "/responses", True, texts_of_stream),
    Way(
        "embeddings", "/embeddings", False, lambda c, m: c.embeddings.create(model=m, input=[TEXT, "and"]), "embeddings"
    ),
    Way(
        "embeddings_raw",
        "/embeddings",
        False,
        lambda c, m: c.embeddings.with_raw_response.create(model=m, input=TEXT),
        "embeddings",
    ),
)


async def async_chat_helper(client: Any, model: str) -> Any:
    async with client.chat.completions.stream(model=model, stream_options={"include_usage": True}, **CHAT) as stream:
        return await stream.get_final_completion()


async def async_bytes(client: Any, model: str) -> Any:
    async with client.chat.completions.with_streaming_response.create(model=model, **CHAT) as response:
        return await response.read()


async def async_parsed(client: Any, model: str) -> Any:
    async with client.completions.with_streaming_response.create(model=model, **TEXTS) as response:
        return await response.parse()


async def async_lines(client: Any, model: str) -> Any:
    async with client.responses.with_streaming_response.create(model=model, stream=True, **RESPONSES) as response:
        return [line async for line in response.iter_lines()]


async def async_raw_stream(client: Any, model: str) -> Any:
    raw = await client.chat.completions.with_raw_response.create(model=model, **CHAT, **USAGE)
    return await everything(raw.parse())


async def async_stream(create: Awaitable[Any]) -> Any:
    return await everything(await create)


ASYNC_WAYS = (
    Way("chat", "/chat/completions", False, lambda c, m: c.chat.completions.create(model=m, **CHAT)),
    Way("chat_parse", "/chat/completions", False, lambda c, m: c.chat.completions.parse(model=m, tools=[TOOL], **CHAT)),
    Way("chat_bytes", "/chat/completions", False, async_bytes),
    Way(
        "chat_stream",
        "/chat/completions",
        True,
        lambda c, m: async_stream(c.chat.completions.create(model=m, **CHAT, **USAGE)),
    ),
    Way("chat_helper", "/chat/completions", True, async_chat_helper),
    Way("chat_raw_stream", "/chat/completions", True, async_raw_stream),
    Way("completion", "/completions", False, lambda c, m: c.completions.create(model=m, **TEXTS), "text_completion"),
    Way("completion_parsed", "/completions", False, async_parsed, "text_completion"),
    Way(
        "completion_stream",
        "/completions",
        True,
        lambda c, m: async_stream(c.completions.create(model=m, **TEXTS, **USAGE)),
        "text_completion",
    ),
    Way("responses", "/responses", False, lambda c, m: c.responses.create(model=m, **RESPONSES)),
    Way(
        "responses_stream",
        "/responses",
        True,
        lambda c, m: async_stream(c.responses.create(model=m, stream=True, **RESPONSES)),
    ),
    Way("responses_lines", "/responses", True, async_lines),
    Way("embeddings", "/embeddings", False, lambda c, m: c.embeddings.create(model=m, input=TEXT), "embeddings"),
)
