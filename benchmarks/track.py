"""One LLM call through the public API: against prometheus_client's ten updates, an empty C call and one clock reading.

    python -m benchmarks.track

Prints nanoseconds per call (the best of several rounds, interleaved) and ratios. Reach: the block, label look-up,
clocks and price included, in 1,000 ns.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tallygate.context import context
from tallygate.tally import Tally

ROUNDS, TIMES = 9, 20_000
REACH = 1000


def tracked(tally: Tally) -> Callable[[], None]:
    """What a user writes."""

    def call() -> None:
        with tally.track_llm_call(provider="openai", model="gpt-4o", route="chat") as call:
            call.usage(input_tokens=1000, output_tokens=200)

    return call


def streamed(tally: Tally) -> Callable[[], None]:
    """A stream with its head, its first token, cached input and reasoning."""

    def call() -> None:
        with tally.track_llm_call(provider="openai", model="gpt-4o", route="chat", stream=True) as call:
            call.headers()
            call.content()
            call.usage(input_tokens=1000, output_tokens=200, cache_read_tokens=500, reasoning_tokens=50)

    return call


def ten_updates() -> Callable[[], None]:
    """What an application does with prometheus_client for the same call."""
    registry = CollectorRegistry()
    by = ("provider", "model", "route")
    buckets = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
    calls = Counter("calls", "calls", (*by, "status"), registry=registry)
    active = Gauge("active", "in flight", by, registry=registry)
    duration = Histogram("duration", "seconds", by, buckets=buckets, registry=registry)
    speed = Histogram("speed", "tokens per second", by, buckets=buckets, registry=registry)
    read = Counter("input_tokens", "tokens", by, registry=registry)
    written = Counter("output_tokens", "tokens", by, registry=registry)
    total = Counter("tokens", "tokens", by, registry=registry)
    cost = Counter("cost", "usd", by, registry=registry)
    sizes = Histogram("tokens_per_call", "tokens", by, buckets=buckets, registry=registry)

    def call() -> None:
        active.labels("openai", "gpt-4o", "chat").inc()
        began = time.perf_counter()
        seconds = time.perf_counter() - began
        active.labels("openai", "gpt-4o", "chat").dec()
        calls.labels("openai", "gpt-4o", "chat", "200").inc()
        duration.labels("openai", "gpt-4o", "chat").observe(seconds)
        speed.labels("openai", "gpt-4o", "chat").observe(200 / seconds)
        read.labels("openai", "gpt-4o", "chat").inc(1000)
        written.labels("openai", "gpt-4o", "chat").inc(200)
        total.labels("openai", "gpt-4o", "chat").inc(1200)
        sizes.labels("openai", "gpt-4o", "chat").observe(1200)
        cost.labels("openai", "gpt-4o", "chat").inc(1000 * 2.5e-6 + 200 * 10e-6)

    return call


def in_context(tally: Tally) -> Callable[[], None]:
    """As ``tracked``, inside a context that sets dimensions."""
    inner = tracked(tally)

    def call() -> None:
        with context(agent_id="a1", source="chat"):
            inner()

    return call


def query(tally: Tally) -> Callable[[], None]:
    """A statement."""

    def call() -> None:
        with tally.track_query("find_user", system="postgresql", table="users", operation="select"):
            pass

    return call


def tool_call(tally: Tally) -> Callable[[], None]:
    """A call of a tool."""

    def call() -> None:
        with tally.track_tool_call("search", server="docs", agent_id="a1"):
            pass

    return call


def http_request(tally: Tally) -> Callable[[], None]:
    """A request that is served, with its status and a size."""

    def call() -> None:
        with tally.track_http_request("GET", "/users/{id}") as request:
            request.status_code, request.response_size = 200, 2048

    return call


def cache_look(tally: Tally) -> Callable[[], None]:
    """A hit in a cache."""

    def call() -> None:
        with tally.track_cache("answers") as look:
            look.hit()

    return call


def best(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Nanoseconds per call of each, loop overhead subtracted, rounds interleaved."""
    lowest = dict.fromkeys(functions, float("inf"))
    for _ in range(ROUNDS):
        for name, function in functions.items():
            began = time.perf_counter_ns()
            for _ in range(TIMES):
                function()
            lowest[name] = min(lowest[name], (time.perf_counter_ns() - began) / TIMES)
    loop = lowest.pop("loop")
    return {name: nanoseconds - loop for name, nanoseconds in lowest.items()}


def main() -> None:
    tally = Tally()
    off = Tally(enabled=False)
    found = best(
        {
            "loop": lambda: None,
            "one time.perf_counter()": lambda: time.perf_counter(),
            "tallygate, a call in a with block": tracked(tally),
            "tallygate, a stream in a with block": streamed(tally),
            "tallygate, a call in a context": in_context(tally),
            "tallygate, switched off": tracked(off),
            "tallygate, a query": query(tally),
            "tallygate, a tool call": tool_call(tally),
            "tallygate, an HTTP request": http_request(tally),
            "tallygate, a look into a cache": cache_look(tally),
            "prometheus_client, ten updates": ten_updates(),
        }
    )
    ours, theirs = found["tallygate, a call in a with block"], found["prometheus_client, ten updates"]
    for name, nanoseconds in found.items():
        print(f"{name:40} {nanoseconds:9,.0f} ns   {nanoseconds / ours:6.2f} x the call")
    print(f"\nprometheus_client takes {theirs / ours:.1f} x as long.")
    print(f"reach {REACH:,} ns: {'met' if ours <= REACH else 'missed'} ({ours:,.0f} ns)")
    tally.close()


if __name__ == "__main__":
    main()
