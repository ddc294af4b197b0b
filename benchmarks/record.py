"""What recording costs: the ledger against an empty C call, prometheus_client and the OpenTelemetry SDK.

Run: python -m benchmarks.record [--quick]
"""

import argparse
import time
from collections.abc import Callable, Sequence

from benchmarks.harness import Gate, Operation, finish, machine, nanoseconds, print_gates, print_table, time_operations
from tallygate.ledger import implementation_name, open_ledger
from tallygate.ledger.interface import ELAPSED, MARKED, Ledger
from tallygate.ledger.schema import Kind, MeasureSchema, TableSchema

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0)
"""Upper bounds in seconds of every histogram here."""
TICKS = tuple(round(bound * 10**7) for bound in BUCKETS)
CALL = TableSchema(
    "call",
    ("provider", "model", "route"),
    (
        MeasureSchema("duration", Kind.DISTRIBUTION, -7, TICKS),
        MeasureSchema("first_token", Kind.DISTRIBUTION, -7, TICKS),
        MeasureSchema("input_tokens", Kind.SUM),
        MeasureSchema("output_tokens", Kind.SUM),
        MeasureSchema("cached_tokens", Kind.SUM),
        MeasureSchema("cost", Kind.SUM, -11),
    ),
    budget=100_000,
)
IN_FLIGHT = TableSchema(
    "in_flight", ("provider", "model", "route"), (MeasureSchema("now", Kind.GAUGE),), budget=100_000
)
VALUES = ("openai", "gpt-4o", "chat")
LABELS = ("provider", "model", "route")
COUNTERS = ("requests", "input_tokens", "output_tokens", "cached_tokens", "cost", "streams")
"""With two histograms and a gauge up and down: ten updates of one LLM call."""


def ledger_operations(ledger: Ledger) -> list[Operation]:
    from tallygate.ledger import _core

    calls, flights = ledger.tables
    row, flight = calls.row(*VALUES), flights.row(*VALUES)
    names: dict[str, object] = {
        "nothing": _core._nothing,
        "clock": time.perf_counter,
        "add": row.add,
        "gauge_set": flight.set,
        "record": row.record,
        "begin": flight.begin,
        "mark": flight.begin().mark,
        "find": calls.row,
        "find_flight": flights.row,
        "known": {VALUES: row},
        "ELAPSED": ELAPSED,
        "MARKED": MARKED,
        **dict(zip(LABELS, VALUES, strict=True)),
    }
    statements = {
        "empty C call": "nothing()",
        "empty C call, two arguments": "nothing(2, 1)",
        "time.perf_counter()": "clock()",
        "dict lookup on the tuple": "known[provider, model, route]",
        "counter": "add(2, 1)",
        "gauge": "gauge_set(0, 7)",
        "observe, 16 buckets": "add(0, 0.123)",
        "row lookup, three labels": "find(provider, model, route)",
        "record six measures, row known": "record(0.5, 0.1, 100, 50, 3, 0.0012)",
        "lookup and record": "find(provider, model, route).record(0.5, 0.1, 100, 50, 3, 0.0012)",
        "hook per stream chunk": "mark()",
        "in-flight up and down": "begin().finish()",
        "whole LLM call, no first token": (
            "call = find_flight(provider, model, route).begin(); "
            "call.finish(find(provider, model, route), ELAPSED, None, 100, 50, 3, 0.0012)"
        ),
        "whole LLM call with clocks": (
            "call = find_flight(provider, model, route).begin(); call.mark(); "
            "call.finish(find(provider, model, route), ELAPSED, MARKED, 100, 50, 3, 0.0012)"
        ),
    }
    return [Operation(name, statement, names) for name, statement in statements.items()]


def prometheus_operations() -> list[Operation]:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

    registry = CollectorRegistry()
    counters = [Counter(name, name, LABELS, registry=registry) for name in COUNTERS]
    histograms = [Histogram(name, name, LABELS, buckets=BUCKETS, registry=registry) for name in ("duration", "first")]
    gauge = Gauge("in_flight", "in flight", LABELS, registry=registry)
    provider, model, route = VALUES
    clock = time.perf_counter

    def whole_call() -> None:
        gauge.labels(provider, model, route).inc()
        start = clock()
        histograms[1].labels(provider, model, route).observe(clock() - start)
        for counter, value in zip(counters, (1, 100, 50, 3, 0.0012, 1), strict=True):
            counter.labels(provider, model, route).inc(value)
        histograms[0].labels(provider, model, route).observe(clock() - start)
        gauge.labels(provider, model, route).dec()

    names: dict[str, object] = {
        "inc": counters[0].labels(*VALUES).inc,
        "gauge_set": gauge.labels(*VALUES).set,
        "observe": histograms[0].labels(*VALUES).observe,
        "find": counters[0].labels,
        "whole_call": whole_call,
        **dict(zip(LABELS, VALUES, strict=True)),
    }
    statements = {
        "prometheus_client counter": "inc()",
        "prometheus_client gauge": "gauge_set(7)",
        "prometheus_client observe": "observe(0.123)",
        "prometheus_client labels()": "find(provider, model, route)",
        "prometheus_client whole LLM call": "whole_call()",
    }
    return [Operation(name, statement, names) for name, statement in statements.items()]


def opentelemetry_operations() -> list[Operation]:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

    aggregation = ExplicitBucketHistogramAggregation(boundaries=BUCKETS)
    views = [View(instrument_name=name, aggregation=aggregation) for name in ("duration", "first")]
    meter = MeterProvider([InMemoryMetricReader()], views=views).get_meter("benchmark")
    counters = [meter.create_counter(name) for name in COUNTERS]
    duration, first = meter.create_histogram("duration"), meter.create_histogram("first")
    flight = meter.create_up_down_counter("in_flight")
    labels = dict(zip(LABELS, VALUES, strict=True))
    clock = time.perf_counter

    def whole_call() -> None:
        flight.add(1, labels)
        start = clock()
        first.record(clock() - start, labels)
        for counter, value in zip(counters, (1, 100, 50, 3, 0.0012, 1), strict=True):
            counter.add(value, labels)
        duration.record(clock() - start, labels)
        flight.add(-1, labels)

    names: dict[str, object] = {
        "add": counters[0].add,
        "observe": duration.record,
        "labels": labels,
        "whole_call": whole_call,
    }
    statements = {
        "OpenTelemetry counter": "add(1, labels)",
        "OpenTelemetry observe": "observe(0.123, labels)",
        "OpenTelemetry whole LLM call": "whole_call()",
    }
    return [Operation(name, statement, names) for name, statement in statements.items()]


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def memory_per_label_set(make: Callable[[str], object], count: int) -> float:
    """Resident bytes that one more label set takes."""
    for n in range(count // 10):
        make(f"warm-{n}")
    before = resident_bytes()
    for n in range(count):
        make(f"model-{n}")
    return (resident_bytes() - before) / count


def ledger_memory(count: int) -> float:
    ledger = open_ledger([CALL, IN_FLIGHT])
    calls, flights = ledger.tables

    def make(model: str) -> None:
        call = flights.row("openai", model, "chat").begin()
        call.mark()
        call.finish(calls.row("openai", model, "chat"), ELAPSED, MARKED, 100, 50, 3, 0.0012)

    return memory_per_label_set(make, count)


def prometheus_memory(count: int) -> float:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

    registry = CollectorRegistry()
    metrics: Sequence[Counter | Gauge | Histogram] = [
        *(Counter(name, name, LABELS, registry=registry) for name in COUNTERS),
        *(Histogram(name, name, LABELS, buckets=BUCKETS, registry=registry) for name in ("duration", "first")),
        Gauge("in_flight", "in flight", LABELS, registry=registry),
    ]

    def make(model: str) -> None:
        for metric in metrics:
            metric.labels("openai", model, "chat")

    return memory_per_label_set(make, count)


def gates(seconds: dict[str, float], memory: float) -> list[Gate]:
    call, whole = seconds["empty C call"], seconds["whole LLM call with clocks"]
    return [
        Gate("counter / empty C call", seconds["counter"] / call, 2.5),
        Gate("gauge / empty C call", seconds["gauge"] / call, 2.5),
        Gate("observe / empty C call", seconds["observe, 16 buckets"] / call, 4),
        Gate(
            "row lookup / dict lookup on the tuple",
            seconds["row lookup, three labels"] / seconds["dict lookup on the tuple"],
            0.9,
        ),
        Gate("whole LLM call with clocks / perf_counter()", whole / seconds["time.perf_counter()"], 7),
        Gate(
            "prometheus_client / ledger: counter", seconds["prometheus_client counter"] / seconds["counter"], 12, True
        ),
        Gate("prometheus_client / ledger: gauge", seconds["prometheus_client gauge"] / seconds["gauge"], 12, True),
        Gate(
            "prometheus_client / ledger: observe",
            seconds["prometheus_client observe"] / seconds["observe, 16 buckets"],
            18,
            True,
        ),
        Gate(
            "prometheus_client / ledger: whole LLM call",
            seconds["prometheus_client whole LLM call"] / whole,
            60,
            True,
        ),
        Gate("memory per LLM label set / prometheus_client", memory, 0.1),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: rougher figures")
    quick = parser.parse_args().quick
    print(machine())
    print(f"ledger: {implementation_name()}\n")
    ledger = open_ledger([CALL, IN_FLIGHT])
    operations = [*ledger_operations(ledger), *prometheus_operations(), *opentelemetry_operations()]
    seconds = time_operations(operations, 20 if quick else 80)
    call = seconds["empty C call"]
    print_table(
        ["operation", "time", "/ empty C call"],
        [[name, nanoseconds(taken), f"{taken / call:.1f}"] for name, taken in seconds.items()],
    )
    count = 5_000 if quick else 10_000
    ours, theirs = ledger_memory(count), prometheus_memory(count // 2)
    print(f"\nmemory per LLM label set: ledger {ours:.0f} B, prometheus_client {theirs:.0f} B\n")
    finish(print_gates(gates(seconds, ours / theirs)))


if __name__ == "__main__":
    main()
