"""A gateway and a program under a load that is known, and a Prometheus that saw all of it from 0 on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tallygate.dashboards import BOARDS
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.simulator import Simulator
from tallygate.tally import Tally
from tests.dashboards.asking import Asked, documents
from tests.dashboards.callers import Callers, settings
from tests.dashboards.exporters import Exporters, serve
from tests.dashboards.program import told
from tests.gateway.provided import until
from tests.gateway.running import gateway
from tests.gateway.usage.served import Account, make_account
from tests.prometheus import known
from tests.prometheus.server import Job, Prometheus, prometheus

SECRET = "for-scrapers-only"
EXPORTERS = "exporters"
AT_ONCE = 8
SHARED = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("prometheus")]
"""Marks of the tests that share the world."""

Answer = Mapping[frozenset[tuple[str, str]], float]


@dataclass(frozen=True)
class World:
    """What the tests look at when the load is over."""

    prometheus: Prometheus
    callers: Callers
    served: Mapping[str, int]
    """Totals of the provider."""
    at: Mapping[str, float]
    """When each job was scraped last."""
    answers: Mapping[Asked, Answer]
    """To every query of every panel, at the moment of the last scrape, so that nothing is extrapolated."""


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The load goes by twice: which series there are shows in a rehearsal; the other gateway has them at 0 before."""
    directory = tmp_path_factory.mktemp("dashboards")
    token = directory / "token"
    token.write_text(SECRET + "\n")
    database = f"sqlite:///{directory / 'accounts.db'}"
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            Simulator(time_to_first_token=(0.01, 0.06), time_per_token=(0.001, 0.006))
        )
        keys = await accounts(database)
        rows: dict[str, list[tuple[str, ...]]] = {}
        async with gateway(settings(simulator.url, database, str(directory / "rehearsal"), SECRET)) as rehearsed:
            await Callers(rehearsed, simulator, keys).call()
            rows = rows_of(rehearsed.app.tally)
        simulator.reset()
        running = await stack.enter_async_context(
            gateway(settings(simulator.url, database, str(directory / "state"), SECRET))
        )
        foretell(running.app.tally, rows)
        known.foretell(running.app.tally, told())
        exporters = Exporters()
        server, _ = serve(exporters)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        target = running.url.removeprefix("http://")
        jobs = [Job(name, target, "" if name == "tallygate" else name, token) for name in BOARDS]
        jobs.append(Job(EXPORTERS, f"127.0.0.1:{server.server_port}"))
        names = [job.name for job in jobs]
        watching = await stack.enter_async_context(prometheus(directory, jobs))
        await watching.scraped_since(0, names)
        callers = Callers(running, simulator, keys)
        await callers.call()
        await until(lambda: running.total("tallygate_llm_calls_total") == callers.calls)
        known.happen(running.app.tally, told())
        exporters.busy = True
        moment = await watching.by("job", "timestamp(up)")
        await watching.scraped_since(max(moment.values()) + 1, names)
        at = await watching.by("job", "timestamp(up)")
        answers = await answered(watching, at)
        yield World(watching, callers, simulator.served()["totals"], at, answers)


async def accounts(url: str) -> dict[str, Account]:
    """Ada, who may do as she likes, and Bob, who may call twice a minute."""
    database = Database(url)
    await database.start()
    service = AccountService(database)
    ada = await make_account(service, "Ada", plan="pro", prepaid=True, billing_cycle="monthly")
    await service.grant(ada.user_id, 10**13)
    bob = await make_account(service, "Bob", plan="free", requests_per_minute=2)
    await database.close()
    return {"ada": ada, "bob": bob}


def rows_of(tally: Tally) -> dict[str, list[tuple[str, ...]]]:
    """The dimension values of all rows, by fact."""
    return {fact.__name__: [row.values for row in table.rows(1)] for fact, table in tally.tables.items()}


def foretell(tally: Tally, rows: Mapping[str, list[tuple[str, ...]]]) -> None:
    """Let these rows be there at 0."""
    for fact, table in tally.tables.items():
        for values in rows[fact.__name__]:
            table.row(*values)


async def answered(watching: Prometheus, at: Mapping[str, float]) -> dict[Asked, Answer]:
    """Ask everything once, a few queries at the same time."""
    gate = asyncio.Semaphore(AT_ONCE)
    asked = {each for document in documents() for concrete in (False, True) for each in document.asked(concrete)}
    queries = {each.promql: each.dialect if "job=" in each.promql else EXPORTERS for each in asked}

    async def answer(promql: str, job: str) -> tuple[str, Answer]:
        async with gate:
            return promql, await watching.query(promql, at=at[job])

    answers = dict(await asyncio.gather(*(answer(promql, job) for promql, job in queries.items())))
    return {each: answers[each.promql] for each in asked}
