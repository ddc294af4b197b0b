"""What a request costs as workers and machines are added, and what it leaves in PostgreSQL and Redis."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import redis

from benchmarks.gateway.full import CONNECTIONS, Contender, machines, on_sqlite
from benchmarks.gateway.load import line, write_script, wrk
from benchmarks.processes import Server

WORKERS = (1, 2, 4)
MACHINES = (1, 2)


def compare(scratch: Path, provider: Server, seconds: int) -> None:
    """CPU per request by workers of one machine, and by machines."""
    print(f"\nCPU per request, {CONNECTIONS} connections, {seconds} s each; all processes share the machine's cores")
    line("", "workers", "gateway us", "PostgreSQL us", "Redis us", "requests")
    for workers in WORKERS:
        with _place(scratch) as place, on_sqlite(Path(place), provider.url, workers=workers, core=None) as one:
            _measure("one machine, SQLite", workers, [one], Path(place), seconds)
    left: dict[str, float] = {}
    for number in MACHINES:
        with _place(scratch) as place, machines(Path(place), provider.url, number, core=None) as several:
            log_began = _log_position(several[0].database_url)
            _measure(f"machines: {number}", number, several, Path(place), seconds)
            left = left or _left(several[0], log_began)
    print("\nwhat a call asks of Redis and leaves in PostgreSQL, one machine")
    for name, figure in left.items():
        line(name, f"{figure:.2f}")


def _place(scratch: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=scratch)


def _measure(name: str, workers: int, several: Sequence[Contender], scratch: Path, seconds: int) -> None:
    """A line of the table."""
    script = write_script(scratch / "keys.lua", several[0].keys)
    for one in several:
        wrk(one.server, script, CONNECTIONS, 1)
    beside = several[0].beside
    before = [server.cpu_seconds() for server in beside]
    with ThreadPoolExecutor(len(several)) as pool:
        loads = list(pool.map(lambda one: wrk(one.server, script, CONNECTIONS // len(several), seconds), several))
    calls = sum(load.requests for load in loads)
    cpu = sum(load.cpu_per_request * load.requests for load in loads) / calls
    others = [(server.cpu_seconds() - was) / calls for server, was in zip(beside, before, strict=True)]
    line(name, str(workers), f"{cpu * 1e6:.1f}", *(f"{one * 1e6:.1f}" for one in others or (0.0, 0.0)), f"{calls:,}")


def _log_position(url: str) -> float:
    """How many bytes PostgreSQL has written to its write-ahead log."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_current_wal_lsn() - '0/0'").fetchone()
    assert row is not None
    return float(row[0])


def _left(one: Contender, log_began: float) -> dict[str, float]:
    """Per call, of all that were made so far and are in the database."""
    client = redis.Redis.from_url(one.beside[1].url)
    try:
        stats: dict[str, Any] = client.info("commandstats")
        memory: dict[str, Any] = client.info("memory")
    finally:
        client.close()
    with psycopg.connect(one.database_url) as connection:
        row = connection.execute(
            "SELECT count(*), pg_total_relation_size('usage_calls'),"
            " (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) FROM usage_calls"
        ).fetchone()
    assert row is not None
    calls, size, commits = map(float, row)
    log = _log_position(one.database_url)
    scripts = sum(int(each["calls"]) for name, each in stats.items() if name.startswith("cmdstat_eval"))
    return {
        "calls": calls,
        "scripts in Redis": scripts / calls,
        "Redis' memory, MB": float(memory["used_memory"]) / 1e6,
        "bytes in usage_calls": size / calls,
        "bytes of write-ahead log": (log - log_began) / calls,
        "calls per commit": calls / commits,
    }
