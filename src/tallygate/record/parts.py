"""LLM calls told in parts, as the helper functions of other systems tell them: tokens here, seconds there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallygate.context import current
from tallygate.facts import LLMCall
from tallygate.pricing import UNITS_PER_USD
from tallygate.record.default import default
from tallygate.record.measures import (
    COST,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    TOTAL_TOKENS,
    UNCACHED_INPUT_TOKENS,
    UNPRICED,
)

if TYPE_CHECKING:
    from tallygate.ledger.interface import Value
    from tallygate.record.binding import Binding
    from tallygate.record.recorder import Recorder

Part = tuple[int, "Value"]
"""A measure of LLMCall, by its index, and its value."""


def tokens(input_tokens: int, output_tokens: int) -> list[Part]:
    """What a call's tokens come to. input_tokens include cached ones."""
    return [
        (INPUT_TOKENS, input_tokens),
        (OUTPUT_TOKENS, output_tokens),
        (TOTAL_TOKENS, input_tokens + output_tokens),
        (UNCACHED_INPUT_TOKENS, input_tokens),
    ]


def add_tokens(provider: str, model: str, input_tokens: int, output_tokens: int) -> None:
    """Add tokens, and what they cost by the price list, to the completed calls with these labels."""
    recorder = default.recorder
    if not recorder.enabled:
        return
    try:
        binding, parts = _binding(recorder, provider, model, None), tokens(input_tokens, output_tokens)
        if all(recorder.fits(LLMCall, measure, value) for measure, value in parts):
            if binding.price is None:
                parts.append((UNPRICED, 1))
            else:
                parts.append((COST, binding.price.cost(input_tokens, output_tokens) / UNITS_PER_USD))
            for measure, value in parts:
                binding.completed.add(measure, value or 0)
    except Exception as problem:
        recorder.failed(LLMCall, problem)


def add(measure: int, value: float, *, model: str, provider: str = "", route: str | None = None) -> None:
    """Add to one measure of the completed calls with these labels, without counting a call."""
    recorder = default.recorder
    if not recorder.enabled:
        return
    try:
        if recorder.fits(LLMCall, measure, value):
            _binding(recorder, provider, model, route).completed.add(measure, value)
    except Exception as problem:
        recorder.failed(LLMCall, problem)


def record(error_type: str, *parts: Part, model: str, route: str | None = None, status_code: str = "200") -> None:
    """Count a call with these labels: completed, or failed with an error type; and these measures of it."""
    recorder = default.recorder
    if not recorder.enabled:
        return
    try:
        measures: list[Value] = [None] * len(LLMCall.measures)
        for measure, value in parts:
            if recorder.fits(LLMCall, measure, value):
                measures[measure] = value
        binding = _binding(recorder, "", model, route)
        outcome = "failed" if error_type else "completed"
        binding.row(status_code, outcome, error_type).record(*measures)
    except Exception as problem:
        recorder.failed(LLMCall, problem)


def _binding(recorder: Recorder, provider: str, model: str, route: str | None) -> Binding:
    key = (provider, model, "chat", "", False, route, None, None, None, None, None)
    return recorder.bind(key, current.get(), recorder.identified({}))
