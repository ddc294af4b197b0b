"""The gateway under load, against going direct, against itself with metrics off, and against LiteLLM's proxy.

One worker of each server is pinned to core 0; the simulated provider and the load share core 1. CPU per request is
read from /proc, so it does not depend on which side saturates. ``--quick`` shortens every run; ``--no-litellm`` leaves
the peer out (its installation takes a minute).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Server, free_port, running

MODEL = "gpt-4o-mini"
STREAMING_MODEL = "gpt-4o-mini+unbuffered"
"""The simulated provider sends each of its chunks in a write of its own."""
KEY = "sk-benchmark-0123456789abcdef-benchmark"
PEER = Path(__file__).resolve().parent / ".venv-litellm"
BODY = json.dumps(
    {"model": MODEL, "messages": [{"role": "user", "content": "Say this is a test. " * 10}], "max_tokens": 16}
)
STREAM_BODY = json.dumps(
    {"model": STREAMING_MODEL, "messages": [{"role": "user", "content": "Count."}], "max_tokens": 20, "stream": True}
)
PAIRS = 5
"""Gateways with and without metrics that are compared."""
WRK = """
wrk.method = "POST"
wrk.path = "/v1/chat/completions"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
wrk.body = [==[{body}]==]
"""


@dataclass
class Load:
    """What one run of wrk saw."""

    requests_per_second: float
    p50: float
    p99: float
    errors: int
    cpu_per_request: float
    """Seconds of the measured server's CPU."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-litellm", action="store_true")
    options = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        raise SystemExit("the load generator is missing: apt-get install wrk")
    seconds = 3 if options.quick else 8
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        scratch = Path(folder)
        script = scratch / "load.lua"
        script.write_text(WRK.format(key=KEY, body=BODY))
        provider = stack.enter_context(simulator(scratch))
        ours = stack.enter_context(tallygate(scratch, provider.url, metrics=True))
        silent = stack.enter_context(tallygate(scratch, provider.url, metrics=False))
        servers = [provider, ours, silent]
        if not options.no_litellm:
            servers.append(stack.enter_context(litellm(scratch, provider.url)))
        throughput(servers, script, seconds)
        metrics_cost(scratch, provider, script, seconds)
        streams(servers, seconds)
        memory(servers)


def throughput(servers: Sequence[Server], script: Path, seconds: int) -> None:
    """Requests per second, latency and CPU per request by number of connections."""
    print(f"\nchat completions, not streamed, {seconds} s each")
    line("server", "conns", "req/s", "p50 ms", "p99 ms", "CPU us/req", "req/s/core", "errors")
    direct: dict[int, Load] = {}
    per_core: dict[str, float] = {}
    for connections in (1, 16, 64, 256):
        for server in servers:
            wrk(server, script, connections, 1)
            load = wrk(server, script, connections, seconds)
            if server is servers[0]:
                direct[connections] = load
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
                gate("added p50 at one connection, ms", (load.p50 - direct[1].p50) * 1e3, 0.4, at_most=True)
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
            tallygate(scratch, provider.url, metrics=True) as ours,
            tallygate(scratch, provider.url, metrics=False) as silent,
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


async def stream_load(server: Server, connections: int, seconds: float) -> list[float]:
    """Times to the first chunk of the body of all streams that ended within ``seconds``."""
    host, port = server.url.removeprefix("http://").split(":")
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: {len(STREAM_BODY)}\r\n\r\n{STREAM_BODY}"
    ).encode()
    firsts: list[float] = []
    ends_at = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while time.perf_counter() < ends_at:
            sent_at = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{server.name}: {head.decode()}")
            first = 0.0
            while True:
                size = int(await reader.readuntil(b"\r\n"), 16)
                first = first or time.perf_counter() - sent_at
                await reader.readexactly(size + 2)
                if size == 0:
                    break
            firsts.append(first)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return firsts


def memory(servers: Sequence[Server]) -> None:
    """Resident memory after all of the above."""
    print("\nresident memory after the runs, MB")
    for server in servers:
        print(f"{server.name:<24}{server.resident_bytes() / 1e6:>8.0f}")
    gate("resident memory of the gateway, MB", servers[1].resident_bytes() / 1e6, 100, at_most=True)


def line(name: str, *cells: str) -> None:
    """A line of a table."""
    print(f"{name:<24}" + "".join(f"{cell:>15}" for cell in cells), flush=True)


def gate(what: str, value: float, limit: float, *, at_most: bool) -> None:
    """Print a figure beside what it should reach."""
    held = value <= limit if at_most else value >= limit
    print(f"    {what}: {value:.2f} (reach: {'<=' if at_most else '>='} {limit:g}) {'ok' if held else 'MISSED'}")


def wrk(server: Server, script: Path, connections: int, seconds: int) -> Load:
    """One run of the load generator on core 1."""
    before = server.cpu_seconds()
    done = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s",
         "-s", str(script), server.url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    cpu = server.cpu_seconds() - before
    out = done.stdout
    total = int(_find(r"(\d+) requests in", out))
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    errors = (int(failed[1]) if failed else 0) + (sum(map(int, broken.groups())) if broken else 0)
    return Load(
        requests_per_second=float(_find(r"Requests/sec:\s+([\d.]+)", out)),
        p50=_seconds(_find(r"\n\s+50%\s+(\S+)", out)),
        p99=_seconds(_find(r"\n\s+99%\s+(\S+)", out)),
        errors=errors,
        cpu_per_request=cpu / max(1, total),
    )


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"wrk printed no {pattern!r}:\n{text}")
    return found[1]


def _seconds(text: str) -> float:
    for unit, factor in (("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


@contextmanager
def simulator(scratch: Path) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "tallygate.cli", "simulate", "--port", str(port)]
    with running("direct", command, port=port, ready="/health", core=1, log=scratch / "simulator.log") as server:
        yield server


@contextmanager
def tallygate(scratch: Path, provider: str, *, metrics: bool) -> Iterator[Server]:
    port = free_port()
    name = "tallygate" if metrics else "tallygate, metrics off"
    config = scratch / f"{port}.toml"
    config.write_text(
        f'[server]\nport = {port}\nmaster_key = "{KEY}"\n[metrics]\nenabled = {str(metrics).lower()}\n'
        f'[providers.openai]\nkind = "openai"\nbase_url = "{provider}/v1"\napi_key = "sk-upstream"\n'
        f'models = ["{MODEL}", "{STREAMING_MODEL}"]\n'
    )
    command = [sys.executable, "-m", "tallygate.cli", "serve", "--config", str(config)]
    with running(name, command, port=port, ready="/health", core=0, log=scratch / f"{port}.log") as server:
        yield server


@contextmanager
def litellm(scratch: Path, provider: str) -> Iterator[Server]:
    if not (PEER / "bin" / "litellm").exists():
        print("installing litellm[proxy] into its own environment ...", flush=True)
        venv.create(PEER, with_pip=True)
        subprocess.run([PEER / "bin" / "pip", "install", "--quiet", "litellm[proxy]"], check=True)
    port = free_port()
    config = scratch / "litellm.yaml"
    models = "".join(
        f"  - model_name: {model}\n    litellm_params:\n      model: openai/{model}\n"
        f"      api_base: {provider}/v1\n      api_key: sk-upstream\n"
        for model in (MODEL, STREAMING_MODEL)
    )
    config.write_text(f"model_list:\n{models}general_settings:\n  master_key: {KEY}\n")
    command = [str(PEER / "bin" / "litellm"), "--config", str(config), "--port", str(port), "--num_workers", "1"]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True", "LITELLM_LOG": "ERROR"}
    with running(
        "litellm",
        command,
        port=port,
        ready="/health/liveliness",
        core=0,
        environment=environment,
        log=scratch / "litellm.log",
    ) as server:
        yield server


if __name__ == "__main__":
    main()
