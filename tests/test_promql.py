"""Queries over declared families: what is written, and what cannot be."""

import json
import subprocess
from pathlib import Path

import pytest

from tallygate.dialects import DIALECTS
from tallygate.dialects.families import BareCounter, Gauge
from tallygate.promql import Exporter, Query, QueryError, Recorded, Scalar, Vocabulary, foreign

OURS = Vocabulary(DIALECTS["tallygate"], window="5m")
CALLS, ERRORS = OURS("tallygate_llm_calls_total"), OURS("tallygate_llm_errors_total")
DURATION = OURS("tallygate_llm_call_duration_seconds")
RECORDED = Recorded("job:calls:rate5m", frozenset({"job"}))

WRITTEN = {
    '(sum by (model) (rate(tallygate_llm_errors_total{domain="provider"}[5m]))'
    " / sum by (model) (rate(tallygate_llm_calls_total[5m]))) > 0.05": (
        ERRORS.where(domain="provider").rate().sum("model") / CALLS.rate().sum("model")
    ).above(0.05),
    "histogram_quantile(0.95, sum by (provider, le) (rate(tallygate_llm_call_duration_seconds_bucket[1h])))": (
        DURATION.quantile(0.95, "provider", window="1h")
    ),
    "sum(rate(tallygate_llm_call_duration_seconds_sum[5m]))"
    " / sum(rate(tallygate_llm_call_duration_seconds_count[5m]))": DURATION.mean(),
    "(sum(increase(tallygate_llm_calls_total[5m])) or vector(0)) * 2": CALLS.increase().sum().or_zero() * 2,
    'topk(3, tallygate_provider_available{provider!~"a\\\\.b\\"c"})': (
        OURS("tallygate_provider_available").unlike(provider='a\\.b"c').now.top(3)
    ),
    "sum by (model) (rate(tallygate_llm_calls_total[5m])) / ignoring(model) group_left"
    " sum(rate(tallygate_llm_calls_total[5m]))": CALLS.rate().sum("model").per(CALLS.rate().sum()),
    "clamp_min(sum(rate(tallygate_llm_calls_total[5m])), 0.001)": CALLS.rate().sum().at_least(0.001),
    "sum(rate(tallygate_llm_calls_total[1h] offset 1d))": CALLS.ago("1d").rate("1h").sum(),
    "absent(tallygate_workers offset 5m)": OURS("tallygate_workers").ago("5m").now.absent(),
    "sum(rate(tallygate_llm_call_duration_seconds_count[5m]))"
    ' - sum(rate(tallygate_llm_call_duration_seconds_bucket{le=~"2[.]5(?:[.]0)?"}[5m]))': DURATION.beyond("2.5"),
    "avg_over_time(job:calls:rate5m[1h]) > 1234567": RECORDED.average("1h").above(1234567),
    "sum_over_time(job:calls:rate5m[1d:5m]) + job:calls:rate5m": RECORDED.total("1d", "5m") + RECORDED.now,
    "avg_over_time(job:calls:rate5m[1d] offset 5m) / job:calls:rate5m offset 1d": (
        RECORDED.ago("5m").average("1d") / RECORDED.ago("1d").now
    ),
    "predict_linear(job:calls:rate5m[1h], 600)": RECORDED.foreseen("1h", 600),
}


@pytest.mark.parametrize(("text", "query"), WRITTEN.items(), ids=range(len(WRITTEN)))
def test_a_query_is_written_as_promql(text: str, query: Query) -> None:
    assert str(query) == text


def test_prometheus_reads_what_is_written(tmp_path: Path) -> None:
    rules = [{"record": f"written:{index}", "expr": str(query)} for index, query in enumerate(WRITTEN.values())]
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "written", "rules": rules}]}))
    checked = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert f"SUCCESS: {len(rules)} rules found" in checked.stdout


def test_filters_apply_to_every_family_that_has_the_label() -> None:
    ours = Vocabulary(DIALECTS["tallygate"], window="5m", filters={"provider": "$provider"})
    assert str(ours("tallygate_provider_available").now) == 'tallygate_provider_available{provider=~"$provider"}'
    assert str(ours("tallygate_workers").now) == "tallygate_workers"


def test_custom_labels_may_be_asked_for_when_they_are_named() -> None:
    ours = Vocabulary(DIALECTS["tallygate"], window="5m", custom=["team"])
    assert str(ours("tallygate_llm_calls_total").rate().sum("team")) == (
        "sum by (team) (rate(tallygate_llm_calls_total[5m]))"
    )


def test_a_family_that_does_not_exist_cannot_be_asked() -> None:
    with pytest.raises(QueryError, match=r"^the dialect 'tallygate' has no family 'tallygate_llm_cals_total'$"):
        OURS("tallygate_llm_cals_total")


def test_a_label_that_does_not_exist_cannot_be_asked() -> None:
    with pytest.raises(QueryError, match=r"^tallygate_provider_available: has no label 'modle'; it has instance, job"):
        OURS("tallygate_provider_available").where(modle="x")
    with pytest.raises(QueryError, match=r"has no label 'modle'; it has "):
        CALLS.rate().sum("modle")
    with pytest.raises(QueryError, match=r"has no label 'provider'; it has model$"):
        CALLS.rate().sum("model").sum("provider")


def test_sides_with_different_labels_would_match_nothing() -> None:
    with pytest.raises(QueryError, match=r"nothing matches, the one has the labels model and the other none"):
        CALLS.rate().sum("model") / CALLS.rate().sum()


@pytest.mark.parametrize("family", ["tallygate_provider_available", "tallygate_build_info", "tallygate_breaker_state"])
def test_only_what_grows_has_a_rate(family: str) -> None:
    with pytest.raises(QueryError, match=r"rate\(\) is for counters and histograms, this is a "):
        OURS(family).rate()


def test_a_share_within_a_bound_needs_its_bucket() -> None:
    assert 'le=~"10(?:[.]0)?"' in str(DURATION.within("10"))
    with pytest.raises(QueryError, match=r"has no bucket '11'; it has "):
        DURATION.within("11")


def test_zero_stands_in_for_one_number_only() -> None:
    with pytest.raises(QueryError, match=r"0 has no labels, the query has model; sum\(\) it first$"):
        CALLS.rate().sum("model").or_zero()


def test_a_quantile_is_never_above_the_top_bucket() -> None:
    assert str(DURATION.quantile(0.9).above(599)).endswith("> 599")
    assert str((DURATION.quantile(0.9) * 1000).above(600)).endswith("> 600")
    for query in (
        DURATION.quantile(0.9, "model"),
        DURATION.quantile(0.9, "model").max(),
        DURATION.quantile(0.9).top(3),
    ):
        with pytest.raises(QueryError, match=r"> 600: is never above its top bucket, 600; ask for a smaller number"):
            query.above(600)


def test_numbers_that_prometheus_works_out() -> None:
    calls = CALLS.rate().sum()
    assert str(calls * Scalar("86400 - time() % 86400") / Scalar("1 - $slo / 100")) == (
        "(sum(rate(tallygate_llm_calls_total[5m])) * (86400 - time() % 86400)) / (1 - $slo / 100)"
    )
    assert str(1 - calls / calls) == (
        "1 - (sum(rate(tallygate_llm_calls_total[5m])) / sum(rate(tallygate_llm_calls_total[5m])))"
    )


def test_families_of_other_programs_are_checked_alike() -> None:
    exporter = Exporter(
        "postgres_exporter",
        (foreign(BareCounter, "pg_stat_database_deadlocks", "datname"), foreign(Gauge, "pg_wal_size_bytes")),
    )
    theirs = Vocabulary(exporter, window="5m")
    deadlocks = theirs("pg_stat_database_deadlocks").where(datname="shop").rate().sum("datname")
    assert str(deadlocks) == 'sum by (datname) (rate(pg_stat_database_deadlocks{datname="shop"}[5m]))'
    with pytest.raises(QueryError, match="pg_wal_size_bytes: has no label 'datname'; it has instance, job"):
        theirs("pg_wal_size_bytes").where(datname="shop")
    with pytest.raises(QueryError, match="the exporter 'postgres_exporter' has no family 'pg_up'"):
        theirs("pg_up")


def test_a_share_of_nothing_is_0() -> None:
    calls = CALLS.rate().sum()
    assert str(calls.share_of(calls)) == (
        "sum(rate(tallygate_llm_calls_total[5m])) / clamp_min(sum(rate(tallygate_llm_calls_total[5m])), 1e-09)"
    )


def test_a_histogram_has_no_values_of_its_own() -> None:
    assert DURATION.where(stream="true").series == 'tallygate_llm_call_duration_seconds_count{stream="true"}'
    assert CALLS.series == "tallygate_llm_calls_total"
    with pytest.raises(QueryError, match=r"^tallygate_llm_call_duration_seconds: a histogram has no values; ask for "):
        _ = DURATION.now
