"""A call of a library, bare and instrumented in several ways, in turns: what each way adds.

A call that is measured costs a hundred times what is looked for, and other work on the machine comes and goes. So the
ways take turns, in another order each round, and each turn stands between two of the bare library. Calls are timed one
by one in CPU time; a turn counts as the lower quartile of its calls, a way as the median, over all rounds, of what its
turns took longer than the two beside them. The bare library is among the ways as well: what that adds is the noise.

A way that is entered or left changes classes of the library, which makes the interpreter forget what it has learnt of
them: an instruction finds out anew only when it has missed 53 times. Programs instrument once, so calls are timed when
that is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import median

from benchmarks.harness import machine, print_table

ROUNDS, TIMES, WARM = 20, 40, 80
BARE, AGAIN = "bare", "bare again (noise)"

Way = Callable[[], AbstractContextManager[object]]
"""Instruments as long as it is entered."""


@dataclass(frozen=True)
class Reach:
    """What is wanted of a way: at most so many microseconds, and so many times less than a peer."""

    way: str
    microseconds: float
    peer: str = ""
    times: float = 0.0


def added(
    call: Callable[[], object], ways: Mapping[str, Way], rounds: int = ROUNDS, times: int = TIMES
) -> dict[str, float]:
    """Microseconds that each way adds to the call, under ``BARE`` its own, under ``AGAIN`` the noise."""
    turns: list[tuple[str, Way]] = [*ways.items(), (AGAIN, nullcontext)]
    found: dict[str, list[float]] = {name: [] for name in (BARE, *dict(turns))}
    before = _turn(call, nullcontext, times)
    for number in range(rounds):
        turn = number % len(turns)
        for name, way in (*turns[turn:], *turns[:turn]):
            taken, after = _turn(call, way, times), _turn(call, nullcontext, times)
            found[name].append(taken - (before + after) / 2)
            found[BARE].append(after)
            before = after
    return {name: median(values) for name, values in found.items()}


def _turn(call: Callable[[], object], way: Way, times: int) -> float:
    """Microseconds of a call."""
    taken = []
    with way():
        for _ in range(WARM):
            call()
        for _ in range(times):
            began = time.thread_time_ns()
            call()
            taken.append(time.thread_time_ns() - began)
    return sorted(taken)[times // 4] / 1000


def alone(statement: Callable[[], object], times: int = 2000, rounds: int = 15) -> float:
    """Microseconds of a statement that runs over and over with everything in the caches: best of the rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time_ns()
        for _ in range(times):
            statement()
        best = min(best, (time.thread_time_ns() - began) / times / 1000)
    return best


def report(title: str, found: Mapping[str, float], reach: Reach) -> bool:
    """Print what was found, in microseconds and as ratios to the way in question; whether the reach is met."""
    print(f"{title}\n{machine()}\n")
    ours = found[reach.way]
    rows = [[name, f"{value:,.1f} us", f"{value / ours:,.1f}x"] for name, value in found.items()]
    print_table(["", "", f"ratio to {reach.way}"], rows)
    met = ours <= reach.microseconds
    print(f"\nreach {reach.microseconds:g} us: {'met' if met else 'missed'} ({ours:.1f} us)")
    if reach.peer:
        ratio = found[reach.peer] / ours
        verdict = "met" if ratio >= reach.times else "missed"
        met = met and ratio >= reach.times
        print(f"reach {reach.times:g} times less than {reach.peer}: {verdict} ({ratio:.1f}x)")
    print()
    return met
