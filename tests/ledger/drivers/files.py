"""What may happen to the file of a segment."""

import fcntl
import gc
import os
import resource
import threading
import time
from typing import Any

from tallygate.ledger import LedgerError, open_ledger

from ..tables import TABLES, gauges
from .common import child, summary, wait


def closed_descriptors(path: str) -> dict[str, Any]:
    """Somebody in the process closes every descriptor and opens other files under the same numbers."""
    ledger = open_ledger(TABLES, path)
    row = ledger.tables[1].row("a")
    held = row.begin()
    os.closerange(3, 256)
    others = [os.open(os.devnull if n % 2 else path + ".other", os.O_RDWR | os.O_CREAT) for n in range(40)]
    for n in range(200):
        ledger.tables[0].row(str(n), "r").record(0.25, 3)
        ledger.tables[1].row(str(n)).add(0, 1)
    others_untouched = os.path.getsize(path + ".other") == 0
    ended = wait(child(lambda: _other_worker(path)))
    result = summary(ledger)
    held.finish()
    return {"ended": ended, "others_untouched": others_untouched, "open": len(others)} | result


def _other_worker(path: str) -> None:
    """A new worker must not take the slot of one that is alive."""
    ledger = open_ledger(TABLES, path)
    assert gauges(ledger)[("a",)][0] == 1
    assert ledger.statistics().workers == 2
    ledger.tables[0].row("other", "worker").record(0.25, 3)
    ledger.tables[1].row("a").begin()


def unlinked(path: str) -> dict[str, Any]:
    """The file is removed while it is used: what has it open goes on."""
    ledger = open_ledger(TABLES, path)
    ledger.tables[0].row("m", "r").record(0.25, 3)
    os.unlink(path)
    ledger.tables[0].row("new", "r").record(0.25, 3)
    ledger.tables[1].row("a").begin().finish()
    os.closerange(3, 256)
    ledger.tables[0].row("too late", "r").record(0.25, 3)
    return summary(ledger)


def descriptors(path: str) -> list[int]:
    """How many are open before, while and after."""
    counts = [len(os.listdir("/proc/self/fd"))]
    ledger = open_ledger(TABLES, path)
    ledger.tables[1].row("a").begin()
    counts.append(len(os.listdir("/proc/self/fd")))
    ledger.close()
    del ledger
    gc.collect()
    return [*counts, len(os.listdir("/proc/self/fd"))]


def full_file_system(path: str) -> dict[str, Any]:
    """Rows until there is no more space, and beyond."""
    ledger = open_ledger(TABLES, path)
    for n in range(20_000):
        ledger.tables[0].row(f"a rather long name of a model, number {n}", "r" * 200).record(0.25, 3)
        if n % 100 == 0:
            ledger.tables[1].row(str(n)).set(0, 1)
            ledger.tables[0].row(str(n), "r").exemplify("ab" * 16, "cd" * 8, 0.25)
    refused = ""
    try:
        open_ledger(TABLES, path + ".second")
    except LedgerError as error:
        refused = str(error)
    return {"refused": refused, "left_behind": os.path.exists(path + ".second")} | summary(ledger)


def file_size_limit(path: str) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        open_ledger(TABLES, path)
    except LedgerError as error:
        return str(error)
    return ""


def as_nobody(path: str) -> str:
    """Without root's rights, which the code itself may need to be read."""
    open_ledger(TABLES)
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        open_ledger(TABLES, path)
    except LedgerError as error:
        return str(error)
    return ""


def stopped_creator(path: str) -> dict[str, Any]:
    """A process holds the creation lock and does not go on: nobody waits for it for long, or twice."""
    ledger = open_ledger(TABLES, path)
    known = ledger.tables[0].row("known", "r")
    up, down = os.pipe(), os.pipe()

    def work() -> None:
        with open(path, "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
            os.write(up[1], b"r")
            os.read(down[0], 1)

    pid = child(work)
    os.read(up[0], 1)
    recorded_meanwhile = 0
    done = threading.Event()

    def create() -> None:
        for n in range(50):
            ledger.tables[0].row(str(n), "r").record(0.25, 3)
        done.set()

    started = time.monotonic()
    thread = threading.Thread(target=create)
    thread.start()
    while not done.is_set():
        known.record(0.25, 3)
        recorded_meanwhile += 1
    thread.join()
    waited = time.monotonic() - started
    os.write(down[1], b"g")
    ended = wait(pid)
    ledger.tables[0].row("afterwards", "r").record(0.25, 3)
    return {"ended": ended, "waited": waited, "meanwhile": recorded_meanwhile} | summary(ledger)
