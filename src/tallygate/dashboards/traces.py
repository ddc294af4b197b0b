"""Links from a series to the traces of what it counts, by the attributes of the GenAI conventions."""

import json
from collections.abc import Sequence
from urllib.parse import quote

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.dashboard import DashboardLink

ATTRIBUTES = {
    "provider": "span.gen_ai.provider.name",
    "model": "span.gen_ai.request.model",
    "operation": "span.gen_ai.operation.name",
    "agent_name": "span.gen_ai.agent.name",
    "tool": "span.gen_ai.tool.name",
    "tool_name": "span.gen_ai.tool.name",
}
"""Labels, and what the spans of the same calls call them."""


def links(labels: Sequence[frozenset[str]], *, columns: bool = False) -> list[DashboardLink]:
    """To the traces that share the labels which all queries of a panel have; none where no span has any of them.

    columns: its labels are columns of a table, not those of a series.
    """
    shared = frozenset.intersection(*labels) if labels else frozenset()
    told = sorted(shared & ATTRIBUTES.keys())
    if not told:
        return []
    where = "__data.fields" if columns else "__field.labels"
    conditions = " && ".join(f'{ATTRIBUTES[label]}="${{{where}.{label}}}"' for label in told)
    pane = {
        "datasource": "${tempo}",
        "queries": [{"refId": "A", "queryType": "traceql", "query": f"{{ {conditions} }}", "limit": 20}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    url = "/explore?schemaVersion=1&orgId=1&panes=" + quote(json.dumps({"traces": pane}), safe="${}._")
    return [build.DashboardLink("Traces").url(url).target_blank(True).build()]
