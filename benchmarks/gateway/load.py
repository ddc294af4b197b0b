"""Load on a server: wrk as fast as it goes, and streams; tables and gates to print what was seen."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Server

MODEL = "gpt-4o-mini"
STREAMING_MODEL = "gpt-4o-mini+unbuffered"
"""The simulated provider sends each of its chunks in a write of its own."""
KEY = "sk-benchmark-0123456789abcdef-benchmark"
BODY = json.dumps(
    {"model": MODEL, "messages": [{"role": "user", "content": "Say this is a test. " * 10}], "max_tokens": 16}
)
STREAM_BODY = json.dumps(
    {"model": STREAMING_MODEL, "messages": [{"role": "user", "content": "Count."}], "max_tokens": 20, "stream": True}
)
WRK = """
local requests, turn = {{}}, 0
function init()
  for key in string.gmatch("{keys}", "%S+") do
    requests[#requests + 1] = wrk.format("POST", "/v1/chat/completions",
      {{["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. key}}, [==[{body}]==])
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
"""


@dataclass
class Load:
    """What one run of wrk saw."""

    requests_per_second: float
    p50: float
    p99: float
    errors: int
    requests: int
    cpu_per_request: float
    """Seconds of the measured server's CPU."""


def write_script(file: Path, keys: Sequence[str] = (KEY,)) -> Path:
    """What wrk sends: one chat completion after another, the keys by turns."""
    file.write_text(WRK.format(keys=" ".join(keys), body=BODY))
    return file


def wrk(server: Server, script: Path, connections: int, seconds: int) -> Load:
    """One run of the load generator on core 1."""
    server.lift_threads()
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
        requests=total,
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


def line(name: str, *cells: str) -> None:
    """A line of a table."""
    print(f"{name:<30}" + "".join(f" {cell:>14}" for cell in cells), flush=True)


def gate(what: str, value: float, limit: float, *, at_most: bool) -> None:
    """Print a figure beside what it should reach."""
    held = value <= limit if at_most else value >= limit
    print(f"    {what}: {value:.2f} (reach: {'<=' if at_most else '>='} {limit:g}) {'ok' if held else 'MISSED'}")
