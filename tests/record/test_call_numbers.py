"""Numbers beyond what can be counted, and the exemplars of those that are."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from tallygate.facts import LLMCall, LLMInFlight
from tallygate.tally import Tally
from tests.record.reading import dropped, gauge, only_row


@pytest.mark.parametrize("tokens", [-1, 1.5, "12", True, float("nan")])
def test_a_number_that_is_none_is_dropped_and_logged_once(
    tally: Tally, tokens: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "tallygate"):
        for _ in range(2):
            with tally.track_llm_call("openai", "gpt-4o") as call:
                call.usage(input_tokens=tokens, output_tokens=1)  # type: ignore[arg-type]  # the point of the test
    assert dropped(tally) == {("LLMCall", "invalid_value"): 2}
    assert only_row(tally, LLMCall).sums["unmetered"] == 2
    assert len(caplog.records) == 1


def test_numbers_beyond_all_measure_never_reach_the_caller(tally: Tally) -> None:
    with tally.track_llm_call("openai", "gpt-4o") as call:
        call.usage(10**400, 10**400)
    with tally.track_llm_call("openai", "gpt-4o") as call:
        call.usage(10**400, 10**400, 1)
    with tally.track_llm_call("openai", "gpt-4o") as call:
        call.usage(2**56 + 1, 1)
    assert dropped(tally) == {("LLMCall", "invalid_value"): 3}
    row = only_row(tally, LLMCall)
    assert (row.count, row.sums["unmetered"], row.sums.get("input_tokens", 0)) == (3, 3, 0)
    assert gauge(tally, LLMInFlight) == 0


def test_the_biggest_numbers_are_counted_as_far_as_cells_go(tally: Tally) -> None:
    with tally.track_llm_call("openai", "gpt-4o") as call:
        call.usage(2**56, 0)
    row = only_row(tally, LLMCall)
    assert (row.sums["input_tokens"], row.sums["uncached_input_tokens"]) == (2**56, 2**56)
    assert "cost" not in row.sums  # beyond what one observation may be
    assert tally.ledger is not None
    assert tally.ledger.statistics().dropped == 1


def test_exemplars_are_kept_for_traced_calls(make_tally: Callable[..., Tally]) -> None:
    traces: list[tuple[str, str] | None] = [("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"), None]
    tally = make_tally(exemplar=lambda: traces.pop(0))
    for _ in range(2):
        with tally.track_llm_call("openai", "gpt-4o") as call:
            call.usage(10, 5)
    assert traces == []
    assert tally.ledger is not None
    exemplars = tally.ledger.exemplars()
    assert {(one.trace_id, one.span_id) for one in exemplars} == {
        ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    }
    assert 10.0 in [one.value for one in exemplars]
    assert only_row(tally, LLMCall).count == 2


def test_a_failing_exemplar_hook_costs_nothing_but_the_exemplar(make_tally: Callable[..., Tally]) -> None:
    def hook() -> tuple[str, str] | None:
        raise RuntimeError("no tracer")

    tally = make_tally(exemplar=hook)
    with tally.track_llm_call("openai", "gpt-4o") as call:
        call.usage(10, 5)
    assert (only_row(tally, LLMCall).dimensions["outcome"], gauge(tally, LLMInFlight)) == ("completed", 0)
    assert dropped(tally) == {("LLMCall", "internal"): 1}
