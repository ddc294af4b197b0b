"""A program in which everything happens once: it calls every public function that records something."""

from __future__ import annotations

import contextlib
from typing import Any

import tallygate
from tallygate.declare import Fact
from tallygate.facts import Dropped, EventLoop, GarbageCollection, LoopQueues, Process
from tallygate.ledger.schema import Kind
from tallygate.tally import Tally

CUSTOM = ("cost-center", "team")
PREFIXES = ("track_", "record_", "set_")
RECORDING = {name for name in tallygate.__all__ if name.startswith(PREFIXES)}
"""Every public function that writes facts."""


class Public:
    """The module ``tallygate``, remembering what was asked of it."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.used.add(name)
        return getattr(tallygate, name)


class ProviderDownError(Exception):
    status_code = 503


class PolicyError(Exception):
    error_type = tallygate.ErrorType.POLICY_CONTENT_FILTER


def everything(tally: Tally) -> set[str]:
    """Run it against the program's tally; gives the names of the public functions it used."""
    program = Public()
    with tallygate.context(route="chat", agent_id="a1", agent_name="helper", agent_type="agent", source="api"):
        models(program)
        tools(program)
    around(program)
    work(program)
    accounts(program)
    of_the_gateway(tally)
    runtime(tally)
    return program.used


def models(program: Any) -> None:
    custom = {"cost-center": "one", "team": "red"}
    with program.track_llm_call("openai", "gpt-4-turbo", endpoint="/chat/completions", stream=True, **custom) as call:
        call.headers()
        call.content()
        call.content()
        call.usage(1000, 276, cache_read_tokens=900, cache_write_tokens=50, reasoning_tokens=30)
        call.rate_limited()
        call.blocked_tools(2)
        call.overhead(0.0005)
        call.attempt(seconds=0.25, seconds_to_headers=0.125)
    with contextlib.suppress(ProviderDownError), program.track_llm_call("openai", "gpt-4-turbo"):
        raise ProviderDownError
    program.set_provider_health("openai", available=True, error_rate=0.5)


def tools(program: Any) -> None:
    with program.track_tool_call("search", server="github", **{"cost-center": "one", "team": "red"}) as call:
        call.request_size, call.response_size = 120, 4096
    with contextlib.suppress(TimeoutError), program.track_tool_call("add"):
        raise TimeoutError
    for side in ("client", "server"):
        with (
            program.track_mcp_session(side, "github"),
            program.track_mcp_operation(side, "github", "tools/call", "search"),
        ):
            pass
    program.set_mcp_sessions("idle", 0)
    program.set_mcp_server_state("github", "running")
    with program.track_command("ls") as command:
        command.exit_code, command.output_size = 0, 300


def around(program: Any) -> None:
    with program.track_http_request("POST", "/v1/chat") as request:
        request.request_size, request.response_size = 500, 9000
    with program.track_query("list_chats", system="postgresql", table="chats", operation="select"):
        pass
    with program.track_cache("answers", route="chat") as lookup:
        lookup.hit()
    program.set_cache_state("answers", capacity=1000, used=250, entries=3, time_to_live=0, time_to_idle=43200)
    program.set_connections("db", 4)
    for store in ("response_snapshot", "audit_log", "usage"):
        program.record_store_failure(store, provider="openai")


def work(program: Any) -> None:
    with program.track_task("batch_embedding", time_in_queue=1.5):
        program.record_task_event("enqueued", "batch_embedding")
        program.record_task_event("dead", "batch_embedding")
        program.record_task_event("stuck_reset", count=2)
    program.set_queue("documents", size=7, oldest_age=12.5)
    with program.track_connector_sync("github"):
        program.record_ingestion("github", documents_processed=10, documents_ingested=8, chunks_created=80)
    with program.track_embedding_batch(8):
        pass
    with program.track_rag_query("hybrid") as query:
        query.results = 5


def accounts(program: Any) -> None:
    program.record_rate_limited("security_ip_tier")
    program.set_rate_limit("requests_per_minute", 55)
    program.record_api_key_use("success", api_key_id="key-1")
    program.set_api_keys("active", 12)
    program.record_credits(0.25, provider="openai", model="gpt-4-turbo", user_id="user-1")
    program.set_credit_balance(99.5, plan_type="pro")
    program.set_trials("active", 3)
    program.set_subscriptions("pro", "monthly", 4)


def of_the_gateway(tally: Tally) -> None:
    """What only the gateway records."""
    tally.provider_info(provider="openai", kind="openai", model="gpt-4-turbo")
    tally.gateway_phase("/v1/chat/completions", "total", "success", "true", 0.5)
    tally.seed_deployment("openai", "gpt-4-turbo")
    tally.upstream_retry(provider="openai", model="gpt-4-turbo", reason="provider_network", step="again", pause=0.5)
    tally.model_fallback("gpt-4-turbo", "gpt-4o")
    tally.cool_down(provider="openai", model="gpt-4-turbo", seconds=20)
    tally.breaker_changed("openai", "gpt-4-turbo", "open")


def runtime(tally: Tally) -> None:
    """What the samplers of the runtime record, which have tests of their own."""
    for fact in (Process, EventLoop, LoopQueues, GarbageCollection, Dropped):
        values = tuple(dimension.values[-1] if dimension.values else "LLMCall" for dimension in fact.dimensions)
        told(tally, fact, values, **{measure.name: 1 for measure in fact.measures})


def told(tally: Tally, fact: type[Fact], values: tuple[str, ...], **measures: float) -> None:
    """Record one fact in its own words, in base units, gauges included; what is not given is unset."""
    table = tally.tables[fact]
    row = table.row(*values)
    row.record(*[measures.get(each.name) for each in table.schema.measures if each.kind is not Kind.GAUGE])
    for index, each in enumerate(table.schema.measures):
        if each.kind is Kind.GAUGE and each.name in measures:
            row.set(index, measures[each.name])
    assert measures.keys() <= {each.name for each in table.schema.measures}
