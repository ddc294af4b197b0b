"""What the compiled core reads of a reply in short is what the reader reads in full, or it leaves it alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from types import SimpleNamespace
from typing import Any

import pytest
from anthropic.types import Message
from google.genai.types import GenerateContentResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from tallygate.instrument.anthropic import Messages
from tallygate.instrument.openai import Chat, Responses
from tallygate.instrument.support.gemini_replies import GENERATE
from tallygate.instrument.support.known_calls import reading
from tallygate.tally import Tally
from tests.instrument.llm_truth import page_of

CHAT: Any
RESPONSES: Any
MESSAGES: Any
CHAT, RESPONSES, MESSAGES = Chat("chat", "/chat/completions"), Responses(), Messages()

NUMBERS = st.one_of(
    st.none(),
    st.integers(0, 30),
    st.sampled_from([True, -1, 1.0, "5", 10**12, 10**12 + 1, 10**30, [], {}]),
)


def some(**members: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of these members, of which any may be missing, and at times one that nobody foresaw."""
    return st.fixed_dictionaries({}, optional={**members, "cached_tokens": st.integers(0, 9)})


CHAT_USAGE = some(
    prompt_tokens=NUMBERS,
    completion_tokens=NUMBERS,
    total_tokens=NUMBERS,
    prompt_tokens_details=st.none() | some(cached_tokens=NUMBERS, cache_write_tokens=NUMBERS),
    completion_tokens_details=st.none() | some(reasoning_tokens=NUMBERS),
)
RESPONSES_USAGE = some(
    input_tokens=NUMBERS,
    output_tokens=NUMBERS,
    total_tokens=NUMBERS,
    input_tokens_details=st.none() | some(cached_tokens=NUMBERS, cache_write_tokens=NUMBERS),
    output_tokens_details=st.none() | some(reasoning_tokens=NUMBERS),
)
MESSAGES_USAGE = some(
    input_tokens=NUMBERS,
    output_tokens=NUMBERS,
    cache_read_input_tokens=NUMBERS,
    cache_creation_input_tokens=NUMBERS,
    output_tokens_details=st.none() | some(thinking_tokens=NUMBERS, reasoning_tokens=NUMBERS),
)
COUNT = st.none() | st.integers(0, 30)
GEMINI_USAGE = st.fixed_dictionaries(
    {},
    optional={
        "prompt_token_count": COUNT,
        "tool_use_prompt_token_count": COUNT,
        "candidates_token_count": COUNT,
        "thoughts_token_count": COUNT,
        "cached_content_token_count": COUNT,
    },
)


class Seen:
    """A call that keeps what its reader tells it."""

    counts: Any = None
    said_something = complete = False

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.tracker = SimpleNamespace(usage=lambda *tokens: self.told.update(tokens=tokens))

    def usage(self, usage: Any) -> None:
        if usage is not None:
            self.told["tokens"] = astuple(usage)

    def filtered(self, said_something: bool) -> None:
        self.told["filtered"] = said_something

    def failed_with(self, error: Any) -> None:
        self.told["failed"] = error


def agree(reader: Any, reply: Any) -> tuple[int, ...] | None:
    """What was read in short, which is all that there was."""
    read: tuple[int, ...] | None = reader.reading.read(reply)
    if read is not None:
        seen: Any = Seen()
        reader.whole(seen, reply)
        assert seen.told == {"tokens": read}
    return read


@settings(deadline=None)
@given(st.none() | CHAT_USAGE, st.sampled_from([None, "stop", "content_filter"]))
def test_chat_completions(usage: Any, reason: Any) -> None:
    choices = [] if reason is None else [{"index": 0, "finish_reason": reason, "message": {"content": "a"}}]
    agree(CHAT, ChatCompletion.construct(choices=choices, usage=usage))


@settings(deadline=None)
@given(st.none() | RESPONSES_USAGE, st.sampled_from([None, "completed", "failed", "incomplete"]), st.booleans())
def test_responses(usage: Any, status: Any, wrong: bool) -> None:
    error = {"code": "server_error", "message": "no"} if wrong else None
    agree(RESPONSES, Response.construct(output=[], status=status, usage=usage, error=error))


@settings(deadline=None)
@given(
    st.none() | MESSAGES_USAGE, st.sampled_from([None, "end_turn", "refusal"]), st.sampled_from(["message", "error"])
)
def test_messages(usage: Any, reason: Any, kind: str) -> None:
    agree(MESSAGES, Message.construct(type=kind, content=[], stop_reason=reason, usage=usage))


@settings(deadline=None)
@given(
    st.none() | GEMINI_USAGE,
    st.sampled_from([None, "STOP", "SAFETY", "MAX_TOKENS"]),
    st.sampled_from([None, {}, {"blockReason": "SAFETY"}]),
    st.sampled_from([None, {}, {"body": "{}"}]),
)
def test_contents(usage: Any, reason: Any, feedback: Any, raw: Any) -> None:
    candidates = None if reason is None else [{"finishReason": reason, "content": {"parts": [{"text": "a"}]}}]
    reply = GenerateContentResponse.model_validate(
        {
            "candidates": candidates,
            "usageMetadata": usage,
            "promptFeedback": feedback,
            "sdkHttpResponse": raw,
        }
    )
    agree(GENERATE, reply)


def test_what_is_read_in_short() -> None:
    usage: dict[str, Any] = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    details: dict[str, Any] = {
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    choices = [{"index": 0, "finish_reason": "stop", "message": {"content": "a"}}]
    assert agree(CHAT, ChatCompletion.construct(choices=choices, usage=usage)) == (10, 5, 0, 0, 0)
    assert agree(CHAT, ChatCompletion.construct(choices=choices, usage={**usage, **details})) == (10, 5, 4, 1, 2)
    assert agree(CHAT, ChatCompletion.construct(choices=choices, usage={**usage, "cost": 1})) is None
    unread = {**usage, **details, "total_tokens": 17}
    assert agree(CHAT, ChatCompletion.construct(choices=choices, usage=unread)) is None

    told = {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    assert agree(RESPONSES, Response.construct(status="completed", usage=told)) == (10, 5, 0, 0, 2)
    assert agree(RESPONSES, Response.construct(status="incomplete", usage=told)) is None

    told = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 1}
    assert agree(MESSAGES, Message.construct(type="message", usage=told)) == (15, 5, 4, 1, 0)
    told["output_tokens_details"] = {"thinking_tokens": 3}
    assert agree(MESSAGES, Message.construct(type="message", usage=told)) == (15, 5, 4, 1, 3)

    counts = {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "cachedContentTokenCount": 4}
    candidates = [{"finishReason": "STOP", "content": {"parts": [{"text": "a"}]}}]
    document: dict[str, Any] = {"candidates": candidates, "usageMetadata": counts}
    assert agree(GENERATE, GenerateContentResponse.model_validate(document)) == (10, 8, 4, 0, 3)
    counts["toolUsePromptTokenCount"] = 1
    assert agree(GENERATE, GenerateContentResponse.model_validate(document)) is None


# Streams

TEXT = st.none() | st.sampled_from(["", "a"])
CHUNK_CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "delta": st.none() | some(content=TEXT, tool_calls=st.none() | st.just([{"index": 0}]), refusal=TEXT),
        "text": TEXT,
        "finish_reason": st.none() | st.sampled_from(["stop", "content_filter"]),
    },
)
EVENT = some(
    type=st.sampled_from(["content_block_delta", "message_delta", "message_stop", "response.output_text.delta"]),
    delta=st.none() | TEXT | some(text=TEXT, partial_json=TEXT, thinking=TEXT, stop_reason=TEXT),
    response=st.none(),
)


@pytest.fixture
def native() -> Iterator[Tally]:
    tally = Tally(capacity_bytes=16 << 20)
    yield tally
    tally.close()


def passes(reader: Any, tally: Tally, event: Any) -> bool:
    """Whether it is seen to in short; then a piece of content is all that was told in full, too."""
    tracker: Any = tally.track_llm_call("p", "m", stream=True).start()
    seen: bool = reader.delta.see(tracker, tracker.owner.chunks, event)
    assert (tracker.marked is not None) == seen
    tracker.finish()
    if seen:
        call: Any = Seen()
        call.said_something = True
        told: list[str] = []
        call.content = call.tracker.content = lambda: told.append("content")
        reader.event(call, event)
        assert (told, call.told, call.complete) == (["content"], {}, False)
    return seen


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.none() | st.lists(CHUNK_CHOICE, max_size=2), st.none() | CHAT_USAGE)
def test_chunks(native: Tally, choices: Any, usage: Any) -> None:
    passes(CHAT, native, ChatCompletionChunk.construct(choices=choices, usage=usage))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENT)
def test_events(native: Tally, event: Any) -> None:
    passes(RESPONSES, native, SimpleNamespace(**event))
    if type(event.get("delta")) is dict:
        passes(MESSAGES, native, {**event, "delta": SimpleNamespace(**event["delta"])})


def test_what_passes(native: Tally) -> None:
    def chunk(usage: Any = None, **choice: Any) -> Any:
        return ChatCompletionChunk.construct(choices=[{"index": 0, **choice}], usage=usage)

    assert passes(CHAT, native, chunk(delta={"content": "a"}))
    assert passes(CHAT, native, Completion.construct(choices=[{"index": 0, "text": "a"}]))
    assert not passes(CHAT, native, chunk(delta={"content": ""}))
    assert not passes(CHAT, native, chunk(delta={"content": "a"}, finish_reason="stop"))
    assert not passes(CHAT, native, chunk({"prompt_tokens": 1}, delta={"content": "a"}))
    assert passes(RESPONSES, native, {"type": "response.output_text.delta", "delta": "a"})
    assert not passes(RESPONSES, native, {"type": "response.completed", "response": {}})
    assert passes(MESSAGES, native, {"type": "content_block_delta", "delta": {"thinking": "a"}})
    assert not passes(MESSAGES, native, {"type": "message_delta", "delta": {"text": "a"}})
    over: Any = native.track_llm_call("p", "m", stream=True).start()
    over.finish()
    assert not CHAT.delta.see(over, over.owner.chunks, chunk(delta={"content": "a"}))
    assert not CHAT.delta.see(None, None, chunk(delta={"content": "a"}))


def test_gaps_are_counted(native: Tally) -> None:
    tracker: Any = native.track_llm_call("p", "m", stream=True).start()
    for _ in range(4):
        assert MESSAGES.delta.see(
            tracker, tracker.owner.chunks, {"type": "content_block_delta", "delta": {"text": "a"}}
        )
    tracker.finish()
    assert page_of(native).total("tallygate_llm_output_chunk_gap_seconds_count", model="m") == 3


@pytest.mark.parametrize("reply", [None, 5, "text", b"", [], {}, object(), Exception(), {"usage": 1}, {"usage": []}])
def test_other_things_are_left_alone(reply: Any) -> None:
    for reader in (CHAT, RESPONSES, MESSAGES, GENERATE):
        assert agree(reader, reply) is None


def test_readings_that_cannot_be() -> None:
    with pytest.raises(TypeError, match=r"^a path is a tuple of 1 to 4 names$"):
        reading("usage", input_tokens=((),), output_tokens=())
    with pytest.raises(TypeError, match=r"^the names of a path are strings$"):
        reading("usage", input_tokens=((1,),), output_tokens=())  # type: ignore[arg-type]  # as said
    with pytest.raises(TypeError, match=r"^a count is a tuple of paths, and there are 12 at most$"):
        reading("usage", input_tokens=(("a",),) * 13, output_tokens=())
    with pytest.raises(ValueError, match=r"^a reading has 6 tests at most$"):
        reading("usage", input_tokens=(), output_tokens=(), must=((("a",), (None,)),) * 7)
