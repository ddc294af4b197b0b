"""A database that is stopped and started again while calls are made: they go on, and none is lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.simulator import run_in_thread
from tests.gateway.usage.killing import check, kill, make_accounts, nursery, settings, under_load
from tests.services.postgres import PATIENCE, USER, PostgreSQL, program, running_postgres, unprivileged

CALLS = 40


def control(server: PostgreSQL, *command: str) -> None:
    """Stop or start a server as an operator does."""
    user = unprivileged()
    options = f"-k {server.host} -c listen_addresses= -c fsync=off -c max_connections=50 -c shared_buffers=16MB"
    subprocess.run(
        [
            program("pg_ctl"),
            "-D",
            f"{server.host}/data",
            "-w",
            "-l",
            f"{server.host}/server.log",
            "-o",
            options,
            *command,
        ],
        user=user,
        extra_groups=None if user is None else [],
        cwd=server.host,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        stdout=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=True,
    )


@pytest.mark.parametrize(("modes", "kills"), [(["immediate"], 0), (["fast", "immediate"], 3)])
async def test_a_database_that_is_stopped_and_started_under_load(modes: list[str], kills: int, tmp_path: Path) -> None:
    with running_postgres() as server, run_in_thread() as simulator:
        url = f"postgresql://{USER}@/postgres?host={server.host}"
        database = Database(url)
        await database.start()
        accounts = await make_accounts(AccountService(database), users=2, keys=4)
        # Without kills one worker, which has seen all keys: one that a worker has not seen needs the database.
        with nursery(tmp_path, settings(url, tmp_path, simulator.url), workers=2 if kills else 1) as running:
            async with under_load(running.port, accounts) as load:
                for mode in modes:
                    await load.until(len(load.finished) + CALLS)
                    await asyncio.to_thread(control, server, "-m", mode, "stop")
                    await load.until(len(load.finished) + CALLS)
                    await asyncio.to_thread(control, server, "start")
                    await kill(running.workers, kills, (0.05, 0.4))
        found = await check(database, load, accounts)
        await database.close()
    if kills:
        # A new worker cannot know keys while the database is away.
        assert set(load.refused) <= {503}
    else:
        assert load.refused == {}
        assert load.finished == load.made
        assert found.calls == len(load.made)
