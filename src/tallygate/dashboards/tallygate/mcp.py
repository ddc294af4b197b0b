"""MCP Monitoring: tools that agents use, the servers that have them, and commands."""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import PER_SECOND, bars, heatmap, percentiles, stat, timeseries, traces
from tallygate.dashboards.variables import chained, sources, vocabulary

ask = vocabulary("tallygate", "server", "tool")
calls, errors = ask("tallygate_tool_calls_total"), ask("tallygate_tool_errors_total")
duration = ask("tallygate_tool_call_duration_seconds")
operation, session = ask("tallygate_mcp_operation_duration_seconds"), ask("tallygate_mcp_session_duration_seconds")
sessions, state = ask("tallygate_mcp_sessions_active").now, ask("tallygate_mcp_server_state")
commands = ask("tallygate_command_runs_total")

NOW = Row(
    "Now",
    (
        stat(
            "Tool calls",
            "Calls of tools that ended, per second.",
            "0 with agents at work: no server is connected; see Sessions.",
            calls.rate().sum(),
            unit=PER_SECOND,
        ),
        stat(
            "Failed",
            "Share of tool calls that failed; 0 when there were none.",
            "Errors by type, below, says why.",
            errors.rate().sum().share_of(calls.rate().sum()),
            unit=units.PercentUnit,
            thresholds={0.05: "yellow", 0.2: "red"},
        ),
        stat(
            "Duration, P95",
            "19 of 20 calls of tools are faster.",
            "Look at Duration by tool: agents wait for the slowest one.",
            duration.quantile(0.95),
            unit=units.Seconds,
            thresholds={5: "yellow", 30: "red"},
        ),
        stat(
            "Tool calls in the range",
            "Calls of tools in the time that is shown.",
            "Far more than usual: an agent is in a loop; see Top tools.",
            calls.increase("$__range").sum(),
            unit=units.Short,
            whole_range=True,
        ),
        stat(
            "Sessions",
            "MCP sessions that are open now.",
            "It only climbs: a client opens sessions and does not close them.",
            sessions.sum(),
            unit=units.Short,
        ),
        stat(
            "Servers failed",
            "MCP servers whose deployment failed.",
            "Read the log of the deployment of the server that Server states shows.",
            state.where(tallygate_mcp_server_state="failed").now.sum(),
            unit=units.Short,
            thresholds={1: "red"},
        ),
    ),
)

TOOLS = Row(
    "Tools",
    (
        timeseries(
            "Calls by server",
            "Calls of tools per second; the empty server are tools of the program's own.",
            "A server that falls to 0: its session is gone; see Sessions by server.",
            calls.rate().sum("server"),
            unit=PER_SECOND,
            stacked=True,
            width=8,
        ),
        timeseries(
            "Calls by outcome",
            "How calls of tools ended; cancelled by the caller is not a failure.",
            "Many cancelled ones: agents give up waiting; see Duration.",
            calls.rate().sum("outcome"),
            unit=PER_SECOND,
            stacked=True,
            width=8,
        ),
        bars(
            "Top tools",
            "Which tools were called most in the time that is shown.",
            "A cheap tool far in front: an agent asks again and again for the same.",
            calls.increase("$__range").sum("tool").top(10),
            unit=units.Short,
        ),
        timeseries(
            "Failed share by tool",
            "Failed calls of all calls of a tool; 0 when there were none.",
            "One tool: its arguments or its service. All tools of a server: the server.",
            errors.rate().sum("server", "tool").share_of(calls.rate().sum("server", "tool")),
            unit=units.PercentUnit,
            thresholds={0.2: "red"},
            width=8,
        ),
        timeseries(
            "Errors by type",
            "Failed calls of tools per second and why.",
            "tool_error: the tool says so itself. transport, timeout: the server. blocked: a policy of ours.",
            errors.rate().sum("error_type"),
            unit=PER_SECOND,
            width=8,
        ),
        bars(
            "Top agents",
            "Who called tools most in the time that is shown.",
            "An agent far above its usual place is in a loop: look at its traces.",
            calls.increase("$__range").sum("agent_name").top(10),
            unit=units.Short,
        ),
        timeseries(
            "Duration",
            "From the call of a tool to its result.",
            "P99 near the time-out: calls hang; see Duration by tool.",
            *percentiles(duration),
            unit=units.Seconds,
            thresholds={30: "red"},
            width=8,
        ),
        timeseries(
            "Duration by tool, P95",
            "19 of 20 calls of a tool are faster.",
            "The slowest tool decides how long agents take: cache it, or give it a limit.",
            duration.quantile(0.95, "server", "tool"),
            unit=units.Seconds,
            width=8,
        ),
        heatmap(
            "Duration, spread",
            "How many calls of tools took how long. The dots are exemplars: click one for its trace.",
            "A band at the time-out: calls that never answer.",
            duration.rate(part="bucket").sum("le"),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "Size of arguments by tool, P95",
            "What agents send to tools.",
            "Large ones: agents paste documents where an id would do.",
            ask("tallygate_tool_request_size_bytes").quantile(0.95, "tool"),
            unit=units.BytesIEC,
        ),
        timeseries(
            "Size of results by tool, P95",
            "What tools give back, which becomes input tokens of the next call.",
            "Large ones cost tokens at every turn: let the tool page or summarize.",
            ask("tallygate_tool_response_size_bytes").quantile(0.95, "tool"),
            unit=units.BytesIEC,
        ),
    ),
)

SERVERS = Row(
    "Servers and sessions",
    (
        timeseries(
            "Requests by method",
            "Requests between clients and servers per second.",
            "initialize again and again: sessions break; see Session ends.",
            operation.rate().sum("method"),
            unit=PER_SECOND,
            width=8,
        ),
        timeseries(
            "Requests by method, P95",
            "From a request to its response.",
            "tools/list is slow: the server builds its list each time.",
            operation.quantile(0.95, "method"),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "Failed requests",
            "Requests that failed per second, by server and why.",
            "protocol: client and server speak different versions. transport: the network or a restart.",
            ask("tallygate_mcp_errors_total").rate().sum("server", "error_type"),
            unit=PER_SECOND,
            width=8,
        ),
        timeseries(
            "Sessions by server",
            "Sessions that are open now, as clients or servers see them.",
            "0 for a server that should have one: it is down, or its credentials are refused.",
            ("{{server}} {{side}}", sessions.sum("server", "side")),
            unit=units.Short,
            width=8,
        ),
        timeseries(
            "Session ends",
            "Sessions that ended per second, and how.",
            "failed ones: the connection broke; look at the proxy between client and server.",
            session.rate().sum("server", "outcome"),
            unit=PER_SECOND,
            width=8,
        ),
        timeseries(
            "Length of sessions, P50",
            "How long sessions lasted that ended.",
            "All the same round number: something cuts them off, often an idle time-out.",
            session.quantile(0.5, "server"),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "Server states",
            "How many servers are in which state.",
            "pending for long: no room or no image. failed: see the log of its deployment.",
            ("{{tallygate_mcp_server_state}}", state.now.sum("tallygate_mcp_server_state")),
            unit=units.Short,
            stacked=True,
            width=24,
        ),
    ),
)

COMMANDS = Row(
    "Commands",
    (
        timeseries(
            "Commands by outcome",
            "Commands run for agents per second.",
            "failed ones: see Exit codes.",
            commands.rate().sum("outcome"),
            unit=PER_SECOND,
            stacked=True,
            width=6,
        ),
        bars(
            "Exit codes",
            "How commands ended in the time that is shown; 0 is success, -9 is killed, often for its memory.",
            "127: the program is not installed in the sandbox. -9: give it more memory.",
            commands.increase("$__range").sum("exit_code").top(10),
            unit=units.Short,
            width=6,
        ),
        timeseries(
            "Duration by command, P95",
            "From start to exit.",
            "Minutes: agents wait for builds or downloads; cache them.",
            ask("tallygate_command_duration_seconds").quantile(0.95, "command"),
            unit=units.Seconds,
            width=6,
        ),
        timeseries(
            "Output by command, P95",
            "What commands wrote, which becomes input tokens.",
            "Large ones: cut the output before an agent reads it.",
            ask("tallygate_command_output_size_bytes").quantile(0.95, "command"),
            unit=units.BytesIEC,
            width=6,
        ),
    ),
)

TRACES = Row(
    "Traces",
    (
        traces(
            "Latest tool calls",
            "Traces of calls of the chosen tools, from Tempo.",
            "Empty: no traces are exported, or the data source Traces is another one.",
            '{ span.gen_ai.tool.name =~ "${tool:regex}" }',
        ),
    ),
)

MCP = Board(
    uid="tallygate-mcp",
    title="MCP Monitoring",
    help="Tools that agents use: calls, errors, durations and sizes; the MCP servers that have them; commands.",
    dialect="tallygate",
    variables=(*sources(), *chained(calls, "server", "tool")),
    rows=(NOW, TOOLS, SERVERS, COMMANDS, TRACES),
)
