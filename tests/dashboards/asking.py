"""The queries of dashboards as Grafana sends them: taken from their JSON, the variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tallygate.dashboards import BOARDS, POSTGRES_PROVIDERS, dashboards, encode
from tests.dashboards.program import CHOSEN

WINDOW, RANGE = "5m", "24h"
BUILT_IN = {"__rate_interval": WINDOW, "__range": RANGE, "__range_s": "86400", "__interval": "1m"}
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Asked:
    """One query of a panel, or of a variable."""

    dialect: str
    board: str
    panel: str
    legend: str
    expression: str
    """As it stands in the dashboard."""
    chosen: tuple[tuple[str, str], ...]
    """What is in the variables."""

    def __str__(self) -> str:
        return f"{self.board}: {self.panel}"

    @property
    def promql(self) -> str:
        """With the variables filled in."""
        return self._filled(self.expression)

    @property
    def labels(self) -> set[str]:
        """Those that the legend names."""
        return set(LEGEND.findall(self._filled(self.legend)))

    def _filled(self, text: str) -> str:
        values = BUILT_IN | dict(self.chosen)
        return VARIABLE.sub(lambda match: values[match[1] or match[2]], text)


@dataclass(frozen=True)
class Document:
    """A dashboard's JSON."""

    dialect: str
    name: str
    model: Mapping[str, Any]

    @property
    def panels(self) -> Iterator[Mapping[str, Any]]:
        """All of them, those of collapsed rows too."""
        for panel in self.model["panels"]:
            yield from panel.get("panels", ()) if panel["type"] == "row" else (panel,)
            if panel["type"] == "row" and not panel.get("collapsed"):
                assert not panel.get("panels")

    def chosen(self, concrete: bool) -> dict[str, str]:
        """What is in the variables: one of the values, or All of them. A job is always the dialect's."""
        found = {}
        for variable in self.model["templating"]["list"]:
            name = variable["name"]
            match variable["type"]:
                case "query" if name == "job":
                    found[name] = self.dialect
                case "query":
                    found[name] = CHOSEN[name] if concrete else variable.get("allValue") or variable["current"]["value"]
                case "custom":
                    found[name] = str(variable["current"]["value"])
        return found

    def asked(self, concrete: bool) -> Iterator[Asked]:
        """Every query of every panel."""
        chosen = tuple(self.chosen(concrete).items())
        for panel in self.panels:
            for target in panel.get("targets", ()):
                if "expr" in target:
                    title, legend = panel["title"], target.get("legendFormat", "")
                    yield Asked(self.dialect, self.name, title, legend, target["expr"], chosen)

    def variables(self) -> Iterator[tuple[str, str]]:
        """Names and queries of the variables that are asked for, those before them chosen."""
        for variable in self.model["templating"]["list"]:
            if variable["type"] == "query":
                yield variable["name"], variable["query"]["query"]


@cache
def documents() -> tuple[Document, ...]:
    """Every board of every dialect, and once more for each exporter of PostgreSQL's figures where that matters."""
    found: dict[str, Document] = {}
    for dialect in BOARDS:
        for provider in POSTGRES_PROVIDERS:
            for dashboard in dashboards(dialect, postgres_provider=provider):
                text = encode(dashboard)
                if text not in found:
                    model = json.loads(text)
                    shown = [each for each in found.values() if each.model["uid"] == model["uid"]]
                    name = f"{model['title']} ({provider})" if shown else model["title"]
                    found[text] = Document(dialect, f"{dialect}: {name}", model)
    return tuple(found.values())
