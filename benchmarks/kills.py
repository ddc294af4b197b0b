"""``kill -9`` of workers under load, again and again: what the usage ledger must hold afterwards, and holds.

Run: python -m benchmarks.kills [--kills 300] [--on sqlite|postgresql] [--workers 3] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.gateway.usage.killing import check, held_and_spent, kill, make_accounts, nursery, settings, under_load
from tests.services.postgres import DATABASE, USER, running_postgres

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.simulator import run_in_thread

PAUSE = (0.02, 0.4)


@contextmanager
def new_database(kind: str, directory: Path) -> Iterator[str]:
    """The URL of an empty one."""
    if kind == "sqlite":
        yield f"sqlite:///{directory / 'accounts.db'}"
        return
    with running_postgres() as server:
        yield f"postgresql://{USER}@/{DATABASE}?host={server.host}"


async def run(url: str, directory: Path, kills: int, workers: int, seed: int) -> None:
    """Make load, kill, check. Raises AssertionError for a call that is lost or there twice, and for a wrong sum."""
    database = Database(url)
    await database.start()
    service, began = AccountService(database), time.monotonic()
    accounts = await make_accounts(service, users=4, keys=4)
    with run_in_thread() as simulator, nursery(directory, settings(url, directory, simulator.url), workers) as running:
        async with under_load(running.port, accounts, seed) as load:
            await kill(running.workers, kills, PAUSE, seed)
    found = await check(database, load, accounts)
    held, spent = held_and_spent(directory / "state")
    assert held == 0, f"{held} units are still held"
    for user, amount in spent.items():
        assert amount == (await service.user(user)).spent, "a purse and the ledger differ"
    await database.close()
    made, finished = len(load.made), len(load.finished)
    settled = found.reported - finished
    print(
        f"{kills} kills in {time.monotonic() - began:.0f} s: {made} calls made, {finished} finished, {made - finished} "
        f"cut off ({settled} of those after they had settled). Each finished call is in the ledger once, none is there "
        "twice, nothing is held, purses and sums agree."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--on", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tallygate-kills-") as name, new_database(asked.on, Path(name)) as url:
        asyncio.run(run(url, Path(name), asked.kills, asked.workers, asked.seed))


if __name__ == "__main__":
    main()
