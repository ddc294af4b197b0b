"""A program written against HyperAgent's helpers, with one import changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import tallygate.default
from tallygate.dialects.hyperagent import (
    InstrumentedBackend,
    dec_active_requests,
    inc_active_requests,
    inc_cache_hit,
    inc_cache_miss,
    init_prometheus,
    record_llm_cost,
    record_llm_error,
    record_llm_latency,
    record_llm_tokens,
    record_rate_limit,
)
from tallygate.dialects.hyperagent.helpers import ERROR_TYPES
from tallygate.facts import LLMCall
from tallygate.record.default import default
from tallygate.tally import Tally
from tests.dialects.programs import moved
from tests.record.reading import dropped, rows_of

BY = 'route="custom_route",model="gpt-4-turbo"'
WHERE = ("custom_route", "gpt-4-turbo")


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tally]:
    monkeypatch.setattr(default, "recorder", default.nowhere)
    monkeypatch.setattr(tallygate.default, "_settings", None)
    tally = init_prometheus().tally
    yield tally
    tally.close()


def test_the_handle(tally: Tally) -> None:
    handle = init_prometheus()
    assert handle.tally is tally
    record_llm_cost(*WHERE, 0.0025)
    assert f"llm_cost_usd_total{{{BY}}} 0.25\n" in handle.render()


def test_each_moves_its_own_families(tally: Tally) -> None:
    record_llm_tokens(*WHERE, 150, 50)
    expected: dict[str, float] = {
        f"llm_tokens_input_total{{{BY}}}": 150,
        f"llm_tokens_output_total{{{BY}}}": 50,
        f"llm_tokens_total{{{BY}}}": 200,
    }
    assert moved(tally, "hyperagent") == expected
    record_llm_cost(*WHERE, 0.0025)
    expected[f"llm_cost_usd_total{{{BY}}}"] = 0.25
    assert moved(tally, "hyperagent") == expected
    record_llm_latency(*WHERE, 1250)
    expected[f"llm_latency_ms_count{{{BY}}}"] = 1
    assert moved(tally, "hyperagent") == expected
    assert f"llm_latency_ms_sum{{{BY}}} 1250\n" in tally.render(("hyperagent",)).decode()
    record_llm_error(*WHERE, "timeout")
    expected[f'llm_errors_total{{{BY},error_type="timeout"}}'] = 1
    assert moved(tally, "hyperagent") == expected
    record_rate_limit("openai", "gpt-4-turbo")
    expected['llm_rate_limited_total{provider="openai",model="gpt-4-turbo"}'] = 1
    inc_cache_hit("chat")
    inc_cache_miss("chat")
    inc_cache_miss("chat")
    expected['llm_cache_hits_total{route="chat"}'] = 1
    expected['llm_cache_misses_total{route="chat"}'] = 2
    assert moved(tally, "hyperagent") == expected
    assert dropped(tally) == {}
    assert sorted(row.count for row in rows_of(tally, LLMCall)) == [1, 1]  # one completed, one failed


@pytest.mark.parametrize("error_type", ERROR_TYPES)
def test_every_word_for_an_error_is_shown_as_it_was_told(tally: Tally, error_type: str) -> None:
    record_llm_error(*WHERE, error_type)
    assert moved(tally, "hyperagent") == {f'llm_errors_total{{{BY},error_type="{error_type}"}}': 1}


def test_calls_going_on(tally: Tally) -> None:
    inc_active_requests(*WHERE)
    inc_active_requests(*WHERE)
    assert moved(tally, "hyperagent") == {f"llm_active_requests{{{BY}}}": 2}
    for _ in range(3):
        dec_active_requests(*WHERE)
    assert moved(tally, "hyperagent") == {}
    assert dropped(tally) == {("LLMInFlight", "invalid_value"): 1}


def test_bad_input(tally: Tally) -> None:
    record_llm_tokens(*WHERE, "x", 5)  # type: ignore[arg-type]  # the point
    record_llm_latency(*WHERE, -1)
    record_llm_latency(*WHERE, None)  # type: ignore[arg-type]  # the point
    record_llm_cost(*WHERE, float("nan"))
    record_llm_error(*WHERE, "nonsense")
    assert moved(tally, "hyperagent") == {f'llm_errors_total{{{BY},error_type="api_error"}}': 1}
    assert dropped(tally) == {("LLMCall", "invalid_value"): 4, ("LLMCall", "invalid_dimension"): 1}


class Backend:
    """What HyperAgent calls a backend."""

    model = "gpt-4o"
    name = "mine"

    async def infer(self, request: dict[str, Any]) -> Any:
        if request.get("fail"):
            raise TimeoutError
        return SimpleNamespace(text="hi", usage=SimpleNamespace(input_tokens=1000, output_tokens=200))

    async def infer_stream(self, request: dict[str, Any]) -> AsyncIterator[Any]:
        yield {"delta": ""}
        yield {"delta": "hi"}
        yield {"usage": {"prompt_tokens": 1000, "completion_tokens": 200}}

    def embed(self, texts: list[str], *, model: str) -> list[float]:
        return [0.5]


async def test_a_backend(tally: Tally) -> None:
    backend = InstrumentedBackend(Backend(), "openai", "chat")
    assert isinstance(backend.inner, Backend)
    assert backend.name == "mine"
    assert (await backend.infer({"model": "gpt-4o"})).text == "hi"
    assert len([item async for item in backend.infer_stream({})]) == 3
    assert backend.embed(["a"], model="text-embedding-3-small") == [0.5]
    with pytest.raises(TimeoutError):
        await backend.infer({"fail": True})
    abandoned = backend.infer_stream({})
    await anext(abandoned)
    assert moved(tally, "hyperagent")['llm_active_requests{route="chat",model="gpt-4o"}'] == 1
    await abandoned.aclose()
    await asyncio.sleep(0)
    assert moved(tally, "hyperagent") == {
        'llm_tokens_input_total{route="chat",model="gpt-4o"}': 2000,
        'llm_tokens_output_total{route="chat",model="gpt-4o"}': 400,
        'llm_tokens_total{route="chat",model="gpt-4o"}': 2400,
        'llm_cost_usd_total{route="chat",model="gpt-4o"}': 0.9,
        'llm_latency_ms_count{route="chat",model="gpt-4o"}': 4,
        'llm_latency_ms_count{route="embeddings",model="text-embedding-3-small"}': 1,
        'llm_errors_total{route="chat",model="gpt-4o",error_type="timeout"}': 1,
    }
