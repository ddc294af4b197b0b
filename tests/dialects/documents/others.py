"""Erato, Aurora, Gatewayz and HyperAgent."""

from tests.dialects.documents.rows import PROCESS, Row

CHAT_SECONDS = "0.05 0.1 0.25 0.5 1 2.5 5 10 20 30 60 120 300 600"
QUERY_SECONDS = "0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10"
"""The documents of Erato and Gatewayz name no buckets for these."""

ERATO: dict[str, Row] = {
    # Its document says gauges of 1; in the text format they are.
    "erato_info": ("info", "version environment service deployment_version", "", ""),
    "erato_chat_provider_info": ("info", "chat_provider_id provider_kind model_name", "", ""),
    "erato_chat_provider_time_to_first_token_seconds": ("histogram", "chat_provider_id", "seconds", CHAT_SECONDS),
    "erato_chat_provider_time_to_last_token_seconds": ("histogram", "chat_provider_id", "seconds", CHAT_SECONDS),
    "erato_chat_provider_generation_errors_total": ("counter", "chat_provider_id error_type", "", ""),
    "erato_mcp_active_sessions": ("gauge", "server_id", "", ""),
    "erato_cache_max_size_bytes": ("gauge", "cache", "bytes", ""),
    "erato_cache_used_size_bytes": ("gauge", "cache", "bytes", ""),
    "erato_cache_fill_ratio": ("gauge", "cache", "", ""),
    "erato_cache_entries": ("gauge", "cache", "", ""),
    "erato_cache_time_to_live_seconds": ("gauge", "cache", "seconds", ""),
    "erato_cache_time_to_idle_seconds": ("gauge", "cache", "seconds", ""),
    "erato_postgres_query_duration_seconds": ("histogram", "query_id status", "seconds", QUERY_SECONDS),
    "tokio_workers_count": ("gauge", "", "", ""),
    "tokio_live_tasks_count": ("gauge", "", "", ""),
    "tokio_global_queue_depth": ("gauge", "", "", ""),
    # A counter in the text format; OpenMetrics has none of such a name.
    "tokio_total_busy_duration": ("unknown", "", "", ""),
}

AURORA: dict[str, Row] = PROCESS | {
    "aurora_requests_total": ("counter", "provider model endpoint status_code status_type stream", "", ""),
    "aurora_request_duration_seconds": (
        "histogram", "provider model endpoint stream", "seconds", "0.1 0.25 0.5 1 2 5 10 30 60",
    ),
    "aurora_requests_in_flight": ("gauge", "provider endpoint stream", "", ""),
    "aurora_response_snapshot_store_failures_total": ("counter", "provider provider_name operation", "", ""),
    "aurora_gateway_phase_duration_seconds": (
        "histogram", "endpoint phase status stream", "seconds",
        "0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5",
    ),
    "aurora_audit_log_partial_write_failures_total": ("counter", "", "", ""),
    "aurora_usage_partial_write_failures_total": ("counter", "", "", ""),
}  # fmt: skip

GATEWAYZ: dict[str, Row] = PROCESS | {
    "http_requests_total": ("counter", "method endpoint status_code status_class", "", ""),
    "http_request_duration_seconds": (
        "histogram", "method endpoint", "seconds", "0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5",
    ),
    "model_inference_requests_total": ("counter", "provider model status", "", ""),
    "model_inference_duration_seconds": ("histogram", "provider model", "seconds", "0.1 0.5 1 2.5 5 10 25 60"),
    "tokens_used_total": ("counter", "provider model token_type", "", ""),
    "credits_used_total": ("counter", "provider model user_id", "", ""),
    "database_queries_total": ("counter", "table operation", "", ""),
    # A summary without quantiles in the original; its _sum and _count are here too.
    "database_query_duration_seconds": ("histogram", "table", "seconds", QUERY_SECONDS),
    "cache_hits_total": ("counter", "cache_name", "", ""),
    "cache_misses_total": ("counter", "cache_name", "", ""),
    "cache_size_bytes": ("gauge", "cache_name", "bytes", ""),
    "rate_limited_requests_total": ("counter", "limit_type", "", ""),
    "current_rate_limit": ("gauge", "limit_type", "", ""),
    "provider_availability": ("gauge", "provider", "", ""),
    "provider_error_rate": ("gauge", "provider", "", ""),
    "provider_response_time_seconds": ("histogram", "provider", "seconds", "0.1 0.5 1 2.5 5 10"),
    "api_key_usage_total": ("counter", "status api_key_id", "", ""),
    "active_api_keys": ("gauge", "status", "", ""),
    "user_credit_balance": ("gauge", "plan_type user_id", "", ""),
    "trial_active": ("gauge", "status", "", ""),
    "subscription_count": ("gauge", "plan_type billing_cycle", "", ""),
    "active_connections": ("gauge", "connection_type", "", ""),
    "queue_size": ("gauge", "queue_name", "", ""),
}  # fmt: skip

HYPERAGENT: dict[str, Row] = {
    "llm_tokens_input_total": ("counter", "route model", "", ""),
    "llm_tokens_output_total": ("counter", "route model", "", ""),
    "llm_tokens_total": ("counter", "route model", "tokens", ""),
    "llm_cost_usd_total": ("counter", "route model", "", ""),
    "llm_latency_ms": (
        "histogram", "route model", "", "5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000 120000",
    ),
    "llm_cache_hits_total": ("counter", "route", "", ""),
    "llm_cache_misses_total": ("counter", "route", "", ""),
    "llm_rate_limited_total": ("counter", "provider model", "", ""),
    "llm_errors_total": ("counter", "route model error_type", "", ""),
    "llm_active_requests": ("gauge", "route model", "", ""),
}  # fmt: skip
