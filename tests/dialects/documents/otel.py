"""The OpenTelemetry conventions v1.41, under their Prometheus names."""

from tests.dialects.documents.rows import Row

GEN_AI = "gen_ai_operation_name gen_ai_provider_name gen_ai_request_model"
DOUBLING = "0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92"
MCP_SECONDS = "0.01 0.02 0.05 0.1 0.2 0.5 1 2 5 10 30 60 120 300"
MCP_OPERATION: Row = (
    "histogram", "mcp_method_name gen_ai_tool_name gen_ai_operation_name error_type", "seconds", MCP_SECONDS,
)  # fmt: skip
MCP_SESSION: Row = ("histogram", "error_type", "seconds", MCP_SECONDS)

OTEL: dict[str, Row] = {
    "gen_ai_client_token_usage": (
        "histogram", f"{GEN_AI} gen_ai_token_type", "",
        "1 4 16 64 256 1024 4096 16384 65536 262144 1048576 4194304 16777216 67108864",
    ),
    "gen_ai_client_operation_duration_seconds": ("histogram", f"{GEN_AI} error_type", "seconds", DOUBLING),
    "gen_ai_client_operation_time_to_first_chunk_seconds": ("histogram", GEN_AI, "seconds", DOUBLING),
    "gen_ai_client_operation_time_per_output_chunk_seconds": ("histogram", GEN_AI, "seconds", DOUBLING),
    "gen_ai_server_request_duration_seconds": ("histogram", f"{GEN_AI} error_type", "seconds", DOUBLING),
    "gen_ai_server_time_per_output_token_seconds": (
        "histogram", GEN_AI, "seconds", "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1 2.5",
    ),
    "gen_ai_server_time_to_first_token_seconds": (
        "histogram", GEN_AI, "seconds", "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10",
    ),
    "mcp_client_operation_duration_seconds": MCP_OPERATION,
    "mcp_server_operation_duration_seconds": MCP_OPERATION,
    "mcp_client_session_duration_seconds": MCP_SESSION,
    "mcp_server_session_duration_seconds": MCP_SESSION,
    "db_client_operation_duration_seconds": (
        "histogram", "db_system_name db_operation_name db_collection_name error_type", "seconds",
        "0.001 0.005 0.01 0.05 0.1 0.5 1 5 10",
    ),
    "http_server_request_duration_seconds": (
        "histogram", "http_request_method http_route http_response_status_code error_type", "seconds",
        "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10",
    ),
    "http_server_active_requests": ("gauge", "", "", ""),
}  # fmt: skip
