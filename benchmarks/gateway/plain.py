"""The gateway with a master key and nothing else: against going direct, itself with metrics off, and LiteLLM."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.gateway.load import gate, line, stream_load, wrk
from benchmarks.gateway.servers import tallygate
from benchmarks.processes import Server

PAIRS = 5
"""Gateways with and without metrics that are compared."""


def throughput(servers: Sequence[Server], script: Path, seconds: int) -> None:
    """Requests per second, latency and CPU per request by number of connections."""
    print(f"\nchat completions, not streamed, {seconds} s each")
    line("server", "conns", "req/s", "p50 ms", "p99 ms", "CPU us/req", "req/s/core", "errors")
    direct = 0.0
    per_core: dict[str, float] = {}
    for connections in (1, 16, 64, 256):
        for server in servers:
            wrk(server, script, connections, 1)
            load = wrk(server, script, connections, seconds)
            if server is servers[0] and connections == 1:
                direct = load.p50
            if connections == 64:
                per_core[server.name] = 1 / load.cpu_per_request
            line(
                server.name,
                str(connections),
                f"{load.requests_per_second:,.0f}",
                f"{load.p50 * 1e3:.2f}",
                f"{load.p99 * 1e3:.2f}",
                f"{load.cpu_per_request * 1e6:.1f}",
                f"{1 / load.cpu_per_request:,.0f}",
                str(load.errors),
            )
            if server is servers[1] and connections == 1:
                gate("added p50 at one connection, ms", (load.p50 - direct) * 1e3, 0.4, at_most=True)
    if "litellm" in per_core:
        gate("requests/s per core against LiteLLM", per_core["tallygate"] / per_core["litellm"], 50, at_most=False)


def metrics_cost(scratch: Path, provider: Server, script: Path, seconds: int) -> None:
    """What counting costs: CPU per request with metrics on and off, as a share of the former; the median of all pairs.

    The two gateways of a pair are under load at once and share core 0 by turns of the scheduler: what else the machine
    does, it does to both. Several pairs, because where a process happens to lie in memory is worth some per cent.
    """
    print(f"\nCPU per request with metrics on and off, {PAIRS} pairs under load at once, {2 * seconds} s each")
    line("", "on, us", "off, us", "cost, us", "cost, %")
    costs = []
    for pair in range(1, PAIRS + 1):
        with (
            tallygate(scratch, provider.url) as ours,
            tallygate(scratch, provider.url, sections={"metrics": {"enabled": False}}) as silent,
            ThreadPoolExecutor(2) as pool,
        ):
            for length in (1, 2 * seconds):
                loads = pool.map(lambda server, length=length: wrk(server, script, 32, length), (ours, silent))
                on, off = (load.cpu_per_request * 1e6 for load in loads)
        costs.append(100 * (1 - off / on))
        line(f"pair {pair}", f"{on:.1f}", f"{off:.1f}", f"{on - off:.1f}", f"{costs[-1]:.1f}")
    gate("cost of metrics, % of throughput", statistics.median(costs), 3, at_most=True)


def streams(servers: Sequence[Server], seconds: int) -> None:
    """Streams of 20 chunks per second and core, and the time to the first byte of the body."""
    print(f"\nstreams of 20 chunks, 32 connections, {seconds} s each")
    line("server", "streams/s", "TTFT p50 ms", "TTFT p99 ms", "CPU us/stream", "streams/s/core")
    for server in servers:
        before = server.cpu_seconds()
        firsts = sorted(asyncio.run(stream_load(server, 32, seconds)))
        cpu = (server.cpu_seconds() - before) / max(1, len(firsts))
        line(
            server.name,
            f"{len(firsts) / seconds:,.0f}",
            f"{firsts[len(firsts) // 2] * 1e3:.2f}",
            f"{firsts[int(len(firsts) * 0.99)] * 1e3:.2f}",
            f"{cpu * 1e6:.0f}",
            f"{1 / max(cpu, 1e-9):,.0f}",
        )


def memory(servers: Sequence[Server]) -> None:
    """Resident memory after all of the above."""
    print("\nresident memory after the runs, MB")
    for server in servers:
        line(server.name, f"{server.resident_bytes() / 1e6:.0f}")
    gate("resident memory of the gateway, MB", servers[1].resident_bytes() / 1e6, 100, at_most=True)
