"""Builders: what a declaration becomes in Grafana's own terms."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row, laid_out
from tallygate.dashboards.panels import BELOW, bars, heatmap, percentiles, stat, table, timeseries, traces
from tallygate.dashboards.variables import chained, choice, label_choice, vocabulary
from tallygate.promql import Query, QueryError

ask = vocabulary("tallygate", "provider", "model")
CALLS = ask("tallygate_llm_calls_total")
DURATION = ask("tallygate_llm_call_duration_seconds")
WORDS = ("Title", "What it means.", "What to do.")


def as_json(model: object) -> Any:
    return json.loads(json.dumps(model, cls=JSONEncoder))


def target(model: object, number: int = 0) -> Any:
    return as_json(model)["targets"][number]


def places(*rows: Row) -> list[tuple[int, int, int, int, int]]:
    """Of all panels: id, x, y, width, height."""
    found = []
    for each in as_json(list(laid_out(rows))):
        for panel in (each, *each.get("panels", ())):
            place = panel["gridPos"]
            found.append((panel["id"], place["x"], place["y"], place["w"], place["h"]))
    return found


def test_panels_go_from_left_to_right_and_below_the_tallest() -> None:
    small, wide = stat(*WORDS, unit=units.Short), timeseries(*WORDS, unit=units.Short)
    assert places(Row("One", (small, wide, wide)), Row("Two", (wide,))) == [
        (1, 0, 0, 24, 1),
        (2, 0, 1, 4, 4),
        (3, 4, 1, 12, 8),
        (4, 0, 9, 12, 8),
        (5, 0, 17, 24, 1),
        (6, 0, 18, 12, 8),
    ]
    assert small.id_val is None
    assert small.grid_pos is not None
    assert (small.grid_pos.x, small.grid_pos.y) == (0, 0)


def test_a_collapsed_row_holds_its_panels_and_takes_one_line() -> None:
    wide = timeseries(*WORDS, unit=units.Short)
    rows = Row("Closed", (wide, wide), collapsed=True), Row("Open", (wide,))
    assert places(*rows) == [
        (1, 0, 0, 24, 1),
        (2, 0, 1, 12, 8),
        (3, 12, 1, 12, 8),
        (4, 0, 1, 24, 1),
        (5, 0, 2, 12, 8),
    ]
    first, second, _ = as_json(list(laid_out(rows)))
    assert (first["collapsed"], len(first["panels"])) == (True, 2)
    assert (second["collapsed"], second["panels"]) == (False, [])


def test_a_legend_names_the_labels_of_its_query_unless_it_is_given() -> None:
    panel = timeseries(
        *WORDS,
        CALLS.rate().sum("model", "provider"),
        CALLS.rate().sum(),
        ("mine", CALLS.rate().sum()),
        unit=units.Short,
    )
    assert [(each["refId"], each["legendFormat"]) for each in as_json(panel)["targets"]] == [
        ("A", "{{model}} {{provider}}"),
        ("B", "Title"),
        ("C", "mine"),
    ]
    assert as_json(panel)["description"] == "What it means.\n\n**When it looks bad:** What to do."


def test_queries_follow_what_is_chosen() -> None:
    assert target(stat(*WORDS, CALLS.rate().sum(), unit=units.Short)) == {
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "editorMode": "code",
        "exemplar": False,
        "expr": 'sum(rate(tallygate_llm_calls_total{job=~"$job", provider=~"$provider", model=~"$model"}'
        "[$__rate_interval]))",
        "instant": False,
        "legendFormat": "Title",
        "range": True,
        "refId": "A",
    }


def test_only_lines_and_heatmaps_of_buckets_have_exemplars() -> None:
    assert [each["exemplar"] for each in as_json(timeseries(*WORDS, *percentiles(DURATION), unit="s"))["targets"]] == [
        True,
        True,
        True,
    ]
    assert target(heatmap(*WORDS, DURATION.rate(part="bucket").sum("le"), unit="s"))["exemplar"] is True
    assert target(timeseries(*WORDS, CALLS.rate().sum(), unit="cps"))["exemplar"] is False
    assert target(bars(*WORDS, DURATION.quantile(0.5, "model", window="$__range"), unit="s"))["exemplar"] is False


def test_what_is_not_there_is_0_or_was_not_measured() -> None:
    def nothing(query: Query) -> str:
        return str(as_json(stat(*WORDS, query, unit="s"))["fieldConfig"]["defaults"]["noValue"])

    calls, available = CALLS.rate().sum(), ask("tallygate_provider_available").now
    for counted in (calls, calls.share_of(calls), available.sum()):
        assert nothing(counted) == "0"
    for measured in (DURATION.quantile(0.5), DURATION.mean(), 1 - calls.share_of(calls), available.min("provider")):
        assert nothing(measured) == "Nothing measured"


def test_thresholds_begin_below_everything() -> None:
    def steps(thresholds: dict[float, str] | None) -> Any:
        panel = stat(*WORDS, CALLS.rate().sum(), unit="s", thresholds=thresholds)
        return as_json(panel)["fieldConfig"]["defaults"]["thresholds"]["steps"]

    assert steps(None) == [{"color": "green", "value": None}]
    assert steps({1: "red"}) == [{"color": "green", "value": None}, {"color": "red", "value": 1}]
    assert steps({BELOW: "red", 1: "green"}) == [{"color": "red", "value": None}, {"color": "green", "value": 1}]


def test_a_second_unit_has_the_axis_on_the_right() -> None:
    panel = timeseries(
        *WORDS, ("size", CALLS.rate().sum()), ("age", DURATION.mean()), unit="short", right={"/^age/": "s"}
    )
    assert as_json(panel)["fieldConfig"]["overrides"] == [
        {
            "matcher": {"id": "byRegexp", "options": "/^age/"},
            "properties": [
                {"id": "custom.axisPlacement", "value": "right"},
                {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 4]}},
                {"id": "unit", "value": "s"},
            ],
        }
    ]


def test_columns_of_a_table_are_queries_and_their_labels() -> None:
    calls = CALLS.increase("$__range").sum("provider", "model")
    panel = as_json(
        table(*WORDS, ("Calls", calls), ("Twice", calls * 2), units=["short", "s"], thresholds={"Twice": {5: "red"}})
    )
    assert [(each["format"], each["instant"]) for each in panel["targets"]] == [("table", True)] * 2
    assert panel["transformations"] == [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True},
                "indexByName": {"model": 0, "provider": 1, "Value #A": 2, "Value #B": 3},
                "renameByName": {"Value #A": "Calls", "Value #B": "Twice"},
            },
        },
    ]
    labels, calls_column, twice_column = panel["fieldConfig"]["overrides"]
    assert labels == {
        "matcher": {"id": "byType", "options": "string"},
        "properties": [{"id": "noValue", "value": "(none)"}],
    }
    assert calls_column == {
        "matcher": {"id": "byName", "options": "Calls"},
        "properties": [{"id": "unit", "value": "short"}],
    }
    assert [each["id"] for each in twice_column["properties"]] == ["unit", "thresholds", "custom.cellOptions"]
    single = as_json(table(*WORDS, ("Calls", calls), units=["short"]))
    assert single["transformations"][1]["options"]["renameByName"] == {"Value": "Calls"}
    chosen = vocabulary("tallygate", custom=("$owner",))("tallygate_llm_cost_usd_total")
    by_choice = as_json(table(*WORDS, ("Cost", chosen.increase("1d").sum("$owner")), units=["short"]))
    assert by_choice["transformations"][1]["options"]["indexByName"] == {}  # a key with a variable orders nothing


def explored(panel: object) -> Any:
    """What the link of a panel opens."""
    (link,) = as_json(panel)["fieldConfig"]["defaults"]["links"]
    assert (link["title"], link["targetBlank"]) == ("Traces", True)
    address, _, panes = link["url"].partition("&panes=")
    assert address == "/explore?schemaVersion=1&orgId=1"
    return json.loads(unquote(panes))["traces"]


def test_series_link_to_the_traces_of_what_they_count() -> None:
    by_model = CALLS.rate().sum("provider", "model")
    assert explored(timeseries(*WORDS, by_model, unit="cps")) == {
        "datasource": "${tempo}",
        "queries": [
            {
                "limit": 20,
                "query": '{ span.gen_ai.request.model="${__field.labels.model}"'
                ' && span.gen_ai.provider.name="${__field.labels.provider}" }',
                "queryType": "traceql",
                "refId": "A",
            }
        ],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    lines = table(*WORDS, ("Calls", by_model), units=["cps"])
    assert explored(lines)["queries"][0]["query"].startswith('{ span.gen_ai.request.model="${__data.fields.model}"')
    mixed = timeseries(*WORDS, by_model, CALLS.rate().sum("provider"), unit="cps")
    assert explored(mixed)["queries"][0]["query"] == '{ span.gen_ai.provider.name="${__field.labels.provider}" }'
    for query in (CALLS.rate().sum(), CALLS.rate().sum("outcome")):
        assert as_json(timeseries(*WORDS, query, unit="cps"))["fieldConfig"]["defaults"]["links"] == []


def test_traces_come_from_tempo() -> None:
    panel = traces(*WORDS, "{ name = `chat` }", limit=5)
    assert target(panel) == {
        "datasource": {"type": "tempo", "uid": "${tempo}"},
        "filters": [],
        "limit": 5,
        "query": "{ name = `chat` }",
        "queryType": "traceql",
        "refId": "A",
    }


def test_values_are_chosen_among_those_of_what_was_chosen_before() -> None:
    assert [(each["name"], each["query"]["query"]) for each in as_json(chained(CALLS, "provider", "model"))] == [
        ("job", "label_values(tallygate_llm_calls_total, job)"),
        ("provider", 'label_values(tallygate_llm_calls_total{job=~"$job"}, provider)'),
        ("model", 'label_values(tallygate_llm_calls_total{job=~"$job", provider=~"$provider"}, model)'),
    ]
    (_, of_histogram) = as_json(chained(DURATION, "model"))
    assert of_histogram["query"]["query"] == (
        'label_values(tallygate_llm_call_duration_seconds_count{job=~"$job"}, model)'
    )
    with pytest.raises(QueryError, match="has no label 'colour'"):
        chained(CALLS, "colour", "model")


def test_one_of_some_values_and_one_of_the_labels() -> None:
    slo = as_json(choice("slo", "Promised", "Percent.", "99.5", "99"))
    assert (slo["type"], slo["query"], slo["current"]["value"]) == ("custom", "99.5,99", "99.5")
    assert [(each["value"], each["selected"]) for each in slo["options"]] == [("99.5", True), ("99", False)]
    owner = as_json(label_choice("owner", "Spend by", "A label.", CALLS, "route"))
    assert owner["query"]["query"] == "label_names(tallygate_llm_calls_total)"
    assert (owner["regex"], owner["current"]["value"]) == ("/^(?!__name__$|job$|instance$).*/", "route")


def test_custom_labels_are_asked_for_by_a_variable() -> None:
    cost = vocabulary("tallygate", custom=("$owner",))("tallygate_llm_cost_usd_total")
    assert target(bars(*WORDS, cost.increase("$__range").sum("$owner").top(3), unit="currencyUSD")) | {
        "datasource": {}
    } == {
        "datasource": {},
        "editorMode": "code",
        "exemplar": False,
        "expr": 'topk(3, sum by ($owner) (increase(tallygate_llm_cost_usd_total{job=~"$job"}[$__range])))',
        "instant": True,
        "legendFormat": "{{$owner}}",
        "range": False,
        "refId": "A",
    }


def test_a_board_says_where_it_looks() -> None:
    board = Board("some-board", "Some", "Help.", "tallygate", (), (), "now-1h", "utc", "5m")
    made = as_json(board.dashboard())
    assert made["time"] == {"from": "now-1h", "to": "now"}
    assert (made["timezone"], made["refresh"], made["title"], made["uid"]) == ("utc", "5m", "Some", "some-board")
    assert made["links"][0]["tags"] == ["tallygate", "tallygate"]
