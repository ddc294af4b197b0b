"""`tallygate doctor` against servers that misbehave, each in its own way: what it finds, and its exit status."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest

from tallygate.cli.doctor import examine
from tallygate.scraping.diagnosis import judging
from tests.cli.looked import looking_at
from tests.gateway.certificates import Authority
from tests.gateway.provided import provided
from tests.gateway.test_metrics_endpoint import metrics_listener
from tests.scraping.servers import Asked, Reply, always, at, reply, serving

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
CALLS = (
    "# HELP tallygate_llm_calls LLM calls.\n# TYPE tallygate_llm_calls counter\n"
    'tallygate_llm_calls_total{provider="p",model="m"} 3.0 # {trace_id="abc"} 1.0 1700000000.0\n'
)
GOOD = f"{CALLS}# EOF\n"
TEXT = (
    "# HELP tallygate_llm_calls_total LLM calls.\n# TYPE tallygate_llm_calls_total counter\n"
    'tallygate_llm_calls_total{provider="p",model="m"} 3\n'
)

Found = list[tuple[str, str, str]]


def examined(
    url: str, *, key: str | None = None, ca_file: Path | None = None, timeout: float = 10.0
) -> tuple[Found, int]:
    """Severity, name and words of each finding, and the exit status."""
    told, status = examine(looking_at(url, key=key, ca_file=ca_file, timeout=timeout), strict=False, as_json=True)
    document = json.loads(told)
    assert document["healthy"] is (status == 0)
    assert all(each["means"] and each["mend"] for each in document["findings"])
    return [(each["severity"], each["name"], each["found"]) for each in document["findings"]], status


def openmetrics(body: str = GOOD) -> bytes:
    return reply(body, content_type=OPENMETRICS)


def good() -> Callable[[Asked], Reply]:
    return always(GOOD, content_type=OPENMETRICS)


def in_text(body: str) -> Found:
    """What is found on a page in the text format, besides that it is text."""
    with serving(always(body)) as server:
        found, _ = examined(server.url)
    return [finding for finding in found if finding[1] != "no-openmetrics"]


def test_a_healthy_page() -> None:
    with serving(good()) as server:
        told, status = examine(looking_at(server.url), strict=True, as_json=False)
        lines = told.splitlines()
        size = lines.pop(3)
    assert status == 0
    assert size.startswith(f"  size     {len(GOOD)} B, {len(GOOD)} B sent, in 0.")
    assert lines == [
        f"{server.url}/metrics",
        "  format   OpenMetrics",
        "  dialect  tallygate",
        "  series   1 in 1 families; 1 exemplars",
        f"  largest  tallygate_llm_calls 1 series, {len(CALLS.splitlines()[2]) + 1} B",
        "  labels   values: model 1, provider 1",
        "",
        "healthy: nothing was found",
    ]
    assert [asked.headers["user-agent"] for asked in server.asked] == ["Prometheus/3.7.0 (tallygate)"] * 2


def test_a_problem_in_words() -> None:
    with serving(always(status="401 Unauthorized")) as server:
        told, status = examine(looking_at(server.url), strict=False, as_json=False)
    assert status == 1
    assert told == (
        f"{server.url}/metrics\n"
        "\n"
        "problem: no-key\n"
        "  found  /metrics answers 401, and no key was shown\n"
        "  means  The metrics are for those who have metrics.secret, or the master key.\n"
        "  do     Give the key: --key-file FILE here, authorization.credentials_file in\n"
        "         Prometheus' configuration.\n"
        "\n"
        "not healthy: 1 problem\n"
    )


def test_warnings_break_only_where_they_are_asked_to() -> None:
    with serving(always(TEXT)) as server:
        target = looking_at(server.url)
        assert [examine(target, strict=strict, as_json=False)[1] for strict in (False, True)] == [0, 1]
        assert examine(target, strict=True, as_json=False)[0].endswith("\nnot healthy: 1 warning\n")


# No answer


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
    assert examined(place) == ([("problem", "no-connection", f"{place}: Connection refused")], 1)


def test_an_unknown_name() -> None:
    ((severity, name, found),), status = examined("no-such-host.invalid")
    assert (severity, name, status) == ("problem", "unknown-host", 1)
    assert found.startswith("the name no-such-host.invalid has no address: ")


def test_no_answer_in_time() -> None:
    def hold(connection: socket.socket) -> None:
        connection.recv(1)

    with serving(lambda asked: hold) as server:
        found = [("problem", "timeout", f"127.0.0.1:{server.port}: no whole answer within 0.2 s")]
        assert examined(server.url, timeout=0.2) == (found, 1)


def test_no_http() -> None:
    with serving(lambda asked: b"SSH-2.0-OpenSSH_9.2\r\n") as server:
        found = f"127.0.0.1:{server.port}: SSH-2.0-OpenSSH_9.2\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
        assert examined(server.url) == ([("problem", "no-http", found)], 1)


def test_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1"))
    with serving(good(), context) as server:
        problem = f"127.0.0.1:{server.port}: unable to get local issuer certificate"
        assert examined(server.url) == ([("problem", "tls", problem)], 1)
        assert examined(server.url, ca_file=authority.file) == ([], 0)
        assert examine(looking_at(server.url, insecure=True), strict=True, as_json=False)[1] == 0


# An answer that is none


def test_wrong_keys() -> None:
    with serving(always(status="401 Unauthorized")) as server:
        found = [("problem", "wrong-key", "/metrics answers 401 to the key that was shown")]
        assert examined(server.url, key="hunter2") == (found, 1)
    with serving(always(status="403 Forbidden")) as server:
        assert examined(server.url)[0] == [("problem", "no-key", "/metrics answers 403, and no key was shown")]


def test_a_wrong_path() -> None:
    with serving(at({"/metrics": openmetrics()})) as server:
        found = [("problem", "wrong-path", "/metrix answers 404, and the metrics are at /metrics")]
        assert examined(f"{server.url}/metrix") == (found, 1)


def test_a_path_that_the_server_tells() -> None:
    elsewhere = reply('{"error":"the metrics are at /internal/m"}', "404 Not Found", content_type="application/json")
    with serving(lambda asked: openmetrics() if asked.path == "/internal/m" else elsewhere) as server:
        found = [("problem", "wrong-path", "/metrics answers 404, and the metrics are at /internal/m")]
        assert examined(server.url) == (found, 1)


def test_a_path_that_the_configuration_tells(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[metrics]\nendpoint = "/internal/m"\nsecret = "the-configured-key"\n')
    with serving(at({"/internal/m": openmetrics()})) as server:
        told, status = examine(looking_at(server.url, config=file), strict=False, as_json=False)
    assert status == 1
    assert "  found  /metrics answers 404, and the metrics are at /internal/m\n" in told
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, None]


def test_switched_off() -> None:
    with serving(at({"/health": reply('{"status":"ok"}', content_type="application/json")})) as server:
        found = [("problem", "disabled", "/metrics answers 404, and this is a gateway: /health answers")]
        assert examined(server.url, key="secret") == (found, 1)
    health = server.asked[-1]
    assert (health.path, health.headers.get("authorization")) == ("/health", None)


def test_not_found() -> None:
    with serving(at({})) as server:
        assert examined(server.url) == ([("problem", "not-found", "/metrics answers 404")], 1)


@pytest.mark.parametrize("status", ["405 Method Not Allowed", "503 Service Unavailable"])
def test_another_status(status: str) -> None:
    with serving(always(status=status)) as server:
        assert examined(server.url) == ([("problem", "status", f"/metrics answers {status[:3]}")], 1)


def test_a_redirect_within_the_server() -> None:
    paths = {"/metrics": reply(status="308 Permanent Redirect", location="/m/"), "/m/": openmetrics()}
    with serving(at(paths)) as server:
        assert examined(server.url) == ([("warning", "redirect", "status 308 sends on to /m/")], 0)
    assert [asked.path for asked in server.asked] == ["/metrics", "/m/", "/m/"]


def test_a_redirect_to_another_server_is_not_followed() -> None:
    with serving(good()) as other, serving(always(status="302 Found", location=other.url)) as server:
        found = [("problem", "redirect", f"status 302 sends on to {other.url}")]
        assert examined(server.url, key="secret") == (found, 1)
    assert other.asked == []


def test_redirects_without_end() -> None:
    with serving(always(status="302 Found", location="/metrics")) as server:
        found, status = examined(server.url)
    assert (found[-1], status) == (("problem", "redirect-loop", "5 redirects, and no page"), 1)


def test_a_web_page() -> None:
    with serving(always("<!doctype html><title>Sign in</title>", content_type="text/html")) as server:
        found = [("problem", "not-metrics", "it is a web page: Content-Type text/html")]
        assert examined(server.url) == (found, 1)


@pytest.mark.parametrize(("content_type", "told"), [("", "not told"), ("application/x-y", "application/x-y")])
def test_an_unknown_content_type(content_type: str, told: str) -> None:
    with serving(always(TEXT, content_type=content_type)) as server:
        found, status = examined(server.url)
    assert (found[0], status) == (("problem", "content-type", f"Content-Type is {told}"), 1)


# A page with something wrong


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


# Gateways themselves


async def test_a_protected_gateway() -> None:
    """It answers 401 to a stranger whatever the path, and to a scraper at a wrong one."""
    async with provided({"server": {"master_key": "master-key"}, "metrics": {"secret": "scrape-key"}}) as (running, _):
        for path, key, found in (
            ("/metrics", None, [("problem", "no-key", "/metrics answers 401, and no key was shown")]),
            ("/metrics", "wrong-one", [("problem", "wrong-key", "/metrics answers 401 to the key that was shown")]),
            ("/other", None, [("problem", "no-key", "/other answers 401, and no key was shown")]),
            (
                "/other",
                "scrape-key",
                [("problem", "wrong-path", "/other answers 401, and the metrics are at /metrics")],
            ),
            ("/metrics", "scrape-key", [("note", "no-traffic", "no LLM call was counted yet")]),
        ):
            told = await asyncio.to_thread(examined, running.url + path, key=key)
            assert told == (found, 0 if key == "scrape-key" and path == "/metrics" else 1)


@pytest.mark.parametrize("metrics", [{"enabled": False}, {"listener": {"port": 0}}, {"endpoint": "/elsewhere"}])
async def test_a_gateway_without_metrics_there(metrics: dict[str, object]) -> None:
    async with provided({"metrics": metrics}) as (running, _):
        found = [("problem", "disabled", "/metrics answers 404, and this is a gateway: /health answers")]
        assert await asyncio.to_thread(examined, running.url) == (found, 1)


async def test_metrics_on_a_listener_of_their_own_tell_their_path() -> None:
    async with (
        provided({"metrics": {"listener": {}, "endpoint": "/m"}}) as (running, _),
        metrics_listener(running) as url,
    ):
        found = [("problem", "wrong-path", "/metrics answers 404, and the metrics are at /m")]
        assert await asyncio.to_thread(examined, url) == (found, 1)
