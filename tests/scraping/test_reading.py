"""A page turned back into the facts that it was made of, in every dialect."""

from __future__ import annotations

import math
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallygate.declare import Dimension, labels_of
from tallygate.dialects import DIALECTS
from tallygate.errors import ERROR_TYPES
from tallygate.facts import LLMCall
from tallygate.scraping.figures import Amount, Figures, Line, Scraped, figures
from tallygate.scraping.parsing import Format, Samples, parse
from tallygate.scraping.reading import Spread, Value, spoken, values_of
from tallygate.tally import Tally
from tests.scraping.calls import Call

AMOUNTS = ("requests", "errors", "input_tokens", "output_tokens", "cached_tokens", "cost")
SPREADS = ("latency", "first_token", "tokens_per_second")
TELLS = {
    "tallygate": {*AMOUNTS, *SPREADS, "provider", "model"},
    "otel": {"requests", "errors", "input_tokens", "output_tokens", "latency", "first_token", "provider", "model"},
    "erato": {"errors", "latency", "first_token", "provider"},
    "aurora": {"requests", "errors", "latency", "provider", "model"},
    "gatewayz": {"requests", "errors", "input_tokens", "output_tokens", "latency", "provider", "model"},
    "archestra": {*AMOUNTS, *SPREADS, "provider", "model"},
    "hyperagent": {"requests", "errors", "input_tokens", "output_tokens", "cost", "latency", "model"},
}
"""What each dialect tells of LLM calls, and by what."""


tokens = st.integers(0, 10**6)
calls = st.builds(
    Call,
    provider=st.sampled_from(["openai", "anthropic", 'a "quoted" \\ one\nof two lines']),
    model=st.sampled_from(["gpt-4o", "claude"]),
    error_type=st.just("") | st.sampled_from(ERROR_TYPES),
    outside=tokens,
    read=tokens,
    written=tokens,
    output=tokens,
    cents=st.integers(0, 10**4),
    duration=st.floats(0.01, 500),
)
loads = st.lists(calls, max_size=12)


def view(tally: Tally, dialect: str, format: Format, at: float) -> Scraped:
    return Scraped(parse(tally.render((dialect,), format), format), at, at)


def check(line: Line, happened: list[Call], tells: set[str], what: str) -> None:
    """The rates of a line, over a second, are what happened; what is not told is None."""
    expected = {
        "requests": len(happened),
        "errors": sum(bool(call.error_type) for call in happened),
        "input_tokens": sum(call.outside + call.read + call.written for call in happened),
        "output_tokens": sum(call.output for call in happened),
        "cached_tokens": sum(call.read for call in happened),
        "cost": sum(call.cents for call in happened) / 100,
    }
    for name, number in expected.items():
        rate = getattr(line, name).rate
        assert rate == (pytest.approx(number) if name in tells else None), (what, name)
    for name in SPREADS:
        assert name in tells or getattr(line, name) is None, (what, name)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(loads, loads, st.sampled_from(["text", "openmetrics"]))
def test_what_was_recorded_is_read_back(earlier: list[Call], lately: list[Call], format: Format) -> None:
    with closing(Tally()) as tally:
        for call in earlier:
            call.record(tally)
        before = {dialect: view(tally, dialect, format, 0.0) for dialect in DIALECTS}
        for call in lately:
            call.record(tally)
        for dialect in DIALECTS:
            told = figures(before[dialect], view(tally, dialect, format, 1.0))
            tells = TELLS[dialect]
            assert told.dialects == (dialect,)
            assert (told.seconds, told.restarted) == (1.0, False)
            check(told.line, lately, tells, dialect)
            check_totals(told, earlier + lately, tells, dialect)
            for name, lines in (("provider", told.providers), ("model", told.models)):
                named = {getattr(call, name) for call in earlier + lately}
                assert set(lines) == (named if name in tells else set()), (dialect, name)
                for value, line in lines.items():
                    check(line, [call for call in lately if getattr(call, name) == value], tells, f"{dialect} {value}")


def check_totals(told: Figures, happened: list[Call], tells: set[str], dialect: str) -> None:
    assert told.line.requests.total == (len(happened) if "requests" in tells else None)
    if "latency" in tells and dialect != "erato" and happened and told.line.latency is not None:
        slowest = max(call.duration for call in happened)
        assert told.line.latency.p99 > 0
        assert math.isinf(told.line.latency.p99) or told.line.latency.p50 <= told.line.latency.p99
        assert slowest > 0
    if dialect in ("tallygate", "otel", "erato", "hyperagent"):
        failed = [call for call in happened if call.error_type]
        assert sum(amount.total or 0 for amount in told.errors.values()) == len(failed)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_word_leads_back_to_its_values(dialect: str) -> None:
    """Of closed vocabularies: what a label shows may be the value that it stands for."""
    for family in DIALECTS[dialect]:
        for label in labels_of(family.labels):
            for value in label.dimension.values:
                told = values_of((label,), {label.name: label(value)})[label.dimension]
                assert value in told.may_be, (family.name, label.name, value)
                assert told.shown == label(value)


def dimension(name: str, *values: str) -> Dimension:
    made = Dimension("of a test", values=values)
    made.__set_name__(LLMCall, name)
    return made


def test_labels_of_one_dimension_are_taken_together() -> None:
    color = dimension("color", "dark red", "red", "blue")
    hue = color.as_(lambda value: value.split()[-1]).named("hue")
    shade = color.as_({"red": "light", "dark red": "dark", "blue": "light"}).named("shade")
    assert values_of((hue, shade), {"hue": "red", "shade": "light"}) == {color: Value("red", frozenset({"red"}))}
    assert values_of((hue,), {"hue": "red"})[color].may_be == {"red", "dark red"}
    assert values_of((hue,), {"hue": "green"})[color].may_be == {"green"}
    assert values_of((hue, shade), {"shade": "dark"})[color] == Value("dark", frozenset({"dark red"}))


def test_open_vocabularies_keep_the_words_of_the_page() -> None:
    provider = dimension("provider")
    label = provider.as_({"gemini": "gcp.gemini", "google": "gcp.gemini"})
    told = values_of((label,), {"provider": "gcp.gemini"})[provider]
    assert told == Value("gcp.gemini", frozenset({"gemini", "google", "gcp.gemini"}))
    assert values_of((label,), {})[provider] == Value("", frozenset({""}))


@pytest.mark.parametrize("names", [("tallygate", "aurora"), ("hyperagent", "erato"), ("archestra", "aurora")])
def test_several_dialects_on_a_page(names: tuple[str, ...]) -> None:
    with closing(Tally()) as tally:
        page = parse(tally.render(names, "text"), "text")
    assert {dialect.name for dialect in spoken(page.samples)} == set(names)


def test_a_page_of_something_else() -> None:
    """Families that many programs have are no gateway's."""
    families = {"process_cpu_seconds", "go_goroutines", "http_request_duration_seconds", "http_requests"}
    assert spoken(Samples({}, frozenset(families))) == ()


def test_nothing_of_what_is_no_number_is_added() -> None:
    body = (
        b"# TYPE llm_errors_total counter\n"
        b'llm_errors_total{route="",model="m",error_type="timeout"} NaN\n'
        b'llm_errors_total{route="",model="n",error_type="timeout"} 2\n'
        b"# TYPE llm_latency_ms histogram\n"
        b'llm_latency_ms_bucket{route="",model="m",le="x"} 1\nllm_latency_ms_bucket{route="",model="m",le="+Inf"} 1\n'
    )
    told = figures(None, Scraped(parse(body, "text"), 0.0, 0.0))
    assert told.dialects == ("hyperagent",)
    assert told.errors == {"timeout": Amount(2.0, None)}
    assert told.line.latency is not None
    assert math.isinf(told.line.latency.p50)


def test_quantiles_are_those_of_promql() -> None:
    spread = Spread({0.1: 0, 0.5: 4, 1.0: 10, math.inf: 12})
    assert spread.quantile(0.5) == pytest.approx(0.5 + 0.5 * 2 / 6)
    assert spread.quantile(0.25) == pytest.approx(0.1 + 0.4 * 3 / 4)
    assert spread.quantile(0.99) == math.inf
    assert (spread.top, Spread({}).quantile(0.5)) == (1.0, None)
