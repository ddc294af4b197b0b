"""A board: rows of panels, laid out on Grafana's grid, and its JSON."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    GridPos,
    Panel,
    RowPanel,
    VariableModel,
)

COLUMNS = 24
"""How wide Grafana's grid is."""


@dataclass(frozen=True)
class Row:
    """A heading and the panels below it. A collapsed one asks nothing until it is opened."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True)
class Board:
    """A dashboard as it is declared. ``help`` says in a sentence what it is for.

    uid: never changes: links, bookmarks and updates go by it.
    time: how far back it looks when it is opened. timezone: "browser" or "utc".
    """

    uid: str
    title: str
    help: str
    dialect: str
    variables: tuple[VariableModel, ...]
    rows: tuple[Row, ...]
    time: str = "now-6h"
    timezone: str = "browser"
    refresh: str = "30s"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, row by row."""
        return tuple(panel for row in self.rows for panel in row.panels)

    def dashboard(self) -> Dashboard:
        """As Grafana has it: every panel with its id and its place."""
        built = (
            build.Dashboard(self.title)
            .uid(self.uid)
            .description(self.help)
            .tags(["tallygate", self.dialect])
            .time(self.time, "now")
            .timezone(self.timezone)
            .refresh(self.refresh)
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .annotation(_annotations())
            .link(_siblings(self.dialect))
            .build()
        )
        built.templating.list_val = list(map(copy.deepcopy, self.variables))
        for variable in built.templating.list_val:  # the SDK writes these for all; Grafana has them for intervals
            variable.auto = variable.auto_min = variable.auto_count = None
        built.panels = list(laid_out(self.rows))
        return built


def encode(dashboard: Dashboard) -> str:
    """Its JSON, the same bytes for the same dashboard."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def laid_out(rows: Iterable[Row]) -> Iterator[Panel | RowPanel]:
    """Panels from left to right, a new line where one does not fit, ids from 1 on."""
    number, top = 0, 0
    for row in rows:
        number += 1
        heading = RowPanel(row.collapsed, row.title, id_val=number, grid_pos=GridPos(h=1, w=COLUMNS, x=0, y=top))
        left, top, height = 0, top + 1, 0
        placed = []
        for panel in map(copy.deepcopy, row.panels):
            number += 1
            panel.id_val = number
            place = panel.grid_pos or GridPos()
            if left + place.w > COLUMNS:
                left, top, height = 0, top + height, 0
            place.x, place.y = left, top
            left, height = left + place.w, max(height, place.h)
            placed.append(panel)
        if row.collapsed:
            heading.panels = placed
        yield heading
        if row.collapsed:  # its panels take their room when it is opened: Grafana moves what is below
            top = heading.grid_pos.y + 1 if heading.grid_pos else top
        else:
            yield from placed
            top += height


def _annotations() -> build.AnnotationQuery:
    """What Grafana's own annotations are, in every dashboard."""
    return (
        build.AnnotationQuery()
        .name("Annotations & Alerts")
        .type("dashboard")
        .datasource(DataSourceRef("grafana", "-- Grafana --"))
        .built_in(1)
        .enable(True)
        .hide(True)
        .icon_color("rgba(0, 211, 255, 1)")
    )


def _siblings(dialect: str) -> build.DashboardLink:
    """A menu of the dialect's other boards, which keeps the time and the variables."""
    return (
        build.DashboardLink("Boards")
        .type(DashboardLinkType.DASHBOARDS)
        .tags(["tallygate", dialect])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )
