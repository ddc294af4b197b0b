"""Whatever the writing API is given: nothing is raised, and what is not recorded is counted with a reason."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest

import tallygate
from tallygate.context import context
from tallygate.facts import (
    CacheState,
    CommandRun,
    CreditUse,
    HTTPRequest,
    LLMCall,
    MCPSessionActive,
    ProviderHealth,
    Query,
    Queue,
    RAGQuery,
    RateLimit,
    Task,
    TaskEvent,
    ToolCall,
)
from tallygate.record import Recorder
from tallygate.tally import Tally
from tests.record.reading import dropped, gauge, only_row, rows_of


class Unspeakable:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


BAD: dict[str, Any] = {
    "none": None, "zero": 0, "negative": -1, "a truth": True, "nan": math.nan, "infinite": math.inf, "huge": 10**400,
    "too long": 10**5000, "a list": ["x"], "a dict": {}, "bytes": b"\xff", "surrogate": "\ud800", "nul": "a\0b",
    "10 kB": "x" * 10_000,
    "an object": object(), "no text": Unspeakable(), "a type": int, "a number": 1.5, "empty": "", "text": "nonsense",
}  # fmt: skip
WRITING = [name for name in tallygate.__all__ if name.startswith(("track_", "record_", "set_"))]
NUMBER = pytest.mark.parametrize(
    "name", ["negative", "nan", "infinite", "huge", "text", "bytes", "a list", "an object"]
)


def arguments(name: str, value: object) -> tuple[list[object], dict[str, object]]:
    """This value for every argument of a function."""
    positional, named = [], {}
    for parameter in inspect.signature(getattr(Recorder, name)).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            named["nonsense"] = value
        elif parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        else:
            positional.append(value)
    return positional, named


def use(tracker: Any, value: object) -> None:
    """Do everything with a tracker that can be done, with this value."""
    for slot in ("request_size", "response_size", "output_size", "documents", "results", "exit_code", "status_code"):
        if hasattr(tracker, slot):
            setattr(tracker, slot, value)
    with tracker:
        for method in ("usage", "content", "overhead", "blocked_tools"):
            if hasattr(tracker, method):
                getattr(tracker, method)(value)
        if hasattr(tracker, "attempt"):
            tracker.attempt(seconds=value, status_code=value, error_type=value, provider=value)
    tracker.finish() if hasattr(tracker, "finish") else tracker.hit()


@pytest.mark.parametrize("name", WRITING)
def test_any_value_in_any_argument(tally: Tally, name: str) -> None:
    for value in BAD.values():
        positional, named = arguments(name, value)
        result = getattr(tally, name)(*positional, **named)
        if name.startswith("track_"):
            use(result, value)
            again = getattr(tally, name)(*positional, **named).start()
            finish = again.finish if hasattr(again, "finish") else again.miss
            taken = inspect.signature(finish).parameters.values()
            by_name = {one.name: value for one in taken if one.kind is one.KEYWORD_ONLY}
            finish(*[value] * (len(taken) - len(by_name)), **by_name)
    tally.render()


def test_every_function_of_the_package_writes_to_a_tally() -> None:
    assert len(WRITING) > 25
    assert [name for name in WRITING if not callable(getattr(Recorder, name))] == []


# Labels


def test_labels_of_other_types_are_their_text(tally: Tally) -> None:
    for value in (7, 1.5, None, ["x"], b"y", True):
        tally.track_query(value).finish()  # type: ignore[arg-type]  # the point
    assert [row.dimensions["query"] for row in rows_of(tally, Query) if "query" in row.dimensions] == [
        "7", "1.5", "['x']", "b'y'", "True",
    ]  # fmt: skip
    assert sum(row.count for row in rows_of(tally, Query)) == 6
    assert dropped(tally) == {}


def test_a_label_without_a_text_is_counted(tally: Tally) -> None:
    with tally.track_query(Unspeakable()):  # type: ignore[arg-type]  # the point
        pass
    tally.record_rate_limited(Unspeakable())  # type: ignore[arg-type]  # the point
    assert rows_of(tally, Query) == []
    assert dropped(tally) == {("Query", "internal"): 1, ("RateLimited", "internal"): 1}


def test_long_labels_and_lone_surrogates(tally: Tally) -> None:
    tally.track_query("ä" * 5000).finish()
    tally.track_query("a\ud800b").finish()
    assert [row.dimensions["query"] for row in rows_of(tally, Query)] == ["ä" * 128, "a\ufffdb"]
    assert all(len(str(key)) < 1000 for key in tally.places)


def test_values_in_a_context(tally: Tally) -> None:
    with (
        context(route=["x"], agent_id=7, source=Unspeakable()),  # type: ignore[arg-type]  # the point
        tally.track_llm_call("openai", "gpt-4o"),
    ):
        pass
    dimensions = only_row(tally, LLMCall).dimensions
    assert (dimensions["route"], dimensions["agent_id"], dimensions.get("source")) == ("['x']", "7", None)


def test_wrong_label_names(tally: Tally) -> None:
    with context(nonsense="x"):
        tally.track_llm_call("openai", "gpt-4o", gibberish="y").finish()
        tally.track_tool_call("search", gibberish="y").finish()
    assert only_row(tally, LLMCall).count == only_row(tally, ToolCall).count == 1
    assert dropped(tally) == {("LLMCall", "invalid_dimension"): 2, ("ToolCall", "invalid_dimension"): 2}


def test_arguments_that_no_function_has(tally: Tally) -> None:
    """As everywhere in Python."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'tabel'"):
        tally.track_query("find_user", tabel="users")  # type: ignore[call-arg]  # the point


# Words of closed vocabularies


def test_words_that_do_not_exist(tally: Tally) -> None:
    tally.track_query("q", operation="EXPLODE").finish("exploded")
    tally.track_tool_call("t").finish("exploded")
    tally.track_tool_call("t").finish(outcome="exploded")
    tally.track_task("t").finish("exploded")
    tally.track_mcp_session("t", "s").finish("exploded")
    tally.record_task_event("exploded")
    tally.set_mcp_server_state("s", "exploded")
    tally.set_mcp_sessions("s", 1, "exploded")
    tally.record_store_failure("exploded")
    for ending in (("exploded",), ("failed", 500, "exploded")):
        tally.track_llm_call("openai", "gpt-4o", "explode").finish(*ending)
    assert only_row(tally, Query).dimensions == {"query": "q", "operation": "other", "status": "error"}
    assert [(row.dimensions["outcome"], row.dimensions.get("error_type")) for row in rows_of(tally, ToolCall)] == [
        ("completed", None), ("failed", "other"),
    ]  # fmt: skip
    assert only_row(tally, Task).dimensions["outcome"] == "failed"
    assert rows_of(tally, TaskEvent) == []
    assert gauge(tally, MCPSessionActive) == 0
    assert dropped(tally) == {
        ("Query", "invalid_dimension"): 1,
        ("ToolCall", "invalid_dimension"): 2,
        ("Task", "invalid_dimension"): 1,
        ("MCPSession", "invalid_dimension"): 2,
        ("TaskEvent", "invalid_dimension"): 1,
        ("MCPServerState", "invalid_dimension"): 1,
        ("MCPSessionActive", "invalid_dimension"): 1,
        ("StoreFailure", "invalid_dimension"): 1,
        ("LLMCall", "invalid_dimension"): 3,
    }
    assert [(row.dimensions["operation"], row.dimensions["outcome"]) for row in rows_of(tally, LLMCall)] == [
        ("chat", "completed"), ("chat", "failed"),
    ]  # fmt: skip


@pytest.mark.parametrize(("status", "label"), [(404, "404"), ("204", "204"), (0, "200"), (7, "other"), ("ok", "other")])
def test_http_statuses(tally: Tally, status: int | str, label: str) -> None:
    tally.track_http_request("BREW", "/").finish(status)
    assert only_row(tally, HTTPRequest).dimensions == {"method": "OTHER", "route": "/", "status_code": label}
    assert dropped(tally) == ({("HTTPRequest", "invalid_dimension"): 1} if label == "other" else {})


# Numbers


@NUMBER
def test_a_number_that_cannot_be_leaves_the_rest(tally: Tally, name: str) -> None:
    number = BAD[name]
    tally.track_rag_query("vector").finish(number)
    tally.track_task("sync", number).finish()
    tally.record_credits(number)
    assert only_row(tally, RAGQuery).observed == {"duration": 1}
    assert only_row(tally, Task).observed == {"duration": 1}
    assert only_row(tally, CreditUse).sums == {}
    assert dropped(tally) == {
        ("RAGQuery", "invalid_value"): 1, ("Task", "invalid_value"): 1, ("CreditUse", "invalid_value"): 1,
    }  # fmt: skip


@NUMBER
def test_a_gauge_that_cannot_be_stays(tally: Tally, name: str) -> None:
    number = BAD[name]
    tally.set_queue("jobs", size=3)
    tally.set_queue("jobs", size=number, oldest_age=2)
    tally.set_cache_state("answers", capacity=number, used=1)
    assert (gauge(tally, Queue, 0), gauge(tally, Queue, 1)) == (3, 2000)
    assert (gauge(tally, CacheState, 0), gauge(tally, CacheState, 1)) == (0, 1)
    assert dropped(tally) == {("Queue", "invalid_value"): 1, ("CacheState", "invalid_value"): 1}


def test_what_may_be_below_zero(tally: Tally) -> None:
    tally.set_rate_limit("requests", -2)
    assert gauge(tally, RateLimit) == -2
    tally.set_provider_health("openai", error_rate=-0.5)
    tally.set_provider_health("openai", error_rate=7)
    assert gauge(tally, ProviderHealth, 1) == 1_000_000
    tally.set_provider_health("openai", error_rate=math.nan)
    assert dropped(tally) == {("ProviderHealth", "invalid_value"): 1}


def test_an_exit_code_that_is_none(tally: Tally) -> None:
    tally.track_command("ls").finish("0")  # type: ignore[arg-type]  # the point
    assert only_row(tally, CommandRun).dimensions == {"command": "ls", "outcome": "completed"}
    assert dropped(tally) == {("CommandRun", "invalid_dimension"): 1}


def test_durations_are_never_negative(tally: Tally) -> None:
    tally.http_request(method="GET", route="/", status_code=200, seconds=-1)
    assert only_row(tally, HTTPRequest).sums == {}


# Where there is no tally


@pytest.mark.parametrize("make", [lambda: Tally(enabled=False), lambda: _closed()], ids=["off", "closed"])
def test_switched_off_or_closed(make: Callable[[], Tally]) -> None:
    tally = make()
    for name in WRITING:
        positional, named = arguments(name, "x")
        result = getattr(tally, name)(*positional, **named)
        if name.startswith("track_"):
            use(result, 1)
            assert result.elapsed >= 0
    tables = tally.tables if tally.ledger is not None else ()
    assert all(row.count == 0 for fact in tables for row in rows_of(tally, fact, also_empty=True))


def test_a_call_of_which_nobody_takes_note(tally: Tally) -> None:
    """Has all that a real one shows its users."""
    names = ("start", "finish", "fail", "usage", "headers", "content", "attempt", "rate_limited", "blocked_tools")
    nothing = Tally(enabled=False).track_llm_call("openai", "gpt-4o")
    for name in (*names, "overhead", "elapsed", "over", "marked"):
        assert hasattr(tally.track_llm_call("openai", "gpt-4o"), name)
        assert hasattr(nothing, name)
    assert (nothing.elapsed, nothing.over, nothing.marked) == (0, True, None)


def test_no_credential_is_logged(tally: Tally, caplog: pytest.LogCaptureFixture) -> None:
    secret = "sk-proj-" + "aB3dE5fG" * 4
    tally.track_query(secret).finish(secret)
    tally.track_task("t").finish(secret)
    tally.record_task_event(secret)
    tally.record_credits(secret)  # type: ignore[arg-type]  # the point
    custom: dict[str, Any] = {secret: secret}
    tally.track_llm_call("openai", "gpt-4o", **custom).finish("failed", 500, secret)
    assert secret not in caplog.text
    assert "status redacted is none of success, error, cancelled" in caplog.text


def _closed() -> Tally:
    tally = Tally(capacity_bytes=16 << 20)
    tally.close()
    return tally
