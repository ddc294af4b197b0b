"""What the live page costs: the gateway's CPU per open page, and requests' latencies with 100 pages open and with none.

Run: python -m benchmarks.page [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.gateway.load import BODY, KEY
from benchmarks.gateway.paced import Load, request
from benchmarks.gateway.servers import simulator, tallygate
from benchmarks.harness import Gate, finish, machine, print_gates, print_table
from benchmarks.processes import Server
from tallygate.gateway.page.figures import RANGES

VIEWERS = 100
RATE = 200
"""Requests per second while latencies are measured: some part of what one core can do."""
CONNECTIONS = 16
CPU_LIMIT = 0.01
"""Of a core, per open page."""
NOISE = 1.25
"""How much more the 99th percentile with pages may be than without: what turns without pages differ by, here."""


@dataclass
class Turns:
    """What was seen in turns of one kind."""

    latencies: list[float] = field(default_factory=list)
    cpu: float = 0.0
    seconds: float = 0.0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def look(url: str, cookie: str, viewers: int) -> None:
    """Open pages until standard input ends, a quarter of them for each range; told when all have their figures."""
    host, port = urlsplit(url).hostname, urlsplit(url).port

    async def viewer(number: int) -> asyncio.Task[None]:
        reader, writer = await asyncio.open_connection(host, port)
        wanted = list(RANGES)[number % len(RANGES)]
        writer.write(
            f"GET /dashboard/events?range={wanted} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if b"text/event-stream" not in head:
            raise SystemExit(head.decode())
        await reader.readuntil(b"event: figures")
        return asyncio.create_task(drink(reader, writer))

    async def drink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The writer is held: without it the connection would be closed.
        while await reader.read(1 << 16):
            continue
        writer.close()

    kept = [await viewer(number) for number in range(viewers)]
    print("looking", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in kept:
        task.cancel()


@contextmanager
def pages(url: str, cookie: str, count: int) -> Iterator[None]:
    """So many open pages, in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.page", "--look", url, cookie, str(count)]
    process = subprocess.Popen(["taskset", "-c", "1", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline() != b"looking\n":
            raise SystemExit("the pages could not be opened")
        yield
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def sign_in(url: str) -> str:
    """The cookie of a session, with which the page was looked at once."""
    connection = HTTPConnection(urlsplit(url).netloc)
    headers = {"sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/dashboard/sign-in", f"key={KEY}", headers)
    answer = connection.getresponse()
    answer.read()
    cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
    connection.request("GET", "/dashboard", headers={"cookie": cookie})
    page = connection.getresponse()
    if page.status != 200 or not page.read():
        raise SystemExit(f"the page cannot be seen: {page.status}")
    connection.close()
    return cookie


def cpu_seconds(server: Server) -> float:
    """Time on a processor, to the nanosecond: what pages cost comes in bursts shorter than the kernel's tick."""
    tasks = [task for pid in server.family() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) * 1e-9


async def turn(server: Server, seconds: float, seen: Turns) -> None:
    """Requests at their rate for a while."""
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    asked = request(parts.hostname, KEY, BODY)
    before = cpu_seconds(server)
    load = Load(parts.hostname, parts.port, CONNECTIONS, lambda: ("call", asked))
    paced = await load.run(RATE, seconds)
    if set(paced.answers) != {("call", 200)}:
        raise SystemExit(f"not all were answered: {paced.answers}")
    seen.cpu += cpu_seconds(server) - before
    seen.seconds += paced.seconds
    seen.latencies += paced.latencies


async def idle(server: Server, seconds: float) -> float:
    """The share of a core that the gateway takes while nobody calls."""
    before = cpu_seconds(server)
    await asyncio.sleep(seconds)
    return (cpu_seconds(server) - before) / seconds


async def measure(server: Server, *, quick: bool) -> list[Gate]:
    """Turns with and without pages, one after the other."""
    seconds, rounds = (4.0, 2) if quick else (10.0, 6)
    cookie = sign_in(server.url)
    await turn(server, 2.0, Turns())  # so that nothing happens for the first time below
    quiet = await idle(server, seconds * 2)
    with pages(server.url, cookie, VIEWERS):
        watched = await idle(server, seconds * 2)
    without, beside, again = Turns(), Turns(), Turns()
    for _ in range(rounds):
        await turn(server, seconds, without)
        with pages(server.url, cookie, VIEWERS):
            await turn(server, seconds, beside)
        await turn(server, seconds, again)
    print_table(
        [f"{VIEWERS} open pages, {RATE} requests/s", "p50", "p99", "p99.9", "CPU of a core"],
        [
            [name, *[f"{turns.percentile(share) * 1e3:.2f} ms" for share in (0.5, 0.99, 0.999)], f"{share:.2%}"]
            for name, turns, share in (
                ("without pages", without, without.cpu / without.seconds),
                ("with pages", beside, beside.cpu / beside.seconds),
                ("without pages, again", again, again.cpu / again.seconds),
            )
        ],
    )
    print(f"without requests: {quiet:.2%} of a core, with {VIEWERS} open pages {watched:.2%}\n")
    busy = beside.cpu / beside.seconds - (without.cpu + again.cpu) / (without.seconds + again.seconds)
    least = min(without.percentile(0.99), again.percentile(0.99))
    most = max(without.percentile(0.99), again.percentile(0.99))
    return [
        Gate("CPU per open page over 1 % of a core, without requests", (watched - quiet) / VIEWERS / CPU_LIMIT, 1),
        Gate("CPU per open page over 1 % of a core, beside requests", busy / VIEWERS / CPU_LIMIT, 1),
        Gate("p99 with pages over the larger p99 without", beside.percentile(0.99) / most, max(NOISE, most / least)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    parser.add_argument("--look", nargs=3, metavar=("URL", "COOKIE", "PAGES"), help="only open pages")
    arguments = parser.parse_args()
    if arguments.look:
        url, cookie, count = arguments.look
        asyncio.run(look(url, cookie, int(count)))
        return
    print(machine())
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        with simulator(scratch) as provider, tallygate(scratch, provider.url) as server:
            gates = asyncio.run(measure(server, quick=arguments.quick))
    finish(print_gates(gates))


if __name__ == "__main__":
    main()
