"""What begins and ends: recorded exactly once, whichever way it ends."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tallygate.context import context
from tallygate.declare import Fact
from tallygate.facts import (
    CacheLookup,
    CommandRun,
    ConnectorSync,
    EmbeddingBatch,
    HTTPInFlight,
    HTTPRequest,
    MCPOperation,
    MCPSession,
    MCPSessionActive,
    Query,
    RAGQuery,
    Task,
    TaskInFlight,
    ToolCall,
)
from tallygate.record.tracker import Tracker
from tallygate.tally import Tally
from tests.record.reading import dropped, gauge, only_row, rows_of

KINDS: dict[type[Fact], Callable[[Tally], Tracker]] = {
    HTTPRequest: lambda tally: tally.track_http_request("GET", "/users/{id}"),
    ToolCall: lambda tally: tally.track_tool_call("search", "docs"),
    MCPOperation: lambda tally: tally.track_mcp_operation("client", "docs", "tools/call", "search"),
    MCPSession: lambda tally: tally.track_mcp_session("client", "docs"),
    CommandRun: lambda tally: tally.track_command("ls"),
    CacheLookup: lambda tally: tally.track_cache("answers"),
    Query: lambda tally: tally.track_query("find_user", system="sqlite", table="users", operation="select"),
    Task: lambda tally: tally.track_task("sync"),
    ConnectorSync: lambda tally: tally.track_connector_sync("github"),
    EmbeddingBatch: lambda tally: tally.track_embedding_batch(16),
    RAGQuery: lambda tally: tally.track_rag_query("vector"),
}
ENDINGS: dict[type[Fact], tuple[dict[str, str], dict[str, str] | None, dict[str, str] | None]] = {
    HTTPRequest: ({"status_code": "200"}, {"status_code": "500"}, {"status_code": "499"}),
    ToolCall: (
        {"outcome": "completed"},
        {"outcome": "failed", "error_type": "tool_error"},
        {"outcome": "cancelled"},
    ),
    MCPOperation: ({}, {"error_type": "tool_error"}, {}),
    MCPSession: ({"outcome": "completed"}, {"outcome": "failed"}, {"outcome": "cancelled"}),
    CommandRun: ({"outcome": "completed"}, {"outcome": "failed"}, {"outcome": "cancelled"}),
    CacheLookup: ({"result": "miss"}, None, None),
    Query: ({"status": "success"}, {"status": "error"}, {"status": "cancelled"}),
    Task: ({"outcome": "completed"}, {"outcome": "failed"}, {"outcome": "cancelled"}),
    ConnectorSync: ({"status": "success"}, {"status": "failed"}, {"status": "failed"}),
    EmbeddingBatch: ({"status": "success"}, {"status": "error"}, {"status": "error"}),
    RAGQuery: ({"status": "success"}, {"status": "error"}, {"status": "cancelled"}),
}
"""How each says that it ended well, with an exception, and cancelled; None: not recorded."""
KIND = pytest.mark.parametrize("fact", KINDS, ids=lambda fact: fact.__name__)


class Broken(Exception):
    pass


def ended(tally: Tally, fact: type[Fact]) -> list[dict[str, str]]:
    """How the facts of one kind ended, one entry per record."""
    return [
        {name: value for name, value in row.dimensions.items() if name in ENDING_NAMES}
        for row in rows_of(tally, fact)
        for _ in range(row.count)
    ]


ENDING_NAMES = ("status_code", "outcome", "error_type", "status", "result")


def expected(fact: type[Fact], way: int) -> list[dict[str, str]]:
    ending = ENDINGS[fact][way]
    return [] if ending is None else [ending]


@KIND
def test_a_block_that_is_left(tally: Tally, fact: type[Fact]) -> None:
    with KINDS[fact](tally) as tracker:
        assert not tracker.over
    assert tracker.over
    assert ended(tally, fact) == expected(fact, 0)
    timed = "duration" in [measure.name for measure in fact.measures]
    assert only_row(tally, fact).observed.get("duration", 0) == timed


@KIND
def test_an_exception_passes_unchanged(tally: Tally, fact: type[Fact]) -> None:
    problem = Broken()
    cause = problem.__cause__ = KeyError()
    with pytest.raises(Broken) as caught, KINDS[fact](tally):
        raise problem
    assert caught.value is problem
    assert problem.__cause__ is cause
    assert [entry.name for entry in caught.traceback] == ["test_an_exception_passes_unchanged"]
    assert ended(tally, fact) == expected(fact, 1)


@KIND
async def test_a_cancelled_task(tally: Tally, fact: type[Fact]) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with KINDS[fact](tally):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended(tally, fact) == expected(fact, 2)


@KIND
async def test_abandoned_generators(tally: Tally, fact: type[Fact]) -> None:
    def numbers() -> Iterator[int]:
        with KINDS[fact](tally):
            yield 1

    async def later() -> AsyncIterator[int]:
        async with KINDS[fact](tally):
            yield 1

    abandoned = numbers()
    next(abandoned)
    del abandoned
    closed = later()
    await anext(closed)
    await closed.aclose()  # type: ignore[attr-defined]  # an async generator, under its public type
    assert ended(tally, fact) == expected(fact, 2) * 2


@KIND
def test_thrown_away_unfinished(tally: Tally, fact: type[Fact]) -> None:
    KINDS[fact](tally).start()
    KINDS[fact](tally)  # never started: nothing happened
    assert ended(tally, fact) == expected(fact, 2)


@KIND
def test_ending_again_changes_nothing(tally: Tally, fact: type[Fact]) -> None:
    tracker = KINDS[fact](tally)
    with tracker:
        pass
    stopped = tracker.elapsed
    assert tracker.fail(Broken()) is False
    with tracker.start():
        pass
    assert tracker.elapsed == stopped
    assert ended(tally, fact) == expected(fact, 0)


@KIND
def test_threads_that_end_it_at_once(tally: Tally, fact: type[Fact]) -> None:
    rounds, ways = 100, 4
    barrier = threading.Barrier(ways)
    trackers = [KINDS[fact](tally).start() for _ in range(rounds)]
    ended_it: list[bool] = []

    def race() -> None:
        for tracker in trackers:
            barrier.wait()
            ended_it.append(tracker.fail(Broken()))

    threads = [threading.Thread(target=race) for _ in range(ways)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert ended_it.count(True) == rounds
    assert ended(tally, fact) == expected(fact, 1) * rounds


@pytest.mark.parametrize(
    ("fact", "active"),
    [(HTTPRequest, HTTPInFlight), (MCPSession, MCPSessionActive), (Task, TaskInFlight)],
    ids=lambda fact: fact.__name__,
)
def test_those_going_on(tally: Tally, fact: type[Fact], active: type[Fact]) -> None:
    first, second = KINDS[fact](tally).start(), KINDS[fact](tally).start()
    assert gauge(tally, active) == 2
    first.fail(Broken())
    assert gauge(tally, active) == 1
    del second
    assert gauge(tally, active) == 0


@KIND
def test_switched_off(fact: type[Fact]) -> None:
    off = Tally(enabled=False)
    with KINDS[fact](off) as tracker:
        assert tracker.elapsed == 0
    assert tracker.fail(Broken()) is False


def test_what_is_learnt_on_the_way(tally: Tally) -> None:
    with tally.track_http_request("POST", "/upload") as request:
        request.status_code, request.request_size, request.response_size = 201, 4096, 12
    row = only_row(tally, HTTPRequest)
    assert row.dimensions == {"method": "POST", "route": "/upload", "status_code": "201"}
    assert (row.sums["request_size"], row.sums["response_size"]) == (4096, 12)

    with tally.track_command("pytest") as command:
        command.exit_code, command.output_size = 300, 80
    row = only_row(tally, CommandRun)
    assert row.dimensions == {"command": "pytest", "outcome": "failed", "exit_code": "44"}
    assert row.sums["output_size"] == 80

    with tally.track_rag_query("hybrid") as question:
        question.results = 0
    assert only_row(tally, RAGQuery).observed["results"] == 1

    tally.track_task("sync", 1.5).finish()
    assert only_row(tally, Task).sums["time_in_queue"] == 15_000_000


def test_tool_calls_take_their_context(make_tally: Callable[..., Tally]) -> None:
    tally = make_tally(custom_labels=["my-team"])
    with context(agent_id="a1", route="chat", external_agent_id="x", my_team="red"):
        tally.track_tool_call("search", "docs", route="other").finish()
    assert only_row(tally, ToolCall).dimensions == {
        "server": "docs", "tool": "search", "agent_id": "a1", "route": "other", "outcome": "completed",
        "my_team": "red",
    }  # fmt: skip


def test_a_look_into_a_cache_takes_its_route_from_the_context(tally: Tally) -> None:
    with context(route="chat"):
        assert tally.track_cache("answers").hit()
    look = tally.track_cache("answers", "own")
    assert (look.miss(), look.hit()) == (True, False)
    assert [row.dimensions for row in rows_of(tally, CacheLookup)] == [
        {"cache": "answers", "route": "chat", "result": "hit"},
        {"cache": "answers", "route": "own", "result": "miss"},
    ]
    seen = [row.dimensions["result"] for row in rows_of(tally, CacheLookup, also_empty=True)[1:]]
    assert seen == ["hit", "miss"] * 2  # both are there from 0


def test_exemplars_of_trackers(make_tally: Callable[..., Tally]) -> None:
    tally = make_tally(exemplar=lambda: ("ab" * 16, "cd" * 8))
    tally.track_query("find_user").finish()
    assert tally.ledger is not None
    assert {exemplar.trace_id for exemplar in tally.ledger.exemplars()} == {"ab" * 16}
    assert dropped(tally) == {}


def test_many_label_sets_stay_exact(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallygate.record.recording.MOST_PLACES", 3)
    for turn in range(20):
        tally.track_query(f"query-{turn % 10}").finish()
        tally.record_rate_limited(f"limit-{turn % 10}")
    assert [row.count for row in rows_of(tally, Query)] == [2] * 10
    assert len(tally.places) <= 3
