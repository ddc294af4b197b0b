"""The official SDKs of OpenAI, Anthropic and Google see byte for byte what the provider sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from tallygate.simulator import Simulator
from tests.gateway.provided import key_of, last_reply, last_request, provided, without_usage
from tests.gateway.running import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGES: Any = [{"role": "user", "content": "How many tokens are these?"}]
TOOL: Any = {"type": "function", "function": {"name": "look_up", "parameters": {}}}
MASTER = "master-of-the-gateway"
Pair = tuple[Gateway, Simulator]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[Pair]:
    async with provided({"server": {"master_key": MASTER}}) as both:
        yield both


def openai_client(pair: Pair) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{pair[0].url}/v1", api_key=MASTER, max_retries=0)


def anthropic_client(pair: Pair) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=pair[0].url, api_key=MASTER, max_retries=0)


def google_client(url: str) -> genai.Client:
    return genai.Client(api_key=MASTER, http_options=types.HttpOptions(base_url=url))


# OpenAI


async def test_chat_is_passed_on_byte_for_byte(pair: Pair) -> None:
    async with openai_client(pair) as client:
        raw = await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES, max_tokens=5)
    assert raw.http_response.content == await last_reply(pair[1], "gpt-4o")
    reply = raw.parse()
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (7, 5)
    assert raw.headers["x-request-id"]
    assert raw.headers["x-ratelimit-limit-requests"]


async def test_a_chat_stream_that_asks_for_usage_is_passed_on_byte_for_byte(pair: Pair) -> None:
    async with (
        openai_client(pair) as client,
        client.chat.completions.with_streaming_response.create(
            model="gpt-stream", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        ) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        body = await response.read()
    assert body == await last_reply(pair[1], "gpt-stream")


async def test_a_chat_stream_without_usage_lacks_that_chunk_and_nothing_else(pair: Pair) -> None:
    async with openai_client(pair) as client:
        async with client.chat.completions.with_streaming_response.create(
            model="gpt-quiet", messages=MESSAGES, stream=True
        ) as response:
            body = await response.read()
        stream = await client.chat.completions.create(model="gpt-quiet", messages=MESSAGES, max_tokens=3, stream=True)
        chunks = [chunk async for chunk in stream]
    assert body != await last_reply(pair[1], "gpt-quiet")
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, None, "stop"]
    assert [chunk.usage for chunk in chunks] == [None] * 5
    sent = await last_reply(pair[1], "gpt-quiet")
    assert b"".join(without_usage(sent).splitlines(True)[:2]) == sent[: sent.index(b"\n\n") + 2]


@pytest.mark.parametrize("stream", [False, True])
async def test_chat_tool_calls(pair: Pair, stream: bool) -> None:
    async with openai_client(pair) as client:
        if stream:
            async with client.chat.completions.stream(model="gpt+tools", messages=MESSAGES, tools=[TOOL]) as events:
                message: Any = (await events.get_final_completion()).choices[0].message
        else:
            message = (
                (await client.chat.completions.create(model="gpt+tools", messages=MESSAGES, tools=[TOOL]))
                .choices[0]
                .message
            )
    (call,) = message.tool_calls
    assert call.function.name == "look_up"
    assert list(json.loads(call.function.arguments)) == ["query"]
    assert json.loads((await last_request(pair[1], "openai_chat"))["body"])["tools"] == [TOOL]


async def test_sync_chat_and_stream(pair: Pair) -> None:
    def whole_and_streamed() -> tuple[bytes, list[str]]:
        with openai.OpenAI(base_url=f"{pair[0].url}/v1", api_key=MASTER, max_retries=0) as client:
            raw = client.chat.completions.with_raw_response.create(model="gpt-sync", messages=MESSAGES, max_tokens=4)
            stream = client.chat.completions.create(model="gpt-sync-2", messages=MESSAGES, max_tokens=4, stream=True)
            return raw.http_response.content, [chunk.choices[0].delta.content or "" for chunk in stream]

    whole, deltas = await asyncio.to_thread(whole_and_streamed)
    assert whole == await last_reply(pair[1], "gpt-sync")
    assert len([delta for delta in deltas if delta]) == 4


async def test_completions_whole_and_streamed(pair: Pair) -> None:
    async with openai_client(pair) as client:
        raw = await client.completions.with_raw_response.create(model="babbage", prompt="Eight!!!", max_tokens=4)
        stream = await client.completions.create(model="babbage-2", prompt="Eight!!!", max_tokens=4, stream=True)
        chunks = [chunk async for chunk in stream]
    assert raw.http_response.content == await last_reply(pair[1], "babbage")
    assert [len(chunk.choices) for chunk in chunks] == [1] * len(chunks)


async def test_responses_whole_and_streamed(pair: Pair) -> None:
    async with openai_client(pair) as client:
        raw = await client.responses.with_raw_response.create(model="gpt-r+reasoning", input="Hi", max_output_tokens=6)
        async with client.responses.with_streaming_response.create(
            model="gpt-rs", input="Hi", max_output_tokens=2, stream=True
        ) as response:
            body = await response.read()
        stream = await client.responses.create(model="gpt-rs", input="Hi", max_output_tokens=2, stream=True)
        events = [event async for event in stream]
    assert raw.http_response.content == await last_reply(pair[1], "gpt-r+reasoning")
    assert [item.type for item in raw.parse().output] == ["reasoning", "message"]
    assert body == await last_reply(pair[1], "gpt-rs")
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embeddings(pair: Pair, encoding: Any) -> None:
    async with openai_client(pair) as client:
        raw = await client.embeddings.with_raw_response.create(
            model="text-embedding-3-small", input=["one", "two"], encoding_format=encoding
        )
    assert raw.http_response.content == await last_reply(pair[1], "text-embedding-3-small")
    assert [item.index for item in raw.parse().data] == [0, 1]


async def test_openai_models(pair: Pair) -> None:
    async with openai_client(pair) as client:
        assert "gpt-4o" in [model.id async for model in client.models.list()]
        assert (await client.models.retrieve("any/name:7b")).id == "any/name:7b"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("any-name+404")


async def test_compressed_replies_are_read_by_the_sdk(pair: Pair) -> None:
    async with openai_client(pair) as client:
        raw = await client.chat.completions.with_raw_response.create(model="gpt-4o+gzip", messages=MESSAGES)
        stream = await client.chat.completions.create(
            model="gpt-4o+gzip", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert raw.headers["content-encoding"] == "gzip"
    assert raw.parse().usage is not None
    assert chunks[-1].usage is not None


OPENAI_ERRORS: list[tuple[str, type[openai.APIStatusError]]] = [
    ("400", openai.BadRequestError),
    ("401", openai.AuthenticationError),
    ("403", openai.PermissionDeniedError),
    ("404", openai.NotFoundError),
    ("429", openai.RateLimitError),
    ("500", openai.InternalServerError),
    ("503", openai.InternalServerError),
    ("context_length", openai.BadRequestError),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("behaviour", "error"), OPENAI_ERRORS)
async def test_openai_errors(pair: Pair, behaviour: str, error: type[openai.APIStatusError], stream: bool) -> None:
    async with openai_client(pair) as client:
        with pytest.raises(error) as caught:
            await client.chat.completions.create(model=f"gpt+{behaviour}", messages=MESSAGES, stream=stream)
    assert caught.value.response.content == await last_reply(pair[1], f"gpt+{behaviour}")


async def test_an_sdk_retries_after_429_as_the_provider_says(pair: Pair) -> None:
    async with openai.AsyncOpenAI(base_url=f"{pair[0].url}/v1", api_key=MASTER, max_retries=3) as client:
        reply = await client.chat.completions.create(model="gpt+429:0.01+first:2", messages=MESSAGES)
    assert reply.choices[0].finish_reason == "stop"


async def test_an_openai_client_with_the_wrong_key(pair: Pair) -> None:
    async with openai.AsyncOpenAI(base_url=f"{pair[0].url}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert caught.value.code == "invalid_api_key"


async def test_an_error_in_the_middle_of_a_stream(pair: Pair) -> None:
    async with openai_client(pair) as client:
        stream = await client.chat.completions.create(model="gpt+error_event:3", messages=MESSAGES, stream=True)
        seen = []

        async def read() -> None:
            async for chunk in stream:
                seen.append(chunk)

        with pytest.raises(openai.APIError, match="server had an error"):
            await read()
    assert len(seen) == 4


# Azure: clients speak OpenAI's own paths to the gateway, which writes the URLs of Azure.


@pytest.mark.parametrize(
    ("api_version", "path"),
    [
        ("2024-10-21", "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"),
        (None, "/openai/v1/chat/completions"),
    ],
)
async def test_azure_as_a_provider(api_version: str | None, path: str) -> None:
    def settings(url: str) -> dict[str, Any]:
        azure = {"kind": "azure", "base_url": url, "api_key": "azure-key", "api_version": api_version}
        return {"providers": {"azure": azure}}

    async with provided(settings) as (running, simulator):
        async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="sk-own", max_retries=0) as client:
            reply = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        request = await last_request(simulator, "openai_chat")
        assert reply.model == "gpt-4o"
    assert request["path"] == path
    assert request["headers"]["api-key"] == "azure-key"
    assert "authorization" not in request["headers"]


@pytest.mark.parametrize("api_version", ["2024-10-21", None])
async def test_azures_models_are_not_below_a_deployment(api_version: str | None) -> None:
    def settings(url: str) -> dict[str, Any]:
        return {"providers": {"azure": {"kind": "azure", "base_url": url, "api_version": api_version}}}

    async with (
        provided(settings) as (running, _),
        openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="sk-own", max_retries=0) as client,
    ):
        assert "gpt-4o" in [model.id async for model in client.models.list()]
        assert (await client.models.retrieve("gpt-4o")).id == "gpt-4o"


# Anthropic


async def test_messages_are_passed_on_byte_for_byte(pair: Pair) -> None:
    async with anthropic_client(pair) as client:
        raw = await client.messages.with_raw_response.create(
            model="claude+cached+reasoning", messages=MESSAGES, max_tokens=10
        )
        async with client.messages.with_streaming_response.create(
            model="claude-s+pings", messages=MESSAGES, max_tokens=5, stream=True
        ) as response:
            body = await response.read()
    assert raw.http_response.content == await last_reply(pair[1], "claude+cached+reasoning")
    assert [block.type for block in (await raw.parse()).content] == ["thinking", "text"]
    assert body == await last_reply(pair[1], "claude-s+pings")


async def test_an_anthropic_stream_with_a_tool_call(pair: Pair) -> None:
    async with (
        anthropic_client(pair) as client,
        client.messages.stream(
            model="claude+tools",
            messages=MESSAGES,
            max_tokens=8,
            tools=[{"name": "look_up", "input_schema": {"type": "object"}}],
        ) as stream,
    ):
        message = await stream.get_final_message()
    (block,) = message.content
    assert block.type == "tool_use"
    assert (block.name, message.stop_reason) == ("look_up", "tool_use")


async def test_sync_messages(pair: Pair) -> None:
    def ask() -> tuple[bytes, str]:
        with anthropic.Anthropic(base_url=pair[0].url, api_key=MASTER, max_retries=0) as client:
            raw = client.messages.with_raw_response.create(model="claude-sync", messages=MESSAGES, max_tokens=5)
            with client.messages.stream(model="claude-sync-2", messages=MESSAGES, max_tokens=5) as stream:
                return raw.http_response.content, stream.get_final_text()

    whole, text = await asyncio.to_thread(ask)
    assert whole == await last_reply(pair[1], "claude-sync")
    assert len(text.split(" ")) == 6


async def test_an_anthropic_client_with_a_bearer_token(pair: Pair) -> None:
    async with anthropic.AsyncAnthropic(base_url=pair[0].url, auth_token=MASTER, max_retries=0) as client:
        await client.messages.create(model="claude", messages=MESSAGES, max_tokens=5)
    request = await last_request(pair[1], "anthropic_messages")
    assert request["headers"]["x-api-key"] == key_of("anthropic")
    assert "authorization" not in request["headers"]


async def test_anthropic_models(pair: Pair) -> None:
    async with anthropic_client(pair) as client:
        assert "claude-sonnet-4-5" in [model.id async for model in client.models.list()]
        found = await client.models.retrieve("claude-sonnet-4-5")
    assert (found.type, found.id) == ("model", "claude-sonnet-4-5")


ANTHROPIC_ERRORS: list[tuple[str, type[anthropic.APIStatusError]]] = [
    ("400", anthropic.BadRequestError),
    ("401", anthropic.AuthenticationError),
    ("403", anthropic.PermissionDeniedError),
    ("404", anthropic.NotFoundError),
    ("429", anthropic.RateLimitError),
    ("500", anthropic.InternalServerError),
    ("529", anthropic.InternalServerError),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("behaviour", "error"), ANTHROPIC_ERRORS)
async def test_anthropic_errors(
    pair: Pair, behaviour: str, error: type[anthropic.APIStatusError], stream: bool
) -> None:
    async with anthropic_client(pair) as client:
        with pytest.raises(error) as caught:
            await client.messages.create(model=f"claude+{behaviour}", messages=MESSAGES, max_tokens=5, stream=stream)
    assert caught.value.response.content == await last_reply(pair[1], f"claude+{behaviour}")


async def test_an_anthropic_client_with_the_wrong_key(pair: Pair) -> None:
    async with anthropic.AsyncAnthropic(base_url=pair[0].url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            await client.messages.create(model="claude", messages=MESSAGES, max_tokens=5)
        with pytest.raises(anthropic.AuthenticationError) as uncounted:
            await client.messages.count_tokens(model="claude", messages=MESSAGES)
    for body in (caught.value.body, uncounted.value.body):
        assert isinstance(body, dict)
        assert body["type"] == "error"
        assert body["error"]["type"] == "authentication_error"


# Google. Its SDK shows no bytes: what it makes of the gateway's answers must be what it makes of the provider's.


def read_by(reply: types.GenerateContentResponse) -> dict[str, Any]:
    return reply.model_dump(exclude={"sdk_http_response"})


CONFIG = types.GenerateContentConfig(max_output_tokens=6)


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini+cached+reasoning", "gemini+tools", "gemini+gzip"])
async def test_gemini_says_the_same_as_without_a_gateway(pair: Pair, model: str) -> None:
    seen: list[Any] = []
    for url in (pair[0].url, pair[1].url):
        async with google_client(url).aio as google:
            whole = await google.models.generate_content(model=model, contents="How many?", config=CONFIG)
            stream = await google.models.generate_content_stream(model=model, contents="How many?", config=CONFIG)
            seen.append((read_by(whole), [read_by(chunk) async for chunk in stream]))
    assert seen[0] == seen[1]
    assert len(seen[0][1]) >= 1
    request = await last_request(pair[1], "gemini_generate")
    assert request["headers"]["x-goog-api-key"] == MASTER


async def test_the_gateway_signs_in_at_gemini_with_its_own_key(pair: Pair) -> None:
    async with google_client(pair[0].url).aio as google:
        await google.models.generate_content(model="gemini-2.5-pro", contents="Hi", config=CONFIG)
    request = await last_request(pair[1], "gemini_generate")
    assert request["headers"]["x-goog-api-key"] == key_of("gemini")
    assert MASTER not in json.dumps(request)


async def test_sync_gemini(pair: Pair) -> None:
    def ask(url: str) -> tuple[Any, list[Any]]:
        with google_client(url) as google:
            whole = google.models.generate_content(model="gemini-s", contents="Hi", config=CONFIG)
            stream = google.models.generate_content_stream(model="gemini-s", contents="Hi", config=CONFIG)
            return read_by(whole), [read_by(chunk) for chunk in stream]

    through = await asyncio.to_thread(ask, pair[0].url)
    assert through == await asyncio.to_thread(ask, pair[1].url)
    assert len(through[1]) == 6


async def test_gemini_models(pair: Pair) -> None:
    async with google_client(pair[0].url).aio as google:
        assert (await google.models.get(model="gemini-2.5-pro")).name == "models/gemini-2.5-pro"
        assert "models/gemini-2.5-flash" in [model.name async for model in await google.models.list()]


@pytest.mark.parametrize(
    ("behaviour", "code", "status"),
    [
        ("400", 400, "INVALID_ARGUMENT"),
        ("401", 401, "UNAUTHENTICATED"),
        ("404", 404, "NOT_FOUND"),
        ("429", 429, "RESOURCE_EXHAUSTED"),
        ("503", 503, "UNAVAILABLE"),
    ],
)
async def test_gemini_errors(pair: Pair, behaviour: str, code: int, status: str) -> None:
    async with google_client(pair[0].url).aio as google:
        with pytest.raises(genai_errors.APIError) as caught:
            await google.models.generate_content(model=f"gemini+{behaviour}", contents="Hi")
    assert (caught.value.code, caught.value.status) == (code, status)


async def test_a_gemini_client_with_the_wrong_key(pair: Pair) -> None:
    wrong = genai.Client(api_key="wrong", http_options=types.HttpOptions(base_url=pair[0].url))
    async with wrong.aio as google:
        with pytest.raises(genai_errors.ClientError) as caught:
            await google.models.generate_content(model="gemini-2.5-pro", contents="Hi")
        with pytest.raises(genai_errors.ClientError) as uncounted:
            await google.models.count_tokens(model="gemini-2.5-pro", contents="Hi")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
    assert (uncounted.value.code, uncounted.value.status) == (401, "UNAUTHENTICATED")
