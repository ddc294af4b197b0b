from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

import tallygate
from tallygate.facts import CacheLookup, LLMCall, LLMInFlight
from tallygate.record import CustomLabelError
from tallygate.tally import Tally
from tests.record.reading import dropped, only_row, rows_of

context = tallygate.context


def call(tally: Tally, **arguments: str) -> dict[str, str]:
    """The dimensions of one call made here."""
    before = len(rows_of(tally, LLMCall))
    with tally.track_llm_call("openai", "gpt-4o", **arguments):  # type: ignore[arg-type]  # strings only, as tested
        pass
    (row,) = rows_of(tally, LLMCall)[before:]
    return {
        name: value
        for name, value in row.dimensions.items()
        if name not in ("provider", "model", "operation", "stream", "status_code", "outcome")
    }


def test_blocks_nest_and_explicit_arguments_win(tally: Tally) -> None:
    with context(route="chat", agent_id="a1"):
        with context(agent_id="a2", agent_name="Ann", source="email"):
            inner = {"route": "chat", "agent_id": "a2", "agent_name": "Ann", "source": "email"}
            assert call(tally) == inner
            assert call(tally, route="summary", agent_id="") == {
                "route": "summary", "agent_name": "Ann", "source": "email",
            }  # fmt: skip
        assert call(tally) == {"route": "chat", "agent_id": "a1"}
    assert call(tally) == {}


def test_the_context_where_the_call_starts_counts(tally: Tally) -> None:
    with context(route="made"):
        tracker = tally.track_llm_call("openai", "gpt-4o")
    with context(route="started"):
        tracker.start()
    tracker.finish()
    assert only_row(tally, LLMCall).dimensions["route"] == "started"
    assert [row.dimensions["route"] for row in rows_of(tally, LLMInFlight, also_empty=True)][1:] == ["started"]


def test_a_call_that_moves_to_another_context_with_known_labels(tally: Tally) -> None:
    for route in ("made", "started"):
        with context(route=route), tally.track_llm_call("openai", "gpt-4o"):
            pass
    with context(route="made"):
        tracker = tally.track_llm_call("openai", "gpt-4o")
    with context(route="started"), tracker:
        tracker.usage(1, 1)
    found = [(row.dimensions["route"], row.count, row.sums.get("total_tokens", 0)) for row in rows_of(tally, LLMCall)]
    assert found == [
        ("made", 1, 0),
        ("started", 2, 2),
    ]


def test_custom_labels_move_too(make_tally: Callable[..., Tally]) -> None:
    tally = make_tally(custom_labels=["team"])
    with tally.track_llm_call("openai", "gpt-4o", team="red"):
        pass
    tracker = tally.track_llm_call("openai", "gpt-4o", team="red")
    with context(route="started"), tracker:
        pass
    found = [(row.dimensions["team"], row.dimensions.get("route"), row.count) for row in rows_of(tally, LLMCall)]
    assert found == [("red", None, 1), ("red", "started", 1)]


async def test_tasks_have_contexts_of_their_own(tally: Tally) -> None:
    async def work(route: str, barrier: asyncio.Barrier) -> None:
        with context(route=route):
            await barrier.wait()
            async with tally.track_llm_call("openai", "gpt-4o"):
                await barrier.wait()

    barrier = asyncio.Barrier(2)
    await asyncio.gather(work("a", barrier), work("b", barrier))
    assert sorted(row.dimensions["route"] for row in rows_of(tally, LLMCall)) == ["a", "b"]


def test_a_block_closed_in_another_context_is_no_error() -> None:
    import contextvars

    def generator() -> Iterator[int]:
        with context(route="x"):
            yield 1

    stream = generator()
    assert contextvars.copy_context().run(next, stream) == 1
    with pytest.raises(StopIteration):
        next(stream)


def test_custom_labels(make_tally: Callable[..., Tally]) -> None:
    tally = make_tally(custom_labels=["my-team", "2nd.floor"])
    assert call(tally, my_team="red") == {"my_team": "red"}
    assert call(tally, **{"my-team": "blue", "2nd.floor": "yes"}) == {"my_team": "blue", "_2nd_floor": "yes"}
    with context(**{"my-team": "green"}, route="chat"):
        assert call(tally) == {"my_team": "green", "route": "chat"}
        assert call(tally, my_team="own") == {"my_team": "own", "route": "chat"}
    assert call(tally, route="again") == {"route": "again"}
    page = tally.render(names={"tallygate_llm_calls_total"}).decode()
    assert ',_2nd_floor="yes",my_team="blue"} 1\n' in page
    assert dropped(tally) == {}


def test_an_unknown_custom_label_is_dropped_alone(tally: Tally) -> None:
    assert call(tally, route="chat", colour="red") == {"route": "chat"}
    assert dropped(tally) == {("LLMCall", "invalid_dimension"): 1}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["my-team", "my_team"], "'my-team' and 'my_team' would both be the label 'my_team'"),
        (["provider"], "'provider' would shadow the built-in label 'provider'"),
        (["agent-id"], "'agent-id' would shadow the built-in label 'agent_id'"),
        (["le"], "'le' would shadow"),
        ([""], "'' makes no label name"),
        (["--x"], "'--x' makes no label name"),
    ],
)
def test_custom_labels_that_cannot_be(keys: list[str], message: str) -> None:
    with pytest.raises(CustomLabelError, match="custom label") as caught:
        Tally(custom_labels=keys, enabled=False)
    assert message in str(caught.value)


def test_cache_lookups_take_the_route(tally: Tally) -> None:
    with context(route="chat"):
        tally.cache_lookup("prompts", hit=True)
        tally.cache_lookup("prompts", hit=False, route="other")
    assert [row.dimensions for row in rows_of(tally, CacheLookup)] == [
        {"cache": "prompts", "route": "chat", "result": "hit"},
        {"cache": "prompts", "route": "other", "result": "miss"},
    ]
