"""The row of traces that two of the boards have: a list on the left, the one that was chosen on the right."""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import tempo as build_tempo
from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DynamicConfigValue,
    GridPos,
    MatcherConfig,
    Panel,
    VariableModel,
)

from tallygate.dashboards.board import Row
from tallygate.dashboards.panels import traces
from tallygate.dashboards.variables import TEMPO


def trace_id() -> VariableModel:
    """The trace that is looked at."""
    variable = build.TextBoxVariable("traceId").label("Trace ID").description("the trace shown in the row Traces")
    return variable.default_value("").build()


def trace_row(uid: str, traceql: str) -> Row:
    """The row of the board with this uid."""
    listed = traces(
        "Latest traces",
        "The latest traces of what is chosen above. Click one to see it on the right.",
        "Nothing here while there are calls: tracing is off, or nothing is sampled.",
        traceql,
        width=11,
        height=18,
    )
    keep = "${__url_time_range}&${datasource:queryparam}&${tempo:queryparam}"
    link = {"title": "Show this trace", "url": f"/d/{uid}?var-traceId=${{__value.raw}}&{keep}"}
    if listed.field_config is not None:
        listed.field_config.overrides.append(
            DashboardFieldConfigSourceOverrides(
                MatcherConfig("byRegexp", "trace ?ID|Trace ID|traceID"), [DynamicConfigValue("links", [link])]
            )
        )
    return Row("Traces", (listed, _chosen()), collapsed=True)


def _chosen() -> Panel:
    """One trace, span by span."""
    query = build_tempo.TempoQuery().ref_id("A").datasource(TEMPO).query_type("traceql").query("${traceId}").limit(20)
    return Panel(
        type_val="traces",
        title="Trace",
        description="The spans of the trace whose id stands in Trace ID above.\n\n"
        "**When it looks bad:** the longest span without children is where the time went.",
        datasource=TEMPO,
        grid_pos=GridPos(w=13, h=18),
        targets=[query.build()],
    )
