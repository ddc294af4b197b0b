"""Keys, credits, budgets, limits and the usage ledger on, against the gateway with a master key and nothing else.

One machine: SQLite and the workers' own state. Several: PostgreSQL and Redis, on core 1 beside the provider and the
load; their CPU is told apart. Closed loop (wrk) for throughput, servers by turns; then all at one rate, which does not
depend on their answers, for latency: at equal load, or the slower one would be asked less.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gateway import services
from benchmarks.gateway.accounts import make_keys
from benchmarks.gateway.load import BODY, KEY, Load, gate, line, write_script, wrk
from benchmarks.gateway.paced import Load as PacedLoad
from benchmarks.gateway.paced import Paced, request
from benchmarks.gateway.servers import tallygate
from benchmarks.processes import Server

CONNECTIONS = 64
TURNS = 5
"""How often each server is measured; the median counts."""
SHARE = 0.6
"""The rate at which latencies are compared, as a share of the slowest server's throughput."""


@dataclass
class Contender:
    """A server, whose keys it takes, and what stands beside it."""

    server: Server
    keys: Sequence[str]
    beside: Sequence[Server] = ()
    slow_key: str = ""
    """A key that is soon over its limit."""
    database_url: str = ""
    loads: list[Load] = field(default_factory=list)
    beside_cpu: dict[str, list[float]] = field(default_factory=dict)
    paced: list[Paced] = field(default_factory=list)

    def median(self, name: str) -> float:
        """Of a figure of the closed-loop runs."""
        return float(statistics.median(getattr(load, name) for load in self.loads))

    def percentile(self, share: float) -> float:
        """The median of the paced runs'."""
        return statistics.median(paced.percentile(share) for paced in self.paced)


@contextmanager
def on_sqlite(scratch: Path, provider: str, *, workers: int = 1, core: int | None = 0) -> Iterator[Contender]:
    """A gateway with everything on, on one machine."""
    url = f"sqlite:///{scratch / 'accounts.db'}"
    keys = make_keys(url)
    sections = {
        "accounts": {"enabled": True, "database_url": url},
        "shared": {"state_directory": str(scratch / "one")},
        "metrics": {"secret": KEY},
    }
    with tallygate(
        scratch, provider, "tallygate, SQLite", sections=sections, master_key=None, workers=workers, core=core
    ) as running:
        yield Contender(running, keys.many, (), keys.slow, url)


@contextmanager
def on_services(scratch: Path, provider: str) -> Iterator[Contender]:
    """A gateway with everything on, as one of several machines."""
    with machines(scratch, provider, 1) as (one,):
        yield one


@contextmanager
def machines(
    scratch: Path, provider: str, number: int, *, workers: int = 1, core: int | None = 0
) -> Iterator[list[Contender]]:
    """So many gateways on one PostgreSQL and one Redis, each with state of its own."""
    with services.postgres() as database, services.redis() as shared, ExitStack() as stack:
        keys = make_keys(database.url)
        found = []
        for each in range(number):
            sections = {
                "accounts": {"enabled": True, "database_url": database.url},
                "shared": {"state_directory": str(scratch / f"machine-{each}"), "url": shared.url},
                "cache": {"store": "shared"},
                "metrics": {"secret": KEY},
            }
            name = "tallygate, PostgreSQL + Redis"
            running = stack.enter_context(
                tallygate(scratch, provider, name, sections=sections, master_key=None, workers=workers, core=core)
            )
            found.append(Contender(running, keys.many, (database, shared), keys.slow, database.url))
        yield found


def compare(scratch: Path, provider: Server, peers: Sequence[Server], seconds: int) -> None:
    """Throughput, then latency at equal load."""
    with ExitStack() as stack:
        bare = Contender(stack.enter_context(tallygate(scratch, provider.url, "tallygate, bare")), [KEY])
        full = [
            stack.enter_context(on_sqlite(scratch, provider.url)),
            stack.enter_context(on_services(scratch, provider.url)),
        ]
        others = [Contender(peer, [KEY]) for peer in peers]
        throughput(scratch, [bare, *full, *others], seconds)
        for one in full:
            share = one.median("requests_per_second") / bare.median("requests_per_second")
            gate(f"throughput of the bare gateway's, {one.server.name}", share, 0.7, at_most=False)
        rate = SHARE * min(one.median("requests_per_second") for one in full)
        latency([bare, *full], rate, seconds)
        for one in full:
            added = (one.percentile(0.99) - bare.percentile(0.99)) * 1e3
            gate(f"added p99, ms, {one.server.name}", added, 2, at_most=True)


def throughput(scratch: Path, contenders: Sequence[Contender], seconds: int) -> None:
    """As fast as it goes: requests per second, CPU per request, also of what stands beside."""
    how = f"{CONNECTIONS} connections, closed loop, {TURNS} turns of {seconds} s"
    print(f"\nkeys, credits, limits and the ledger on; {how}")
    line("server", "req/s", "p50 ms", "p99 ms", "CPU us/req", "PostgreSQL us", "Redis us", "errors")
    for turn, one in itertools.product(range(TURNS), contenders):
        script = write_script(scratch / "keys.lua", one.keys)
        if turn == 0:
            wrk(one.server, script, CONNECTIONS, 1)
        before = [beside.cpu_seconds() for beside in one.beside]
        load = wrk(one.server, script, CONNECTIONS, seconds)
        one.loads.append(load)
        for beside, cpu in zip(one.beside, before, strict=True):
            one.beside_cpu.setdefault(beside.name, []).append((beside.cpu_seconds() - cpu) / load.requests)
    for one in contenders:
        beside_us = {name: f"{statistics.median(values) * 1e6:.1f}" for name, values in one.beside_cpu.items()}
        line(
            one.server.name,
            f"{one.median('requests_per_second'):,.0f}",
            f"{one.median('p50') * 1e3:.2f}",
            f"{one.median('p99') * 1e3:.2f}",
            f"{one.median('cpu_per_request') * 1e6:.1f}",
            beside_us.get("PostgreSQL", ""),
            beside_us.get("Redis", ""),
            str(sum(load.errors for load in one.loads)),
        )


def latency(contenders: Sequence[Contender], rate: float, seconds: int) -> None:
    """All at one rate, by turns."""
    print(f"\nlatency at {rate:,.0f} requests/s, {CONNECTIONS} connections, {TURNS} turns of {seconds} s")
    line("server", "req/s", "p50 ms", "p90 ms", "p99 ms", "errors")
    # The load shares core 1 with the provider.
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {1} & before or before)
    for turn, one in itertools.product(range(TURNS), contenders):
        if turn == 0:
            asyncio.run(paced(one, rate, 1))
        one.paced.append(asyncio.run(paced(one, rate, seconds)))
    os.sched_setaffinity(0, before)
    for one in contenders:
        wrong = sum(count for run in one.paced for (_, status), count in run.answers.items() if status != 200)
        line(
            one.server.name,
            f"{statistics.median(run.requests_per_second for run in one.paced):,.0f}",
            *(f"{one.percentile(share) * 1e3:.2f}" for share in (0.5, 0.9, 0.99)),
            str(wrong),
        )


async def paced(one: Contender, rate: float, seconds: float) -> Paced:
    """One run, the keys by turns."""
    one.server.lift_threads()
    host, port = one.server.url.removeprefix("http://").split(":")
    requests = itertools.cycle([("chat", request(host, key, BODY)) for key in one.keys])
    return await PacedLoad(host, int(port), CONNECTIONS, lambda: next(requests)).run(rate, seconds)
