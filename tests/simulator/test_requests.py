"""Whatever a client sends is answered: no request may break the simulator itself."""

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tallygate.simulator import Settings, Simulator
from tallygate.simulator.answer import tokens_of
from tallygate.simulator.plan import plan_of
from tallygate.simulator.routes import route_of

from .raw import ask, request_bytes, request_of

TARGETS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages",
    "/v1beta/models/m:generateContent",
    "/v1beta/models/m:streamGenerateContent?alt=sse",
    "/v1beta/models/m:embedContent",
    "/v1beta/models/m:batchEmbedContents",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=9),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)
MEMBERS = """model messages prompt input contents content requests max_tokens max_output_tokens generationConfig stream
    stream_options tools system instructions dimensions"""
KEYS = st.sampled_from(MEMBERS.split())


@settings(max_examples=400)
@given(st.sampled_from(TARGETS), st.dictionaries(KEYS, VALUES, max_size=8))
def test_every_body_has_a_plan(target: str, body: dict[str, Any]) -> None:
    route = route_of(target)
    assert route is not None
    plan = plan_of(route, target.encode(), json.dumps(body).encode(), Settings(), True)
    assert plan.refusal is not None or plan.answer.usage.input_tokens > 0


@given(st.sampled_from(TARGETS), st.binary(max_size=50))
def test_every_body_that_is_no_json_is_refused(target: str, body: bytes) -> None:
    route = route_of(target)
    assert route is not None
    plan = plan_of(route, target.encode(), b"{" + body, Settings(), True)
    assert plan.refusal is not None
    assert plan.refusal.status == 400


def test_the_tokenizer_counts_text_and_token_lists() -> None:
    assert tokens_of("") == 1
    assert tokens_of("12345678") == 2
    assert tokens_of("123456789") == 3
    assert tokens_of([1, 2, 3]) == 3
    assert tokens_of([{"role": "user", "content": [{"type": "text", "text": "1234"}, {"type": "image"}]}], "5678") == 2
    assert tokens_of([{"parts": [{"text": "12345"}]}], None) == 2


async def test_a_client_that_leaves_at_once_leaves_nothing_behind(provider: Simulator) -> None:
    target, body = request_of("openai_chat", "m+slow_headers:30")
    for _ in range(50):
        _, writer = await asyncio.open_connection("127.0.0.1", provider.port)
        writer.write(request_bytes(target, body))
        # The request and the end of the connection arrive together.
        writer.transport.abort()
    await provider.until(lambda served: served.in_progress == 0 and provider.connections == 0)
    assert (await ask(provider, "openai_chat", "m")).status == 200
    assert provider.served()["in_progress"] == 0
