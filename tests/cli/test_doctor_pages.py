"""`tallygate doctor` on pages with something wrong: what it finds, and its exit status."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate

import pytest

from tallygate.cli.doctor import examine
from tallygate.scraping.diagnosis import judging
from tests.cli.examined import CALLS, GOOD, OPENMETRICS, TEXT, Found, examined, good, openmetrics
from tests.cli.looked import looking_at
from tests.scraping.servers import Asked, Reply, always, reply, serving


def in_text(body: str) -> Found:
    """What is found on a page in the text format, besides that it is text."""
    with serving(always(body)) as server:
        found, _ = examined(server.url)
    return [finding for finding in found if finding[1] != "no-openmetrics"]


def test_an_unreadable_line() -> None:
    with serving(always(TEXT + "oops\x1b[31m{\n")) as server:
        ((severity, name, found),), status = examined(server.url)
    assert (severity, name, status) == ("problem", "unreadable", 1)
    assert found.startswith("line 4: ")
    assert "\x1b" not in found


def test_an_empty_page() -> None:
    assert in_text("") == [("problem", "empty", "the page has no metrics at all")]


def test_another_program() -> None:
    page = "# HELP up U.\n# TYPE up gauge\nup 1\n"
    assert in_text(page) == [("warning", "foreign", "no family of it is a gateway's, in any dialect")]


def test_no_traffic() -> None:
    page = "# HELP tallygate_llm_calls C.\n# TYPE tallygate_llm_calls counter\n# EOF\n"
    with serving(always(page, content_type=OPENMETRICS)) as server:
        assert examined(server.url) == ([("note", "no-traffic", "no LLM call was counted yet")], 0)


def test_no_exemplars() -> None:
    page = GOOD.replace(' # {trace_id="abc"} 1.0 1700000000.0', "")
    with serving(always(page, content_type=OPENMETRICS)) as server:
        found = [("note", "no-exemplars", "there was traffic, and no exemplar is on the page")]
        assert examined(server.url) == (found, 0)


def test_text_though_openmetrics_is_asked_for() -> None:
    with serving(always(TEXT)) as server:
        told = "it answered in the text format, though OpenMetrics is preferred"
        assert examined(server.url) == ([("warning", "no-openmetrics", told)], 0)


def test_series_twice() -> None:
    page = TEXT + 'tallygate_llm_calls_total{provider="p",model="m"} 4\n'
    told = 'twice on the page: tallygate_llm_calls_total{model="m",provider="p"}'
    assert in_text(page) == [("problem", "duplicate-series", told)]


@pytest.mark.parametrize(
    ("buckets", "told"),
    [
        ('{le="1"} 2 +{le="+Inf"} 3', 'h{a="\N{REPLACEMENT CHARACTER}[2J"} counts 4, and 3 in its +Inf bucket'),
        ('{le="1"} 5 +{le="+Inf"} 4', 'h{a="\N{REPLACEMENT CHARACTER}[2J"} has buckets that fall'),
        ('{le="1"} 4', 'h{a="\N{REPLACEMENT CHARACTER}[2J"} has no +Inf bucket'),
    ],
)
def test_histograms_that_contradict_themselves(buckets: str, told: str) -> None:
    lines = "".join(
        f'h_bucket{{a="\x1b[2J",{each[1:]}\n' for each in buckets.split("+{") for each in ["{" + each.lstrip("{")]
    )
    page = f'{TEXT}# HELP h H.\n# TYPE h histogram\n{lines}h_count{{a="\x1b[2J"}} 4\nh_sum{{a="\x1b[2J"}} 1\n'
    assert in_text(page) == [("problem", "histogram", f"histograms that contradict themselves: {told}")]


def counting(*pages: str) -> Callable[[Asked], Reply]:
    """Pages one after the other."""
    return lambda asked: openmetrics(pages[asked.number])


STARTED = "# HELP process_start_time_seconds S.\n# TYPE process_start_time_seconds gauge\n"


def test_a_counter_that_goes_down() -> None:
    with serving(counting(GOOD, GOOD.replace("3.0", "1.0"))) as server:
        told = (
            '1 counters went down between two requests: tallygate_llm_calls_total{model="m",provider="p"} from 3 to 1'
        )
        assert examined(server.url) == ([("problem", "counter-down", told)], 1)


def test_a_restart_between_two_requests() -> None:
    pages = [f"{CALLS}{STARTED}process_start_time_seconds {start}\n# EOF\n" for start in (1000, 2000)]
    with serving(counting(pages[0], pages[1].replace("3.0", "1.0"))) as server:
        told = "the program was started anew between two requests"
        assert examined(server.url) == ([("note", "restarted", told)], 0)


def test_the_second_page_may_fail() -> None:
    with serving(lambda asked: openmetrics() if not asked.number else reply(status="500 Oh")) as server:
        assert examined(server.url) == ([("problem", "status", "/metrics answers 500")], 1)


def test_many_values_and_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MANY_SERIES", 500)
    lines = "".join(f'tallygate_llm_calls_total{{provider="p",model="m",user_id="{user}"}} 1\n' for user in range(501))
    assert in_text(TEXT + lines) == [
        ("warning", "many-series", "502 series; most of them: tallygate_llm_calls (502)"),
        ("warning", "many-values", "labels with many values: user_id (501)"),
    ]


def test_rows_without_room() -> None:
    page = (
        TEXT
        + "# HELP tallygate_ledger_overflowed_rows_total O.\n# TYPE tallygate_ledger_overflowed_rows_total counter\n"
    )
    found = in_text(page + "tallygate_ledger_overflowed_rows_total 12\n")
    assert found == [("warning", "overflow", "12 label sets found no room and count under 'other'")]


def test_a_slow_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "SLOW", 0.0)
    with serving(good()) as server:
        ((severity, name, found),), status = examined(server.url)
    assert (severity, name, status) == ("warning", "slow", 0)
    assert found == f"it took 0.0 s, for {len(GOOD)} bytes"


@pytest.mark.parametrize(("ahead", "told"), [(100, "ahead of"), (-100, "behind")])
def test_another_clock(ahead: float, told: str) -> None:
    with serving(always(GOOD, content_type=OPENMETRICS, date=formatdate(time.time() + ahead, usegmt=True))) as server:
        ((severity, name, found),), status = examined(server.url)
    assert (severity, name, status) == ("warning", "clock-skew", 0)
    assert found in {f"its clock is {seconds} s {told} the one here" for seconds in range(97, 103)}


def test_times_in_the_future() -> None:
    later = time.time() + 1000
    page = f"{CALLS.replace('1700000000.0', str(later))}{STARTED}process_start_time_seconds {later}\n# EOF\n"
    with serving(always(page, content_type=OPENMETRICS)) as server:
        found, status = examined(server.url)
    assert ([name for _, name, _ in found], status) == (["start-in-future", "exemplars-in-future"], 0)


def test_lint() -> None:
    page = (
        "# TYPE no_help gauge\nno_help 1\n"
        "# HELP hits H.\n# TYPE hits counter\nhits 1\n"
        "# HELP level_total L.\n# TYPE level_total gauge\nlevel_total 1\n"
        "# HELP things_count T.\n# TYPE things_count gauge\nthings_count 1\n"
        "# HELP wait_ms W.\n# TYPE wait_ms gauge\nwait_ms 1\n"
        "# HELP a_gauge A.\n# TYPE a_gauge gauge\na_gauge 1\n"
        "# HELP someThing S.\n# TYPE someThing gauge\nsomeThing 1\n"
        "# HELP job:x:sum J.\n# TYPE job:x:sum gauge\njob:x:sum 1\n"
        "# HELP odd O.\nodd 1\n"
    )
    assert in_text(TEXT + page) == [
        ("warning", "lint-help", "no help text: no_help"),
        ("warning", "lint-type", "no type: odd"),
        ("warning", "lint-total", "counters whose names do not end in _total: hits"),
        ("warning", "lint-not-counter", "names that end in _total and are no counters: level_total"),
        ("warning", "lint-suffix", "names that end in _count, _sum or _bucket: things_count"),
        ("warning", "lint-unit", "units that are no base units: wait_ms"),
        ("warning", "lint-word", "names with their type in them: a_gauge"),
        ("warning", "lint-case", "names in camelCase: someThing"),
        ("warning", "lint-colon", "names with a colon: job:x:sum"),
    ]


def test_the_key_is_never_shown() -> None:
    """Even where a server says it back."""
    with serving(
        lambda asked: reply(status="302 Found", location=f"http://x/{asked.headers['authorization']}")
    ) as server:
        for as_json in (False, True):
            told, _ = examine(looking_at(server.url, key="hunter2"), strict=False, as_json=as_json)
            assert "hunter2" not in told
            assert "http://x/Bearer" in told


def test_what_servers_say_cannot_reach_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x9b31m\u202e"
    page = TEXT + f'evil{{a="{evil}"}} 1\nevil{{a="{evil}"}} 2\n'
    with serving(always(page, content_type="text/plain; x=\x1b[2J")) as server:
        for as_json in (False, True):
            told, _ = examine(looking_at(server.url), strict=False, as_json=as_json)
            assert "owned" in told
            assert all(character == "\n" or character.isprintable() for character in told)
