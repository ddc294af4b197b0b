"""Boards that stand in the place of others have the panels that people know, under the titles that they know."""

import pytest

from tallygate.dashboards import POSTGRES_PROVIDERS, boards

GATEWAYZ = [
    "Request Rate (requests/sec)",
    "Error Rate (%)",
    "Response Time (percentiles)",
    "Tokens Used (daily)",
    "Credits Used (daily)",
    "Cache Hit Rate (%)",
    "Provider Availability (gauge)",
    "Top Models by Usage",
    "Top Users by Requests",
    "Rate Limited Requests",
]
ARCHESTRA = {
    "Archestra GenAI Observability": {
        "Overview": [
            "Request Rate",
            "Total Usage Tokens",
            "Avg Usage Cost",
            "Total Usage Cost",
            "Request Volume by Provider",
            "Cost Trend Analysis",
            "Request Success Rate",
            "Blocked Tool Calls",
            "Time to First Token",
            "Request Duration",
            "Response Time Distribution by Token Size Ranges",
            "Request Rate by Model",
            "Top Models by Usage",
            "Average Token Consumption vs. Average Usage Cost Comparison",
        ],
        "Traces": ["Latest traces", "Trace"],
        "Cost": [
            "Total Cost By Provider",
            "Total Cost By Model",
            "Total Cost By Provider",
            "Total Cost By Model",
            "Requests by Provider",
        ],
        "External Agents": ["Requests per Agent", "Inference Cost per Agent"],
        "Latency": [
            "Latency P95 by Provider",
            "Latency P95 by Model",
            "Token Generation time by token count",
            "P95 Token Generation Time by Model",
            "Tokens Generation Duration (P95)",
            "Tokens Generation Duration (P95)",
            "Time to first token",
            "Time to first token",
            "Tokens Generation Duration",
            "Tokens Generation Duration",
        ],
    },
    "Archestra MCP Monitoring": {
        "Overview": [
            "Total Requests",
            "Request Rate",
            "Avg Request Size",
            "Avg Response Size",
            "Avg Duration",
            "Error Percentage",
            "Traffic Overview",
        ],
        "Traces": ["Latest traces", "Trace"],
        "Tools": [
            "Tool Health Gauge",
            "Active Tools",
            "Total Tool Calls",
            "Tool Payload Sizes",
            "Tool Call Rates",
            "Most Used Tools",
            "Slowest Tools by Duration",
            "Most Failing Tools",
            "Tool Call Duration (P95)",
        ],
        "MCP Servers": ["Tool Calls by MCP Server", "Errors by MCP Server", "Server Deployments"],
    },
    "Archestra Application Metrics": {
        "HTTP": [
            "Request Rate",
            "Request Duration",
            "Error Rate",
            "Top Slowest Routes (P95)",
            "Request Rate by Status Code",
        ],
        "Runtime": ["Event Loop Lag", "GC Pause Duration", "Heap Usage", "Active Handles & Requests"],
        "Infrastructure": ["CPU Usage", "Memory Usage", "Process Uptime"],
        "Task Queue": [
            "Active Tasks",
            "Total Enqueued",
            "Total Completed",
            "Dead-Lettered",
            "Stuck Tasks Reset",
            "Task Throughput",
            "Task Processing Duration (P95)",
            "Active Tasks Over Time",
            "Failed & Dead Tasks",
        ],
    },
    "Archestra RAG & Knowledge Base": {
        "Connector Sync Overview": [
            "Total Syncs",
            "Sync Success Rate",
            "Documents Ingested",
            "Chunks Created",
            "Sync Rate by Connector Type",
            "Sync Duration (P95)",
        ],
        "Embedding Pipeline": [
            "Total Embedding Batches",
            "Embedding Error Rate",
            "Embedding Batches by Status",
            "Documents Embedded by Status",
            "KB Embedding API Latency",
            "KB Embedding Token Usage",
        ],
        "Query Performance": [
            "Total Queries",
            "Query Rate by Search Type",
            "Query Duration (P50, P95, P99)",
            "Results per Query",
            "KB Reranker Duration",
            "KB Reranker Token Usage",
        ],
    },
}
WAL = {"helm": "WAL Size", "otel": "WAL Age", "cloudsql": "WAL Write Rate", "azure": "Transaction Log Storage"}
UNTOLD = {"cloudsql": {"Max Connections", "Connection Utilization", "Locks by Mode"}, "azure": {"Locks by Mode"}}
"""What a provider does not tell, and has no panel for."""


def postgresql(provider: str) -> list[str]:
    """The panels about PostgreSQL."""
    titles = [
        "Active Connections",
        "Max Connections",
        "Connection Utilization",
        WAL[provider],
        "Active Connections Over Time",
        "Database Size",
        "Transactions",
        "Cache Hit Ratio",
        "Row Operations",
        "Locks by Mode",
        "Deadlocks",
        "Temp Files Created" if provider == "otel" else "Temp Bytes Written",
    ]
    return [title for title in titles if title not in UNTOLD.get(provider, ())]


def test_gatewayz() -> None:
    (board,) = boards("gatewayz")
    assert [panel.title for panel in board.panels] == GATEWAYZ


@pytest.mark.parametrize("provider", POSTGRES_PROVIDERS)
def test_archestra(provider: str) -> None:
    shown = {
        board.title: {row.title: [panel.title for panel in row.panels] for row in board.rows}
        for board in boards("archestra", postgres_provider=provider)
    }
    assert shown["Archestra Application Metrics"].pop("PostgreSQL") == postgresql(provider)
    assert shown == ARCHESTRA


def test_variables_of_archestra() -> None:
    variables = {board.title: [each.name for each in board.variables] for board in boards("archestra")}
    sources = ["datasource", "tempo"]
    assert variables == {
        "Archestra GenAI Observability": [*sources, "job", "agent_name", "provider", "model", "source", "traceId"],
        "Archestra MCP Monitoring": [*sources, "job", "agent_name", "mcp_server_name", "tool_name", "traceId"],
        "Archestra Application Metrics": [*sources, "job"],
        "Archestra RAG & Knowledge Base": [*sources, "job", "connector_type", "search_type"],
    }
