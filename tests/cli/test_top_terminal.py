"""`tallygate top` on a screen: through textual's pilot, and in a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
import pty
import select
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.text import Text
from textual.pilot import Pilot
from textual.widgets import Static
from textual.worker import WorkerFailed

from tallygate.cli.numbers import count, percent, seconds, speed, usd
from tallygate.cli.screen import SORTS, Shown, screen
from tallygate.cli.top import picture
from tallygate.cli.watching import Top
from tallygate.scraping.figures import Amount, Figures, Line, Percentiles, Scraped, figures
from tallygate.scraping.parsing import parse
from tallygate.scraping.scrape import ScrapeError
from tests.cli.running import command, environment
from tests.scraping.servers import Asked, Reply, always, reply, serving

PATIENCE = 60.0
URL = "http://gateway:4000/metrics"


def page(calls: int, *, failed: int = 0, cost: float = 0.0, moment: float = 0.0) -> Scraped:
    """A page of one provider and its model, had at this moment."""
    body = (
        "# TYPE tallygate_llm_calls_total counter\n"
        f'tallygate_llm_calls_total{{provider="openai",model="gpt-4o",outcome="completed"}} {calls - failed}\n'
        f'tallygate_llm_calls_total{{provider="openai",model="gpt-4o",outcome="failed"}} {failed}\n'
        "# TYPE tallygate_llm_errors_total counter\n"
        f'tallygate_llm_errors_total{{provider="openai",model="gpt-4o",error_type="provider_timeout"}} {failed}\n'
        "# TYPE tallygate_llm_cost_usd_total counter\n"
        f'tallygate_llm_cost_usd_total{{provider="openai",model="gpt-4o"}} {cost}\n'
    )
    return Scraped(parse(body.encode(), "text"), 1_700_000_000 + moment, moment)


def lines(top: Top) -> list[str]:
    """What the screen was given to show."""
    shown = top.query_one("#figures", Static).content
    assert isinstance(shown, Text)
    return shown.plain.split("\n")


async def answered(top: Top, number: int) -> None:
    async with asyncio.timeout(PATIENCE), top.asked:
        await top.asked.wait_for(lambda: top.answers >= number)


@asynccontextmanager
async def shown(*answers: Scraped | str, interval: float = 3600.0) -> AsyncIterator[tuple[Top, Pilot[None]]]:
    """The program, given these pages and problems one after the other; `r` takes the next."""
    left = list(answers)

    def scrape() -> Scraped:
        answer = left.pop(0)
        if isinstance(answer, str):
            raise ScrapeError(answer)
        return answer

    top = Top(scrape, URL, interval)
    async with top.run_test(size=(80, 24)) as pilot:
        await answered(top, 1)
        yield top, pilot


async def test_the_screen_of_two_pages() -> None:
    async with shown(page(10, failed=1, cost=1.0), page(30, failed=3, cost=1.5, moment=4)) as (top, pilot):
        assert lines(top)[1] == " LIVE  totals only; rates come with the next page, in 3600 s"
        await pilot.press("r")
        await answered(top, 2)
        told = [line.rstrip() for line in lines(top)]
    assert told == [
        "tallygate top  http://gateway:4000/metrics                             tallygate",
        " LIVE  rates and percentiles of the last 4 s, every 3600 s",
        "requests          5/s       30 total                    p50       p95       p99",
        "errors         0.50/s        3 total latency              -         -         -",
        "input tok           -        - total first token          -         -         -",
        "output tok          -        - total tok/s, call          -         -         -",
        "cached tok          -        - total cache hits           -",
        "cost        $450.00/h    $1.50 total in flight            -",
        "errors by type: provider_timeout 0.50/s (3)",
        "",
        "PROVIDER               req/s\N{DOWNWARDS ARROW}   err/s   tok/s   $/hour      p95 ttft p95   state",
        "openai                      5    0.50       -  $450.00        -        -       -",
        "",
        "MODEL                  req/s\N{DOWNWARDS ARROW}   err/s   tok/s   $/hour      p95 ttft p95",
        "gpt-4o                      5    0.50       -  $450.00        -        -",
    ]


async def test_a_gateway_that_is_away_and_comes_back_anew() -> None:
    """The figures stay, and their age is told; what was counted since the restart is all that there is."""
    async with shown(page(100), "no connection: Connection refused", page(6, moment=10)) as (top, pilot):
        await pilot.press("r")
        await answered(top, 2)
        assert lines(top)[1].startswith(" NO ANSWER  for ")
        assert lines(top)[1].endswith(": no connection: Connection refused")
        assert lines(top)[2].startswith("requests            -      100 total")
        await pilot.press("r")
        await answered(top, 3)
        assert lines(top)[1].startswith(
            " LIVE  rates and percentiles of the last 10 s, every 3600 s  restarted before "
        )
        assert lines(top)[2].startswith("requests       0.60/s        6 total")


async def test_nothing_from_the_start() -> None:
    async with shown("401: a key is needed") as (top, _):
        assert [line.rstrip() for line in lines(top)[1:]] == [
            " NO ANSWER  for 0 s: 401: a key is needed",
            "",
            "  It is asked again and again.",
            f"  tallygate doctor {URL}  says more.",
        ]


async def test_a_page_of_another_program() -> None:
    other = Scraped(parse(b"# TYPE up gauge\nup 1\n", "text"), 0.0, 0.0)
    async with shown(other) as (top, _):
        assert "  This page has no metrics of a gateway, in none of the dialects." in lines(top)


async def test_keys() -> None:
    async with shown(page(1), page(2, moment=1), page(3, moment=2), interval=5.0) as (top, pilot):
        for sort in (*SORTS[1:], SORTS[0]):
            await pilot.press("s")
            assert top.shown.sort == sort
        await pilot.press("p")
        assert lines(top)[1].strip() == "PAUSED  p goes on"
        for key, interval in (("+", 10.0), ("=", 15.0), ("+", 30.0), ("+", 60.0), ("+", 60.0)):
            await pilot.press(key)
            assert top.shown.interval == interval
        for interval in (30.0, 15.0, 10.0, 5.0, 2.0, 1.0, 1.0):
            await pilot.press("-")
            assert top.shown.interval == interval
        assert top.answers == 1
        await pilot.press("p")
        await answered(top, 2)
        await pilot.press("?")
        assert len(top.screen_stack) == 2
        await pilot.press("x")
        assert len(top.screen_stack) == 1
        await pilot.press("q")
        await pilot.pause()
        assert not top.is_running
    assert top.return_code == 0


async def test_it_ends_at_once_while_a_page_is_being_asked_for() -> None:
    asked, answer = threading.Event(), threading.Event()

    def hang() -> Scraped:
        asked.set()
        answer.wait(PATIENCE)
        return page(1)

    top = Top(hang, URL, 1.0)
    async with asyncio.timeout(PATIENCE), top.run_test(size=(80, 24)) as pilot:
        await asyncio.to_thread(asked.wait, PATIENCE)
        await pilot.pause()
        assert lines(top)[1].strip() == "WAITING  for the first page"
        await pilot.press("q")
        await pilot.pause()
        assert not top.is_running
    answer.set()


async def test_a_defect_is_not_hidden() -> None:
    """The screen does not stand still as if all was well."""

    def broken() -> Scraped:
        raise ZeroDivisionError("in the program itself")

    top = Top(broken, URL, 1.0)

    async def run() -> None:
        async with top.run_test(size=(80, 24)):
            await top.workers.wait_for_complete()

    with pytest.raises(WorkerFailed, match="in the program itself"):
        await run()
    assert top.return_code == 1


# What is drawn


def many(rows: int) -> Figures:
    """As many providers and models, with names of every kind."""
    names = [f"{'模型' * 20}{number}" if number % 2 else f"a\x1b[31m{'long' * 30}{number}" for number in range(rows)]
    line = Line(
        requests=Amount(1e12, 12345.678),
        errors=Amount(5, 0.001),
        cost=Amount(1e9, 999.9),
        latency=Percentiles(0.5, math.inf, math.inf, 600.0),
        first_token=Percentiles(1e-5, 0.02, 3.0, 60.0),
        tokens_per_second=Percentiles(10, 20, math.inf, 1000.0),
    )
    return Figures(
        dialects=("tallygate", "aurora"),
        time=0.0,
        seconds=2.0,
        line=line,
        errors=dict.fromkeys(names, Amount(1, 1)),
        cache_hit_ratio=0.5,
        in_flight=3,
        providers=dict.fromkeys(names, line),
        models=dict.fromkeys(names, line),
        states=dict.fromkeys(names, "breaker"),
    )


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 12), (132, 50), (40, 5), (20, 1)])
def test_it_fits_whatever_there_is(width: int, height: int, sort: str) -> None:
    for told in (None, many(0), many(1), many(100)):
        shown = Shown(URL + "\x1b[2J" * 30, 2.0, told, "\x1b[31m" * 50 if told else "", 1.0, sort=sort)  # type: ignore[arg-type]  # one of SORTS
        drawn = screen(shown, width, height).plain.split("\n")
        assert len(drawn) <= height
        assert max(map(cell_len, drawn)) <= width
        assert all(line.isprintable() for line in drawn)


def test_rows_that_find_no_room_are_counted() -> None:
    drawn = screen(Shown(URL, 2.0, many(100)), 80, 23).plain.split("\n")
    assert [line.strip() for line in drawn if line.startswith("  and ")] == ["and 96 more", "and 96 more"]
    wide = screen(Shown(URL, 2.0, many(2)), 120, 40).plain
    assert "requests     cost   state" in wide


@pytest.mark.parametrize(
    ("sort", "order"),
    [("requests", "bac"), ("errors", "cba"), ("tokens", "abc"), ("cost", "cab"), ("p95", "bca"), ("name", "abc")],
)
def test_sorting(sort: str, order: str) -> None:
    """Most first; what is not known comes last."""
    models = {
        "a": Line(requests=Amount(1, 2.0), errors=Amount(0, 0.0), cost=Amount(1, 2.0)),
        "b": Line(requests=Amount(1, 3.0), errors=Amount(1, 0.5), latency=Percentiles(1, 3, 3, 9)),
        "c": Line(requests=Amount(1, 1.0), errors=Amount(1, 1.0), cost=Amount(1, 3.0), latency=Percentiles(1, 2, 3, 9)),
    }
    told = replace(figures(None, page(1)), models=models)
    drawn = screen(Shown(URL, 2.0, told, sort=sort), 80, 24).plain.split("\n")  # type: ignore[arg-type]  # one of SORTS
    start = next(number for number, line in enumerate(drawn) if line.startswith("MODEL")) + 1
    assert "".join(line[0] for line in drawn[start : start + 3]) == order


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (count(None), "-"),
        (count(0), "0"),
        (count(0.0001), "<0.01"),
        (count(0.25), "0.25"),
        (count(12.44), "12.4"),
        (count(999.9), "1.00k"),
        (count(1240), "1.24k"),
        (count(8.1e6), "8.10M"),
        (count(math.inf), "-"),
        (usd(None), "-"),
        (usd(0), "$0.00"),
        (usd(0.0123), "$0.0123"),
        (usd(3.6), "$3.60"),
        (usd(123456), "$123k"),
        (seconds(None), "-"),
        (seconds(0), "0 s"),
        (seconds(0.000123), "123 us"),
        (seconds(0.881), "881 ms"),
        (seconds(1.234), "1.23 s"),
        (seconds(1200), "20 min"),
        (seconds(math.inf, 600), ">10 min"),
        (seconds(math.inf), "-"),
        (speed(math.inf, 1000), ">1k"),
        (speed(53.1), "53.1"),
        (percent(None), "-"),
        (percent(0.667), "66.7 %"),
    ],
)
def test_numbers(written: str, told: str) -> None:
    assert written == told


# For real


BODY = (
    "# TYPE tallygate_llm_calls_total counter\n"
    'tallygate_llm_calls_total{provider="\x1b]0;owned\x07openai",model="gpt-4o",outcome="completed"} %d\n'
)


def growing(asked: Asked) -> Reply:
    """A call more with each page."""
    return reply(BODY % (asked.number + 7))


@contextmanager
def terminal(*arguments: str, directory: Path) -> Iterator[tuple[int, int]]:
    """The command in a terminal of 80 columns and 24 lines: its process, and the other end of the terminal."""
    process, end = pty.fork()
    if not process:
        os.chdir(directory)
        os.execvpe(sys.executable, command(*arguments), environment({"TERM": "xterm-256color", "LANG": "C.UTF-8"}))
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        yield process, end
    finally:
        os.close(end)
        try:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # it ended by itself


def read_until(end: int, done: Callable[[bytes], bool]) -> bytes:
    """What is written to the terminal, until this holds or it is closed."""
    written, deadline = b"", time.monotonic() + PATIENCE
    while not done(written):
        ready, _, _ = select.select([end], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, written
        try:
            piece = os.read(end, 65536)
        except OSError:  # closed
            break
        written += piece
    return written


def test_in_a_real_terminal(tmp_path: Path) -> None:
    with (
        serving(growing) as server,
        terminal("top", server.url, "--interval", "0.1", directory=tmp_path) as (process, end),
    ):
        written = read_until(end, lambda so_far: b"rates and percentiles of the last" in so_far)
        assert b"openai" in written
        assert b"gpt-4o" in written
        os.write(end, b"q")
        written += read_until(end, lambda so_far: False)
        _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"\x1b]0;owned" not in written
    assert written.count(b"\x1b[?1049h") == written.count(b"\x1b[?1049l") == 1  # the screen is as it was before
    assert b"Traceback" not in written


async def test_a_picture() -> None:
    with serving(growing) as server:
        told = await picture(server.url, interval=0.05, columns=100, rows=20)
    assert told.startswith("<svg ")
    assert "tallygate&#160;top&#160;" in told
    assert "LIVE" in told
    with serving(always(status="401 Unauthorized")) as server, pytest.raises(ScrapeError, match="a key is needed"):
        await picture(server.url, pages=1)
