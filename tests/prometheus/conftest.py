"""One gateway under load with a Prometheus that watches it, shared by all tests here."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tallygate.dialects import DIALECTS
from tallygate.simulator import Simulator
from tests.gateway.provided import providers, until
from tests.gateway.running import Gateway, gateway
from tests.prometheus.server import Job, Prometheus, prometheus
from tests.prometheus.traffic import MODELS, PRICE, ROUTES, Load, Truth

MASTER, SECRET = "master-of-the-gateway", "for-scrapers-only"
OTHERS = tuple(name for name in DIALECTS if name != "tallygate")
JOBS = ("tallygate", *OTHERS)
"""Jobs that may scrape, each named like the dialect it asks for; the first asks for none."""
STRANGER = "without-token"
LEAST_SCRAPES = 5
"""How often each job scrapes while the load goes on."""
MOST_ROUNDS = 20
SHARED = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("prometheus")]
"""Marks of the tests that share the world: best run by one process, and right in several with a world each."""


@dataclass(frozen=True)
class World:
    """What the tests look at when the load is over."""

    gateway: Gateway
    prometheus: Prometheus
    truth: Truth
    traces: frozenset[str]
    """Trace ids of the calls that their callers sampled."""


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A gateway that served some load, and the Prometheus that scraped it before, meanwhile and after."""
    directory = tmp_path_factory.mktemp("prometheus")
    token = directory / "token"
    token.write_text(SECRET + "\n")
    async with (
        Simulator(time_to_first_token=(0.01, 0.06), time_per_token=(0.001, 0.006)) as simulator,
        gateway(settings(simulator.url)) as running,
    ):
        target = running.url.removeprefix("http://")
        jobs = [Job(name, target, "" if name == "tallygate" else name, token) for name in JOBS]
        async with prometheus(directory, [*jobs, Job(STRANGER, target)]) as server:
            await server.scraped_since(0, JOBS)
            load = Load(running.url, MASTER)
            await load_until_scraped(load, running, server)
            await simulator.until(lambda served: served.in_progress == 0)
            await until(lambda: running.total("tallygate_llm_calls_total") == load.calls)
            await server.scraped_since(time.time(), [*JOBS, STRANGER])
            yield World(running, server, Truth(simulator.served()), frozenset(load.sampled))


def settings(simulator: str) -> dict[str, object]:
    """A protected gateway in front of the simulator."""
    listed = providers(simulator)
    for kind, provider in listed.items():
        provider["models"] = [{"name": MODELS[kind], "price": PRICE}]
    return {
        "server": {"master_key": MASTER},
        "metrics": {"secret": SECRET, "labels": ["cost-centre"]},
        "providers": listed,
        "failover": {"breaker_failures": 0},  # every call is to reach its provider
        "dimensions": {"route": {"values": ROUTES}, "cost-centre": {"values": ["one"]}},
    }


async def load_until_scraped(load: Load, running: Gateway, server: Prometheus) -> None:
    """Go on until every job has scraped some times."""
    before = {job: await server.scrapes(job) for job in JOBS}
    for _ in range(MOST_ROUNDS):
        await load.round()
        # This gateway keeps no answers: a program with a cache of its own would tell its tally like this.
        for hit in (True, True, True, False):
            running.app.tally.cache_lookup("answers", hit=hit, route=ROUTES[0])
        scrapes = [await server.scrapes(job) - before[job] for job in JOBS]
        if min(scrapes) >= LEAST_SCRAPES:
            return
    raise AssertionError(f"Prometheus scraped only {scrapes} times in {MOST_ROUNDS} rounds of load")
