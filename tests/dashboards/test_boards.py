"""Every board of every dialect: what all of them keep, as Grafana reads it."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tallygate.dashboards import BOARDS, POSTGRES_PROVIDERS, boards, dashboards, encode
from tallygate.dialects import DIALECTS, UnknownDialect
from tallygate.dialects.families import Histogram, Summary

UIDS = {
    "tallygate-genai": "GenAI Observability",
    "tallygate-mcp": "MCP Monitoring",
    "tallygate-application": "Application Metrics",
    "tallygate-rag": "RAG & Knowledge Base",
    "tallygate-cost-reliability": "Cost & Reliability",
    "tallygate-erato": "Erato",
    "tallygate-aurora": "Aurora Gateway",
    "tallygate-gatewayz": "Gatewayz",
    "tallygate-archestra-genai": "Archestra GenAI Observability",
    "tallygate-archestra-mcp": "Archestra MCP Monitoring",
    "tallygate-archestra-application": "Archestra Application Metrics",
    "tallygate-archestra-knowledge-base": "Archestra RAG & Knowledge Base",
    "tallygate-hyperagent": "HyperAgent",
}
"""Never to be changed: bookmarks, links and updates go by them."""
WINDOW = re.compile(r"\[([^\]]+)\](?=\))")
SELECTED = re.compile(r"\{([^{}]*)\}")
VARIABLE = re.compile(r"\$(?:\{(\w+)[^}]*\}|(\w+))")
SAID = {
    "5m": "five minutes",
    "1h": "hour",
    "6h": "six hours",
    "3d": "three days",
    "1d": "day",
    "24h": "24 ?h|daily|day",
}
"""Fixed windows, and the words by which a panel tells that it has one."""

Json = dict[str, Any]


def every() -> Iterator[tuple[str, Json]]:
    """All boards, and those that depend on who exports PostgreSQL's figures once for each."""
    seen = set()
    for dialect, provider in itertools.product(BOARDS, POSTGRES_PROVIDERS):
        for dashboard in dashboards(dialect, postgres_provider=provider):
            text = encode(dashboard)
            if text not in seen:
                seen.add(text)
                yield f"{dashboard.uid} {provider}", json.loads(text)


EVERY = dict(every())
each_board = pytest.mark.parametrize("board", EVERY.values(), ids=EVERY)


def panels(board: Json) -> Iterator[Json]:
    for panel in board["panels"]:
        yield from (panel, *panel["panels"]) if panel["type"] == "row" else (panel,)


def shown(board: Json) -> Iterator[Json]:
    return (panel for panel in panels(board) if panel["type"] != "row")


def expressions(board: Json) -> Iterator[tuple[Json, str]]:
    return ((panel, target["expr"]) for panel in shown(board) for target in panel["targets"] if "expr" in target)


def test_uids_and_titles_stay() -> None:
    for provider in POSTGRES_PROVIDERS:
        found = [(board.uid, board.title) for name in BOARDS for board in boards(name, postgres_provider=provider)]
        assert len(found) == len(UIDS)
        assert dict(found) == UIDS
    assert all(re.fullmatch(r"[a-z-]{8,40}", uid) for uid in UIDS)


@each_board
def test_a_board_has_what_grafana_wants(board: Json) -> None:
    assert board["schemaVersion"] == 41
    assert not {"id", "version", "__inputs", "__requires"} & board.keys()
    assert board["description"].endswith(".")
    assert board["tags"][0] == "tallygate"
    assert board["tags"][1] in DIALECTS
    assert board["time"] == {"from": board["time"]["from"], "to": "now"}
    (own,) = [each for each in board["annotations"]["list"] if each.get("builtIn") == 1]
    assert own["datasource"] == {"type": "grafana", "uid": "-- Grafana --"}
    assert own["type"] == "dashboard"


@each_board
def test_a_board_is_what_the_sdk_reads_back(board: Json) -> None:
    register_default_plugins()
    read = json.loads(encode(Dashboard.from_json(board)))
    for variable in read["templating"]["list"]:  # what the SDK adds, though Grafana has it for intervals only
        assert (variable.pop("auto"), variable.pop("auto_min"), variable.pop("auto_count")) == (False, "10s", 30)
    assert read == board


@each_board
def test_ids_are_unique_and_nothing_overlaps(board: Json) -> None:
    ids = [panel["id"] for panel in panels(board)]
    assert ids == list(range(1, len(ids) + 1))
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for cell in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        ):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]
    titles = [panel["title"] for panel in shown(board)]
    assert all(titles)


@each_board
def test_every_panel_can_be_read(board: Json) -> None:
    for panel in shown(board):
        means, _, when_bad = panel["description"].partition("\n\n**When it looks bad:** ")
        assert means.endswith("."), panel["title"]
        assert when_bad.endswith((".", ").")), panel["title"]
        if panel["type"] == "traces":  # one trace, opened: no field is shown
            continue
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"], panel["title"]
        assert defaults["noValue"], panel["title"]
        assert defaults["thresholds"]["steps"][0] == {
            "color": defaults["thresholds"]["steps"][0]["color"],
            "value": None,
        }
        steps = [step["value"] for step in defaults["thresholds"]["steps"][1:]]
        assert steps == sorted(steps), panel["title"]
        for target in panel["targets"]:
            assert target.get("legendFormat", "no legend") != "", panel["title"]


@each_board
def test_every_panel_asks_the_data_source_that_was_chosen(board: Json) -> None:
    chosen = {each["name"]: each["query"] for each in board["templating"]["list"] if each["type"] == "datasource"}
    assert chosen["datasource"] == "prometheus"
    assert chosen.get("tempo", "tempo") == "tempo"
    for panel in shown(board):
        asked = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert asked[0] in ({"type": kind, "uid": f"${{{name}}}"} for name, kind in chosen.items()), panel["title"]
        assert all(each == asked[0] for each in asked), panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0


@each_board
def test_variables_are_chained_and_used(board: Json) -> None:
    known, text = set[str](), json.dumps(board["panels"])
    for variable in board["templating"]["list"]:
        query = variable["query"]["query"] if variable["type"] == "query" else ""
        assert {a or b for a, b in VARIABLE.findall(query)} <= known, query
        if variable["type"] == "query" and variable["multi"]:
            assert variable["includeAll"]
            assert variable["allValue"] == ".*"
            assert variable["current"] == {"selected": True, "text": "All", "value": "$__all"}
            assert variable["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        known.add(variable["name"])
    used = {a or b for a, b in VARIABLE.findall(text) if not (a or b).startswith("__")}  # those are Grafana's own
    assert used <= known
    assert known - {"tempo"} <= used, "nothing changes when it is chosen"


@each_board
def test_windows_fit_the_scrapes_or_are_said(board: Json) -> None:
    """A fixed window of minutes is empty where scrapes are rarer; one of hours is what a panel says it is about."""
    for panel, expression in expressions(board):
        for window in WINDOW.findall(expression):
            if window not in ("$__rate_interval", "$__range", "$period"):
                told = f"{panel['title']} {panel['description']}"
                assert window in SAID, expression
                assert re.search(SAID[window], told, re.IGNORECASE), f"{panel['title']}: {window}"


@each_board
def test_the_sides_of_a_ratio_are_narrowed_alike(board: Json) -> None:
    """Else choosing a model would divide what all models did by what one did."""
    for panel, expression in expressions(board):
        if " / " in expression:
            narrowed = {frozenset(re.findall(r'(\w+)=~"\$', matchers)) for matchers in SELECTED.findall(expression)}
            assert len(narrowed) <= 1, f"{panel['title']}: {expression}"


@each_board
def test_what_has_buckets_shows_exemplars(board: Json) -> None:
    for panel in shown(board):
        for target in panel["targets"]:
            if "expr" in target and target["range"]:
                assert target["exemplar"] is ("_bucket" in target["expr"]), panel["title"]


@each_board
def test_what_looks_over_the_whole_range_is_asked_once(board: Json) -> None:
    for panel in shown(board):
        for target in panel["targets"]:
            if "$__range]" in target.get("expr", "") or "$period]" in target.get("expr", ""):
                assert (target["instant"], target["range"]) == (True, False), panel["title"]


@pytest.mark.parametrize("dialect", ["tallygate", "erato", "aurora", "hyperagent"])
def test_every_family_is_on_some_board(dialect: str) -> None:
    asked = set()
    for board in EVERY.values():
        if dialect == board["tags"][1]:
            for _, expression in expressions(board):
                asked |= set(re.findall(r"\w+", expression))
    missing = []
    for family in DIALECTS[dialect]:
        suffixes = ("_bucket", "_count", "_sum") if isinstance(family, Histogram | Summary) else ("",)
        if not any(family.name + suffix in asked for suffix in suffixes):
            missing.append(family.name)
    assert missing == []


def test_the_bytes_are_always_the_same() -> None:
    """Whatever order this interpreter has its sets in."""
    program = (
        "import hashlib; from tallygate.dashboards import BOARDS, dashboards, encode;"
        "print(hashlib.sha256(''.join(encode(d) for n in BOARDS for d in dashboards(n)).encode()).hexdigest())"
    )
    here = "".join(encode(each) for name in BOARDS for each in dashboards(name))
    elsewhere = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True, env={"PYTHONHASHSEED": "7"}
    )
    assert elsewhere.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


def test_boards_cannot_be_changed_through_what_was_made_of_them() -> None:
    before = [encode(each) for each in dashboards("hyperagent")]
    (made,) = dashboards("hyperagent")
    assert made.panels
    made.panels[1].title = "changed"
    assert [encode(each) for each in dashboards("hyperagent")] == before


def test_a_dialect_without_boards_and_an_exporter_that_is_not_known() -> None:
    with pytest.raises(UnknownDialect, match=r"^no dialect is called 'otel'; known are archestra, aurora, erato, gate"):
        dashboards("otel")
    with pytest.raises(ValueError, match=r"^postgres_provider: 'rds' is none of helm, otel, cloudsql, azure$"):
        dashboards(postgres_provider="rds")
