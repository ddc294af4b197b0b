"""What a program with agents tells beside a gateway: something of every fact, of which every number is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tallygate.declare import Fact
from tallygate.facts import (
    APIKeys,
    APIKeyUse,
    CacheLookup,
    CacheState,
    CommandRun,
    Connections,
    ConnectorSync,
    CoolDown,
    CreditBalance,
    CreditUse,
    DeploymentBreaker,
    Dropped,
    EmbeddingBatch,
    EventLoop,
    GarbageCollection,
    GatewayPhase,
    HTTPInFlight,
    HTTPRequest,
    Ingestion,
    LLMCall,
    LLMInFlight,
    LLMOutputChunk,
    LoopQueues,
    MCPOperation,
    MCPServerState,
    MCPSession,
    MCPSessionActive,
    ModelFallback,
    ProviderHealth,
    ProviderInfo,
    Query,
    Queue,
    RAGQuery,
    RateLimit,
    RateLimited,
    StoreFailure,
    Subscriptions,
    Task,
    TaskEvent,
    TaskInFlight,
    ToolCall,
    Trials,
    UpstreamAttempt,
    UpstreamRetry,
)
from tests.prometheus.known import Told

CHOSEN = {
    "agent_name": "helper",
    "cache": "answers",
    "cache_name": "answers",
    "chat_provider_id": "openai",
    "connector_type": "github",
    "cost_centre": "one",
    "endpoint": "/chat/completions",
    "instance": "127[.]0[.]0[.]1:[0-9]+",
    "mcp_server_name": "github",
    "model": "gpt-4o",
    "owner": "cost_centre",
    "provider": "openai",
    "queue": "default",
    "route": "chat",
    "search_type": "vector",
    "server": "github",
    "source": "chat",
    "task_type": "connector_sync",
    "tool": "search",
    "tool_name": "search",
}
"""A value for each variable that a board may have, as a regular expression; the program tells something of each."""
SERVED = {"provider": "openai", "model": "gpt-4o"}
CALLED = {
    **SERVED,
    "operation": "chat",
    "endpoint": "/chat/completions",
    "route": "chat",
    "stream": "true",
    "status_code": "200",
    "outcome": "completed",
    "agent_id": "agent-1",
    "agent_name": "helper",
    "agent_type": "agent",
    "external_agent_id": "outsider",
    "source": "chat",
    "cost_centre": "one",
}
CLAUDE = CALLED | {"provider": "anthropic", "model": "claude", "endpoint": "/messages", "external_agent_id": ""}
EMBEDDED = CALLED | {"model": "embedder", "operation": "embeddings", "source": "knowledge:embedding", "stream": "false"}
RERANKED = CALLED | {"model": "reranker", "source": "knowledge:reranker", "stream": "false"}
WHOLE = CALLED | {"stream": "false"}
FAILED = {"outcome": "failed"}
TIMED_OUT = CALLED | FAILED | {"status_code": "network_error", "error_type": "provider_timeout"}
LIMITED = CALLED | FAILED | {"status_code": "429", "error_type": "provider_rate_limit"}
REFUSED = CALLED | FAILED | {"status_code": "400", "error_type": "caller_invalid_request"}
UNKNOWN = CALLED | FAILED | {"status_code": "502", "error_type": "other"}
LEFT = CALLED | {"outcome": "cancelled"}
SEARCH = {
    "server": "github",
    "tool": "search",
    "agent_id": "agent-1",
    "agent_name": "helper",
    "agent_type": "agent",
    "route": "chat",
    "source": "chat",
    "outcome": "completed",
    "cost_centre": "one",
}
WRITE = SEARCH | {"server": "files", "tool": "write"}
CHAT = {"method": "POST", "route": "/v1/chat/completions", "status_code": "200"}


def calls() -> Iterator[Told]:
    """Of models."""
    whole = {"duration": 0.8, "time_to_headers": 0.1, "output_tokens_per_second": 62.5, "gateway_overhead": 0.0004}
    streamed = {"time_to_first_token": 0.2, "time_per_output_token": 0.012}
    tokens = {
        "input_tokens": 100,
        "uncached_input_tokens": 60,
        "cache_read_tokens": 30,
        "cache_write_tokens": 10,
        "output_tokens": 50,
        "reasoning_tokens": 20,
        "total_tokens": 150,
    }
    yield Told(LLMCall, CALLED, {**whole, **streamed, **tokens, "cost": 0.4, "blocked_tools": 1}, 90)
    yield Told(LLMCall, WHOLE, {**whole, **tokens, "cost": 0.4}, 10)
    tokens |= {"input_tokens": 1000, "uncached_input_tokens": 960, "output_tokens": 200, "total_tokens": 1200}
    slow = {"duration": 4, "output_tokens_per_second": 50, "time_to_first_token": 0.6, "time_per_output_token": 0.017}
    yield Told(LLMCall, CLAUDE, {**whole, **slow, **tokens, "cost": 2}, 9)
    little = {"input_tokens": 6, "uncached_input_tokens": 6, "output_tokens": 2, "total_tokens": 8, "cost": 0.01}
    yield Told(LLMCall, EMBEDDED, {**whole, **little, "duration": 0.3}, 12)
    more = {"input_tokens": 290, "uncached_input_tokens": 290, "output_tokens": 10, "total_tokens": 300, "cost": 0.1}
    yield Told(LLMCall, RERANKED, {**whole, **more, "duration": 0.7}, 6)
    yield Told(LLMCall, TIMED_OUT, {"duration": 20}, 8)
    yield Told(LLMCall, LIMITED, {"duration": 0.2, "rate_limit_events": 12})
    yield Told(LLMCall, REFUSED, {"duration": 0.1}, 2)
    yield Told(LLMCall, UNKNOWN, {"duration": 0.1})
    yield Told(LLMCall, LEFT, {"duration": 2, "time_to_first_token": 0.3}, 3)
    yield Told(LLMCall, CALLED, {**whole, **streamed, "unmetered": 1}, 4)
    yield Told(LLMCall, CALLED, {**whole, **streamed, **tokens, "unpriced": 1}, 5)
    yield Told(LLMOutputChunk, CALLED, {"gap": 0.02}, 100)
    yield Told(LLMInFlight, CALLED, {"now": 7})
    yield Told(ProviderInfo, SERVED | {"kind": "openai"}, {"present": 1})
    yield Told(ProviderHealth, SERVED, {"available": 1, "error_rate": 0.1})


def gateway() -> Iterator[Told]:
    """Of a gateway, for the provider and model of ``CHOSEN``."""
    attempt = CALLED | {"error_type": ""}
    yield Told(UpstreamAttempt, attempt, {"duration": 0.8, "time_to_headers": 0.1}, 90)
    failed = attempt | {"status_code": "503", "error_type": "provider_overloaded"}
    yield Told(UpstreamAttempt, failed, {"duration": 0.1, "time_to_headers": 0.05}, 10)
    for step in ("again", "elsewhere", "fallback"):
        yield Told(UpstreamRetry, SERVED | {"reason": "provider_overloaded", "step": step}, {"pause": 0.3}, 4)
    yield Told(ModelFallback, {"from_model": "gpt-4o", "to_model": "claude"}, {}, 2)
    yield Told(CoolDown, SERVED, {"spared": 30}, 2)
    for state, holds in (("closed", 0), ("open", 1), ("half_open", 0)):
        yield Told(DeploymentBreaker, SERVED | {"state": state}, {"holds": holds}, 2)
    for phase in ("decode", "prepare", "provider_dispatch", "response_write", "total"):
        passed = {"endpoint": "/v1/chat/completions", "phase": phase, "status": "success", "stream": "true"}
        yield Told(GatewayPhase, passed, {"duration": 0.0003}, 90)
    yield Told(HTTPRequest, CHAT, {"duration": 0.9, "request_size": 2000, "response_size": 9000}, 90)
    yield Told(HTTPRequest, CHAT | {"status_code": "503"}, {"duration": 0.1}, 10)
    yield Told(CacheLookup, {"cache": "answers", "route": "chat", "result": "hit"}, times=30)
    yield Told(CacheLookup, {"cache": "answers", "route": "chat", "result": "miss"}, times=10)
    held = {"capacity": 1000, "used": 950, "entries": 3, "fill_ratio": 0.95, "time_to_live": 600, "time_to_idle": 60}
    yield Told(CacheState, {"cache": "answers"}, held)
    yield Told(RateLimited, {"limit_type": "model_tokens"}, times=6)
    yield Told(RateLimit, {"limit_type": "model_tokens"}, {"remaining": 40})
    yield Told(CreditUse, SERVED | {"user_id": "ann"}, {"credits": 0.25}, 10)
    yield Told(CreditBalance, {"plan_type": "pro", "user_id": ""}, {"credits": 12})
    yield Told(APIKeyUse, {"status": "success", "api_key_id": "key-1"}, times=70)
    yield Told(APIKeyUse, {"status": "expired", "api_key_id": "key-2"}, times=3)
    yield Told(APIKeys, {"status": "inactive"}, {"now": 2})
    yield Told(Trials, {"status": "active"}, {"now": 2})
    yield Told(Subscriptions, {"plan_type": "pro", "billing_cycle": "monthly"}, {"now": 5})
    for store, operation in (
        ("usage", "partial_write"),
        ("audit_log", "partial_write"),
        ("response_snapshot", "store"),
    ):
        yield Told(StoreFailure, {"store": store, "provider": "openai", "operation": operation})
    yield Told(HTTPInFlight, {}, {"now": 2})
    yield Told(Connections, {"connection_type": "db"}, {"now": 4})


def work() -> Iterator[Told]:
    """Of tools, tasks, knowledge bases and databases."""
    yield Told(ToolCall, SEARCH, {"duration": 0.4, "request_size": 300, "response_size": 4000}, 15)
    broken = {"outcome": "failed", "error_type": "timeout"}
    yield Told(ToolCall, SEARCH | broken, {"duration": 5, "request_size": 300, "response_size": 100}, 5)
    yield Told(ToolCall, WRITE, {"duration": 0.02, "request_size": 9000, "response_size": 10}, 30)
    asked = {"side": "client", "server": "github", "method": "tools/call", "tool": "search", "error_type": ""}
    yield Told(MCPOperation, asked, {"duration": 0.4}, 15)
    yield Told(MCPOperation, asked | {"error_type": "timeout"}, {"duration": 5}, 5)
    yield Told(MCPSession, {"side": "client", "server": "github", "outcome": "completed"}, {"duration": 40}, 2)
    yield Told(MCPSessionActive, {"side": "client", "server": "github"}, {"now": 3})
    for server, state, holds in (("github", "running", 1), ("github", "failed", 0), ("files", "failed", 1)):
        yield Told(MCPServerState, {"server": server, "state": state}, {"holds": holds})
    yield Told(CommandRun, {"command": "git", "outcome": "completed", "exit_code": "0"}, {"duration": 2}, 8)
    ran = {"command": "git", "outcome": "failed", "exit_code": "1"}
    yield Told(CommandRun, ran, {"duration": 1, "output_size": 500}, 2)

    sync = {"task_type": "connector_sync"}
    yield Told(Task, sync | {"outcome": "completed"}, {"duration": 20, "time_in_queue": 3}, 8)
    yield Told(Task, sync | {"outcome": "failed"}, {"duration": 4, "time_in_queue": 3}, 4)
    for event, tasks in (("enqueued", 13), ("dead", 2), ("stuck_reset", 1)):
        yield Told(TaskEvent, sync | {"event": event}, {"tasks": tasks})
    yield Told(TaskInFlight, sync, {"now": 2})
    yield Told(Queue, {"queue": "default"}, {"size": 6, "oldest_age": 90})
    for status, times in (("success", 6), ("failed", 1), ("partial", 1)):
        yield Told(ConnectorSync, {"connector_type": "github", "status": status}, {"duration": 25}, times)
    ingested = {"documents_processed": 200, "documents_ingested": 120, "chunks_created": 900}
    yield Told(Ingestion, {"connector_type": "github"}, ingested)
    yield Told(EmbeddingBatch, {"status": "success"}, {"duration": 0.4, "documents": 10}, 11)
    yield Told(EmbeddingBatch, {"status": "error"}, {"duration": 0.1, "documents": 10})
    yield Told(RAGQuery, {"search_type": "vector", "status": "success"}, {"duration": 0.3, "results": 4}, 20)
    yield Told(RAGQuery, {"search_type": "vector", "status": "success"}, {"duration": 0.2, "results": 0}, 2)
    yield Told(RAGQuery, {"search_type": "vector", "status": "error"}, {"duration": 2})
    yield Told(RAGQuery, {"search_type": "hybrid", "status": "success"}, {"duration": 1.5, "results": 10}, 5)
    chats = {"system": "postgresql", "query": "list_chats", "table": "chats", "operation": "select"}
    yield Told(Query, chats | {"status": "success"}, {"duration": 0.02}, 60)
    yield Told(Query, chats | {"status": "error"}, {"duration": 0.5}, 3)
    lags = {"lag_p50": 0.001, "lag_p90": 0.002, "lag_p99": 0.003, "tasks": 12, "busy": 3, "lag": 0.002}
    yield Told(EventLoop, {}, lags)
    yield Told(LoopQueues, {}, {"ready": 2, "executor_threads": 4, "executor_queue": 1})
    for generation in ("0", "2"):
        yield Told(
            GarbageCollection, {"generation": generation}, {"duration": 0.004, "collected": 90, "uncollectable": 1}, 10
        )
    yield Told(Dropped, {"fact": "LLMCall", "reason": "invalid_value"}, times=2)


def told() -> tuple[Told, ...]:
    """All of it."""
    return (*calls(), *gateway(), *work())


def total(all_told: Iterable[Told], fact: type[Fact], measure: str = "", **where: str | tuple[str, ...]) -> float:
    """How often a fact was told, or the sum of a measure, where these dimensions have one of these values."""
    wanted = {name: (value,) if isinstance(value, str) else value for name, value in where.items()}
    return sum(
        each.times * (each.measures.get(measure, 0) if measure else 1)
        for each in all_told
        if each.fact is fact and all(each.dimensions.get(name, "") in values for name, values in wanted.items())
    )
