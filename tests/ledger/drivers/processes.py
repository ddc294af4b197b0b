"""Many processes over one segment."""

import gc
import multiprocessing
import os
import random
import signal
import threading
from functools import partial
from typing import Any

from tallygate.ledger import LedgerError, open_ledger
from tallygate.ledger.interface import ELAPSED, Activity
from tallygate.ledger.schema import Kind, MeasureSchema, TableSchema

from ..tables import TABLES, gauges
from .common import child, summary, wait

LIMITED = (TableSchema("limited", ("v",), (MeasureSchema("n", Kind.SUM),), budget=50),)


def recorders(path: str | None, processes: int, threads: int, each: int) -> dict[str, Any]:
    """Many record at once: separate openings of a path, or forks that share anonymous memory."""
    shared = None if path else open_ledger(TABLES)

    def work() -> None:
        ledger = shared or open_ledger(TABLES, path)

        def record() -> None:
            rows = [ledger.tables[0].row(f"model {n}", "r") for n in range(4)]
            for n in range(each // threads):
                rows[n & 3].record(0.25, 3, 0.00001)

        workers = [threading.Thread(target=record) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    ended = [wait(pid) for pid in [child(work) for _ in range(processes)]]
    return {"ended": ended} | summary(shared or open_ledger(TABLES, path))


def budget(path: str, processes: int, asked: int) -> dict[str, Any]:
    """All ask for more rows than there may be, in different orders."""

    def work(number: int) -> None:
        ledger = open_ledger(LIMITED, path)
        order = list(range(asked))
        random.Random(number).shuffle(order)
        for n in order:
            ledger.tables[0].row(str(n)).record(n)

    ended = [wait(pid) for pid in [child(partial(work, number)) for number in range(processes)]]
    return {"ended": ended} | summary(open_ledger(LIMITED, path))


def fork(path: str | None, from_thread: bool) -> dict[str, Any]:
    """A child has its own gauges, shares the counters, and gives back nothing of its parent's."""
    ledger = open_ledger(TABLES, path)
    calls, workers = ledger.tables[0].row("m", "r"), ledger.tables[1].row("a")
    held = [workers.begin() for _ in range(3)]
    workers.set(2, 10)
    workers.set(3, 10)
    workers.set(4, 10)
    up, down = os.pipe(), os.pipe()
    seen: dict[str, Any] = {}

    def work() -> None:
        held[0].finish(calls, ELAPSED, 1)
        held.clear()
        gc.collect()
        mine = workers.begin()
        workers.set(2, 4)
        workers.set(3, 4)
        workers.set(4, 4)
        ledger.tables[0].row("made in", "the child").record(0.25, 1)
        os.write(up[1], b"r")
        os.read(down[0], 1)
        mine.finish(calls, ELAPSED, 1)

    def run() -> None:
        pid = child(work)
        os.read(up[0], 1)
        seen["with child"] = gauges(ledger)[("a",)]
        seen["workers with child"] = ledger.statistics().workers
        os.write(down[1], b"g")
        seen["ended"] = wait(pid)
        seen["without child"] = gauges(ledger)[("a",)]
        held[0].finish(calls, ELAPSED, 1)
        seen["one less"] = gauges(ledger)[("a",)]

    if from_thread:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    else:
        run()
    return seen | summary(ledger)


def fork_while_creating(path: str | None, forks: int) -> dict[str, Any]:
    """Forks while other threads make rows: no child inherits a lock that nobody gives back."""
    ledger = open_ledger(TABLES, path)
    stop = threading.Event()
    made = [0, 0]

    def create(number: int) -> None:
        while not stop.is_set():
            ledger.tables[0].row(f"{number} {made[number]}", "r").record(None, 1)
            made[number] += 1

    threads = [threading.Thread(target=create, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    ended = []
    for n in range(forks):

        def work(n: int = n) -> None:
            signal.alarm(20)
            ledger.tables[0].row("child", str(n)).record(None, 1)
            ledger.tables[1].row(f"child {n}").begin()

        ended.append(wait(child(work)))
    stop.set()
    for thread in threads:
        thread.join()
    return {"ended": ended, "records": sum(made) + forks} | summary(ledger)


def spawn(path: str, each: int) -> dict[str, Any]:
    """Processes started afresh, by the multiprocessing module."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=recorded_by_spawn, args=(path, each)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return {"ended": [process.exitcode for process in processes]} | summary(open_ledger(TABLES, path))


def recorded_by_spawn(path: str, each: int) -> None:
    ledger = open_ledger(TABLES, path)
    ledger.tables[1].row("a").begin().finish()
    for _ in range(each):
        ledger.tables[0].row("m", "r").record(0.25, 3)


def consistent(path: str, writers: int, passes: int) -> dict[str, Any]:
    """Reads a row again and again while all write to it."""

    def write() -> None:
        ledger = open_ledger(TABLES, path)
        n = 0
        while os.getppid() == parent:
            n += 1
            ledger.tables[0].row("m", "r").record((n % 13) / 10, 3)
            if n % 50 == 0:
                ledger.tables[0].row(str(n % 5000), str(os.getpid())).record(0.25, 3)

    parent = os.getpid()
    ledger = open_ledger(TABLES, path)
    cell = ledger.tables[0].row("m", "r").cell
    pids = [child(write) for _ in range(writers)]
    went_down, inconsistent, torn_rows, last, grown = 0, 0, 0, [0] * 8, 0
    for n in range(passes):
        # Writers count first: so the buckets, read first, are never more; and never less but by those in progress.
        early = ledger.memory[cell]
        now = list(ledger.memory[cell : cell + 8])
        late = ledger.memory[cell]
        went_down += any(a > b for a, b in zip(last, now, strict=True))
        grown += now > last
        inconsistent += not early - writers <= sum(now[2:6]) <= late
        last = now
        if n % 100 == 0:
            torn_rows += any(
                row.values[0] != "other" and row.values[1] != "r" and not row.values[1].isdigit()
                for row in ledger.tables[0].rows()
            )
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        wait(pid)
    return {"went_down": went_down, "inconsistent": inconsistent, "torn": torn_rows, "grown": grown > 10} | summary(
        ledger
    )


def opened_at_once(path: str, processes: int) -> dict[str, Any]:
    """All open a path that is not there yet, at the same moment."""
    read, write = os.pipe()

    def work() -> None:
        os.close(write)
        os.read(read, 1)
        open_ledger(TABLES, path).tables[0].row("m", "r").record(0.25, 3)

    pids = [child(work) for _ in range(processes)]
    os.close(write)
    return {"ended": [wait(pid) for pid in pids]} | summary(open_ledger(TABLES, path))


def too_many_workers(path: str) -> dict[str, Any]:
    """More live processes than slots: refused with a reason; a dead one's slot is free again."""
    up, down = os.pipe(), os.pipe()

    def work() -> None:
        ledger = open_ledger(TABLES, path, max_workers=2)
        held.append(ledger.tables[1].row("a").begin())
        os.write(up[1], b"r")
        os.read(down[0], 1)

    held: list[Activity] = []
    pids = [child(work) for _ in range(2)]
    for _ in pids:
        os.read(up[0], 1)
    refused = ""
    try:
        open_ledger(TABLES, path)
    except LedgerError as error:
        refused = str(error)
    os.kill(pids[0], signal.SIGKILL)
    wait(pids[0])
    ledger = open_ledger(TABLES, path)
    seen = gauges(ledger)[("a",)][0]
    os.write(down[1], b"g")
    wait(pids[1])
    return {"refused": refused, "seen": seen} | summary(ledger)
