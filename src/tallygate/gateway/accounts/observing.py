"""How many keys, trials and subscriptions there are, and what credits are left: counted by one worker of a machine."""

from __future__ import annotations

import asyncio
import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from tallygate.gateway.accounts import statements as do
from tallygate.gateway.database import Database, DatabaseAway
from tallygate.pricing import UNITS_PER_USD

if TYPE_CHECKING:
    from tallygate.tally import Tally

log = structlog.get_logger("tallygate.gateway")

SECONDS: Final = 5.0
"""How often it is counted."""
AT_ONCE: Final = 1000
"""Balances of users that are read in one go."""
MOST_USERS: Final = 10_000
"""Users whose balances are shown, when the identity user_id is turned on; no page has more."""
LOCK: Final = "accounts.observer"


class Observer:
    """A service: sets the gauges of APIKeys, Trials, Subscriptions and CreditBalance.

    The worker that holds the lock does it; when it dies, the next one that tries for it goes on.
    """

    def __init__(self, database: Database, state_directory: Path, tally: Tally) -> None:
        self._database, self._directory, self._tally = database, state_directory, tally
        self._by_user = tally.identities is not None and "user_id" in tally.identities.names
        self._subscriptions: set[tuple[str, str]] = set()
        """Plans and billing cycles that were shown: they go back to 0."""
        self._plans: set[str] = set()
        self._descriptor = -1
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to count, unless nothing is recorded. Raises OSError when the state directory cannot be used."""
        if self._tally.enabled:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._task = asyncio.create_task(self._go_on())

    async def close(self) -> None:
        """Count no more, and let others."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            os.close(self._descriptor)

    async def _go_on(self) -> None:
        while True:
            await self.turn()
            await asyncio.sleep(SECONDS)

    async def turn(self) -> None:
        """Count, if it is this worker that does."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        try:
            await self.count()
        except DatabaseAway:
            log.debug("the accounts could not be counted: their database is away")
        except Exception:
            log.exception("the accounts could not be counted")

    async def count(self) -> None:
        """Count now. Raises DatabaseAway."""
        now = datetime.now(UTC)
        async with self._database.reading() as connection:
            keys = (await connection.execute(do.keys_count, {"now": now})).all()
            users = (await connection.execute(do.users_count, {"now": now})).all()
        statuses = dict.fromkeys(("active", "inactive", "expired"), 0)
        for row in keys:
            statuses["expired" if row.expired and row.status == "active" else row.status] += row.keys
        trials = dict.fromkeys(("active", "expired"), 0)
        subscriptions = dict.fromkeys(self._subscriptions, 0)
        balances = dict.fromkeys(self._plans, 0)
        for row in users:
            if row.prepaid:  # what others spend is no credit of theirs
                balances[row.plan] = balances.get(row.plan, 0) + int(row.balance)
            if row.has_trial:
                trials["expired" if row.trial_ended else "active"] += row.users
            if row.billing_cycle is not None:
                cycle = (row.plan, row.billing_cycle)
                subscriptions[cycle] = subscriptions.get(cycle, 0) + row.users
        self._subscriptions, self._plans = set(subscriptions), set(balances)
        for status, count in statuses.items():
            self._tally.set_api_keys(status, count)
        for status, count in trials.items():
            self._tally.set_trials(status, count)
        for (plan, billing_cycle), count in subscriptions.items():
            self._tally.set_subscriptions(plan, billing_cycle, count)
        for plan, balance in balances.items():
            self._tally.set_credit_balance(balance / UNITS_PER_USD, plan_type=plan)
        if self._by_user:
            await self._count_by_user()

    async def _count_by_user(self) -> None:
        after, seen = "", 0
        while seen < MOST_USERS:
            async with self._database.reading() as connection:
                rows = (await connection.execute(do.users_balances, {"after": after, "most": AT_ONCE})).all()
            for row in rows:
                balance = row.balance / UNITS_PER_USD
                self._tally.set_credit_balance(balance, plan_type=row.plan, user_id=row.id)
            if len(rows) < AT_ONCE:
                return
            after, seen = rows[-1].id, seen + len(rows)
