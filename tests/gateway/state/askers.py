"""A worker process that asks a store again and again: ``python -m tests.gateway.state.askers PLACE``.

PLACE is a directory or a URL. It says ``ready``; then for each line ``TASK COUNT`` it asks so often, and prints how
often it was let in. TASK: ``window`` (of 500), ``place`` (hold one of 35 for good), ``spend`` (hold 7 of 1000, then
spend it).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import structlog

from tallygate.gateway.state.interface import Asked, Granted
from tests.gateway.state.stores import money, open_in, place, window

WINDOW, PLACES, CREDIT, PRICE = 500, 35, 1000, 7
AT_ONCE = 50


def asks_of(task: str) -> Asked:
    match task:
        case "window":
            return Asked([window("w", WINDOW)])
        case "place":
            return Asked([], [place("c", PLACES)])
        case _:
            return Asked([], [money(CREDIT, PRICE)])


async def run(where: str) -> None:
    store = open_in(where if "://" in where else Path(where))
    await store.start()

    async def ask(task: str) -> int:
        answer = await store.admit(asks_of(task))
        if not isinstance(answer, Granted):
            return 0
        if task == "spend":
            await asyncio.sleep(0)
            store.settle(answer, 0, PRICE)
        return 1

    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        task, count = line.split()
        passed = 0
        for begun in range(0, int(count), AT_ONCE):
            passed += sum(await asyncio.gather(*[ask(task) for _ in range(min(AT_ONCE, int(count) - begun))]))
        print(passed, flush=True)
    await store.close()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(run(sys.argv[1]))
