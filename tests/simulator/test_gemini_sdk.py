"""Google's own SDK against the simulator."""

from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tallygate.simulator import Simulator

PROMPT = "How many tokens are these?"


def client_of(provider: Simulator) -> genai.Client:
    """A client whose one base URL is the simulator."""
    return genai.Client(api_key="key", http_options=types.HttpOptions(base_url=provider.url))


@pytest.fixture
def client(neighbour: Simulator) -> Iterator[genai.Client]:
    client = client_of(neighbour)
    yield client
    client.close()


def only_call(provider: Simulator) -> dict[str, Any]:
    """The one group of calls served."""
    (call,) = provider.served()["calls"]
    return dict(call)


def tokens(usage: types.GenerateContentResponseUsageMetadata | None) -> tuple[int | None, ...]:
    """Prompt, cached, candidates, thoughts, total."""
    assert usage is not None
    return (
        usage.prompt_token_count,
        usage.cached_content_token_count,
        usage.candidates_token_count,
        usage.thoughts_token_count,
        usage.total_token_count,
    )


def test_generate(client: genai.Client) -> None:
    config = types.GenerateContentConfig(max_output_tokens=5, system_instruction="four")
    reply = client.models.generate_content(model="gemini-sync", contents=PROMPT, config=config)
    assert len((reply.text or "").split(" ")) == 6
    assert tokens(reply.usage_metadata) == (8, None, 5, None, 13)


def test_stream(client: genai.Client) -> None:
    config = types.GenerateContentConfig(max_output_tokens=6)
    chunks = list(
        client.models.generate_content_stream(model="gemini-sync+cached+reasoning", contents=PROMPT, config=config)
    )
    assert [tokens(chunk.usage_metadata) for chunk in chunks] == [
        (7, 3, None, 1, 8),
        (7, 3, None, 2, 9),
        (7, 3, None, 3, 10),
        (7, 3, 1, 3, 11),
        (7, 3, 2, 3, 12),
        (7, 3, 3, 3, 13),
    ]
    parts = [chunk.candidates[0].content.parts[0] for chunk in chunks]  # type: ignore[index,union-attr]  # all are there
    assert [part.thought for part in parts] == [True, True, True, None, None, None]
    finishes = [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates]
    assert finishes == [None] * 5 + [types.FinishReason.STOP]


async def test_async(provider: Simulator) -> None:
    async with client_of(provider).aio as google:
        await google.models.generate_content(model="gemini", contents=PROMPT)
        stream = await google.models.generate_content_stream(model="gemini", contents=PROMPT)
        chunks = [chunk async for chunk in stream]
    assert len(chunks) == 16
    first, second = provider.served()["calls"]
    assert (first["stream"], first["output_tokens"]) == (False, 16)
    assert (second["stream"], second["output_tokens"], second["content_deltas"]) == (True, 16, 16)
    assert {first["api"], second["api"]} == {"gemini_generate"}


@pytest.mark.parametrize("stream", [False, True])
def test_function_call(client: genai.Client, stream: bool) -> None:
    declaration = types.FunctionDeclaration(name="look_up")
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declaration])])
    if stream:
        (reply,) = client.models.generate_content_stream(model="gemini+tools", contents=PROMPT, config=config)
    else:
        reply = client.models.generate_content(model="gemini+tools", contents=PROMPT, config=config)
    assert reply.function_calls is not None
    (call,) = reply.function_calls
    assert call.name == "look_up"
    assert list(call.args or {}) == ["query"]


@pytest.mark.parametrize(
    ("behaviour", "code", "status"),
    [
        ("400", 400, "INVALID_ARGUMENT"),
        ("401", 401, "UNAUTHENTICATED"),
        ("403", 403, "PERMISSION_DENIED"),
        ("404", 404, "NOT_FOUND"),
        ("429", 429, "RESOURCE_EXHAUSTED"),
        ("500", 500, "INTERNAL"),
        ("503", 503, "UNAVAILABLE"),
        ("context_length", 400, "INVALID_ARGUMENT"),
    ],
)
def test_errors(client: genai.Client, behaviour: str, code: int, status: str) -> None:
    with pytest.raises(errors.APIError) as caught:
        client.models.generate_content(model=f"gemini+{behaviour}", contents=PROMPT)
    assert (caught.value.code, caught.value.status) == (code, status)


async def test_a_filtered_prompt_is_a_200_without_candidates(provider: Simulator) -> None:
    async with client_of(provider).aio as google:
        reply = await google.models.generate_content(model="gemini+content_filter", contents=PROMPT)
    assert reply.candidates is None
    assert reply.prompt_feedback is not None
    assert reply.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT
    call = only_call(provider)
    assert (call["outcome"], call["status"], call["input_tokens"]) == ("failed", 200, 7)


async def test_error_in_the_stream(provider: Simulator) -> None:
    seen: list[types.GenerateContentResponse] = []

    async def read() -> None:
        stream = await google.models.generate_content_stream(model="gemini+error_event:2", contents=PROMPT)
        async for chunk in stream:
            seen.append(chunk)

    async with client_of(provider).aio as google:
        with pytest.raises(errors.APIError):
            await read()
    assert len(seen) == 2
    assert only_call(provider)["outcome"] == "failed"


def test_embeddings(client: genai.Client) -> None:
    reply = client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])
    assert reply.embeddings is not None
    assert [len(item.values or ()) for item in reply.embeddings] == [8, 8]


def test_models(client: genai.Client) -> None:
    assert client.models.get(model="gemini-2.5-pro").name == "models/gemini-2.5-pro"
    assert "models/gemini-2.5-flash" in [model.name for model in client.models.list()]
