"""Anthropic's own SDK against the simulator."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import MessageParam, ToolParam

from tallygate.simulator import Simulator

MESSAGES: list[MessageParam] = [{"role": "user", "content": "How many tokens are these?"}]
TOOL: ToolParam = {"name": "look_up", "input_schema": {"type": "object"}}


@pytest.fixture
async def client(provider: Simulator) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=provider.url, api_key="key", max_retries=0) as client:
        yield client


def only_call(provider: Simulator) -> dict[str, Any]:
    """The one group of calls served."""
    (call,) = provider.served()["calls"]
    return dict(call)


async def test_message(client: AsyncAnthropic, provider: Simulator) -> None:
    reply = await client.messages.create(model="claude", messages=MESSAGES, max_tokens=5, system="four")
    assert [block.type for block in reply.content] == ["text"]
    assert reply.stop_reason == "end_turn"
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (8, 5)
    call = only_call(provider)
    assert (call["api"], call["input_tokens"], call["output_tokens"]) == ("anthropic_messages", 8, 5)


async def test_cached_input_is_told_apart(client: AsyncAnthropic, provider: Simulator) -> None:
    reply = await client.messages.create(model="claude+cached+reasoning", messages=MESSAGES, max_tokens=10)
    assert [block.type for block in reply.content] == ["thinking", "text"]
    usage = reply.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (3, 3, 1)
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.thinking_tokens == 5
    call = only_call(provider)
    assert (call["input_tokens"], call["cache_read_tokens"], call["cache_write_tokens"]) == (7, 3, 1)
    assert call["reasoning_tokens"] == 5


async def test_stream(client: AsyncAnthropic, provider: Simulator) -> None:
    stream = await client.messages.create(model="claude", messages=MESSAGES, max_tokens=2, stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    start, delta = events[0], events[-2]
    assert start.type == "message_start"
    assert delta.type == "message_delta"
    assert (start.message.usage.input_tokens, start.message.usage.output_tokens) == (7, 1)
    assert delta.usage.output_tokens == 2
    assert delta.delta.stop_reason == "end_turn"
    call = only_call(provider)
    assert (call["output_tokens"], call["content_deltas"], call["reported_usage"]) == (2, 2, 1)


async def test_stream_of_thoughts_and_a_tool_call(client: AsyncAnthropic, provider: Simulator) -> None:
    async with client.messages.stream(
        model="claude+tools+reasoning", messages=MESSAGES, max_tokens=10, tools=[TOOL]
    ) as stream:
        message = await stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "tool_use"]
    assert message.stop_reason == "tool_use"
    call = message.content[1]
    assert call.type == "tool_use"
    assert call.name == "look_up"
    assert list(call.input) == ["query"]
    assert message.usage.output_tokens == 10
    assert only_call(provider)["reasoning_tokens"] == 5


def test_sync_stream(neighbour: Simulator) -> None:
    with (
        Anthropic(base_url=neighbour.url, api_key="key", max_retries=0) as client,
        client.messages.stream(model="claude-sync+cached", messages=MESSAGES, max_tokens=4) as stream,
    ):
        text = "".join(stream.text_stream)
        usage = stream.get_final_message().usage
    assert len(text.split(" ")) == 5
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (3, 3, 4)


async def test_models(client: AsyncAnthropic) -> None:
    assert "claude-haiku-4-5" in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve("claude")).id == "claude"


@pytest.mark.parametrize(
    ("behaviour", "status", "kind"),
    [
        ("400", 400, "invalid_request_error"),
        ("401", 401, "authentication_error"),
        ("403", 403, "permission_error"),
        ("404", 404, "not_found_error"),
        ("429", 429, "rate_limit_error"),
        ("500", 500, "api_error"),
        ("529", 529, "overloaded_error"),
        ("context_length", 400, "invalid_request_error"),
    ],
)
async def test_errors(client: AsyncAnthropic, provider: Simulator, behaviour: str, status: int, kind: str) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        await client.messages.create(model=f"claude+{behaviour}", messages=MESSAGES, max_tokens=4)
    assert caught.value.status_code == status
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["type"] == kind
    assert only_call(provider)["outcome"] == "failed"


async def test_error_event_keeps_the_usage_of_the_start(client: AsyncAnthropic, provider: Simulator) -> None:
    stream = await client.messages.create(model="claude+error_event:2", messages=MESSAGES, max_tokens=8, stream=True)
    kinds = []

    async def read() -> None:
        async for event in stream:
            kinds.append(event.type)

    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        await read()
    assert kinds.count("content_block_delta") == 2
    call = only_call(provider)
    assert (call["outcome"], call["input_tokens"], call["output_tokens"]) == ("failed", 7, 1)
