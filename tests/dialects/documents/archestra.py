"""Archestra: what its document promises, and what of its source its dashboards ask for."""

from tests.dialects.documents.rows import PROCESS, Row

CUSTOM = "cost_center team"
AGENT = f"provider model agent_id agent_name agent_type external_agent_id source {CUSTOM}"
TOOL = f"agent_id agent_name agent_type mcp_server_name tool_name status {CUSTOM}"
REQUEST_SECONDS = "0.1 0.5 1 2 5 10 30 60"

LLM: dict[str, Row] = {
    "llm_request_duration_seconds": ("histogram", f"{AGENT} status_code", "seconds", REQUEST_SECONDS),
    "llm_tokens_total": ("counter", f"{AGENT} type", "tokens", ""),
    "llm_cache_tokens_total": ("counter", f"{AGENT} cache_type", "tokens", ""),
    "llm_cost_total": ("counter", AGENT, "", ""),
    "llm_blocked_tools_total": ("counter", AGENT, "", ""),
    "llm_time_to_first_token_seconds": ("histogram", AGENT, "seconds", "0.05 0.1 0.25 0.5 1 2 5 10"),
    "llm_tokens_per_second": ("histogram", AGENT, "", "5 10 25 50 75 100 150 200 300"),
    "llm_token_usage": ("histogram", AGENT, "", "4 16 64 256 1024 4096 16384 65536"),
}

MCP: dict[str, Row] = {
    "mcp_tool_calls_total": ("counter", TOOL, "", ""),
    "mcp_tool_call_duration_seconds": ("histogram", TOOL, "seconds", REQUEST_SECONDS),
    "mcp_request_size_bytes": ("histogram", TOOL, "bytes", "100 500 1000 5000 10000 50000 100000"),
    "mcp_response_size_bytes": ("histogram", TOOL, "bytes", "100 500 1000 5000 10000 50000 100000 500000"),
    "mcp_server_deployment_status": ("gauge", "server_name state", "", ""),
}

KNOWLEDGE_BASE: dict[str, Row] = {
    "rag_connector_syncs_total": ("counter", "connector_type status", "", ""),
    "rag_connector_sync_duration_seconds": (
        "histogram", "connector_type status", "seconds", "1 5 10 30 60 120 300 600 1800",
    ),
    "rag_documents_processed_total": ("counter", "connector_type", "", ""),
    "rag_documents_ingested_total": ("counter", "connector_type", "", ""),
    "rag_chunks_created_total": ("counter", "connector_type", "", ""),
    "rag_embedding_batches_total": ("counter", "status", "", ""),
    "rag_embedding_documents_total": ("counter", "status", "", ""),
    "rag_queries_total": ("counter", "search_type", "", ""),
    "rag_query_duration_seconds": ("histogram", "search_type", "seconds", "0.1 0.25 0.5 1 2 5 10 30"),
    "rag_query_results_count": ("histogram", "search_type", "", "0 1 2 5 10 20 50"),
}  # fmt: skip

TASKS: dict[str, Row] = {
    "task_queue_tasks_enqueued_total": ("counter", "task_type", "", ""),
    "task_queue_tasks_completed_total": ("counter", "task_type", "", ""),
    "task_queue_tasks_failed_total": ("counter", "task_type", "", ""),
    "task_queue_tasks_dead_total": ("counter", "task_type", "", ""),
    "task_queue_task_duration_seconds": (
        "histogram", "task_type", "seconds", "0.1 0.5 1 5 10 30 60 120 300 600",
    ),
    "task_queue_active_tasks": ("gauge", "task_type", "", ""),
    "task_queue_stuck_tasks_reset_total": ("counter", "", "", ""),
}  # fmt: skip

HTTP: dict[str, Row] = {
    "http_request_duration_seconds": (
        "histogram", "method route status_code", "seconds", "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10",
    ),
    "http_request_summary_seconds": (
        "summary", "method route status_code", "seconds", "0.01 0.05 0.5 0.9 0.95 0.99 0.999",
    ),
}  # fmt: skip

RUNTIME: dict[str, Row] = PROCESS | {
    "process_cpu_user_seconds_total": ("counter", "", "seconds", ""),
    "process_cpu_system_seconds_total": ("counter", "", "seconds", ""),
    "process_heap_bytes": ("gauge", "", "bytes", ""),
    "nodejs_eventloop_lag_seconds": ("gauge", "", "seconds", ""),
    "nodejs_eventloop_lag_min_seconds": ("gauge", "", "seconds", ""),
    "nodejs_eventloop_lag_max_seconds": ("gauge", "", "seconds", ""),
    "nodejs_eventloop_lag_mean_seconds": ("gauge", "", "seconds", ""),
    "nodejs_eventloop_lag_stddev_seconds": ("gauge", "", "seconds", ""),
    "nodejs_eventloop_lag_p50_seconds": ("gauge", "", "seconds", ""),
    "nodejs_eventloop_lag_p90_seconds": ("gauge", "", "seconds", ""),
    "nodejs_eventloop_lag_p99_seconds": ("gauge", "", "seconds", ""),
    "nodejs_heap_size_used_bytes": ("gauge", "", "bytes", ""),
    "nodejs_heap_size_total_bytes": ("gauge", "", "bytes", ""),
    "nodejs_gc_duration_seconds": ("histogram", "kind", "seconds", "0.001 0.01 0.1 1 2 5"),
    "nodejs_active_handles_total": ("gauge", "", "", ""),
    "nodejs_active_requests_total": ("gauge", "", "", ""),
    "nodejs_version_info": ("info", "version major minor patch", "", ""),
}

ARCHESTRA = LLM | MCP | KNOWLEDGE_BASE | TASKS | HTTP | RUNTIME
