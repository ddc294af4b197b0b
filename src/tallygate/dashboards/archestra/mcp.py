"""MCP Monitoring: tool calls, their errors, durations and sizes, and their traces.

Mended: error shares are of all calls, with nothing added to the divisor; the health gauge has an answer before the
first error; totals are those of the chosen time; traces are found by an attribute that spans have.
"""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.archestra.tracing import trace_id, trace_row
from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import bars, gauge, stat, table, timeseries
from tallygate.dashboards.variables import chained, sources, vocabulary

UID = "tallygate-archestra-mcp"

ask = vocabulary("archestra", "agent_name", "mcp_server_name", "tool_name")
calls, duration = ask("mcp_tool_calls_total"), ask("mcp_tool_call_duration_seconds")
asked, answered = ask("mcp_request_size_bytes"), ask("mcp_response_size_bytes")
states = ask("mcp_server_deployment_status")
failed = calls.where(status="error")
over_range = calls.increase("$__range").sum()
TRACES = '{ span.gen_ai.operation.name="execute_tool" && span.gen_ai.tool.name=~"${tool_name:regex}" }'
ERRORS = "See Most Failing Tools and Errors by MCP Server for which, and the traces for why."
SIZES = "Large arguments and results are tokens of the next request: trim what the tool returns."

MCP = Board(
    uid=UID,
    title="Archestra MCP Monitoring",
    help="Calls of MCP tools: how many, how long, how large, which fail; in Archestra's names.",
    dialect="archestra",
    variables=(*sources(), *chained(calls, "agent_name", "mcp_server_name", "tool_name"), trace_id()),
    time="now-30m",
    rows=(
        Row(
            "Overview",
            (
                stat(
                    "Total Requests",
                    "Tool calls in the chosen time.",
                    "0 while agents are at work: they do not reach their servers. See MCP Servers.",
                    over_range,
                    unit=units.Short,
                    whole_range=True,
                ),
                stat(
                    "Request Rate",
                    "Tool calls per second.",
                    "Much more than usual is an agent in a loop: see Most Used Tools.",
                    calls.rate().sum(),
                    unit=units.RequestsPerSecond,
                ),
                stat(
                    "Avg Request Size",
                    "Mean size of the arguments in the chosen time.",
                    SIZES,
                    asked.mean(window="$__range"),
                    unit=units.BytesIEC,
                    thresholds={1000: "yellow", 10000: "red"},
                    whole_range=True,
                ),
                stat(
                    "Avg Response Size",
                    "Mean size of the results in the chosen time.",
                    SIZES,
                    answered.mean(window="$__range"),
                    unit=units.BytesIEC,
                    thresholds={5000: "yellow", 50000: "red"},
                    whole_range=True,
                ),
                stat(
                    "Avg Duration",
                    "Mean duration of tool calls in the chosen time.",
                    "See Slowest Tools by Duration.",
                    duration.mean(window="$__range"),
                    unit=units.Seconds,
                    thresholds={1: "yellow", 10: "red"},
                    whole_range=True,
                ),
                stat(
                    "Error Percentage",
                    "Share of tool calls that failed in the chosen time; 0 when there were none.",
                    ERRORS,
                    failed.increase("$__range").sum() / over_range.at_least(1),
                    unit=units.PercentUnit,
                    thresholds={0.01: "yellow", 0.05: "red"},
                    whole_range=True,
                ),
                timeseries(
                    "Traffic Overview",
                    "Tool calls per second, how many of them failed, and the share that is.",
                    ERRORS,
                    ("Request rate", calls.rate().sum()),
                    ("Error rate", failed.rate().sum()),
                    ("Error percentage", failed.rate().sum() / calls.rate().sum().at_least(1e-9)),
                    unit=units.RequestsPerSecond,
                    right={"Error percentage": units.PercentUnit},
                    width=24,
                ),
            ),
        ),
        trace_row(UID, TRACES),
        Row(
            "Tools",
            (
                gauge(
                    "Tool Health Gauge",
                    "Share of tool calls that succeeded in the chosen time; 1 when there were none.",
                    ERRORS,
                    1 - failed.increase("$__range").sum() / over_range.at_least(1),
                    unit=units.PercentUnit,
                    thresholds={float("-inf"): "red", 0.95: "yellow", 0.99: "green"},
                    whole_range=True,
                    width=8,
                ),
                stat(
                    "Active Tools",
                    "Tools that were called in the chosen time.",
                    "Fewer than usual: a server is gone, or an agent lost its tools. See MCP Servers.",
                    calls.increase("$__range").sum("mcp_server_name", "tool_name").above(0).number(),
                    unit=units.Short,
                    whole_range=True,
                    width=8,
                ),
                stat(
                    "Total Tool Calls",
                    "Tool calls since the counts began.",
                    "It only grows. One that falls lost its counts: give the gateway metrics.state_directory.",
                    calls.now.sum(),
                    unit=units.Short,
                    width=8,
                ),
                bars(
                    "Tool Payload Sizes",
                    "Mean size of arguments and results in the chosen time, by tool.",
                    SIZES,
                    ("{{tool_name}} Request", asked.mean("tool_name", window="$__range")),
                    ("{{tool_name}} Response", answered.mean("tool_name", window="$__range")),
                    unit=units.BytesIEC,
                ),
                timeseries(
                    "Tool Call Rates",
                    "Calls per second by tool.",
                    "A tool that grows alone: an agent in a loop. Look at its traces.",
                    calls.rate().sum("tool_name"),
                    unit=units.OpsPerSecond,
                    stacked=True,
                    width=16,
                ),
                bars(
                    "Most Used Tools",
                    "The five tools with the most calls in the chosen time.",
                    "Compare with what agents are to do: a tool nobody needs costs tokens all the same.",
                    calls.increase("$__range").sum("tool_name").top(5),
                    unit=units.Short,
                ),
                bars(
                    "Slowest Tools by Duration",
                    "The five tools with the longest mean duration in the chosen time.",
                    "Look at a trace of the slowest; its server may wait for another.",
                    duration.mean("tool_name", window="$__range").top(5),
                    unit=units.Seconds,
                ),
                bars(
                    "Most Failing Tools",
                    "The five tools with the most failed calls in the chosen time.",
                    "Look at a trace of the first: wrong arguments are the model's fault, the rest the server's.",
                    failed.increase("$__range").sum("tool_name").top(5),
                    unit=units.Short,
                    thresholds={1: "red"},
                ),
                timeseries(
                    "Tool Call Duration (P95)",
                    "P95 of the time from the call to the result, by tool.",
                    "Compare with Tool Call Rates: slow under load, or slow by itself.",
                    duration.quantile(0.95, "tool_name"),
                    unit=units.Seconds,
                    width=24,
                ),
            ),
        ),
        Row(
            "MCP Servers",
            (
                timeseries(
                    "Tool Calls by MCP Server",
                    "Calls per second by MCP server.",
                    "A server that falls to 0 is down, or its agents stopped.",
                    calls.rate().sum("mcp_server_name"),
                    unit=units.OpsPerSecond,
                ),
                timeseries(
                    "Errors by MCP Server",
                    "Failed calls per second by MCP server.",
                    "All tools of one server: the server is down or its credentials ended. See its log.",
                    failed.rate().sum("mcp_server_name"),
                    unit=units.OpsPerSecond,
                ),
                table(
                    "Server Deployments",
                    "The state that the deployment of each MCP server is in.",
                    "failed: read the log of its container. pending for long: its image cannot be pulled.",
                    ("Is", states.now.max("server_name", "state").equal(1)),
                    units=(units.Short,),
                ),
            ),
        ),
    ),
)
