"""A gateway with everything on, for a while: memory that stays, no error that was not asked for, totals that agree.

Mixed traffic of several keys at 80 % of what the gateway was just seen to bear: whole answers, streams, cached ones,
requests that the provider refuses, keys that are wrong or over their limit. At the end the provider's own account, the
metrics, the usage ledger and the credits taken must say the same, to the last token and unit.

Run: python -m benchmarks.soak [--minutes 10] [--on services|sqlite]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from benchmarks.gateway.full import Contender, on_services, on_sqlite
from benchmarks.gateway.load import KEY, MODEL, gate, line
from benchmarks.gateway.paced import Load, Paced, request
from benchmarks.gateway.servers import simulator
from benchmarks.harness import finish
from benchmarks.processes import Server
from tallygate.gateway.database import Database
from tallygate.pricing import UNITS_PER_USD

CONNECTIONS = 64
SHARE = 0.8
SAMPLE_SECONDS = 5.0
GROWTH = 3.0
"""MB of resident memory per million requests that pass for none: noise of allocators."""
CACHED_BODIES = 50
SUMS = ("requests", "input_tokens", "output_tokens", "cost")

EXPECTED: dict[str, frozenset[int]] = {
    "whole": frozenset({200}),
    "stream": frozenset({200}),
    "cached": frozenset({200}),
    "refused by the provider": frozenset({400}),
    "wrong key": frozenset({401}),
    "over its limit": frozenset({200, 429}),
}
"""Which statuses each kind of request may have."""
WEIGHTS = {"whole": 60, "stream": 20, "cached": 10, "refused by the provider": 5, "wrong key": 2, "over its limit": 3}


class Traffic:
    """Chooses the next request; the same ones in the same order for the same seed."""

    def __init__(self, host: str, keys: Sequence[str], slow_key: str, seed: int) -> None:
        self._host, self._keys, self._slow_key = host, keys, slow_key
        self._random = random.Random(seed)
        self._kinds = list(WEIGHTS)
        self._weights = list(WEIGHTS.values())
        self._number = 0

    def __call__(self) -> tuple[str, bytes]:
        self._number += 1
        (kind,) = self._random.choices(self._kinds, self._weights)
        key = self._keys[self._number % len(self._keys)]
        text, model, headers, stream = f"Request {self._number}, please.", MODEL, "", False
        match kind:
            case "stream":
                stream = True
            case "cached":
                text, headers = f"Again {self._random.randrange(CACHED_BODIES)}", "X-Tallygate-Cache: use\r\n"
            case "refused by the provider":
                model = f"{MODEL}+400"
            case "wrong key":
                key = "sk-of-nobody"
            case "over its limit":
                key = self._slow_key
        body = {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": self._random.randrange(1, 40),
            "stream": stream,
        }
        if kind == "cached":
            body["max_tokens"] = 16
        return kind, request(self._host, key, json.dumps(body), headers)


@dataclass
class Memory:
    """Resident memory over time."""

    server: Server
    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    private: list[float] = field(default_factory=list)
    """The part that is neither files nor shared."""

    async def watch(self) -> None:
        """Look now and then, until cancelled."""
        began = time.monotonic()
        while True:
            self.seconds.append(time.monotonic() - began)
            self.megabytes.append(self.server.resident_bytes() / 1e6)
            self.private.append(self.server.private_bytes() / 1e6)
            await asyncio.sleep(SAMPLE_SECONDS)

    def slope(self) -> float:
        """MB per second over the last two thirds, by least squares."""
        first = len(self.seconds) // 3
        x, y = self.seconds[first:], self.megabytes[first:]
        mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
        spread = sum((one - mean_x) ** 2 for one in x)
        return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread if spread else 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--on", choices=("services", "sqlite"), default="services")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, {1} & os.sched_getaffinity(0) or os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, simulator(Path(folder)) as provider:
        start = on_services if options.on == "services" else on_sqlite
        with start(Path(folder), provider.url) as one:
            finish(soak(one, provider, options.minutes * 60))


def soak(one: Contender, provider: Server, seconds: float) -> bool:
    """Whether all held."""
    host, port = one.server.url.removeprefix("http://").split(":")
    keys, slow_key = one.keys, one.slow_key

    def load(seed: int) -> Load:
        return Load(host, int(port), CONNECTIONS, Traffic(host, keys, slow_key, seed))

    capacity = asyncio.run(load(1).capacity(min(10.0, seconds))).requests_per_second
    rate = SHARE * capacity
    print(f"{one.server.name}: bears {capacity:,.0f} requests/s of this traffic; now {rate:,.0f} for {seconds:,.0f} s")
    memory = [Memory(server) for server in (one.server, *one.beside)]
    seen = asyncio.run(_run(load(2), rate, seconds, memory))
    return all([_answers(seen), _growth(memory, rate), _totals(one, provider)])


async def _run(load: Load, rate: float, seconds: float, memory: Sequence[Memory]) -> Paced:
    watching = [asyncio.create_task(one.watch()) for one in memory]
    seen = await load.run(rate, seconds)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    return seen


def _answers(seen: Paced) -> bool:
    """What was answered, and whether it was asked for."""
    print(f"\n{sum(seen.answers.values()):,} requests in {seen.seconds:,.0f} s")
    line("request", "status", "answers")
    wrong = 0
    for (kind, status), count in sorted(seen.answers.items()):
        wrong += 0 if status in EXPECTED[kind] else count
        line(kind, str(status), f"{count:,}")
    line("latency, ms", *(f"p{share:g} {seen.percentile(share / 100) * 1e3:.2f}" for share in (50, 90, 99, 99.9)))
    gate("answers that were not asked for", wrong, 0, at_most=True)
    return wrong == 0


def _growth(memory: Sequence[Memory], rate: float) -> bool:
    """Resident memory, and how it grew over the last two thirds."""
    print("\nresident memory, MB")
    line("server", "first", "a third in", "last", "largest", "MB/hour", "private, last")
    for one in memory:
        figures = one.megabytes[0], one.megabytes[len(one.megabytes) // 3], one.megabytes[-1], max(one.megabytes)
        line(
            one.server.name, *(f"{each:.1f}" for each in figures), f"{one.slope() * 3600:.2f}", f"{one.private[-1]:.1f}"
        )
    growth = memory[0].slope() / rate * 1e6
    gate("growth of the gateway, MB per million requests", growth, GROWTH, at_most=True)
    return growth <= GROWTH


def _totals(one: Contender, provider: Server) -> bool:
    """The same sums from four sides."""
    served = _get(f"{provider.url}/served?settle=10")
    done = [call for call in served["calls"] if call["status"] == 200]
    told = {name: sum(call[name] for call in done) for name in SUMS[:3]}
    sides = {
        "the provider's own account": told,
        "the metrics": _metrics(one),
        **_ledger(one, told["requests"]),
    }
    print("\ntotals of answered calls")
    line("", "calls", "input tokens", "output tokens", "10^-11 USD")
    for side, figures in sides.items():
        line(side, *(f"{figures[name]:,}" if name in figures else "" for name in SUMS))
    differ = [name for name in SUMS if len({figures[name] for figures in sides.values() if name in figures}) > 1]
    gate("sums that differ", len(differ), 0, at_most=True)
    return not differ


def _get(url: str, key: str = "") -> Any:
    with urllib.request.urlopen(_asking(url, key), timeout=60) as answer:
        return json.load(answer)


def _asking(url: str, key: str) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"authorization": f"Bearer {key}"} if key else {})


def _metrics(one: Contender) -> dict[str, int]:
    """Completed calls, their tokens and their cost, from the metrics page."""
    with urllib.request.urlopen(_asking(f"{one.server.url}/metrics", KEY), timeout=60) as answer:
        samples = [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(answer.read().decode())
            for sample in family.samples
        ]

    def total(wanted: str, **labels: str) -> float:
        return sum(value for name, has, value in samples if name == wanted and labels.items() <= has.items())

    return {
        "requests": round(total("tallygate_llm_calls_total", outcome="completed")),
        "input_tokens": round(total("tallygate_llm_tokens_total", type="input")),
        "output_tokens": round(total("tallygate_llm_tokens_total", type="output")),
        "cost": round(total("tallygate_llm_cost_usd_total") * UNITS_PER_USD),
    }


CALLS = """SELECT count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
    coalesce(sum(cost + estimated_cost), 0) FROM usage_calls WHERE outcome = 'completed'"""
DAYS = """SELECT coalesce(sum(calls - failed - cancelled), 0), coalesce(sum(input_tokens), 0),
    coalesce(sum(output_tokens), 0), coalesce(sum(cost + estimated_cost), 0) FROM usage_days"""
SPENT = "SELECT coalesce(sum(spent), 0) FROM users"


def _ledger(one: Contender, calls: int) -> dict[str, dict[str, int]]:
    """What the database holds, once so many completed calls are in it; or after a minute, whatever it is."""
    return asyncio.run(_read_ledger(one.database_url, calls))


async def _read_ledger(url: str, calls: int) -> dict[str, dict[str, int]]:
    database = Database(url)
    deadline = time.monotonic() + 60
    try:
        while True:
            async with database.reading() as connection:
                of_calls = [int(each) for each in (await connection.execute(text(CALLS))).one()]
                of_days = [int(each) for each in (await connection.execute(text(DAYS))).one()]
                spent = int((await connection.execute(text(SPENT))).scalar_one())
            if of_calls[0] >= calls or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
    finally:
        await database.close()
    return {
        "the usage ledger": dict(zip(SUMS, of_calls, strict=True)),
        "the sums per day": dict(zip(SUMS, of_days, strict=True)),
        "taken from credits": {"cost": spent},
    }


if __name__ == "__main__":
    main()
