"""What the benchmarks share: timing of single operations, the machine's line, tables, gates.

Everything that is compared runs in one process in turns, so that a busy moment of the machine hits all alike; the
best round counts. What the loop itself costs is measured in every round and subtracted.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

ROUND_SECONDS = 0.004
"""How long one operation runs in one round; short rounds find quiet moments on a shared machine."""


@dataclass(frozen=True)
class Operation:
    """One statement to be timed, with the names it uses; they are local variables when it runs."""

    name: str
    statement: str
    names: Mapping[str, object]

    def loop(self, statement: str) -> Callable[[int], float]:
        """A function that runs ``statement`` so many times and gives the seconds."""
        parameters = ", ".join(f"{name}={name}" for name in self.names)
        source = (
            f"def run(count, {parameters}):\n"
            "    from time import perf_counter\n"
            "    rounds = range(count)\n"
            "    start = perf_counter()\n"
            f"    for _ in rounds:\n        {statement}\n"
            "    return perf_counter() - start\n"
        )
        scope = dict(self.names)
        exec(source, scope)
        run: Callable[[int], float] = scope["run"]  # type: ignore[assignment]  # what the source just defined
        return run


def time_operations(operations: Sequence[Operation], rounds: int = 60) -> dict[str, float]:
    """Seconds per operation by name: best of the rounds, the loop's own cost subtracted."""
    prepared = []
    for operation in operations:
        run, empty = operation.loop(operation.statement), operation.loop("pass")
        run(10)
        count = 100
        while (taken := run(count)) < ROUND_SECONDS / 4:
            count *= 4
        prepared.append((operation.name, run, empty, max(10, int(count * ROUND_SECONDS / taken))))
    best = {operation.name: (float("inf"), float("inf")) for operation in operations}
    for _ in range(rounds):
        for name, run, empty, count in prepared:
            whole, loop = run(count) / count, empty(count) / count
            best[name] = min(best[name][0], whole), min(best[name][1], loop)
    return {name: whole - loop for name, (whole, loop) in best.items()}


def machine() -> str:
    """One line about where the figures come from."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = model or "unknown processor"
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, load {load:.1f}; {platform.system()} {platform.release()}; "
        f"{platform.python_implementation()} {platform.python_version()}; {time.strftime('%Y-%m-%d')}"
    )


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns aligned: the first to the left, the others to the right."""
    widths = [max(len(row[n]) for row in (headings, *rows)) for n in range(len(headings))]
    for row in (headings, ["-" * width for width in widths], *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells).rstrip())


def nanoseconds(seconds: float) -> str:
    """For a table: ns below 10 microseconds, else us."""
    return f"{seconds * 1e9:.1f} ns" if seconds < 1e-5 else f"{seconds * 1e6:.1f} us"


@dataclass(frozen=True)
class Gate:
    """A ratio that must stay below, or above, a limit."""

    name: str
    ratio: float
    limit: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit


def print_gates(gates: Sequence[Gate]) -> bool:
    """Every gate on a line: ratio, limit, ok or MISSED. Whether all hold."""
    rows = [
        [
            gate.name,
            f"{gate.ratio:.2f}x",
            f"{'>=' if gate.at_least else '<='} {gate.limit:g}x",
            "ok" if gate.holds else "MISSED",
        ]
        for gate in gates
    ]
    print_table(["gate", "ratio", "limit", ""], rows)
    return all(gate.holds for gate in gates)


def finish(all_hold: bool) -> None:
    """Exit status 1 when a gate was missed."""
    sys.exit(0 if all_hold else 1)
