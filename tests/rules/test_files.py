"""Rule files as a whole: what promtool says of them, and that nothing is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tallygate.declare import CustomLabels, Label
from tallygate.dialects import DIALECTS
from tallygate.dialects.families import Histogram, Split
from tallygate.promql import Query, QueryError
from tallygate.rules import RULES, RUNBOOKS, Alert, Recording, RuleError, Targets, groups_of, rules_file
from tests.rules.promtool import promtool
from tests.rules.test_alerts import ALL, CASES

TOLD = {
    "tallygate": (37, 29),
    "aurora": (3, 0),
    "gatewayz": (28, 22),
    "hyperagent": (4, 0),
}
"""How many alerts and recording rules each dialect has."""


@pytest.mark.parametrize("scale", [1, 1 / 60])
def test_promtool_finds_nothing(tmp_path: Path, scale: float) -> None:
    files = []
    for dialect in RULES:
        files.append(tmp_path / f"{dialect}.rules.yml")
        files[-1].write_text(rules_file(dialect, ALL, scale=scale))
    status, said = promtool("check", "rules", "--lint=all", "--lint-fatal", *files)
    assert status == 0, said
    assert re.findall(r"SUCCESS: (\d+) rules found", said) == [str(sum(TOLD[dialect])) for dialect in RULES]


def test_every_dialect_with_rules_is_told_of() -> None:
    for dialect in RULES:
        rules = [rule for group in groups_of(dialect, ALL) for rule in group.rules]
        alerts = [rule for rule in rules if isinstance(rule, Alert)]
        assert (len(alerts), len(rules) - len(alerts)) == TOLD[dialect]


def test_every_alert_has_a_case_that_fires_and_one_that_nearly_does() -> None:
    for dialect in RULES:
        alerts = {alert.name for group in groups_of(dialect, ALL) for alert in group.alerts}
        assert {case.alert for case in CASES[dialect]} == alerts
        for case in CASES[dialect]:
            families = {series.partition("{")[0] for series in case.firing}
            assert case.quiet, case.alert
            for why, series in case.quiet.items():
                assert {name.partition("{")[0] for name in series} == families, f"{case.alert}: {why}"
                assert series != case.firing


def test_no_name_is_used_twice() -> None:
    """A silence for an alert of one dialect must not hide one of another."""
    names = [alert.name for dialect in RULES for group in groups_of(dialect, ALL) for alert in group.alerts]
    assert sorted(names) == sorted(set(names))
    groups = [group.name for dialect in RULES for group in groups_of(dialect, ALL)]
    assert len(groups) == len(set(groups))


def test_the_same_options_give_the_same_file() -> None:
    assert rules_file("tallygate", ALL) == rules_file("tallygate", ALL)


def test_what_is_written() -> None:
    document = yaml.safe_load(rules_file("tallygate"))
    (group,) = (group for group in document["groups"] if group["name"] == "tallygate-providers")
    (down,) = (rule for rule in group["rules"] if rule["alert"] == "TallygateProviderDown")
    assert list(down.items()) == [
        ("alert", "TallygateProviderDown"),
        ("expr", "avg by (job, provider) (tallygate_provider_available) < 0.6"),
        ("for", "2m"),
        ("keep_firing_for", "5m"),
        ("labels", {"severity": "critical"}),
        (
            "annotations",
            {
                "summary": "Provider {{ $labels.provider }} is down",
                "description": "{{ $value | humanizePercentage }} of the gateways of {{ $labels.job }} get good answers"
                " from {{ $labels.provider }}.",
                "runbook_url": f"{RUNBOOKS}/TallygateProviderDown.md",
            },
        ),
    ]


def test_a_scale_shortens_every_duration() -> None:
    seconds = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}

    def durations(scale: float) -> list[float]:
        text = rules_file("tallygate", ALL, scale=scale)
        found = re.findall(r"(?:\[|\[\d+\w+:|offset\s+|for: )(\d+)(ms|[smhd])\b", text)
        assert len(found) > 150
        return [int(number) * seconds[unit] for number, unit in found]

    assert durations(1 / 60) == [pytest.approx(each / 60) for each in durations(1)]


def test_every_text_tells_the_value_or_that_there_is_none() -> None:
    """A number without a unit of its own is made readable; some alerts are about whether, not about how much."""
    whether = {"TallygateBreakerOpen", "TallygateAbsent", "CircuitBreakerOpen"}
    silent = {"NoInferenceRequests", "APIEndpointDown"}
    for dialect in RULES:
        for group in groups_of(dialect, ALL):
            for alert in group.alerts:
                assert ("$value" in alert.description) == (alert.name not in whether | silent), alert.name
                assert alert.summary
                assert alert.description.endswith("."), alert.name


def test_budgets_have_alerts_when_they_are_told() -> None:
    names = {alert.name for group in groups_of("tallygate") for alert in group.alerts}
    assert not any("Budget" in name.replace("TallygateAvailability", "") for name in names)
    names = {alert.name for group in groups_of("tallygate", Targets(daily_budget=5)) for alert in group.alerts}
    assert {name for name in names if "Budget" in name} == {"TallygateDailyBudgetForecast", "TallygateDailyBudgetSpent"}


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        (
            {"latency_seconds": 15},
            "latency_seconds: 15 is no bucket of tallygate_llm_call_duration_seconds; take one of 0.05, 0.1, 0.25,"
            " 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600",
        ),
        (
            {"first_token_seconds": 2},
            "first_token_seconds: 2 is no bucket of tallygate_llm_time_to_first_token_seconds; take one of 0.01, 0.025,"
            " 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60",
        ),
        (
            {"availability_objective": 0.995},
            "availability_objective: 0.995 is no objective that can be alerted on; give a percentage from 94 to 99.99",
        ),
        (
            {"latency_objective": 100},
            "latency_objective: 100 is no objective that can be alerted on; give a percentage from 94 to 99.99",
        ),
        ({"daily_budget": 0}, "daily_budget: 0 is not above 0; give a number that is"),
        ({"spend_per_hour": float("nan")}, "spend_per_hour: nan is not above 0; give a number that is"),
    ],
)
def test_a_target_that_cannot_be(targets: dict[str, float], problem: str) -> None:
    with pytest.raises(RuleError) as raised:
        Targets(**targets)
    assert str(raised.value) == problem


def test_a_dialect_without_rules() -> None:
    with pytest.raises(RuleError, match=r"^dialect: 'erato' has no rules; take one of tallygate, aurora, gatewayz, "):
        rules_file("erato")


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_that_is_none(scale: float) -> None:
    with pytest.raises(RuleError, match=r"^scale: .+ is not above 0; give a number that is, such as 1/60$"):
        rules_file("aurora", scale=scale)


def test_a_group_may_say_how_often_it_is_evaluated() -> None:
    (group,) = yaml.safe_load(rules_file("hyperagent"))["groups"]
    assert list(group) == ["name", "interval", "rules"]
    assert (group["name"], group["interval"]) == ("llm_alerts", "30s")
    (aurora,) = yaml.safe_load(rules_file("aurora"))["groups"]
    assert list(aurora) == ["name", "rules"]


def test_a_text_names_only_labels_that_are_there() -> None:
    query = Query("sum by (model) (x)", frozenset({"model"}))
    problem = r"^A: '\{\{ \$labels.provider \}\}' names the label 'provider'; the query has model$"
    with pytest.raises(RuleError, match=problem):
        Alert("A", query, "info", "{{ $labels.model }}", "{{ $labels.provider }}")


def test_no_objective_asks_for_more_than_all_calls_to_fail() -> None:
    for rule in (rule for group in groups_of("tallygate", Targets(94, 94, 30, 94)) for rule in group.rules):
        if rule.name.endswith("BurnFast"):
            (limit, *_) = re.findall(r"ratio_rate1h > ([0-9.]+)", str(rule.query))
            assert float(limit) < 1


def test_a_threshold_above_the_top_bucket_is_refused() -> None:
    """Where rules ask for quantiles, promql.py sees to it; this is the guard's guard."""
    from tallygate.promql import Vocabulary

    gatewayz = Vocabulary(DIALECTS["gatewayz"], window="5m")
    http = gatewayz("http_request_duration_seconds")
    assert isinstance(http.family, Histogram)
    with pytest.raises(QueryError, match="is never above its top bucket, 5;"):
        http.quantile(0.95).above(10)


def test_recording_rules_are_named_by_level_metric_and_operation() -> None:
    operation = r"(rate5m|ratio_rate(5m|30m|1h|2h|6h|1d|3d)|increase1d)"
    for rule in (rule for dialect in RULES for group in groups_of(dialect, ALL) for rule in group.rules):
        if isinstance(rule, Recording):
            assert re.fullmatch(rf"(job:tallygate_|job:gatewayz_|gatewayz:)[a-z_]+:{operation}", rule.name)
            assert rule.query.labels == ({"job"} if rule.name.startswith("job:") else set())


def values_of(dialect: str, sample: str, label: str) -> set[str] | None:
    """What a label can be; None where that is not known beforehand."""
    for family in DIALECTS[dialect]:
        if sample not in (family.name, *(f"{family.name}_{part}" for part in ("bucket", "sum", "count"))):
            continue
        if isinstance(family.value, Split) and label == family.value.label:
            return {word for word, _ in family.value.parts}
        for item in family.labels:
            if isinstance(item, CustomLabels) or item.name != label:
                continue
            shown = item if isinstance(item, Label) else Label(item)
            return {shown(value) for value in shown.dimension.values} if shown.dimension.values else None
    return None


def test_values_that_are_asked_for_exist() -> None:
    """A label whose values are known is never asked for another, which would be an alert that never fires."""
    seen = set()
    for dialect in RULES:
        for rule in (rule for group in groups_of(dialect, ALL) for rule in group.rules):
            for sample, matchers in re.findall(r"([a-z_]\w*)\{([^}]*)\}", str(rule.query)):
                for label, pattern in re.findall(r'(\w+)(?:=~|!=|!~|=)"([^"]*)"', matchers):
                    known = values_of(dialect, sample, label)
                    if known is None:
                        continue
                    for one in pattern.split("|"):
                        assert any(re.fullmatch(one, value) for value in known), f"{rule.name}: {label}={one}"
                        seen.add((sample, label, one))
    assert len(seen) > 20
