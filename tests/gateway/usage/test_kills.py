"""``kill -9`` at any moment: no finished call is lost, none is counted twice, nothing stays held."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.simulator import run_in_thread
from tests.gateway.processes import Served, served
from tests.gateway.usage.entries import positions
from tests.gateway.usage.killing import check, held_and_spent, kill, make_accounts, nursery, settings, under_load

PAUSE = (0.02, 0.4)
"""Seconds between two kills: a worker may be about to start, or in the middle of everything."""


async def test_workers_that_are_killed_lose_no_call(
    database: Database, database_url: str, service: AccountService, tmp_path: Path
) -> None:
    kills = 40 if database.kind == "sqlite" else 15
    accounts = await make_accounts(service, users=2, keys=8)
    with run_in_thread() as simulator:
        with nursery(tmp_path, settings(database_url, tmp_path, simulator.url), workers=3) as running:
            async with under_load(running.port, accounts) as load:
                await kill(running.workers, kills, PAUSE)
        requests = simulator.served()["totals"]["requests"]
    found = await check(database, load, accounts)
    print(f"{kills} kills: {len(load.made)} calls made, {len(load.finished)} finished, {found}")
    assert found.calls <= requests
    assert len(load.finished) > kills
    held, spent = held_and_spent(tmp_path / "state")
    assert held == 0
    assert spent == {user: (await service.user(user)).spent for user in {account.user_id for account in accounts}}
    assert load.refused == {}


@pytest.mark.xdist_group("postgres")
async def test_two_machines_write_to_one_database(postgresql_url: str, tmp_path: Path) -> None:
    database = Database(postgresql_url)
    await database.start()
    accounts = await make_accounts(AccountService(database), users=2, keys=6)
    directories = [tmp_path / "one", tmp_path / "other"]
    for directory in directories:
        directory.mkdir()
    with run_in_thread() as simulator:
        configured = [settings(postgresql_url, directory, simulator.url) for directory in directories]
        with (
            nursery(directories[0], configured[0], workers=2) as one,
            nursery(directories[1], configured[1], 2) as other,
        ):
            # Both serve the same users; each client keeps to one of the machines.
            async with under_load(one.port, accounts[::2]) as first, under_load(other.port, accounts[1::2]) as second:
                await asyncio.gather(kill(one.workers, 6, PAUSE, 1), kill(other.workers, 6, PAUSE, 2))
    first.made |= second.made
    first.finished |= second.finished
    await check(database, first, accounts)
    assert len(await positions(database)) == 2
    for directory in directories:
        assert held_and_spent(directory / "state")[0] == 0
    await database.close()


def workers_of(running: Served) -> list[int]:
    """Those that live just now; there may be none, for they are replaced after a pause."""
    return [pid for pid in running.workers() if pid != running.process.pid]


async def test_the_program_itself(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    await database.start()
    accounts = await make_accounts(AccountService(database), users=1, keys=4)
    with run_in_thread() as simulator:
        made = settings(sqlite_url, tmp_path, simulator.url)
        more = {name: made[name] for name in ("accounts", "usage", "shared", "failover")}
        prices = {model["name"]: model["price"] for model in made["providers"]["openai"]["models"]}
        with served(tmp_path, simulator.url, "--workers", "2", prices=prices, **more) as running:
            async with under_load(running.port, accounts) as load:
                await kill(lambda: workers_of(running), 3, (0.2, 0.5))
            running.process.terminate()
            status, _ = await asyncio.to_thread(running.end)
    assert status == 0
    found = await check(database, load, accounts)
    assert found.reported >= len(load.finished) > 0
    await database.close()
