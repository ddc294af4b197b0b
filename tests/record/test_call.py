"""Every way through the life of a call, and every measure it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from tallygate.errors import ErrorType
from tallygate.facts import LLMCall, LLMInFlight, LLMOutputChunk, UpstreamAttempt
from tallygate.record import LLMCallTracker, measures
from tallygate.tally import Tally
from tests.record.reading import dropped, gauge, only_row, rows_of


def ending(tally: Tally) -> tuple[str, str, str]:
    row = only_row(tally, LLMCall)
    assert row.count == 1
    assert gauge(tally, LLMInFlight) == 0
    dimensions = row.dimensions
    return dimensions["outcome"], dimensions["status_code"], dimensions.get("error_type", "")


def test_measures_are_given_by_their_place_in_the_fact() -> None:
    for place, measure in enumerate(LLMCall.measures):
        assert getattr(measures, measure.name.upper()) == place


def test_a_completed_call(tally: Tally) -> None:
    with tally.track_llm_call(provider="openai", model="gpt-4o", endpoint="/chat/completions", route="chat") as call:
        assert gauge(tally, LLMInFlight) == 1
        call.usage(input_tokens=1000, output_tokens=200, cache_read_tokens=400, reasoning_tokens=50)
        call.overhead(0.0025)

    row = only_row(tally, LLMCall)
    assert row.dimensions == {
        "provider": "openai",
        "model": "gpt-4o",
        "operation": "chat",
        "endpoint": "/chat/completions",
        "route": "chat",
        "stream": "false",
        "status_code": "200",
        "outcome": "completed",
    }
    assert row.count == 1
    # gpt-4o: 2.50, 1.25 cached and 10 USD per million: 600 x 2.5 + 400 x 1.25 + 200 x 10 = 4000 millionths of a dollar
    assert {
        name: value for name, value in row.sums.items() if name not in ("duration", "output_tokens_per_second")
    } == {
        "gateway_overhead": 25_000,
        "input_tokens": 1000,
        "output_tokens": 200,
        "total_tokens": 1200,
        "uncached_input_tokens": 600,
        "cache_read_tokens": 400,
        "reasoning_tokens": 50,
        "cost": 400_000_000,
    }
    assert row.observed == dict.fromkeys(
        ("duration", "output_tokens_per_second", "gateway_overhead", "input_tokens", "output_tokens", "total_tokens"), 1
    )
    assert gauge(tally, LLMInFlight) == 0


def test_calls_with_the_same_labels_share_a_row(tally: Tally) -> None:
    for _ in range(3):
        with tally.track_llm_call("openai", "gpt-4o") as call:
            call.usage(input_tokens=1000, output_tokens=200)
    row = only_row(tally, LLMCall)
    assert row.count == 3
    assert {name: value for name, value in row.sums.items() if "second" not in name and name != "duration"} == {
        "input_tokens": 3000,
        "output_tokens": 600,
        "total_tokens": 3600,
        "uncached_input_tokens": 3000,
        "cost": 1_350_000_000,
    }
    assert row.observed["output_tokens_per_second"] == 3
    assert gauge(tally, LLMInFlight) == 0


def test_derived_rates_follow_from_the_duration(tally: Tally) -> None:
    with tally.track_llm_call("openai", "gpt-4o", stream=True) as call:
        call.headers()
        call.content()
        call.content()
        call.usage(1, 11)
    sums = only_row(tally, LLMCall).sums
    duration, first = sums["duration"], sums["time_to_first_token"]
    assert 0 < sums["time_to_headers"] <= first <= duration
    # In units of 100 ns, each rounded by itself.
    assert sums["time_per_output_token"] == pytest.approx((duration - first) / 10, abs=1)
    assert sums["output_tokens_per_second"] == pytest.approx(11 / (duration * 1e-7) * 1e6, rel=1 / duration)


def test_a_call_may_have_begun_before_its_tracker(tally: Tally) -> None:
    """As one that another provider was asked for before."""
    call = tally.track_llm_call("openai", "gpt-4o", stream=True).start()
    call.content()
    call.content()
    call.usage(1, 11)
    assert call.finish(before=2.5)
    sums = only_row(tally, LLMCall).sums
    duration, first = sums["duration"], sums["time_to_first_token"]
    assert 25_000_000 < first <= duration < 35_000_000
    assert sums["time_per_output_token"] == pytest.approx((duration - first) / 10, abs=1)
    assert sums["output_tokens_per_second"] == pytest.approx(11 / (duration * 1e-7) * 1e6, rel=1e-6)
    assert gauge(tally, LLMInFlight) == 0


def test_usage_may_come_in_parts_and_the_later_number_holds(tally: Tally) -> None:
    with tally.track_llm_call("anthropic", "claude-3-5-sonnet-latest") as call:
        call.usage(input_tokens=25, output_tokens=1, cache_write_tokens=5)
        call.usage(output_tokens=15)
    sums = only_row(tally, LLMCall).sums
    assert (sums["input_tokens"], sums["output_tokens"], sums["cache_write_tokens"]) == (25, 15, 5)
    assert (sums["uncached_input_tokens"], sums["total_tokens"]) == (20, 40)
    # 20 x 3 + 5 x 3.75 + 15 x 15 = 303.75 millionths
    assert sums["cost"] == 30_375_000


def test_zero_tokens_are_not_unset_tokens(tally: Tally) -> None:
    with tally.track_llm_call("openai", "text-embedding-3-small", operation="embeddings") as call:
        call.usage(input_tokens=8, output_tokens=0)
    with tally.track_llm_call("openai", "text-embedding-3-large", operation="embeddings") as call:
        call.usage(input_tokens=8)
    told, not_told = rows_of(tally, LLMCall)
    assert told.observed["output_tokens"] == 1
    assert "output_tokens" not in not_told.observed
    assert "output_tokens_per_second" not in told.observed
    assert told.sums["cost"] == 16_000  # 8 x 0.02 millionths


def test_completed_without_usage_is_unmetered(tally: Tally) -> None:
    with tally.track_llm_call("openai", "gpt-4o"):
        pass
    row = only_row(tally, LLMCall)
    assert row.sums["unmetered"] == 1
    assert set(row.observed) == {"duration"}
    assert not {"cost", "unpriced"} & set(row.sums)


def test_usage_without_a_price_is_unpriced_and_has_no_cost(tally: Tally) -> None:
    with tally.track_llm_call("openai", "nobody-knows-it") as call:
        call.usage(10, 20)
    sums = only_row(tally, LLMCall).sums
    assert (sums["unpriced"], sums["input_tokens"], sums["output_tokens"]) == (1, 10, 20)
    assert "cost" not in sums


class StatusError(Exception):
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (asyncio.CancelledError(), ("cancelled", "499", "")),
        (GeneratorExit(), ("cancelled", "499", "")),
        (KeyboardInterrupt(), ("cancelled", "499", "")),
        (TimeoutError(), ("failed", "network_error", "provider_timeout")),
        (ConnectionRefusedError(), ("failed", "network_error", "provider_network")),
        (json.JSONDecodeError("no", "x", 0), ("failed", "network_error", "provider_invalid_response")),
        (StatusError(429), ("failed", "429", "provider_rate_limit")),
        (StatusError(503), ("failed", "503", "provider_overloaded")),
        (KeyError("a defect"), ("failed", "network_error", "gateway_internal")),
    ],
)
def test_exceptions_end_the_call_and_pass_unchanged(
    tally: Tally, problem: BaseException, expected: tuple[str, str, str]
) -> None:
    with pytest.raises(type(problem)) as caught, tally.track_llm_call("openai", "gpt-4o"):
        raise problem
    assert caught.value is problem
    assert ending(tally) == expected
    assert "unmetered" not in only_row(tally, LLMCall).sums
    assert only_row(tally, LLMCall).sums.get("rate_limit_events", 0) == (expected[1] == "429")


def test_a_connection_lost_after_the_head_is_a_cut(tally: Tally) -> None:
    def stream() -> None:
        with tally.track_llm_call("openai", "gpt-4o", stream=True) as call:
            call.headers()
            call.usage(5, 3)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        stream()
    assert ending(tally) == ("failed", "200", "provider_stream_cut")
    assert only_row(tally, LLMCall).sums["output_tokens"] == 3


async def test_a_cancelled_task(tally: Tally) -> None:
    entered = asyncio.Event()

    async def ask() -> None:
        async with tally.track_llm_call("openai", "gpt-4o"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(ask())
    await entered.wait()
    assert gauge(tally, LLMInFlight) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ending(tally) == ("cancelled", "499", "")


def test_an_abandoned_generator(tally: Tally) -> None:
    def stream() -> Iterator[int]:
        with tally.track_llm_call("openai", "gpt-4o", stream=True) as call:
            while True:
                call.content()
                yield 1

    chunks = stream()
    assert next(chunks) == 1
    del chunks
    gc.collect()
    assert ending(tally) == ("cancelled", "200", "")


async def test_an_abandoned_async_generator(tally: Tally) -> None:
    async def stream() -> AsyncIterator[int]:
        async with tally.track_llm_call("openai", "gpt-4o", stream=True) as call:
            while True:
                call.content()
                yield 1

    chunks = stream()
    assert await anext(chunks) == 1
    await chunks.aclose()  # type: ignore[attr-defined]  # declared as the wider type
    assert ending(tally) == ("cancelled", "200", "")


def test_an_abandoned_tracker(tally: Tally) -> None:
    call = tally.track_llm_call("openai", "gpt-4o").start()
    assert gauge(tally, LLMInFlight) == 1
    del call
    gc.collect()
    assert ending(tally) == ("cancelled", "499", "")


def test_a_tracker_that_never_started_leaves_nothing(tally: Tally) -> None:
    call = tally.track_llm_call("openai", "gpt-4o")
    del call
    gc.collect()
    assert rows_of(tally, LLMCall) == []
    assert gauge(tally, LLMInFlight) == 0


def test_the_first_ending_counts(tally: Tally) -> None:
    with tally.track_llm_call("openai", "gpt-4o") as call:
        assert call.finish("failed", 529, "provider_overloaded") is True
        assert call.finish() is False
        call.usage(1, 1)
        call.content()
        call.headers()
        assert call.fail(ValueError()) is False
    del call
    gc.collect()
    assert ending(tally) == ("failed", "529", "provider_overloaded")


def test_by_hand_without_a_block(tally: Tally) -> None:
    call = tally.track_llm_call("openai", "gpt-4o", stream=True)
    call.headers()  # starts it
    call.content()
    assert gauge(tally, LLMInFlight) == 1
    assert call.finish("completed", "206") is True
    assert ending(tally) == ("completed", "206", "")


def test_words_outside_the_vocabulary_are_put_right(tally: Tally) -> None:
    tally.track_llm_call("openai", "gpt-4o").finish("failed", 500, "made up")
    tally.track_llm_call("openai", "gpt-4o").finish("nonsense", 500, "provider_timeout")
    tally.track_llm_call("openai", "gpt-4o").finish("nonsense", 204)
    assert [(row.dimensions["outcome"], row.dimensions.get("error_type")) for row in rows_of(tally, LLMCall)] == [
        ("failed", "other"),
        ("failed", "provider_timeout"),
        ("completed", None),
    ]


def test_chunks_after_the_first_are_gaps(tally: Tally) -> None:
    with tally.track_llm_call("openai", "gpt-4o", stream=True) as call:
        call.content()
        call.content(3)
        call.content()
    row = only_row(tally, LLMOutputChunk)
    assert row.count == 4
    assert row.observed == {"gap": 4}
    assert row.dimensions == {"provider": "openai", "model": "gpt-4o", "operation": "chat"}
    assert row.sums["gap"] <= only_row(tally, LLMCall).sums["duration"]


def test_content_of_a_whole_reply_has_no_first_token(tally: Tally) -> None:
    with tally.track_llm_call("openai", "gpt-4o") as call:
        call.content(2)
        call.usage(5, 5)
    assert rows_of(tally, LLMOutputChunk) == []
    assert not {"time_to_first_token", "time_per_output_token"} & set(only_row(tally, LLMCall).observed)


def test_one_output_token_has_no_time_per_token(tally: Tally) -> None:
    with tally.track_llm_call("openai", "gpt-4o", stream=True) as call:
        call.content()
        call.usage(5, 1)
    assert "time_per_output_token" not in only_row(tally, LLMCall).observed


def test_attempts_and_rate_limits(tally: Tally) -> None:
    with tally.track_llm_call("openai", "gpt-4o", endpoint="/chat/completions") as call:
        call.attempt(seconds=0.5, seconds_to_headers=0.5, status_code=429, error_type="provider_rate_limit")
        call.rate_limited()
        call.attempt(seconds=1.5, seconds_to_headers=0.25, provider="azure", model="gpt-4o-eu")
        call.rate_limited()
    first, second = rows_of(tally, UpstreamAttempt)
    assert first.dimensions == {
        "provider": "openai",
        "model": "gpt-4o",
        "endpoint": "/chat/completions",
        "status_code": "429",
        "error_type": "provider_rate_limit",
    }
    assert first.sums == {"duration": 5_000_000, "time_to_headers": 5_000_000}
    assert (second.dimensions["provider"], second.dimensions["model"]) == ("azure", "gpt-4o-eu")
    assert second.sums == {"duration": 15_000_000, "time_to_headers": 2_500_000}
    assert only_row(tally, LLMCall).sums["rate_limit_events"] == 2


def test_blocked_tools_add_up_and_nonsense_is_dropped(tally: Tally) -> None:
    with tally.track_llm_call("openai", "gpt-4o") as call:
        call.blocked_tools()
        call.blocked_tools(2)
        call.blocked_tools(-1)
        call.blocked_tools("two")  # type: ignore[arg-type]  # what it must withstand
    assert only_row(tally, LLMCall).sums["blocked_tools"] == 3
    assert b'tallygate_dropped_observations_total{fact="LLMCall",reason="invalid_value"} 2' in tally.render()


def test_an_exit_stack_that_is_dropped_gives_the_gauge_back(tally: Tally) -> None:
    stack = contextlib.ExitStack()
    stack.enter_context(tally.track_llm_call("openai", "gpt-4o"))
    assert gauge(tally, LLMInFlight) == 1
    del stack
    gc.collect()
    assert gauge(tally, LLMInFlight) == 0


def test_what_cannot_be_a_label_never_reaches_the_caller(tally: Tally) -> None:
    class Unspeakable:
        def __str__(self) -> str:
            raise RuntimeError("no")

    with tally.track_llm_call("openai", ["not", "hashable"]) as call:  # type: ignore[arg-type]  # the point of the test
        call.usage(1, 1)
        call.content()
    with tally.track_llm_call("openai", Unspeakable()) as call:  # type: ignore[arg-type]  # as above
        call.attempt(seconds=1)
    assert only_row(tally, LLMCall).dimensions["model"] == "['not', 'hashable']"
    assert dropped(tally) == {("LLMCall", "internal"): 1}
    assert gauge(tally, LLMInFlight) == 0


def test_an_exception_that_cannot_be_read(tally: Tally) -> None:
    class Nasty(Exception):
        @property
        def status_code(self) -> int:
            raise RuntimeError("no")

    with pytest.raises(Nasty), tally.track_llm_call("openai", "gpt-4o"):
        raise Nasty
    assert ending(tally) == ("failed", "network_error", "gateway_internal")


def test_own_errors_say_themselves_what_they_are(tally: Tally) -> None:
    class Refused(Exception):
        error_type = ErrorType.POLICY_BUDGET

    with pytest.raises(Refused), tally.track_llm_call("openai", "gpt-4o"):
        raise Refused
    assert ending(tally)[2] == "policy_budget"


def test_many_label_sets_stay_exact(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallygate.record.recorder.MOST_BINDINGS", 3)
    for turn in range(20):
        with tally.track_llm_call("openai", f"model-{turn % 10}") as call:
            call.usage(1, 1)
    assert [row.count for row in rows_of(tally, LLMCall)] == [2] * 10
    assert len(tally.bindings) <= 3


def test_several_calls_at_once(tally: Tally) -> None:
    calls: list[LLMCallTracker] = [tally.track_llm_call("openai", "gpt-4o").start() for _ in range(5)]
    assert gauge(tally, LLMInFlight) == 5
    for call in calls:
        call.finish()
    assert gauge(tally, LLMInFlight) == 0
    assert only_row(tally, LLMCall).count == 5
