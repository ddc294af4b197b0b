"""The metrics of the OpenTelemetry conventions v1.41 for GenAI, MCP, databases and HTTP, as named for Prometheus.

Source: docs/gen-ai/gen-ai-metrics.md, docs/gen-ai/mcp.md, docs/db/database-metrics.md and docs/http/http-metrics.md of
github.com/open-telemetry/semantic-conventions. Dots become underscores, the unit ``s`` becomes the suffix ``_seconds``,
the units ``{token}`` and ``{request}`` none; buckets are those the documents ask for.

``gen_ai_client_*`` is what a caller of the provider sees, ``gen_ai_server_*`` what this gateway's own callers get from
it, as it stands for the model server to them. ``gen_ai.response.model`` is left out: providers choose its words, so it
is unbounded; ``server.address`` is left out because the provider's name says it. What no fact knows is left out too:
protocols, transports and ports, ``url.scheme``, and the method of requests that are being served. ``error.type`` is one
of our words where the conventions leave it to the instrumentation, and ``_OTHER`` where we know none.
"""

from tallygate.dialects.families import Dialect, Gauge, Histogram, split
from tallygate.facts import HTTPInFlight, HTTPRequest, LLMCall, LLMOutputChunk, MCPOperation, MCPSession, Query

PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""Names that providers are commonly configured under, in the words of ``gen_ai.provider.name``."""

OPERATION_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
PER_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
TOKENS = tuple(4**power for power in range(14))
MCP_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
DB_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

operation = (
    LLMCall.operation.named("gen_ai_operation_name"),
    LLMCall.provider.as_(PROVIDERS).named("gen_ai_provider_name"),
    LLMCall.model.named("gen_ai_request_model"),
)
chunk = (
    LLMOutputChunk.operation.named("gen_ai_operation_name"),
    LLMOutputChunk.provider.as_(PROVIDERS).named("gen_ai_provider_name"),
    LLMOutputChunk.model.named("gen_ai_request_model"),
)
error_type = LLMCall.error_type.as_({"other": "_OTHER"})
succeeded = LLMCall.outcome.among("completed")

CLIENT = (
    Histogram(
        "gen_ai_client_token_usage",
        split("gen_ai_token_type", input=LLMCall.input_tokens, output=LLMCall.output_tokens),
        by=operation,
        buckets=TOKENS,
        help="Number of input and output tokens used",
    ),
    Histogram(
        "gen_ai_client_operation_duration_seconds",
        LLMCall.duration,
        by=(*operation, error_type),
        buckets=OPERATION_SECONDS,
        help="GenAI operation duration",
    ),
    Histogram(
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        LLMCall.time_to_first_token,
        by=operation,
        buckets=OPERATION_SECONDS,
        help="Time from the request to the first content chunk of a streamed reply",
    ),
    Histogram(
        "gen_ai_client_operation_time_per_output_chunk_seconds",
        LLMOutputChunk.gap,
        by=chunk,
        buckets=OPERATION_SECONDS,
        help="Time from one content chunk of a streamed reply to the next",
    ),
)

SERVER = (
    Histogram(
        "gen_ai_server_request_duration_seconds",
        LLMCall.duration,
        by=(*operation, error_type),
        buckets=OPERATION_SECONDS,
        help="Time from a request to the last byte of its reply, as this gateway served it",
    ),
    Histogram(
        "gen_ai_server_time_per_output_token_seconds",
        LLMCall.time_per_output_token.where(succeeded),
        by=operation,
        buckets=PER_TOKEN_SECONDS,
        help="Time per output token after the first, for successful replies",
    ),
    Histogram(
        "gen_ai_server_time_to_first_token_seconds",
        LLMCall.time_to_first_token.where(succeeded),
        by=operation,
        buckets=FIRST_TOKEN_SECONDS,
        help="Time to the first token, for successful replies",
    ),
)

mcp_operation = (
    MCPOperation.method.named("mcp_method_name"),
    MCPOperation.tool.named("gen_ai_tool_name"),
    MCPOperation.method.as_({"tools/call": "execute_tool"}, otherwise="").named("gen_ai_operation_name"),
    MCPOperation.error_type.as_({"other": "_OTHER"}),
)
mcp_session = (MCPSession.outcome.as_({"failed": "_OTHER"}, otherwise="").named("error_type"),)

MCP = tuple(
    Histogram(
        f"mcp_{side}_{what}_duration_seconds",
        duration.where(end.among(side)),
        by=by,
        buckets=MCP_SECONDS,
        help=f"{help}, as the {side} saw it",
    )
    for side in ("client", "server")
    for what, duration, end, by, help in (
        ("operation", MCPOperation.duration, MCPOperation.side, mcp_operation, "Duration of MCP requests"),
        ("session", MCPSession.duration, MCPSession.side, mcp_session, "Duration of MCP sessions"),
    )
)

DATABASE = (
    Histogram(
        "db_client_operation_duration_seconds",
        Query.duration,
        by=(
            Query.system.as_({"": "other_sql"}).named("db_system_name"),
            Query.operation.as_({"other": ""}).named("db_operation_name"),
            Query.table.named("db_collection_name"),
            Query.status.as_({"success": "", "error": "_OTHER"}).named("error_type"),
        ),
        buckets=DB_SECONDS,
        help="Duration of database client operations",
    ),
)


def http_error(status_code: str) -> str:
    """The status code where it tells of a failed request, else ''."""
    return status_code if status_code.startswith("5") else ""


HTTP = (
    Histogram(
        "http_server_request_duration_seconds",
        HTTPRequest.duration,
        by=(
            HTTPRequest.method.as_({"OTHER": "_OTHER"}).named("http_request_method"),
            HTTPRequest.route.as_({"unmatched": ""}).named("http_route"),
            HTTPRequest.status_code.named("http_response_status_code"),
            HTTPRequest.status_code.as_(http_error).named("error_type"),
        ),
        buckets=HTTP_SECONDS,
        help="Duration of HTTP server requests",
    ),
    Gauge("http_server_active_requests", HTTPInFlight.now, zeros=({},), help="Number of active HTTP server requests"),
)

OTEL = Dialect(
    "otel",
    *CLIENT,
    *SERVER,
    *MCP,
    *DATABASE,
    *HTTP,
    help="The OpenTelemetry conventions v1.41 for GenAI, MCP, databases and HTTP, under their Prometheus names.",
)
