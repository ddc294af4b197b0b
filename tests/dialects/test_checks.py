"""A dialect that cannot make valid pages is refused when it is built, with the place and the mend."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import combinations

import pytest

from tallygate.declare import Dimension, Distribution, Fact, Sum
from tallygate.declare import Gauge as GaugeMeasure
from tallygate.dialects import DIALECTS, Dialect, DialectClash, DialectError, UnknownDialect, merge, resolve
from tallygate.dialects.families import (
    BareCounter,
    Computed,
    Counter,
    Family,
    Gauge,
    Histogram,
    Info,
    StateSet,
    Summary,
    split,
)
from tallygate.facts import BuildInfo, CacheLookup, LLMCall, LLMInFlight, Process
from tallygate.ledger.schema import Combine


class Odd(Fact):
    """Measures that do not go together."""

    kind = Dimension("open")

    fine = Sum("seconds", "kept finely", exponent=-9)
    coarse = Sum("seconds", "kept coarsely", exponent=-3)
    thirds = Distribution("", "counted whole")
    most = GaugeMeasure("", "the most", combine=Combine.MAX)
    least = GaugeMeasure("", "the least", combine=Combine.MIN)


calls = LLMCall.count

WRONG: list[tuple[Callable[[], Family], str, str]] = [
    (lambda: Counter("calls", calls), "the name of a counter must end in _total", "call it calls_total"),
    (lambda: Counter("_total", calls), "the name of a counter must end in _total", "call it _total_total"),
    (lambda: Counter("9_total", calls), "not a metric name", "use letters, digits, _ and :"),
    (lambda: Gauge("now now", LLMInFlight.now), "not a metric name", "use letters, digits, _ and :"),
    (lambda: Info("build", BuildInfo.present), "the name of an info must end in _info", "call it build_info"),
    (lambda: Counter("x_total", LLMInFlight.now), "LLMInFlight.now goes up and down", "declare it as a Gauge"),
    (lambda: Histogram("x", LLMInFlight.now, buckets=(1,)), "LLMInFlight.now goes up", "declare it as a Gauge"),
    (lambda: Gauge("x", calls), "LLMCall.count only adds up", "declare it as a Counter"),
    (lambda: Info("x_info", calls), "LLMCall.count only adds up", "declare it as a Counter"),
    (
        lambda: Histogram("x", LLMCall.cost, buckets=(1,)),
        "a histogram reads one Distribution",
        "or declare a Counter",
    ),
    (
        lambda: Histogram("x", calls, buckets=(1,)),
        "a histogram reads one Distribution",
        "or declare a Counter",
    ),
    (
        lambda: Histogram("x", LLMCall.input_tokens + LLMCall.output_tokens, buckets=(1,)),
        "a histogram reads one Distribution",
        "or declare a Counter",
    ),
    (lambda: Summary("x", LLMCall.cost), "a summary reads one Distribution", "or declare a Counter"),
    (lambda: Summary("x", LLMInFlight.now), "LLMInFlight.now goes up", "declare it as a Gauge"),
    (lambda: Histogram("x", LLMCall.duration), "a histogram without buckets", "give buckets="),
    (lambda: Histogram("x", LLMCall.duration, buckets=(1, 1)), "the buckets do not ascend", "remove doubles"),
    (lambda: Histogram("x", LLMCall.duration, buckets=(2, 1)), "the buckets do not ascend", "sort them"),
    (lambda: Histogram("x", LLMCall.duration, buckets=(1, float("inf"))), "a bucket is not finite", "leave it out"),
    (
        lambda: Histogram("x", LLMCall.duration, buckets=(0.00000005, 1)),
        "bucket 5E-8 is finer than what is counted",
        "use multiples of 1E-7",
    ),
    (
        lambda: Histogram("x", LLMCall.duration * 1000, buckets=(0.00005,)),
        "bucket 0.00005 is finer than what is counted",
        "use multiples of 0.0001",
    ),
    (lambda: Histogram("x", LLMCall.input_tokens, buckets=(0.5,)), "bucket 0.5 is finer", "use multiples of 1"),
    (lambda: Histogram("x", Odd.thirds * 3, buckets=(10,)), "bucket 10 is finer", "use multiples of 3"),
    (lambda: Counter("x_total", calls, by=(CacheLookup.route,)), "grouped by CacheLookup.route", "of LLMCall"),
    (
        lambda: Counter("x_total", calls, by=(LLMCall.model, LLMCall.route.named("model"))),
        "has two labels 'model'",
        "rename one with .named(...)",
    ),
    (
        lambda: Counter("x_total", split("model", a=calls), by=(LLMCall.model,)),
        "has two labels 'model'",
        "rename one",
    ),
    (lambda: Counter("x_total", calls, by=(LLMCall.model.named("le"),)), "'le' cannot be a label", "rename it"),
    (lambda: Counter("x_total", split("quantile", a=calls)), "'quantile' cannot be a label", "rename it"),
    (lambda: Counter("x_total", calls, by=(LLMCall.model.named("__m"),)), "'__m' cannot be a label", "rename it"),
    (lambda: Counter("x_total", calls, by=(LLMCall.model.named("a-b"),)), "'a-b' cannot be a label", "rename it"),
    (lambda: Counter("x_total", split("type")), "a split without parts", "name at least one"),
    (
        lambda: Counter("x_total", split("type", a=calls, b=CacheLookup.count)),
        "reads measures of several facts (CacheLookup, LLMCall)",
        "read one fact per family",
    ),
    (
        lambda: Counter("x_total", Odd.fine + Odd.coarse),
        "adds measures kept at different resolutions (Odd.fine 10^-9, Odd.coarse 10^-3)",
        "read them as separate families",
    ),
    (
        lambda: Counter("x_total", LLMCall.input_tokens * 2 + LLMCall.output_tokens),
        "its terms have different factors",
        "multiply the whole sum instead",
    ),
    (lambda: Counter("x_total", LLMCall.cost * 0), "a factor is not above 0", "multiply with a positive number"),
    (lambda: Counter("x_total", LLMCall.cost * Decimal(-1)), "a factor is not above 0", "positive"),
    (
        lambda: Counter("x_total", calls.where(CacheLookup.result.among("hit"))),
        "its condition is about CacheLookup.result",
        "use LLMCall's own",
    ),
    (lambda: Gauge("x", Odd.most + Odd.least), "its gauges combine differently over workers", "separate families"),
    (lambda: Gauge("x", split("t", a=Odd.most, b=Odd.least)), "its gauges combine differently", "separate families"),
    (lambda: Info("x_info", split("t", a=Odd.most, b=Odd.most)), "an info reads one gauge", "several families"),
    (lambda: Info("x_info", Computed("rows")), "no info can be read from Computed(key='rows')", "of a fact"),
    (lambda: BareCounter("x_total", calls), "the name of a bare counter ends in _total", "declare it as a Counter"),
    (lambda: Summary("x", LLMCall.duration, within=(1, 2)), "tells within which bounds", "give quantiles="),
    (
        lambda: Summary("x", LLMCall.duration, quantiles=(0.5, 1.5), within=(1, 2)),
        "its quantiles are not different numbers from 0 to 1",
        "give quantiles=(0.5, 0.99)",
    ),
    (
        lambda: Summary("x", LLMCall.duration, quantiles=(0.5, 0.50), within=(1, 2)),
        "its quantiles are not different numbers",
        "give quantiles=",
    ),
    (
        lambda: Summary("x", LLMCall.duration * 1000, quantiles=(0.5,), within=(0.0001, 60)),
        "quantiles cannot be told within 0.0001 and 60",
        "ascending multiples of 0.0001, low at least tenfold",
    ),
    (
        lambda: Summary("x", LLMCall.duration, quantiles=(0.5,), within=(2, 1)),
        "quantiles cannot be told within 2 and 1",
        "ascending multiples of",
    ),
    (
        lambda: Summary("x", LLMCall.duration, quantiles=(0.5,)),
        "quantiles cannot be told within 0 and 0",
        "give within=(low, high)",
    ),
    (lambda: Gauge("x", Computed("rows"), by=(LLMCall.model,)), "has labels and no fact", "remove them"),
    (lambda: StateSet("x", Odd.most), "the states are not known", "a closed vocabulary"),
    (lambda: StateSet("x", Odd.most, state=Odd.kind), "the states are not known", "a closed vocabulary"),
    (
        lambda: Counter("x_total", calls, by=(LLMCall.model,), zeros=({"route": "chat"},)),
        "zeros names 'route', which is no label of it",
        "its labels are ['model']",
    ),
    (
        lambda: Counter("x_seconds_total", LLMCall.cost, unit="usd"),
        "the name does not end in its unit 'usd'",
        "rename it, or leave unit out",
    ),
]


UNTYPED: list[tuple[Callable[..., Family], dict[str, object], str, str]] = [
    (Counter, {"value": "duration"}, "its value is no measure", "read one of a fact: LLMCall.duration"),
    (Counter, {"value": LLMCall.model}, "its value is no measure", "read one of a fact"),
    (Counter, {"value": calls, "by": (LLMCall.model, "route")}, "by is no tuple of dimensions", "write by=(LLMCall"),
    (Counter, {"value": calls, "by": LLMCall.model}, "by is no tuple of dimensions", "write by=(LLMCall"),
    (Gauge, {"value": split("a", b=12)}, "its value is no measure", "read one"),  # type: ignore[arg-type]  # the point
]


@pytest.mark.parametrize(("kind", "arguments", "problem", "mend"), UNTYPED)
def test_what_a_type_checker_would_say(
    kind: Callable[..., Family], arguments: dict[str, object], problem: str, mend: str
) -> None:
    with pytest.raises(DialectError) as caught:
        Dialect("mine", kind("x_total", **arguments))
    assert (caught.value.family, caught.value.problem) == ("x_total", problem)
    assert mend in caught.value.mend


@pytest.mark.parametrize(("family", "problem", "mend"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_a_wrong_family_is_refused(family: Callable[[], Family], problem: str, mend: str) -> None:
    made = family()
    with pytest.raises(DialectError) as caught:
        Dialect("mine", made)
    assert str(caught.value).startswith(f"dialect 'mine', family {made.name!r}: {problem}")
    assert problem in caught.value.problem
    assert mend in caught.value.mend


@pytest.mark.parametrize("name", ["", "Mine", "a b", "9", "a/b"])
def test_a_dialect_has_a_name_that_fits_an_address(name: str) -> None:
    with pytest.raises(DialectError, match="not a dialect name; use lower-case letters"):
        Dialect(name)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            Counter("x_total", calls),
            Counter("x_total", calls),
            "family 'x_total': declared twice; remove or rename one",
        ),
        (
            Histogram("x", LLMCall.duration, buckets=(1,)),
            Gauge("x_count", LLMInFlight.now),
            "family 'x_count': clashes with histogram 'x': both own the name 'x_count'; rename one",
        ),
        (
            Gauge("x", LLMInFlight.now),
            Counter("x_total", calls),
            "family 'x_total': clashes with gauge 'x': both own the name 'x'; rename one",
        ),
        (
            Counter("x_total", calls),
            Gauge("x_created", LLMInFlight.now),
            "family 'x_created': clashes with counter 'x_total': both own the name 'x_created'; rename one",
        ),
    ],
)
def test_families_that_share_a_sample_name_clash(first: Family, second: Family, message: str) -> None:
    with pytest.raises(DialectError) as caught:
        Dialect("mine", first, second)
    assert str(caught.value) == f"dialect 'mine', {message}"
    with pytest.raises(DialectError, match=r"both own|declared twice"):
        Dialect("mine", second, first)


def test_a_histogram_may_end_in_count() -> None:
    Dialect("mine", Histogram("query_results_count", LLMCall.duration, buckets=(1,)), Counter("query_total", calls))


def test_a_sum_of_two_facts_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="both must read the same fact under the same condition"):
        LLMCall.cost + CacheLookup.count


def test_llm_tokens_total_clashes_between_archestra_and_hyperagent() -> None:
    with pytest.raises(DialectClash) as caught:
        resolve(["archestra", "hyperagent"])
    assert str(caught.value) == (
        "dialects 'archestra' and 'hyperagent' cannot share a page: each declares 'llm_tokens_total' in its own way; "
        "serve one of them by default and read the other apart, with ?dialect=hyperagent"
    )
    assert (caught.value.dialect, caught.value.other) == ("archestra", "hyperagent")
    assert caught.value.family == "llm_tokens_total"


def test_dialects_clash_through_suffixes_too() -> None:
    one = Dialect("one", Histogram("x", LLMCall.duration, buckets=(1,)))
    two = Dialect("two", Gauge("x_sum", LLMInFlight.now))
    message = "histogram 'x' and gauge 'x_sum' both own the name 'x_sum'; serve one"
    with pytest.raises(DialectClash, match=message):
        merge([one, two])


def test_which_built_in_dialects_share_a_page() -> None:
    """All but two pairs; and those are told apart by the family that each declares in its own way."""
    clashes = {}
    for pair in combinations(DIALECTS, 2):
        try:
            families = [family.name for _, family in merge(resolve(pair))]
        except DialectClash as caught:
            clashes[pair] = str(caught)
        else:
            assert len(families) == len(set(families))
    clash = (
        "dialects {0!r} and {1!r} cannot share a page: each declares {2!r} in its own way; "
        "serve one of them by default and read the other apart, with ?dialect={1}"
    )
    assert clashes == {
        ("gatewayz", "archestra"): clash.format("gatewayz", "archestra", "http_request_duration_seconds"),
        ("archestra", "hyperagent"): clash.format("archestra", "hyperagent", "llm_tokens_total"),
    }


def test_what_several_dialects_declare_alike_is_there_once() -> None:
    families = [family.name for _, family in merge(resolve(name for name in DIALECTS if name != "archestra"))]
    assert families.count("process_cpu_seconds_total") == 1


def test_the_same_name_read_otherwise_is_a_clash() -> None:
    one = Dialect("one", Gauge("process_max_fds", Process.max_fds, help="one"))
    two = Dialect("two", Gauge("process_max_fds", Process.max_fds, help="two"))
    with pytest.raises(DialectClash, match="each declares 'process_max_fds' in its own way"):
        merge([one, two])


def test_resolve() -> None:
    assert resolve(["hyperagent", "tallygate", "hyperagent"]) == (DIALECTS["hyperagent"], DIALECTS["tallygate"])
    with pytest.raises(UnknownDialect) as caught:
        resolve(["tallygate", "promql"])
    assert str(caught.value) == (
        "no dialect is called 'promql'; known are archestra, aurora, erato, gatewayz, hyperagent, otel, tallygate"
    )
    assert (caught.value.name, caught.value.known) == ("promql", tuple(sorted(DIALECTS)))
