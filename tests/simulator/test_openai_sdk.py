"""OpenAI's own SDK against the simulator: everything is parsed, and usage is what /served says."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionUserMessageParam
from openai.types.responses import FunctionToolParam

from tallygate.simulator import Simulator

MESSAGES: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "How many tokens are these?"}]
"""26 characters: 7 tokens."""
TOOL: ChatCompletionFunctionToolParam = {"type": "function", "function": {"name": "look_up", "parameters": {}}}
RESPONSES_TOOL: FunctionToolParam = {"type": "function", "name": "look_up", "parameters": {}, "strict": False}


@pytest.fixture
async def client(provider: Simulator) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="sk-test", max_retries=0) as client:
        yield client


@pytest.fixture
def sync_client(neighbour: Simulator) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{neighbour.url}/v1", api_key="sk-test", max_retries=0) as client:
        yield client


def only_call(provider: Simulator) -> dict[str, Any]:
    """The one group of calls served."""
    (call,) = provider.served()["calls"]
    return dict(call)


async def test_chat(client: AsyncOpenAI, provider: Simulator) -> None:
    reply = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=5)
    assert reply.choices[0].finish_reason == "stop"
    assert len((reply.choices[0].message.content or "").split(" ")) == 6
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (7, 5, 12)
    assert only_call(provider) == {
        "api": "openai_chat",
        "model": "gpt-4o",
        "stream": False,
        "behaviour": "",
        "outcome": "completed",
        "status": 200,
        "requests": 1,
        "input_tokens": 7,
        "output_tokens": 5,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "reported_usage": 1,
        "content_deltas": 0,
    }


async def test_chat_stream_is_role_deltas_finish_usage(client: AsyncOpenAI, provider: Simulator) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, max_tokens=3, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert [chunk.choices[0].delta.role for chunk in chunks[:-1]] == ["assistant", None, None, None, None]
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None, None, None, None, "stop"]
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * 5
    assert all("usage" in chunk.model_fields_set for chunk in chunks)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3
    assert only_call(provider)["content_deltas"] == 3
    assert only_call(provider)["output_tokens"] == 3


async def test_a_stream_that_asks_for_no_usage_gets_none(client: AsyncOpenAI, provider: Simulator) -> None:
    stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    chunks = [chunk async for chunk in stream]
    assert len(chunks) == 18
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)
    assert only_call(provider)["reported_usage"] == 0
    assert only_call(provider)["input_tokens"] == 0


def test_sync_chat_and_stream_say_the_same(sync_client: OpenAI) -> None:
    whole = sync_client.chat.completions.create(model="sync-same", messages=MESSAGES, max_tokens=9)
    again = sync_client.chat.completions.create(model="sync-same", messages=MESSAGES, max_tokens=9)
    assert whole == again
    stream = sync_client.chat.completions.create(model="sync-same", messages=MESSAGES, max_tokens=9, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert len(text.split(" ")) == 10


async def test_cached_and_reasoning_tokens(client: AsyncOpenAI, provider: Simulator) -> None:
    stream = await client.chat.completions.create(
        model="o4-mini+cached+reasoning",
        messages=MESSAGES,
        max_completion_tokens=8,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    deltas = [chunk.choices[0].delta for chunk in chunks[:-1]]
    assert [("reasoning_content" in (delta.model_extra or {}), bool(delta.content)) for delta in deltas] == [
        (False, False),
        *[(True, False)] * 4,
        *[(False, True)] * 4,
        (False, False),
    ]
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (7, 3)
    assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (8, 4)
    call = only_call(provider)
    assert (call["behaviour"], call["content_deltas"]) == ("cached+reasoning", 8)
    assert (call["cache_read_tokens"], call["cache_write_tokens"], call["reasoning_tokens"]) == (3, 1, 4)


@pytest.mark.parametrize("stream", [False, True])
async def test_chat_tool_calls(client: AsyncOpenAI, stream: bool) -> None:
    if stream:
        async with client.chat.completions.stream(model="gpt-4o+tools", messages=MESSAGES, tools=[TOOL]) as events:
            reply = await events.get_final_completion()
        message = reply.choices[0].message
        finish = reply.choices[0].finish_reason
    else:
        whole = await client.chat.completions.create(model="gpt-4o+tools", messages=MESSAGES, tools=[TOOL])
        finish = whole.choices[0].finish_reason
        assert whole.choices[0].message.content is None
        message = whole.choices[0].message  # type: ignore[assignment]  # the parsed message has more fields
    assert finish == "tool_calls"
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.type == "function"
    assert call.function.name == "look_up"
    assert list(json.loads(call.function.arguments)) == ["query"]


async def test_completions(client: AsyncOpenAI, provider: Simulator) -> None:
    whole = await client.completions.create(model="babbage-002", prompt="Eight!!!", max_tokens=4)
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (2, 4)
    stream = await client.completions.create(
        model="babbage-002", prompt=[1, 2, 3], max_tokens=4, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert len(chunks) == 6
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 3
    assert provider.served()["totals"]["output_tokens"] == 8


async def test_responses(client: AsyncOpenAI) -> None:
    reply = await client.responses.create(
        model="gpt-4o+cached+reasoning", input="How many tokens are these?", max_output_tokens=6
    )
    assert reply.status == "completed"
    assert [item.type for item in reply.output] == ["reasoning", "message"]
    assert len(reply.output_text.split(" ")) == 4
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == (7, 6, 13)
    assert reply.usage.input_tokens_details.cached_tokens == 3
    assert reply.usage.output_tokens_details.reasoning_tokens == 3


async def test_responses_stream(client: AsyncOpenAI, provider: Simulator) -> None:
    stream = await client.responses.create(model="gpt-4o", input="Hello", max_output_tokens=2, stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(10))
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.usage is not None
    assert last.response.usage.output_tokens == 2
    assert only_call(provider)["content_deltas"] == 2


async def test_responses_stream_of_reasoning_and_a_tool_call(client: AsyncOpenAI, provider: Simulator) -> None:
    async with client.responses.stream(model="gpt-4o+tools+reasoning", input="Hi", tools=[RESPONSES_TOOL]) as stream:
        reply = await stream.get_final_response()
    assert [item.type for item in reply.output] == ["reasoning", "function_call"]
    call = reply.output[1]
    assert call.type == "function_call"
    assert call.name == "look_up"
    assert list(json.loads(call.arguments)) == ["query"]
    assert only_call(provider)["reasoning_tokens"] == 8


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embeddings(client: AsyncOpenAI, provider: Simulator, encoding: Any) -> None:
    reply = await client.embeddings.create(
        model="text-embedding-3-small", input=["one", "two"], dimensions=5, encoding_format=encoding
    )
    assert [item.index for item in reply.data] == [0, 1]
    assert reply.usage.prompt_tokens == 2
    vectors = [item.embedding for item in reply.data]
    if encoding == "float":
        assert [len(vector) for vector in vectors] == [5, 5]
    else:
        assert all(isinstance(vector, str) for vector in vectors)
    assert only_call(provider)["input_tokens"] == 2


async def test_models(client: AsyncOpenAI) -> None:
    assert "gpt-4o" in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve("any-name")).id == "any-name"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("any-name+404")


async def test_azure_takes_the_model_from_the_path(provider: Simulator) -> None:
    async with AsyncAzureOpenAI(
        azure_endpoint=provider.url, api_key="azure-key", api_version="2024-10-21", max_retries=0
    ) as client:
        await client.chat.completions.create(model="my-deployment", messages=MESSAGES)
    assert only_call(provider)["model"] == "my-deployment"


@pytest.mark.parametrize(
    ("behaviour", "error", "code"),
    [
        ("400", openai.BadRequestError, "invalid_value"),
        ("401", openai.AuthenticationError, "invalid_api_key"),
        ("403", openai.PermissionDeniedError, "model_access_denied"),
        ("404", openai.NotFoundError, "model_not_found"),
        ("429", openai.RateLimitError, "rate_limit_exceeded"),
        ("500", openai.InternalServerError, None),
        ("503", openai.InternalServerError, "overloaded"),
        ("context_length", openai.BadRequestError, "context_length_exceeded"),
        ("content_filter", openai.BadRequestError, "content_filter"),
    ],
)
async def test_errors(
    client: AsyncOpenAI, provider: Simulator, behaviour: str, error: type[openai.APIStatusError], code: str | None
) -> None:
    with pytest.raises(error) as caught:
        await client.chat.completions.create(model=f"gpt-4o+{behaviour}", messages=MESSAGES)
    assert caught.value.code == code
    call = only_call(provider)
    assert (call["outcome"], call["status"]) == ("failed", caught.value.status_code)
    assert (call["behaviour"], call["reported_usage"]) == (behaviour, 0)


async def test_retry_after_is_followed_until_the_model_recovers(provider: Simulator) -> None:
    async with AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="sk-test", max_retries=3) as client:
        await client.chat.completions.create(model="gpt-4o+429:0.01+first:2", messages=MESSAGES)
    assert [(call["behaviour"], call["status"], call["requests"]) for call in provider.served()["calls"]] == [
        ("", 200, 1),
        ("429:0.01+first:2", 429, 2),
    ]


async def test_error_events_raise_after_the_first_deltas(client: AsyncOpenAI, provider: Simulator) -> None:
    stream = await client.chat.completions.create(model="gpt-4o+error_event:3", messages=MESSAGES, stream=True)
    seen = []

    async def read() -> None:
        async for chunk in stream:
            seen.append(chunk)

    with pytest.raises(openai.APIError, match="server had an error"):
        await read()
    assert len(seen) == 4
    call = only_call(provider)
    assert (call["outcome"], call["status"], call["content_deltas"]) == ("failed", 200, 3)


async def test_responses_fail_with_their_own_events(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(model="gpt-4o+error_event:1", input="Hi", stream=True)
    kinds = [event.type async for event in stream]
    assert kinds[-3:] == ["response.output_text.delta", "error", "response.failed"]
