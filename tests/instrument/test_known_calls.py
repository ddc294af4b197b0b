"""A call like one before is recorded by a shorter way: it tells what the long way tells."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from anthropic import Anthropic
from openai import AsyncOpenAI, OpenAI

from tallygate import context, instrument
from tallygate.instrument.support import stainless
from tallygate.instrument.support.known_calls import ClientPlace, SDKCall
from tallygate.record.default import default
from tallygate.tally import Tally
from tests.instrument.llm_truth import page_of
from tests.instrument.openai_answers import USAGE_TOLD, completion
from tests.instrument.openai_ways import MESSAGES

DETAILS: dict[str, Any] = {
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
OPENAI: list[Any] = [
    (200, completion(usage=USAGE_TOLD)),
    (200, completion(usage={**USAGE_TOLD, **DETAILS})),
    (200, completion(usage={**USAGE_TOLD, "prompt_cache_hit_tokens": 3})),
    (200, completion(usage={**USAGE_TOLD, "prompt_tokens": True})),
    (200, completion(usage={**USAGE_TOLD, "prompt_tokens": -1})),
    (200, completion(usage={**USAGE_TOLD, "completion_tokens": "5"})),
    (200, completion()),
    (200, completion("", "content_filter", usage=USAGE_TOLD)),
    (200, {"error": {"message": "no", "code": "rate_limit_exceeded"}}),
    (200, "text"),
    (201, completion(usage=USAGE_TOLD)),
    (429, {"error": {"message": "later"}}),
    (200, completion(usage=USAGE_TOLD)),
    (500, {}),
    (503, {}),
    (200, completion(usage=USAGE_TOLD)),
    (None, None),
    (200, completion(usage=USAGE_TOLD)),
]
MESSAGE: dict[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "a"}],
}
TOLD = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 1}
ANTHROPIC: list[Any] = [
    (200, {**MESSAGE, "stop_reason": "end_turn", "usage": {**TOLD, "output_tokens_details": {"thinking_tokens": 2}}}),
    (200, {**MESSAGE, "stop_reason": "refusal", "content": [], "usage": TOLD}),
    (200, {**MESSAGE, "stop_reason": "end_turn"}),
    (200, {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}),
    (529, {}),
    (200, {**MESSAGE, "stop_reason": "end_turn", "usage": TOLD}),
]


def answering(answers: list[Any]) -> Callable[[httpx2.Request], httpx2.Response]:
    """Each request takes the next answer; None: the connection is lost."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        status, document = answers.pop(0)
        if status is None:
            raise httpx2.ConnectError("gone", request=request)
        content = json.dumps(document).encode()
        return httpx2.Response(status, content=iter((content,)), headers={"content-type": "application/json"})

    return answer


def facts(tally: Tally) -> dict[Any, float | None]:
    """All samples; those that are made of times without their value."""
    return {
        place: None if "second" in place[0] and not place[0].endswith("_count") else value
        for place, value in page_of(tally).samples.items()
        if not place[0].startswith("tallygate_ledger")
    }


def ask(client: OpenAI, **further: Any) -> Any:
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **further)


def tell_openai(tally: Tally) -> None:
    whole = completion(usage=USAGE_TOLD)
    answers = [*((200, whole) for _ in range(6)), *OPENAI]
    transport = httpx2.MockTransport(answering(answers))
    with (
        OpenAI(api_key="key", max_retries=1, http_client=httpx2.Client(transport=transport)) as client,
        instrument.openai(client, tally=tally),
    ):
        ask(client)
        ask(client)
        for _ in range(2):
            with context(route="elsewhere"):
                ask(client)
        client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
        with client.chat.completions.with_streaming_response.create(model="gpt-4o", messages=MESSAGES) as raw:
            raw.read()
        while answers:
            with suppress(openai.APIError):
                ask(client)


def tell_anthropic(tally: Tally) -> None:
    answers = [(200, {**MESSAGE, "stop_reason": "end_turn", "usage": TOLD}), *ANTHROPIC]
    transport = httpx2.MockTransport(answering(answers))
    with (
        Anthropic(api_key="key", max_retries=0, http_client=httpx2.Client(transport=transport)) as client,
        instrument.anthropic(client, tally=tally),
    ):
        while answers:
            with suppress(anthropic.APIError):
                client.messages.create(model="claude-haiku-4-5", max_tokens=5, messages=MESSAGES)


@pytest.mark.parametrize("tell", [tell_openai, tell_anthropic])
def test_both_ways_tell_the_same(tell: Callable[[Tally], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai._base_client.SyncAPIClient._sleep_for_retry", lambda *client, **settings: None)
    in_full: list[object] = []
    end = stainless.SDK.end

    def see(sdk: Any, call: Any, result: Any) -> None:
        in_full.append(call)
        end(sdk, call, result)

    monkeypatch.setattr(stainless.SDK, "end", see)
    with closing(Tally()) as short, closing(Tally()) as long:
        tell(short)
        ended = len(in_full)
        assert any(not isinstance(call, SDKCall) for call in in_full)  # one that began as known and took an odd turn
        monkeypatch.setattr(ClientPlace, "learn", lambda *given: None)
        in_full.clear()
        tell(long)
        assert all(isinstance(call, SDKCall) for call in in_full)
        assert len(in_full) - ended >= 2  # so many were recorded by the core alone
        assert facts(short) == facts(long)


async def test_coroutines_too() -> None:
    document = completion(usage=USAGE_TOLD)
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=document))
    with closing(Tally()) as tally:
        async with AsyncOpenAI(api_key="key", http_client=httpx2.AsyncClient(transport=transport)) as client:
            with instrument.openai(client, tally=tally):
                for _ in range(3):
                    await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        page = page_of(tally)
        assert page.total("tallygate_llm_calls_total", outcome="completed") == 3
        assert page.total("tallygate_upstream_attempts_total", status_code="200") == 3
        assert page.total("tallygate_llm_calls_in_flight") == 0


def test_what_is_known_holds_until_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = httpx2.MockTransport(answering([(200, completion(usage=USAGE_TOLD))] * 9))
    client = OpenAI(api_key="key", http_client=httpx2.Client(transport=transport))
    with closing(Tally()) as first, closing(Tally()) as second, closing(Tally()) as third:
        with instrument.openai(tally=first):
            ask(client)
            ask(client)
            with instrument.openai(client, tally=second):
                ask(client)
                ask(client)
            ask(client)
            client.base_url = "https://api.deepseek.com/v1"
            ask(client)
        monkeypatch.setattr(default, "recorder", second)
        with instrument.openai():
            ask(client)
            ask(client)
            monkeypatch.setattr(default, "recorder", third)
            ask(client)
        counts = {
            (name, provider): page_of(tally).total("tallygate_llm_calls_total", provider=provider)
            for name, tally in (("first", first), ("second", second), ("third", third))
            for provider in ("openai", "deepseek")
        }
        assert counts == {
            ("first", "openai"): 3, ("first", "deepseek"): 1,
            ("second", "openai"): 2, ("second", "deepseek"): 2,
            ("third", "openai"): 0, ("third", "deepseek"): 1,
        }  # fmt: skip


def test_a_client_keeps_no_tally_that_is_gone() -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=completion(usage=USAGE_TOLD)))
    client, tally = OpenAI(api_key="key", http_client=httpx2.Client(transport=transport)), Tally()
    with instrument.openai(tally=tally):
        ask(client)
        ask(client)
    tally.close()
    gone = weakref.ref(tally)
    del tally
    gc.collect()
    assert gone() is None
