"""Limits are exact, however many processes ask at once and whoever is killed: on one machine, and over a server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tallygate.gateway.state.interface import Asked, Granted
from tests.gateway.state.askers import CREDIT, PLACES, PRICE, WINDOW
from tests.gateway.state.stores import AnyStore, Place, granted, money, place, refused, window

PROCESSES = 4
Asker = subprocess.Popen[str]


@pytest.fixture(autouse=True)
def minute() -> None:
    """Time goes on, in all processes."""


@contextmanager
def askers(where: Place) -> Iterator[list[Asker]]:
    """Processes that are about to ask."""
    command = [sys.executable, "-m", "tests.gateway.state.askers", str(where)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            )
            for _ in range(PROCESSES)
        ]
        try:
            for process in processes:
                assert said(process) == "ready"
            yield processes
        finally:
            for process in processes:
                process.kill()


def said(process: Asker) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def ask_at_once(processes: list[Asker], task: str, count: int) -> list[int]:
    """How often each of them was let in."""

    def wait() -> list[int]:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{task} {count}\n")
        return [int(said(process)) for process in processes]

    return await asyncio.to_thread(wait)


async def step_of(store: AnyStore) -> int:
    return (await granted(store, [window("clock", 100)], [])).moment


async def free_places(store: AnyStore) -> int:
    """How many places are free; they are then taken."""
    taken = 0
    while isinstance(await store.admit(Asked([], [place("c", PLACES)])), Granted):
        taken += 1
    return taken


async def test_many_processes(state_place: Place, store: AnyStore) -> None:
    with askers(state_place) as processes:
        before = await step_of(store)
        passed = await ask_at_once(processes, "window", 1000)
        if await step_of(store) == before:
            assert sum(passed) == WINDOW
        else:  # a minute began meanwhile, and a share of what had passed before was free again
            assert WINDOW <= sum(passed) <= 2 * WINDOW

        # Calls at the same time cannot spend more than there is; each is paid in full.
        assert sum(await ask_at_once(processes, "spend", 300)) == CREDIT // PRICE
        assert await refused(store, [], [money(CREDIT, PRICE)]) == (0, CREDIT % PRICE)

        held = await ask_at_once(processes, "place", 10)
        assert sum(held) == PLACES
        assert await free_places(store) == 0
        for process in processes[:-1]:
            process.kill()
            process.wait()
        free, expected = 0, sum(held[:-1])
        async with asyncio.timeout(30):
            while free < expected:
                free += await free_places(store)
                await asyncio.sleep(0.02)
        assert free == expected
        lives = processes[-1]
        assert lives.stdin is not None
        lives.stdin.close()
        assert await asyncio.to_thread(lives.wait, 30) == 0
        assert await free_places(store) == held[-1]
