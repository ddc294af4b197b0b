"""What a scrape costs: rendering against prometheus_client in both its modes, every dialect of a real tally, and how
long the event loop stands still meanwhile.

Run: python -m benchmarks.scrape [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import time
import zlib
from array import array
from collections.abc import Callable, Coroutine, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from benchmarks import client_pages
from benchmarks.client_pages import BOUNDS, COUNTERS, HISTOGRAMS, LABELS, LINES, label_values
from benchmarks.harness import Gate, finish, machine, print_gates, print_table
from tallygate.dialects import DIALECTS
from tallygate.exposition.asgi import MetricsApp
from tallygate.exposition.escape import labels
from tallygate.exposition.family import FORMATS
from tallygate.exposition.page import GZIP_LEVEL, GZIP_WINDOW
from tallygate.exposition.render import IS_NATIVE, Family, render
from tallygate.facts import LLMCall
from tallygate.tally import Tally

SIZES = (1_000, 10_000, 100_000)
KEPT = 60
"""Buckets that the ledger keeps of a time: more than a family shows."""
STALL_LIMIT = 0.002
"""Seconds that the event loop may stand still."""
PAUSE = 0.03
"""Seconds between two rounds: a system takes real-time priority away from who never rests."""


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def best_of(rounds: int, make: Callable[[], object]) -> float:
    """Seconds of the quickest round."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        make()
        best = min(best, time.perf_counter() - start)
    return best


def families(sets: int) -> tuple[list[Family], list[memoryview]]:
    """The families of ``client_pages`` over cells as a ledger has them."""
    width = HISTOGRAMS * (1 + KEPT) + COUNTERS
    memory = array("q", bytes(8 * width * sets))
    times = [
        Family(
            f"llm_time_{n}_seconds",
            "histogram",
            "A time.",
            "seconds",
            exponent=-7,
            le=[f"{bound:g}" for bound in BOUNDS],
            bucket_map=[n * (len(BOUNDS) + 1) // KEPT for n in range(KEPT)],
        )
        for n in range(HISTOGRAMS)
    ]
    numbers = [Family(f"llm_number_{n}_total", "counter", "A number.", "") for n in range(COUNTERS)]
    for number in range(sets):
        text, base = labels(zip(LABELS, label_values(number), strict=True)), number * width
        for n, family in enumerate(times):
            at = base + n * (1 + KEPT)
            memory[at], memory[at + 20] = 1_230_000 + number * 100_000, 1
            family.add(family.series(text), 0, at)
        for n, family in enumerate(numbers):
            at = base + HISTOGRAMS * (1 + KEPT) + n
            memory[at] = number * 7 + 3
            family.add(family.series(text), 0, at)
    return [*numbers, *times], [memoryview(memory)]


def gzipped(made: Sequence[Family], buffers: Sequence[memoryview]) -> bytes:
    """A page as ``exposition.page`` compresses it."""
    return zlib.compress(render(made, buffers, "text", {}), GZIP_LEVEL, GZIP_WINDOW)


def rendering(quick: bool) -> list[Gate]:
    """Our renderer and prometheus_client on the same families."""
    rows, gates = [], []
    for size in SIZES:
        sets = max(1, size // LINES)
        made, buffers = families(sets)
        registry = CollectorRegistry()
        client_pages.fill(registry, sets)
        rounds = 2 if quick or size == SIZES[-1] else 5
        ours = {
            format: best_of(rounds * 10, partial(render, made, buffers, format, {}))
            for format in ("text", "openmetrics")
        }
        ours["gzip"] = best_of(rounds * 2, partial(gzipped, made, buffers))
        theirs = client_pages.measure(registry, rounds)
        many = client_pages.multiprocess(sets, rounds)
        for kind in ("text", "openmetrics", "gzip"):
            rows.append(
                [
                    f"{sets * LINES:,} lines, {kind}",
                    milliseconds(ours[kind]),
                    milliseconds(theirs[kind]),
                    f"{theirs[kind] / ours[kind]:.0f}x",
                    milliseconds(many[kind]),
                    f"{many[kind] / ours[kind]:.0f}x",
                ]
            )
        if size == SIZES[-1]:
            for format in FORMATS:
                gates.append(Gate(f"prometheus_client / ours, {format}", theirs[format] / ours[format], 100, True))
                gates.append(Gate(f"its multiprocess mode / ours, {format}", many[format] / ours[format], 200, True))
        del registry
        gc.collect()
    print_table(["page", "ours", "prometheus_client", "ratio", "its multiprocess mode", "ratio"], rows)
    return gates


def filled(sets: int) -> Tally:
    """A tally with this many label sets of LLM calls, every measure recorded."""
    tally = Tally(capacity_bytes=1 << 30)
    table = tally.tables[LLMCall]
    dimensions = table.schema.dimensions
    measures = [1] * len([measure for measure in table.schema.measures if measure.cells])
    for number in range(sets):
        known = dict(zip(LABELS, label_values(number), strict=True))
        known |= {"status_code": "200", "outcome": "completed", "error_type": ""}
        table.row(*(known.get(name, "") for name in dimensions)).record(*measures)
    return tally


def dialects(quick: bool) -> Tally:
    """Every dialect of one tally: the first page, which takes the rows in, and the following ones."""
    rows = []
    tally = filled(200 if quick else 1_500)
    for name in DIALECTS:
        start = time.perf_counter()
        page = tally.render((name,), "text")
        first = time.perf_counter() - start
        lines = page.count(b"\n")
        text = best_of(10, partial(tally.render, (name,), "text"))
        openmetrics = best_of(10, partial(tally.render, (name,), "openmetrics"))
        rows.append(
            [
                name,
                f"{lines:,}",
                f"{len(page) / 1e6:.1f} MB",
                milliseconds(text),
                milliseconds(openmetrics),
                f"{text / lines * 1e9:.0f} ns",
                milliseconds(first),
            ]
        )
    print_table(["dialect", "lines", "page", "text", "openmetrics", "text per line", "first page"], rows)
    return tally


async def longest_turn(during: Coroutine[None, None, None]) -> float:
    """Seconds that a busy event loop stood still at most, from one turn to the next, while something ran."""
    task = asyncio.ensure_future(during)
    longest, last = 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    await task
    return longest


@contextmanager
def undisturbed() -> Iterator[str]:
    """Real-time priority, where it is allowed, so that what else the machine does is not measured; says what it got."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        yield "without real-time priority: other processes are measured too"
        return
    try:
        yield "with real-time priority"
    finally:
        os.sched_setscheduler(0, *before)


async def stalls(tally: Tally, scrapes: int) -> list[Gate]:
    """How long a busy event loop stands still during scrapes of a large page; beside it, without any scrape."""
    app = MetricsApp(tally)
    sent = 0

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    rows, gates = [], []
    gc.collect()
    gc.freeze()
    for name, headers in {
        "text": [],
        "openmetrics": [(b"accept", b"application/openmetrics-text")],
        "text, gzip": [(b"accept-encoding", b"gzip")],
    }.items():
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
        idle, busy, took = [], [], []
        for _ in range(scrapes):
            start = time.perf_counter()
            busy.append(await longest_turn(app(scope, receive, send)))
            took.append(time.perf_counter() - start)
            idle.append(await longest_turn(asyncio.sleep(took[-1])))
            await asyncio.sleep(PAUSE)
        typical = statistics.median(busy)
        figures = (min(took), typical, max(busy), statistics.median(idle), max(idle))
        rows.append([name, *map(milliseconds, figures)])
        gates.append(Gate(f"worst stall / 2 ms, {name}", max(busy) / STALL_LIMIT, 1))
    assert sent > 0
    print_table(["scrape", "takes", "stall: median", "worst", "without scrape: median", "worst"], rows)
    return gates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: rougher figures")
    quick = parser.parse_args().quick
    print(machine())
    print(f"renderer: {'compiled' if IS_NATIVE else 'Python'}\n")
    gates = rendering(quick)
    print()
    tally = dialects(quick)
    print()
    with undisturbed() as priority:
        print(f"event loop, {priority}:")
        gates += asyncio.run(stalls(tally, 5 if quick else 30))
    print()
    finish(print_gates(gates))


if __name__ == "__main__":
    main()
