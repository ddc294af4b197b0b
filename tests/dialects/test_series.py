"""Which series a family has, under which labels, and which of them at 0."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tallygate.declare import CUSTOM_LABELS
from tallygate.dialects import Dialect, DialectError
from tallygate.dialects.families import Counter, Gauge, Histogram
from tallygate.errors import domain_of
from tallygate.facts import CacheLookup, HTTPInFlight, HTTPRequest, LLMCall

from .fakes import FakeLedger, samples

by_model = (LLMCall.model,)
GPT, SONNET = {"provider": "openai", "model": "gpt"}, {"provider": "anthropic", "model": "sonnet"}


def ledger(dialect: Dialect, *facts: type, custom: tuple[str, ...] = ()) -> FakeLedger:
    return FakeLedger(*(facts or (LLMCall,)), dialects=[dialect], custom=custom)


def test_a_condition_about_no_label_still_shows_the_series_at_zero() -> None:
    hits = CacheLookup.count.where(CacheLookup.result.among("hit"))
    dialect = Dialect("d", Counter("hits_total", hits, by=(CacheLookup.route,)))
    store = ledger(dialect, CacheLookup)
    store.record(CacheLookup, {"route": "chat", "result": "miss"})
    store.record(CacheLookup, {"route": "code", "result": "hit"})
    assert samples(store.plan(dialect)) == {'hits_total{route="chat"}': 0, 'hits_total{route="code"}': 1}


def test_a_condition_about_a_label_leaves_the_series_out() -> None:
    seen = HTTPRequest.method.not_among("OPTIONS", "HEAD")
    dialect = Dialect("d", Counter("requests_total", HTTPRequest.count.where(seen), by=(HTTPRequest.method,)))
    store = ledger(dialect, HTTPRequest)
    for method in ("GET", "OPTIONS", "HEAD"):
        store.record(HTTPRequest, {"method": method})
    assert samples(store.plan(dialect)) == {'requests_total{method="GET"}': 1}


def test_a_histogram_under_a_condition_has_no_empty_series() -> None:
    completed = LLMCall.duration.where(LLMCall.outcome.among("completed"))
    dialect = Dialect("d", Histogram("latency_seconds", completed, by=by_model, buckets=(1,)))
    store = ledger(dialect)
    store.record(LLMCall, GPT | {"outcome": "failed"}, duration=1)
    assert samples(store.plan(dialect)) == {}


def test_a_measure_that_is_never_set_on_a_row_has_no_empty_histogram() -> None:
    ttft = LLMCall.time_to_first_token
    dialect = Dialect(
        "d", Histogram("ttft_seconds", ttft, by=by_model, buckets=(1,)), Counter("waited_total", ttft, by=by_model)
    )
    store = ledger(dialect)
    store.record(LLMCall, GPT | {"stream": "false"})
    store.record(LLMCall, SONNET | {"stream": "true"}, time_to_first_token=5_000_000)
    store[LLMCall].record(store[LLMCall].rows()[0], time_to_first_token=20_000_000)
    assert samples(store.plan(dialect)) == {
        'ttft_seconds_bucket{model="sonnet",le="1"}': 1,
        'ttft_seconds_bucket{model="sonnet",le="+Inf"}': 1,
        'ttft_seconds_sum{model="sonnet"}': Decimal("0.5"),
        'ttft_seconds_count{model="sonnet"}': 1,
        'ttft_seconds_bucket{model="other",le="1"}': 0,
        'ttft_seconds_bucket{model="other",le="+Inf"}': 1,
        'ttft_seconds_sum{model="other"}': 2,
        'ttft_seconds_count{model="other"}': 1,
        'waited_total{model="gpt"}': 0,
        'waited_total{model="sonnet"}': Decimal("0.5"),
        'waited_total{model="other"}': 2,
    }


def test_the_overflow_row_is_no_error_and_no_success() -> None:
    failed = LLMCall.count.where(LLMCall.error_type.not_among(""))
    seen = HTTPRequest.count.where(HTTPRequest.method.not_among("HEAD"))
    dialect = Dialect(
        "d",
        Counter("calls_total", LLMCall.count),
        Counter("failed_total", failed),
        Counter("errors_total", failed, by=(LLMCall.error_type,)),
        Counter("requests_total", seen),
    )
    store = ledger(dialect, LLMCall, HTTPRequest)
    for table in store.tables.values():
        table.record(table.rows()[0])
    assert samples(store.plan(dialect)) == {"calls_total{}": 1, "failed_total{}": 0, "requests_total{}": 1}


def test_from_zero_shows_the_whole_vocabulary_once_per_label_set() -> None:
    failed = LLMCall.count.where(LLMCall.error_type.not_among(""))
    words = {"provider_timeout": "timeout", "provider_network": "network", "": "none"}
    label = LLMCall.error_type.as_(words, otherwise="api_error").named("why").from_zero()
    dialect = Dialect("d", Counter("errors_total", failed, by=(LLMCall.model, label)))
    store = ledger(dialect)
    store.record(LLMCall, GPT)  # a success: it only makes the zeros known
    store.record(LLMCall, SONNET | {"error_type": "provider_timeout"})
    assert samples(store.plan(dialect)) == {
        'errors_total{model="gpt",why="api_error"}': 0,
        'errors_total{model="gpt",why="timeout"}': 0,
        'errors_total{model="gpt",why="network"}': 0,
        'errors_total{model="sonnet",why="timeout"}': 1,
        'errors_total{model="sonnet",why="api_error"}': 0,
        'errors_total{model="sonnet",why="network"}': 0,
    }


def test_two_labels_of_one_dimension_go_together() -> None:
    error = (LLMCall.error_type.as_(domain_of).named("domain"), LLMCall.error_type.from_zero("other", "policy_budget"))
    dialect = Dialect("d", Counter("errors_total", LLMCall.count.where(LLMCall.error_type.not_among("")), by=error))
    store = ledger(dialect)
    assert samples(store.plan(dialect)) == {
        'errors_total{domain="other",error_type="other"}': 0,
        'errors_total{domain="policy",error_type="policy_budget"}': 0,
    }


def test_zeros_show_combinations_before_they_happen() -> None:
    labels = (LLMCall.model, LLMCall.status_code, LLMCall.outcome)
    zeros = ({"status_code": "500", "outcome": "failed"},)
    dialect = Dialect("d", Counter("calls_total", LLMCall.count, by=labels, zeros=zeros))
    store = ledger(dialect)
    store.record(LLMCall, GPT | {"status_code": "200", "outcome": "completed"})
    assert samples(store.plan(dialect)) == {
        'calls_total{model="gpt",status_code="200",outcome="completed"}': 1,
        'calls_total{model="gpt",status_code="500",outcome="failed"}': 0,
    }


def test_families_whose_series_are_all_known_are_there_before_any_row() -> None:
    dialect = Dialect(
        "d",
        Counter("all_total", CacheLookup.count),
        Counter("lookups_total", CacheLookup.count, by=(CacheLookup.result.from_zero(),)),
        Gauge("in_flight", HTTPInFlight.now),
    )
    store = ledger(dialect, CacheLookup, HTTPInFlight)
    expected = {"all_total{}": 0, 'lookups_total{result="hit"}': 0, 'lookups_total{result="miss"}': 0}
    assert samples(store.plan(dialect)) == expected


def test_custom_labels_take_their_place_where_the_fact_has_them() -> None:
    dialect = Dialect(
        "d",
        Counter("calls_total", LLMCall.count, by=(LLMCall.model, CUSTOM_LABELS, LLMCall.stream)),
        Counter("lookups_total", CacheLookup.count, by=(CacheLookup.cache, CUSTOM_LABELS)),
    )
    store = ledger(dialect, LLMCall, CacheLookup, custom=("cost_center", "team"))
    store.record(LLMCall, GPT | {"stream": "true", "cost_center": "42", "team": "core"})
    store.record(CacheLookup, {"cache": "answers"})
    assert samples(store.plan(dialect)) == {
        'calls_total{model="gpt",cost_center="42",team="core",stream="true"}': 1,
        'lookups_total{cache="answers"}': 1,
    }


def test_a_custom_label_that_hides_a_label_is_an_error() -> None:
    dialect = Dialect("d", Counter("calls_total", LLMCall.count, by=(LLMCall.provider.named("vendor"), CUSTOM_LABELS)))
    store = ledger(dialect, custom=("vendor",))
    with pytest.raises(DialectError, match=r"'d'.*'calls_total': the custom label 'vendor' is one of its own labels"):
        store.plan(dialect)


def test_label_values_are_escaped() -> None:
    dialect = Dialect("d", Counter("calls_total", LLMCall.count, by=by_model))
    store = ledger(dialect)
    store.record(LLMCall, {"model": 'a"b\\c\nd'})
    assert samples(store.plan(dialect)) == {'calls_total{model="a\\"b\\\\c\\nd"}': 1}
