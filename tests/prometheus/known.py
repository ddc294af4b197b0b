"""A load of which every number is known: first a tally in which all its series are at 0, then the load at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tallygate.declare import Fact
from tallygate.facts import (
    APIKeyUse,
    CacheLookup,
    CacheState,
    Connections,
    CreditUse,
    EventLoop,
    HTTPRequest,
    LLMCall,
    LLMInFlight,
    MCPSessionActive,
    ProviderHealth,
    ProviderInfo,
    Query,
    RateLimited,
    ToolCall,
)
from tallygate.ledger.interface import Row
from tallygate.ledger.schema import Kind
from tallygate.tally import Tally


class Told(NamedTuple):
    """A fact that happens some times: measures in base units; gauges are set."""

    fact: type[Fact]
    dimensions: Mapping[str, str]
    measures: Mapping[str, float] = {}
    times: int = 1


OPENAI = {
    "provider": "openai",
    "model": "gpt-4o",
    "operation": "chat",
    "endpoint": "/chat/completions",
    "route": "chat",
    "stream": "true",
    "status_code": "200",
    "outcome": "completed",
    "agent_name": "helper",
}
ANTHROPIC = OPENAI | {"provider": "anthropic", "model": "claude", "endpoint": "/messages", "route": "support"}
TIMED_OUT = OPENAI | {"status_code": "network_error", "outcome": "failed", "error_type": "provider_timeout"}
LIMITED = OPENAI | {"status_code": "429", "outcome": "failed", "error_type": "provider_rate_limit"}
CHAT = {"method": "POST", "route": "/v1/chat/completions", "status_code": "200"}
SEARCH = {"server": "github", "tool": "search", "agent_name": "helper", "outcome": "completed"}


def load() -> Iterator[Told]:
    """What happens."""
    tokens = {"input_tokens": 100, "uncached_input_tokens": 100, "output_tokens": 50, "total_tokens": 150}
    yield Told(LLMCall, OPENAI, {"duration": 0.8, "time_to_first_token": 0.2, "cost": 0.4, **tokens}, 90)
    tokens = {"input_tokens": 1000, "uncached_input_tokens": 1000, "output_tokens": 200, "total_tokens": 1200}
    yield Told(LLMCall, ANTHROPIC, {"duration": 4, "time_to_first_token": 0.6, "cost": 2, **tokens}, 9)
    yield Told(LLMCall, TIMED_OUT, {"duration": 20}, 39)
    yield Told(LLMCall, LIMITED, {"duration": 0.2, "rate_limit_events": 12})
    yield Told(LLMInFlight, OPENAI, {"now": 120})
    yield Told(LLMInFlight, ANTHROPIC, {"now": 2})
    yield Told(ProviderInfo, {"provider": "openai", "kind": "openai", "model": "gpt-4o"}, {"present": 1})
    yield Told(ProviderInfo, {"provider": "anthropic", "kind": "anthropic", "model": "claude"}, {"present": 1})
    yield Told(ProviderHealth, {"provider": "openai"}, {"available": 1, "error_rate": 0.3})
    yield Told(ProviderHealth, {"provider": "anthropic"}, {"available": 0, "error_rate": 0})

    yield Told(HTTPRequest, CHAT, {"duration": 0.2}, 180)
    yield Told(HTTPRequest, CHAT | {"status_code": "500"}, {"duration": 0.2}, 20)
    yield Told(HTTPRequest, CHAT | {"method": "GET", "route": "/models"}, {"duration": 0.02}, 50)

    yield Told(CacheLookup, {"cache": "answers", "route": "chat", "result": "hit"}, times=30)
    yield Told(CacheLookup, {"cache": "answers", "route": "chat", "result": "miss"}, times=10)
    yield Told(CacheLookup, {"cache": "files", "route": "support", "result": "miss"}, times=5)
    yield Told(CacheState, {"cache": "answers"}, {"capacity": 1000, "used": 950, "entries": 3, "fill_ratio": 0.95})
    yield Told(CacheState, {"cache": "files"}, {"capacity": 1000, "used": 10, "entries": 1, "fill_ratio": 0.01})

    chats = {"system": "postgresql", "query": "list_chats", "table": "chats", "operation": "select"}
    yield Told(Query, chats | {"status": "success"}, {"duration": 0.02}, 60)
    yield Told(Query, chats | {"status": "error"}, {"duration": 0.5}, 30)
    yield Told(Query, chats | {"query": "hash-0123456789abcdef", "status": "success"}, {"duration": 0.004}, 10)

    yield Told(RateLimited, {"limit_type": "security_ip_tier"}, times=6)
    yield Told(CreditUse, {"provider": "openai", "model": "gpt-4o", "user_id": "ann"}, {"credits": 0.25}, 10)
    yield Told(CreditUse, {"provider": "openai", "model": "gpt-4o", "user_id": "bob"}, {"credits": 1.5}, 2)
    yield Told(APIKeyUse, {"status": "success", "api_key_id": "key-1"}, times=7)
    yield Told(APIKeyUse, {"status": "success", "api_key_id": "key-2"}, times=4)
    yield Told(Connections, {"connection_type": "db"}, {"now": 4})

    yield Told(MCPSessionActive, {"side": "client", "server": "github"}, {"now": 3})
    yield Told(MCPSessionActive, {"side": "client", "server": "idle"}, {"now": 0})
    yield Told(ToolCall, SEARCH, {"duration": 0.4}, 15)
    yield Told(ToolCall, SEARCH | {"outcome": "failed", "error_type": "timeout"}, {"duration": 5}, 5)
    yield Told(EventLoop, {}, {"lag_p99": 0.003})


def foretell(tally: Tally, what: Iterable[Told] | None = None) -> None:
    """Let every series of the load be there at 0; ``what``: of another load."""
    for told in load() if what is None else what:
        _row(tally, told)


def happen(tally: Tally, what: Iterable[Told] | None = None) -> None:
    """The load, at once; ``what``: another one."""
    for told in load() if what is None else what:
        row, schema = _row(tally, told), tally.tables[told.fact].schema
        kept = [measure.name for measure in schema.measures]
        assert set(told.measures) <= set(kept)
        for index, measure in enumerate(schema.measures):
            if measure.kind is Kind.GAUGE and measure.name in told.measures:
                row.set(index, told.measures[measure.name])
        counted = [measure.name for measure in schema.measures if measure.kind is not Kind.GAUGE]
        if counted or not schema.measures or told.times > 1:  # gauges alone are no record
            for _ in range(told.times):
                row.record(*[told.measures.get(name) for name in counted])


def _row(tally: Tally, told: Told) -> Row:
    table = tally.tables[told.fact]
    return table.row(*[told.dimensions.get(name, "") for name in table.schema.dimensions])
