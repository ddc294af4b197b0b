"""Known facts of a program around a model, read in the vocabularies that have words for them: the exact numbers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tallygate.dialects import DIALECTS
from tallygate.dialects.erato import ERROR_WORDS
from tallygate.errors import ERROR_TYPES
from tallygate.facts import (
    CacheLookup,
    HTTPRequest,
    LLMCall,
    MCPOperation,
    MCPServerState,
    MCPSession,
    MCPSessionActive,
    Query,
    RAGQuery,
    Task,
    TaskEvent,
    ToolCall,
)
from tallygate.tally import Tally

from .filled import Filled

CALL = {"provider": "openai", "model": "gpt-4o", "operation": "chat", "stream": "true", "outcome": "completed"}
FAILED = CALL | {"outcome": "failed"}


@pytest.fixture
def store() -> Filled:
    return Filled(custom=())


def values(store: Filled, dialect: str, family: str) -> Mapping[str, float]:
    """The family's samples by label values and suffix, joined by '|'; buckets left out."""
    samples = store.families(DIALECTS[dialect])[family].samples
    return {
        "|".join([*sample.labels.values(), sample.name.removeprefix(family).removeprefix("_")]).strip("|"): sample.value
        for sample in samples
        if "le" not in sample.labels
    }


def test_erato_times_streams_that_came_to_their_end(store: Filled) -> None:
    store.record(LLMCall, CALL, duration=6, time_to_first_token=0.5)
    store.record(LLMCall, CALL | {"stream": "false"}, duration=3)
    store.record(LLMCall, CALL | {"outcome": "cancelled"}, duration=2, time_to_first_token=1)
    store.record(LLMCall, FAILED | {"error_type": "provider_stream_cut"}, duration=4, time_to_first_token=1)
    store.record(LLMCall, CALL | {"provider": ""}, duration=8, time_to_first_token=2)
    first = values(store, "erato", "erato_chat_provider_time_to_first_token_seconds")
    assert first == {"openai|sum": 0.5, "openai|count": 1, "unknown|sum": 2, "unknown|count": 1}
    last = values(store, "erato", "erato_chat_provider_time_to_last_token_seconds")
    assert last == {"openai|sum": 6, "openai|count": 1, "unknown|sum": 8, "unknown|count": 1}


def test_erato_has_seven_words_for_errors_and_none_for_aborts(store: Filled) -> None:
    assert ERROR_WORDS.keys() == set(ERROR_TYPES)
    for error_type in ("provider_rate_limit", "policy_rate_limit", "provider_timeout", "gateway_internal", "other"):
        store.record(LLMCall, FAILED | {"error_type": error_type}, duration=1)
    store.record(LLMCall, CALL | {"outcome": "cancelled"}, duration=1)
    store.record(LLMCall, FAILED | {"operation": "embeddings", "error_type": "provider_timeout"}, duration=1)
    assert values(store, "erato", "erato_chat_provider_generation_errors") == {
        "openai|content_filter|total": 0,
        "openai|rate_limit|total": 2,
        "openai|model_unavailable|total": 0,
        "openai|invalid_request|total": 0,
        "openai|provider_error|total": 1,
        "openai|hallucination_loop|total": 0,
        "openai|internal_error|total": 2,
    }


def test_erato_shows_postgresql_alone_and_its_own_sessions(store: Filled) -> None:
    chats = {"query": "list_chats", "table": "chats", "operation": "select"}
    for system, status, seconds in (
        ("postgresql", "success", 0.25),
        ("postgresql", "error", 1),
        ("postgresql", "cancelled", 2),
        ("sqlite", "success", 4),
    ):
        store.record(Query, chats | {"system": system, "status": status}, duration=seconds)
    assert values(store, "erato", "erato_postgres_query_duration_seconds") == {
        "list_chats|success|sum": 0.25,
        "list_chats|success|count": 1,
        "list_chats|error|sum": 3,
        "list_chats|error|count": 2,
    }
    for server, count in (("github", 2), ("idle", 0)):
        store.record(MCPSessionActive, {"side": "client", "server": server}, now=count)
    for server in ("github", "our-own"):
        store.record(MCPSessionActive, {"side": "server", "server": server}, now=5)
    assert values(store, "erato", "erato_mcp_active_sessions") == {"github": 2, "idle": 0}


def test_aurora_shows_configured_providers_at_0() -> None:
    tally = Tally()
    tally.provider_info(provider="groq", kind="openai")
    page = tally.render(["aurora"], names=["aurora_response_snapshot_store_failures_total"]).decode()
    labels = 'provider="groq",provider_name="groq",operation="store"'
    assert page.splitlines()[-1] == f"aurora_response_snapshot_store_failures_total{{{labels}}} 0"
    tally.close()


def test_gatewayz_http(store: Filled) -> None:
    for status, seconds in (("200", 0.03), ("304", 0.04), ("404", 0.05)):
        store.record(HTTPRequest, {"method": "GET", "route": "/v1", "status_code": status}, duration=seconds)
    store.record(HTTPRequest, {"method": "GET", "route": "/metrics", "status_code": "200"}, duration=9)
    assert values(store, "gatewayz", "http_requests") == {
        "GET|/v1|200|2xx|total": 1,
        "GET|/v1|304|other|total": 1,
        "GET|/v1|404|4xx|total": 1,
        "GET|/v1|500|5xx|total": 0,
    }
    assert values(store, "gatewayz", "http_request_duration_seconds") == {"GET|/v1|sum": 0.12, "GET|/v1|count": 3}


def test_gatewayz_models_caches_and_queries(store: Filled) -> None:
    store.record(LLMCall, CALL, duration=2, input_tokens=100, uncached_input_tokens=10, output_tokens=7)
    assert values(store, "gatewayz", "model_inference_requests") == {
        "openai|gpt-4o|success|total": 1,
        "openai|gpt-4o|error|total": 0,
    }
    store.record(LLMCall, FAILED | {"error_type": "provider_timeout"}, duration=3)
    store.record(LLMCall, CALL | {"outcome": "cancelled"}, duration=1)
    assert values(store, "gatewayz", "model_inference_requests") == {
        "openai|gpt-4o|success|total": 2,
        "openai|gpt-4o|error|total": 1,
    }
    assert values(store, "gatewayz", "tokens_used") == {
        "openai|gpt-4o|input|total": 100,
        "openai|gpt-4o|output|total": 7,
    }
    store.record(CacheLookup, {"cache": "answers", "result": "hit"})
    assert values(store, "gatewayz", "cache_hits") == {"answers|total": 1}
    assert values(store, "gatewayz", "cache_misses") == {"answers|total": 0}
    store.record(Query, {"table": "users", "operation": "select", "status": "success"}, duration=0.5)
    queries = values(store, "gatewayz", "database_queries")
    assert (queries["users|select|total"], queries["users|delete|total"], len(queries)) == (1, 0, 5)


def test_archestra_tools_are_those_of_servers(store: Filled) -> None:
    tool = {"server": "github", "tool": "search", "agent_id": "a1", "agent_name": "helper", "agent_type": "agent"}
    store.record(ToolCall, tool | {"outcome": "completed"}, duration=0.5, request_size=10, response_size=20)
    store.record(ToolCall, tool | {"outcome": "failed", "error_type": "timeout"}, duration=3)
    store.record(ToolCall, {"tool": "add", "outcome": "completed"}, duration=1)
    where = "a1|helper|agent|github|search"
    assert values(store, "archestra", "mcp_tool_calls") == {f"{where}|success|total": 1, f"{where}|error|total": 1}
    assert values(store, "archestra", "mcp_tool_call_duration_seconds") == {
        f"{where}|success|sum": 0.5,
        f"{where}|success|count": 1,
        f"{where}|error|sum": 3,
        f"{where}|error|count": 1,
    }
    sizes = values(store, "archestra", "mcp_response_size_bytes")
    assert (sizes[f"{where}|success|sum"], sizes[f"{where}|error|count"]) == (20, 0)
    for state in ("running", "failed"):
        store.record(MCPServerState, {"server": "github", "state": state}, holds=int(state == "running"))
    assert values(store, "archestra", "mcp_server_deployment_status") == {"github|running": 1, "github|failed": 0}


def test_archestra_times_completed_tasks_alone(store: Filled) -> None:
    for outcome, seconds in (("completed", 2), ("failed", 30), ("cancelled", 60)):
        store.record(Task, {"task_type": "sync", "outcome": outcome}, duration=seconds)
    store.record(TaskEvent, {"task_type": "sync", "event": "enqueued"}, tasks=5)
    store.record(TaskEvent, {"event": "stuck_reset"}, tasks=2)
    assert values(store, "archestra", "task_queue_tasks_completed") == {"sync|total": 1}
    assert values(store, "archestra", "task_queue_tasks_failed") == {"sync|total": 1}
    assert values(store, "archestra", "task_queue_task_duration_seconds") == {"sync|sum": 2, "sync|count": 1}
    assert values(store, "archestra", "task_queue_tasks_enqueued") == {"sync|total": 5}
    assert values(store, "archestra", "task_queue_tasks_dead") == {"sync|total": 0}
    assert values(store, "archestra", "task_queue_stuck_tasks_reset") == {"total": 2}


def test_archestra_shows_what_is_known_at_0(store: Filled) -> None:
    assert values(store, "archestra", "rag_queries") == {"vector|total": 0, "hybrid|total": 0}
    assert values(store, "archestra", "rag_embedding_batches") == {"success|total": 0, "error|total": 0}
    assert values(store, "archestra", "task_queue_stuck_tasks_reset") == {"total": 0}
    store.record(RAGQuery, {"search_type": "keyword", "status": "success"}, duration=0.5, results=3)
    assert values(store, "archestra", "rag_queries")["keyword|total"] == 1
    assert values(store, "archestra", "rag_query_results_count")["keyword|sum"] == 3
    assert values(store, "archestra", "nodejs_active_requests_total") == {"": 0}


def test_otel_tells_sides_apart_and_errors_in_its_words(store: Filled) -> None:
    search = {"server": "github", "method": "tools/call", "tool": "search"}
    store.record(MCPOperation, search | {"side": "client"}, duration=0.5)
    store.record(MCPOperation, search | {"side": "server", "error_type": "tool_error"}, duration=0.25)
    store.record(MCPOperation, {"server": "github", "method": "ping", "side": "client"}, duration=0.125)
    assert values(store, "otel", "mcp_client_operation_duration_seconds") == {
        "tools/call|search|execute_tool||sum": 0.5,
        "tools/call|search|execute_tool||count": 1,
        "ping||||sum": 0.125,
        "ping||||count": 1,
    }
    assert values(store, "otel", "mcp_server_operation_duration_seconds") == {
        "tools/call|search|execute_tool|tool_error|sum": 0.25,
        "tools/call|search|execute_tool|tool_error|count": 1,
    }
    for outcome in ("completed", "failed", "cancelled"):
        store.record(MCPSession, {"side": "client", "server": "github", "outcome": outcome}, duration=10)
    assert values(store, "otel", "mcp_client_session_duration_seconds") == {
        "sum": 20,
        "count": 2,
        "_OTHER|sum": 10,
        "_OTHER|count": 1,
    }
    store.record(Query, {"system": "mysql", "operation": "other", "status": "error"}, duration=1)
    assert values(store, "otel", "db_client_operation_duration_seconds")["mysql|||_OTHER|count"] == 1
    for method, status in (("OTHER", "503"), ("GET", "404")):
        store.record(HTTPRequest, {"method": method, "route": "unmatched", "status_code": status}, duration=1)
    requests = values(store, "otel", "http_server_request_duration_seconds")
    assert (requests["_OTHER||503|503|count"], requests["GET||404||count"]) == (1, 1)


def test_tallygate_states_and_zeros(store: Filled) -> None:
    store.record(MCPServerState, {"server": "github", "state": "running"}, holds=1)
    states = store.families(DIALECTS["tallygate"])["tallygate_mcp_server_state"].samples
    assert {sample.labels["tallygate_mcp_server_state"]: sample.value for sample in states} == {
        "not_created": 0,
        "pending": 0,
        "running": 1,
        "failed": 0,
        "succeeded": 0,
        "hibernated": 0,
        "waking": 0,
    }
    tool = {"server": "github", "tool": "search", "outcome": "failed", "error_type": "timeout"}
    store.record(ToolCall, tool, duration=1)
    assert values(store, "tallygate", "tallygate_tool_errors") == {
        "github|search|tool_error|total": 0,
        "github|search|blocked|total": 0,
        "github|search|timeout|total": 1,
        "github|search|transport|total": 0,
        "github|search|protocol|total": 0,
        "github|search|other|total": 0,
    }
    assert values(store, "tallygate", "tallygate_tool_calls") == {"github|search|failed||||total": 1}
