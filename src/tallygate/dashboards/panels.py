"""Panels: time series, stat, gauge, bars, table, heatmap, traces.

Each takes a title, what it means, what to do when it looks bad, and what it shows: queries, or pairs of a legend and a
query. A legend names the labels of its query unless it is given. A query of buckets brings its exemplars::

    timeseries(
        "Calls by provider",
        "Calls per second that ended.",
        "A provider that falls to 0 is down or has lost its traffic: see Errors.",
        calls.rate().sum("provider"),
        unit=units.RequestsPerSecond,
    )

Sizes are columns and rows of Grafana's grid, which is 24 columns wide.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import bargauge as build_bars
from grafana_foundation_sdk.builders import common as build_common
from grafana_foundation_sdk.builders import gauge as build_gauge
from grafana_foundation_sdk.builders import heatmap as build_heatmap
from grafana_foundation_sdk.builders import prometheus as build_prometheus
from grafana_foundation_sdk.builders import stat as build_stat
from grafana_foundation_sdk.builders import table as build_table
from grafana_foundation_sdk.builders import tempo as build_tempo
from grafana_foundation_sdk.builders import timeseries as build_timeseries
from grafana_foundation_sdk.models.common import (
    AxisPlacement,
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    FieldTextAlignment,
    GraphGradientMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DashboardSpecialValueMapOptions,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    FieldConfigSource,
    GridPos,
    MatcherConfig,
    Panel,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsConfig,
    ThresholdsMode,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.heatmap import FieldConfig as HeatmapConfig
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import Dataquery, PromQueryFormat, QueryEditorMode

from tallygate.dashboards.traces import links
from tallygate.dashboards.variables import PROMETHEUS, TEMPO
from tallygate.promql import Query, Selector

Shown = Query | tuple[str, Query]
"""A query, or the legend of its series and the query."""
Steps = Mapping[float, str]
"""From which value on which color; below the first one it is green, or what ``BELOW`` says."""
BELOW = float("-inf")
DASHED = {"fill": "dash", "dash": [6, 4]}

PER_SECOND, TOKENS, TOKENS_PER_SECOND = "cps", "si:tok", "si:tok/s"
"""Units: of events, of tokens, and of tokens over time."""
UNKNOWN = "Nothing measured"
NOT_COUNTED = re.compile(r"histogram_quantile\(|_sum\b|^(?:1 - |min\b|max\b)")
"""Queries that have no value where there is nothing: what is counted is 0 then, a quantile, a mean, a minimum, or what
is left of 1 is not."""


def timeseries(
    title: str,
    means: str,
    when_bad: str,
    *shown: Shown,
    unit: str,
    thresholds: Steps | None = None,
    stacked: bool = False,
    right: Mapping[str, str] | None = None,
    max: float | None = None,
    width: int = 12,
    height: int = 8,
) -> Panel:
    """Lines over time. ``right``: units of the queries, by legend, that are dashed and have the axis on the right."""
    legend = build_common.VizLegendOptions().show_legend(True).placement(LegendPlacement.BOTTOM)
    if width < 12:
        legend.display_mode(LegendDisplayMode.LIST)
    else:
        legend.display_mode(LegendDisplayMode.TABLE).calcs(["mean", "max", "lastNotNull"])
        legend.sort_by("Max").sort_desc(True)
    builder = (
        build_timeseries.Panel()
        .legend(legend)
        .tooltip(build_common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .line_width(1)
        .fill_opacity(25 if stacked else 10)
        .gradient_mode(GraphGradientMode.NONE)
        .show_points(VisibilityMode.AUTO)
        .axis_soft_min(0)
    )
    if stacked:
        builder.stacking(build_common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if thresholds:
        builder.thresholds_style(build_common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    panel = _panel(builder.build(), title, means, when_bad, shown, unit, thresholds, (width, height))
    config = _config(panel)
    config.defaults.max_val = max
    for name, its_unit in (right or {}).items():
        config.overrides.append(
            _override(
                name,
                {"custom.axisPlacement": AxisPlacement.RIGHT, "custom.lineStyle": DASHED, "unit": its_unit},
                "byRegexp",
            )
        )
    return panel


def stat(
    title: str,
    means: str,
    when_bad: str,
    *shown: Shown,
    unit: str,
    thresholds: Steps | None = None,
    whole_range: bool = False,
    time_from: str = "",
    width: int = 4,
    height: int = 4,
) -> Panel:
    """One number. whole_range: its query looks over the whole range ("$__range"), so it is asked once, at its end.

    time_from: another range than the dashboard's: "1d", or "now/d" for today so far.
    """
    builder = (
        build_stat.Panel()
        .reduce_options(build_common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .graph_mode(BigValueGraphMode.NONE if whole_range else BigValueGraphMode.AREA)
        .color_mode(BigValueColorMode.VALUE)
    )
    panel = _panel(
        builder.build(), title, means, when_bad, shown, unit, thresholds, (width, height), instant=whole_range
    )
    panel.time_from = time_from or None
    return panel


def gauge(
    title: str,
    means: str,
    when_bad: str,
    *shown: Shown,
    unit: str,
    min: float = 0,
    max: float = 1,
    thresholds: Steps | None = None,
    whole_range: bool = False,
    width: int = 4,
    height: int = 4,
) -> Panel:
    """One number between two bounds. whole_range: as of ``stat``."""
    builder = (
        build_gauge.Panel()
        .reduce_options(build_common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .show_threshold_markers(True)
    )
    panel = _panel(
        builder.build(), title, means, when_bad, shown, unit, thresholds, (width, height), instant=whole_range
    )
    _config(panel).defaults.min_val, _config(panel).defaults.max_val = min, max
    return panel


def bars(
    title: str,
    means: str,
    when_bad: str,
    *shown: Shown,
    unit: str,
    thresholds: Steps | None = None,
    time_from: str = "",
    width: int = 8,
    height: int = 8,
) -> Panel:
    """A bar for each series, asked once, at the end of the range: the largest so many of something."""
    builder = (
        build_bars.Panel()
        .reduce_options(build_common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .display_mode(BarGaugeDisplayMode.BASIC)
        .orientation(VizOrientation.HORIZONTAL)
    )
    panel = _panel(builder.build(), title, means, when_bad, shown, unit, thresholds, (width, height), instant=True)
    panel.time_from = time_from or None
    if not thresholds:
        _config(panel).defaults.color = FieldColor(FieldColorModeId.PALETTE_CLASSIC)
    _config(panel).defaults.min_val = 0
    return panel


def table(
    title: str,
    means: str,
    when_bad: str,
    *columns: tuple[str, Query],
    units: Sequence[str],
    thresholds: Mapping[str, Steps] | None = None,
    time_from: str = "",
    width: int = 24,
    height: int = 8,
) -> Panel:
    """A line for each series, its labels first; ``units`` are those of the columns, ``thresholds`` go by column.

    Asked once, at the end of the range; series of different columns with the same labels share a line.
    """
    panel = _panel(_table().build(), title, means, when_bad, columns, units[0], None, (width, height), instant=True)
    names = {
        f"Value #{target.ref_id}" if len(columns) > 1 else "Value": legend
        for target, (legend, _) in zip(_targets(panel), columns, strict=True)
    }
    for target in _targets(panel):
        target.format_val = PromQueryFormat.TABLE
    panel.time_from = time_from or None
    labels = sorted(columns[0][1].labels)
    # Grafana fills in variables of values, not of keys: a label that is chosen keeps its place, which is the first.
    chosen = any(label.startswith("$") for label in labels)
    order = {} if chosen else {label: position for position, label in enumerate([*labels, *names])}
    panel.transformations = [
        DataTransformerConfig("merge", options={}),
        DataTransformerConfig(
            "organize", options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names}
        ),
    ]
    _config(panel).overrides.append(_override("string", {"noValue": "(none)"}, options="byType"))
    for (legend, _), unit in zip(columns, units, strict=True):
        steps = (thresholds or {}).get(legend)
        properties: dict[str, object] = {"unit": unit}
        if steps:
            properties |= {"thresholds": _thresholds(steps), "custom.cellOptions": {"type": "color-text"}}
        _config(panel).overrides.append(_override(legend, properties))
    return panel


def heatmap(
    title: str, means: str, when_bad: str, shown: Query, *, unit: str, width: int = 12, height: int = 8
) -> Panel:
    """How the buckets of a histogram fill over time; the query is summed by ``le``."""
    builder = (
        build_heatmap.Panel()
        .calculate(False)
        .y_axis(build_heatmap.YAxisConfig().unit(unit))
        .color(
            build_heatmap.HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .scale(HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .fill("dark-orange")
            .reverse(False)
            .steps(64)
        )
        .cell_gap(1)
        .show_color_scale(True)
    )
    panel = _panel(builder.build(), title, means, when_bad, [("{{le}}", shown)], unit, None, (width, height))
    _config(panel).defaults.custom = HeatmapConfig()
    for target in _targets(panel):
        target.format_val = PromQueryFormat.HEATMAP
    return panel


def traces(
    title: str, means: str, when_bad: str, traceql: str, *, limit: int = 20, width: int = 24, height: int = 9
) -> Panel:
    """The latest traces that answer a TraceQL query, from Tempo."""
    panel = _panel(_table().build(), title, means, when_bad, (), "none", None, (width, height))
    panel.datasource = TEMPO
    query = build_tempo.TempoQuery().ref_id("A").datasource(TEMPO).query_type("traceql").query(traceql).limit(limit)
    panel.targets = [query.build()]
    _config(panel).defaults.no_value = "No traces"
    return panel


def percentiles(measured: Selector, *by: str, shares: Sequence[float] = (0.5, 0.95, 0.99)) -> tuple[Shown, ...]:
    """Quantiles of a histogram, P50, P95 and P99, per value of these labels."""
    labels = "".join(f" {{{{{label}}}}}" for label in by)
    return tuple((f"P{share * 100:g}{labels}", measured.quantile(share, *by)) for share in shares)


def _table() -> build_table.Panel:
    return build_table.Panel().align(FieldTextAlignment.AUTO)


def _panel(
    panel: Panel,
    title: str,
    means: str,
    when_bad: str,
    shown: Sequence[Shown],
    unit: str,
    thresholds: Steps | None,
    size: tuple[int, int],
    *,
    instant: bool = False,
) -> Panel:
    """What all panels have."""
    panel.title = title
    panel.description = f"{means}\n\n**When it looks bad:** {when_bad}"
    panel.datasource = PROMETHEUS
    panel.grid_pos = GridPos(w=size[0], h=size[1])
    pairs = [each if isinstance(each, tuple) else (_legend(each, title), each) for each in shown]
    panel.targets = [
        _target(letter, *pair, instant) for letter, pair in zip(string.ascii_uppercase, pairs, strict=False)
    ]
    defaults = _config(panel).defaults
    defaults.unit = unit
    defaults.no_value = UNKNOWN if any(NOT_COUNTED.search(query.text) for _, query in pairs) else "0"
    defaults.mappings = [
        SpecialValueMap(DashboardSpecialValueMapOptions(SpecialValueMatch.NULL_AND_NAN, ValueMappingResult("-")))
    ]
    defaults.thresholds = _thresholds(thresholds or {})
    lines = panel.type_val == "timeseries"
    defaults.color = FieldColor(FieldColorModeId.PALETTE_CLASSIC if lines else FieldColorModeId.THRESHOLDS)
    defaults.links = links([query.labels for _, query in pairs], columns=panel.type_val == "table")
    return panel


def _target(letter: str, legend: str, query: Query, instant: bool) -> Dataquery:
    builder = (
        build_prometheus.Dataquery()
        .ref_id(letter)
        .datasource(PROMETHEUS)
        .editor_mode(QueryEditorMode.CODE)
        .expr(query.text)
        .legend_format(legend)
        .exemplar(not instant and "_bucket" in query.text)
    )
    return (builder.instant() if instant else builder.range()).build()


def _targets(panel: Panel) -> list[Dataquery]:
    return [target for target in panel.targets or () if isinstance(target, Dataquery)]


def _legend(query: Query, title: str) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in sorted(query.labels)) or title


def _config(panel: Panel) -> FieldConfigSource:
    if panel.field_config is None:
        panel.field_config = FieldConfigSource(defaults=FieldConfig())
    return panel.field_config


def _thresholds(steps: Steps) -> ThresholdsConfig:
    base = Threshold(value=None, color=steps.get(BELOW, "green"))
    above = [Threshold(value=value, color=color) for value, color in steps.items() if value != BELOW]
    return ThresholdsConfig(ThresholdsMode.ABSOLUTE, [base, *above])


def _override(
    name: str, properties: Mapping[str, object], options: str = "byName"
) -> DashboardFieldConfigSourceOverrides:
    return DashboardFieldConfigSourceOverrides(
        MatcherConfig(options, name), [DynamicConfigValue(key, value) for key, value in properties.items()]
    )
