"""prometheus_client as a peer: the same families as ``scrape``, in its normal and in its multiprocess mode.

Run by ``scrape`` in a process of its own for the second, which must be chosen before the import.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

LABELS = ("provider", "model", "operation", "endpoint", "route", "stream")
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0)
HISTOGRAMS, COUNTERS = 2, 21
LINES = HISTOGRAMS * (len(BOUNDS) + 3) + COUNTERS
"""Of one label set: what an LLM call has."""


def label_values(number: int) -> tuple[str, ...]:
    """The labels of the so-many-th label set."""
    return ("openai", f"gpt-4o-{number}", "chat", "/chat/completions", "chat", "true")


def fill(registry: CollectorRegistry, sets: int) -> None:
    """Families with this many label sets each, every series counted."""
    from prometheus_client import Counter, Histogram

    counters = [Counter(f"llm_number_{n}", "A number.", LABELS, registry=registry) for n in range(COUNTERS)]
    histograms = [
        Histogram(f"llm_time_{n}_seconds", "A time.", LABELS, buckets=BOUNDS, registry=registry)
        for n in range(HISTOGRAMS)
    ]
    for number in range(sets):
        values = label_values(number)
        for counter in counters:
            counter.labels(*values).inc(number * 7 + 3)
        for histogram in histograms:
            histogram.labels(*values).observe(0.123 + number / 100)


def measure(registry: CollectorRegistry, rounds: int) -> dict[str, float]:
    """Seconds for a page: text, openmetrics, and text gzipped as its applications do."""
    from prometheus_client import generate_latest
    from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

    makers: dict[str, Callable[[], bytes]] = {
        "text": lambda: generate_latest(registry),
        "openmetrics": lambda: generate_openmetrics(registry),  # type: ignore[no-untyped-call]  # theirs is untyped
        "gzip": lambda: gzip.compress(generate_latest(registry)),
    }
    best = dict.fromkeys(makers, float("inf"))
    for _ in range(rounds):
        for name, make in makers.items():
            start = time.perf_counter()
            make()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def multiprocess(sets: int, rounds: int) -> dict[str, float]:
    """The same in multiprocess mode, measured in another process."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.client_pages", str(sets), str(rounds)],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder},
            stdout=subprocess.PIPE,
            check=True,
        )
    seconds: dict[str, float] = json.loads(done.stdout)
    return seconds


def main() -> None:
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    sets, rounds = map(int, sys.argv[1:])
    fill(CollectorRegistry(), sets)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # theirs is untyped
    print(json.dumps(measure(registry, rounds)))


if __name__ == "__main__":
    main()
