"""Tallygate: every token, dollar, millisecond and error of LLM traffic, in any vocabulary of metrics.

    import tallygate

    tallygate.init(service="shop")

    with tallygate.context(route="chat", agent_id="helper"):
        with tallygate.track_llm_call(provider="openai", model="gpt-4o") as call:
            response = client.chat.completions.create(...)
            call.usage(input_tokens=..., output_tokens=...)

    page = tallygate.render()

A program that wants several tallies, or none that is global, makes ``Tally`` objects instead.
"""

from tallygate.context import context
from tallygate.default import (
    AlreadyInitialised,
    init,
    record_api_key_use,
    record_credits,
    record_ingestion,
    record_rate_limited,
    record_store_failure,
    record_task_event,
    render,
    set_api_keys,
    set_cache_state,
    set_connections,
    set_credit_balance,
    set_mcp_server_state,
    set_mcp_sessions,
    set_provider_health,
    set_queue,
    set_rate_limit,
    set_subscriptions,
    set_trials,
    track_cache,
    track_command,
    track_connector_sync,
    track_embedding_batch,
    track_http_request,
    track_llm_call,
    track_mcp_operation,
    track_mcp_session,
    track_query,
    track_rag_query,
    track_task,
    track_tool_call,
)
from tallygate.errors import ErrorType
from tallygate.pricing import PriceOverride
from tallygate.record.call import LLMCallTracker
from tallygate.record.wrapping import tracked
from tallygate.serving import asgi_app, start_metrics_server, wsgi_app
from tallygate.tally import Tally, package_version

__all__ = [
    "AlreadyInitialised",
    "ErrorType",
    "LLMCallTracker",
    "PriceOverride",
    "Tally",
    "asgi_app",
    "context",
    "init",
    "record_api_key_use",
    "record_credits",
    "record_ingestion",
    "record_rate_limited",
    "record_store_failure",
    "record_task_event",
    "render",
    "set_api_keys",
    "set_cache_state",
    "set_connections",
    "set_credit_balance",
    "set_mcp_server_state",
    "set_mcp_sessions",
    "set_provider_health",
    "set_queue",
    "set_rate_limit",
    "set_subscriptions",
    "set_trials",
    "start_metrics_server",
    "track_cache",
    "track_command",
    "track_connector_sync",
    "track_embedding_batch",
    "track_http_request",
    "track_llm_call",
    "track_mcp_operation",
    "track_mcp_session",
    "track_query",
    "track_rag_query",
    "track_task",
    "track_tool_call",
    "tracked",
    "wsgi_app",
]


def __getattr__(name: str) -> str:
    """``__version__``, looked up when it is asked for."""
    if name == "__version__":
        return package_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
