"""Writers that are killed."""

import gc
import os
import random
import signal
import struct
import time
from typing import Any

from tallygate.ledger import _core, open_ledger
from tallygate.ledger.interface import ELAPSED

from ..tables import TABLES
from .common import child, summary, wait


def _write_until_killed(path: str, pipe: int) -> None:
    """Records, and says so after each, with everything that has to be right when it dies."""
    ledger = open_ledger(TABLES, path)
    calls, workers, _ = ledger.tables
    acknowledge = struct.pack("q", 1)
    n = 0
    while True:
        n += 1
        activity = workers.row(f"worker {n % 70}").begin()
        row = calls.row(f"model {random.randrange(400)}" if n % 3 == 0 else "common", "r")
        activity.finish(row, ELAPSED, 3)
        os.write(pipe, acknowledge)
        if n % 5 == 0:
            row.exemplify("ab" * 16, "cd" * 8, 0.25)


def random_kills(path: str, kills: int, seed: int) -> dict[str, Any]:
    """Three writers, one of them killed at a random moment and replaced, again and again."""
    chance = random.Random(seed)
    acknowledged, unread = 0, {}
    longest = 0.0

    def start() -> int:
        read, write = os.pipe()

        def work() -> None:
            os.close(read)
            random.seed(os.getpid())
            _write_until_killed(path, write)

        pid = child(work)
        os.close(write)
        os.set_blocking(read, False)
        unread[pid] = read
        return pid

    def drain(pid: int) -> int:
        got = 0
        while True:
            try:
                data = os.read(unread[pid], 1 << 16)
            except BlockingIOError:
                return got
            if not data:
                return got
            got += len(data) // 8

    writers = [start() for _ in range(3)]
    signals = []
    for _ in range(kills):
        until = time.monotonic() + chance.random() * 0.03
        while time.monotonic() < until:
            acknowledged += sum(map(drain, writers))
        victim = writers.pop(chance.randrange(len(writers)))
        os.kill(victim, signal.SIGKILL)
        signals.append(wait(victim))
        acknowledged += drain(victim)
        os.close(unread.pop(victim))
        writers.append(start())
    for writer in writers:
        os.kill(writer, signal.SIGKILL)
        signals.append(wait(writer))
        acknowledged += drain(writer)
    start_time = time.monotonic()
    ledger = open_ledger(TABLES, path)
    ledger.tables[0].row("made", "afterwards").record(0.25, 3)
    longest = time.monotonic() - start_time
    exemplars = ledger.exemplars()
    return {
        "acknowledged": acknowledged + 1,
        "killed": len(signals),
        "signals": sorted(set(signals)),
        "seconds": longest,
        "exemplars_right": all(e.trace_id == "ab" * 16 and e.span_id == "cd" * 8 for e in exemplars),
    } | summary(ledger)


def crash_steps() -> int:
    return _core._CRASH_STEPS


def crash(path: str, step: int, times: int) -> dict[str, Any]:
    """Children that die at one step of creation, while another process goes on; each acknowledges its records."""
    signals, acknowledged = [], 0
    if step < 13:
        open_ledger(TABLES, path).tables[0].row("before", "r").record(0.25, 3)
        acknowledged = 1
        gc.collect()
    for n in range(times):
        read, write = os.pipe()

        def work(n: int = n, write: int = write) -> None:
            if step >= 8:
                _core._crash_at(step if step < 11 or step > 12 else 0)
            ledger = open_ledger(TABLES, path)
            ledger.tables[0].row("common", "r").record(0.25, 3)
            os.write(write, b"1")
            _core._crash_at(step)
            held = [ledger.tables[1].row(f"worker {n}-{i}").begin() for i in range(70)]
            ledger.tables[0].row(f"row of {n}", "r").record(0.25, 3)
            del held

        signals.append(wait(child(work)))
        os.close(write)
        acknowledged += len(os.read(read, 10))
        os.close(read)
        if step == 14 and n % 2:
            os.unlink(path)
    started = time.monotonic()
    ledger = open_ledger(TABLES, path)
    for n in range(times):
        ledger.tables[0].row(f"row of {n}", "r").record(0.25, 3)
    return {
        "signals": sorted(set(signals)),
        "acknowledged": acknowledged + times,
        "seconds": time.monotonic() - started,
    } | summary(ledger)
