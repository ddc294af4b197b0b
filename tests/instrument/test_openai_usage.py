"""Usage as the SDK has it, read the quick way: the same as ``wire.tokens`` reads from the JSON."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openai._models import construct_type
from openai.types import CompletionUsage
from openai.types.responses import ResponseUsage

from tallygate.instrument.openai import read_usage
from tallygate.instrument.support.llm_calls import plain
from tallygate.wire.interface import Usage
from tallygate.wire.tokens import openai_usage

NUMBERS = st.none() | st.integers(-1, 30) | st.sampled_from([10**12, 10**13, 2**70])
NAMES: dict[Any, tuple[str, str, str, str]] = {
    CompletionUsage: ("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"),
    ResponseUsage: ("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details"),
}


class Told:
    """Stands in for a call; keeps what it is told."""

    def __init__(self) -> None:
        self.found: Usage | None = None
        self.tracker = self

    def usage(self, first: Any, *further: int | None) -> None:
        self.found = first if first is None or isinstance(first, Usage) else Usage(first, *[n or 0 for n in further])


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=members)


@st.composite
def usages(draw: st.DrawFn) -> tuple[Any, Any]:
    kind = draw(st.sampled_from(list(NAMES)))
    read, written, inner, outer = NAMES[kind]
    details = some(cached_tokens=NUMBERS, cache_write_tokens=NUMBERS, cache_creation_tokens=NUMBERS)
    usage = some(
        **{read: NUMBERS, written: NUMBERS, inner: st.none() | details},
        **{outer: st.none() | some(reasoning_tokens=NUMBERS)},
        total_tokens=NUMBERS,
        prompt_cache_hit_tokens=NUMBERS,
        reasoning_tokens=NUMBERS,
    )
    told = draw(usage)
    if draw(st.booleans()):
        told["total_tokens"] = sum(n for n in (told.get(read), told.get(written)) if isinstance(n, int))
    return kind, told


@settings(max_examples=60, deadline=None)
@given(usages())
def test_the_quick_way_says_what_the_thorough_one_says(given: tuple[Any, Any]) -> None:
    kind, told = given
    typed = construct_type(type_=kind, value=told)
    call: Any = Told()
    read_usage(call, typed, NAMES[kind])
    assert call.found == openai_usage(told)


@settings(max_examples=60, deadline=None)
@given(usages())
def test_what_the_sdk_has_as_it_came(given: tuple[Any, Any]) -> None:
    kind, told = given
    assert {name: value for name, value in plain(construct_type(type_=kind, value=told)).items() if name in told} == {
        name: value if not isinstance(value, dict) else {**empty(kind, name), **value} for name, value in told.items()
    }


def empty(kind: Any, name: str) -> dict[str, None]:
    """The members that the SDK adds to an object of this name."""
    made = construct_type(type_=kind, value={name: {}})
    return dict(vars(getattr(made, name)))
