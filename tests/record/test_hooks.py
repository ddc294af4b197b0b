"""What is done before a page, and facts that are told with numbers of one's own."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from tallygate.record.default import default
from tallygate.record.recorder import Recorder
from tallygate.tally import Tally
from tests.instrument.db_page import lookups, queries, seconds, state
from tests.instrument.http_page import samples


@pytest.fixture
def tally() -> Iterator[Tally]:
    tally = Tally(capacity_bytes=16 << 20)
    yield tally
    tally.close()


def dropped(tally: Tally) -> dict[str, float]:
    found = samples(tally, "tallygate_dropped_observations_total")
    return {f"{one.labels['fact']} {one.labels['reason']}": one.value for one in found if one.value}


def test_a_hook_runs_before_every_page(tally: Tally) -> None:
    def count(recorder: Recorder) -> None:
        assert recorder is tally
        recorder.cache_lookup("users", True)

    remove = tally.before_render(count)
    assert lookups(tally) == {"users  hit": 1, "users  miss": 0}
    assert lookups(tally)["users  hit"] == 2
    tally.render_own()
    remove()
    remove()
    assert lookups(tally)["users  hit"] == 3


def test_a_hook_that_fails_keeps_nothing_else_from_being_shown(tally: Tally) -> None:
    def wrong(recorder: Recorder) -> None:
        raise ValueError("wrong")

    tally.before_render(wrong)
    tally.before_render(lambda recorder: recorder.cache_lookup("users", False))
    assert lookups(tally) == {"users  hit": 0, "users  miss": 1}
    assert dropped(tally)["Scrape internal"] == 2


def test_hooks_of_the_program_run_for_its_tally_alone(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = default.hooks.add(lambda recorder: recorder.cache_lookup("users", True))
    assert lookups(tally) == {}
    monkeypatch.setattr(default, "recorder", tally)
    assert lookups(tally)["users  hit"] == 1
    remove()
    assert lookups(tally)["users  hit"] == 1


def test_a_statement_with_a_clock_of_its_own(tally: Tally) -> None:
    tally.record_query("by_id", 0.25, system="sqlite", table="chats", operation="select")
    tally.record_query("by_id", 0.5, system="sqlite", table="chats", operation="select")
    tally.record_query("by_id", 1, system="sqlite", table="chats", operation="select", status="error")
    assert queries(tally) == {"sqlite by_id chats select success": 2, "sqlite by_id chats select error": 1}
    assert seconds(tally) == {"by_id success": 0.75, "by_id error": 1}
    assert dropped(tally) == {}


@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf, 1e300])
def test_a_time_that_is_none(tally: Tally, wrong: float) -> None:
    tally.record_query("by_id", wrong)
    assert queries(tally) == {"- by_id - other success": 1}
    assert seconds(tally) == {"by_id success": 0}
    assert dropped(tally) == {"Query invalid_value": 1}


def test_words_that_a_statement_cannot_have(tally: Tally) -> None:
    tally.record_query("by_id", 1, operation="drop", status="lost")
    assert queries(tally) == {"- by_id - other error": 1}
    assert dropped(tally) == {"Query invalid_dimension": 2}


def test_exemplars_of_statements() -> None:
    tally = Tally(capacity_bytes=16 << 20, exemplar=lambda: ("a" * 32, "b" * 16))
    tally.record_query("by_id", 0.25)
    page = tally.render(format="openmetrics", names=["tallygate_db_query_duration_seconds_bucket"]).decode()
    assert f'# {{trace_id="{"a" * 32}",span_id="{"b" * 16}"}} 0.25' in page
    tally.close()


def test_looks_that_were_counted_elsewhere(tally: Tally) -> None:
    tally.cache_lookups("users", hits=1_000_000, misses=1)
    tally.cache_lookups("users", hits=1)
    tally.cache_lookup("users", True)
    tally.cache_lookups("users", hits=-5)
    assert lookups(tally) == {"users  hit": 1_000_002, "users  miss": 1}


def test_the_fill_ratio_of_a_cache_without_bytes(tally: Tally) -> None:
    tally.set_cache_state("users", entries=3, fill_ratio=0.75)
    assert (state(tally, "users")["fill_ratio"], state(tally, "users")["entries"]) == (0.75, 3)
