"""Limits of many machines: windows and holds on a Redis or Valkey server that they share."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from tallygate.gateway.state.comparing import Comparing
from tallygate.gateway.state.environment import Transaction
from tallygate.gateway.state.interface import (
    WINDOW_SECONDS,
    Asked,
    Granted,
    HoldAsk,
    Purse,
    Refused,
    SpentSource,
    StateAway,
    WindowAsk,
)
from tallygate.gateway.state.redis import Argument, Command, Redis, Reply, StoreAway, StoreRefused
from tallygate.gateway.state.scripts import ADMIT, ALL, BEAT, FREE, RAISE, SETTLE

log = structlog.get_logger("tallygate.gateway")

MINUTE = WINDOW_SECONDS * 1000
PREFIX = b"tallygate:{limits}:"
"""Of all keys. The braces keep them together on one server of a cluster."""
HOLDERS, HOLDER = PREFIX + b"holders", PREFIX + b"holder:"
LEASE_SECONDS = 8.0
"""How long a holder counts as alive after it last said so, which it does four times as often."""


class Prepared(NamedTuple):
    """What is kept with an ``Asked``: commands that lack their numbers."""

    holder: bytes
    """In whose name."""
    admit: Command
    settle: Command


class RemoteStore:
    """As ``Store``.

    A connection that is lost leaves it open whether what was under way was taken. So this worker then holds in another
    name, and keeps the old one alive only as long as calls of that name are going on. Purses are compared with what was
    spent when they are first met, and again after each loss: the server may have missed some of it.
    """

    joins = False

    def __init__(
        self, url: str, timeout: float, spent: SpentSource | None = None, lease: float = LEASE_SECONDS
    ) -> None:
        """timeout: seconds. spent: asked about purses that the server does not know, or may not know all of.

        lease: seconds after which what a worker held that died is free. Raises AddressError.
        """
        self._redis = Redis(url, timeout, "shared store of limits", ALL)
        self._comparing = Comparing(spent, self._raise)
        self._lease, self._pause = int(lease * 1000), lease / 4
        self._name, self._losses = secrets.token_hex(8), 0
        self._holder = b""
        self._going_on: dict[bytes, int] = {}
        """How many calls are going on for which a name holds something."""
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect. Raises StoreRefused."""
        await self._redis.start()
        self._take_name()
        self._beating = asyncio.create_task(self._beat())
        self._comparing.start()

    async def close(self) -> None:
        """Leave; what is still held is free."""
        await self._comparing.close()
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
            self._beating = None
        try:
            if self._redis.connected:
                for holder in self._going_on:
                    await self._redis.call(b"ZREM", HOLDERS, holder)
                    await self._free(holder)
        except (StoreAway, StoreRefused) as problem:
            log.warning("limits: what is held is free when the lease ends", why=str(problem))
        await self._redis.close()

    async def admit(self, asked: Asked, tokens: int = 0, money: int = 0) -> Granted | Refused:
        """As ``Store.admit``."""
        if self._losses != self._redis.losses:
            self._take_name()
        holder, prepared = self._holder, asked.prepared
        if prepared is None or prepared.holder is not holder:
            settle = _settle(asked.tokens, asked.holds, holder)
            prepared = asked.prepared = Prepared(holder, _admit(asked, holder), settle)

        def late(reply: Reply) -> None:
            """Nobody waits for it any more: it is not used."""
            if isinstance(reply, list) and reply[0] == 0:
                command = _settle(asked.windows, asked.holds, holder)
                self._redis.send_command(command, b"%d 0 %d %d 0" % (reply[1], tokens, money))

        try:
            while True:
                reply = await self._redis.run_command(prepared.admit, b"%d %d" % (tokens, money), late)
                if reply[0] != 2:
                    break
                for place in reply[1:]:
                    purse = asked.holds[place].purse
                    assert purse is not None
                    await self._comparing.begin(purse)
        except (StoreAway, StoreRefused) as problem:
            raise StateAway(str(problem)) from problem
        if reply[0] == 1:
            _, which, remaining, wait, reset = reply
            return Refused(which, remaining, None if wait < 0 else wait / 1000, reset / 1000)
        self._going_on[holder] = self._going_on.get(holder, 0) + 1
        for key, purse in asked.purses:
            self._comparing.met(key, purse)
        return Granted(asked, tokens, money, reply[3:], reply[2] / 1000, reply[1], holder)

    def settle(
        self,
        granted: Granted,
        tokens: int,
        cost: int,
        transaction: Transaction | None = None,
        holds: Sequence[HoldAsk] | None = None,
    ) -> None:
        """As ``Store.settle``. What is lost on the way is made good when purses are compared, and names end."""
        asked, counted, money, _, _, step, holder = granted
        self._going_on[holder] -= 1
        if not self._going_on[holder] and holder != self._holder:
            del self._going_on[holder]
        if holds is None and asked.prepared.holder is holder:
            command = asked.prepared.settle
        else:
            command = _settle(asked.tokens, asked.holds if holds is None else holds, holder)
        if asked.tokens or asked.holds:
            self._redis.send_command(command, b"%d %d %d %d %d" % (step, tokens, counted, money, cost))

    def _take_name(self) -> None:
        """Hold in a new name, which is known to be alive before anything is held in it."""
        if not self._going_on.get(self._holder):
            self._going_on.pop(self._holder, None)
        if self._losses != self._redis.losses:
            self._losses = self._redis.losses
            self._comparing.missed()
        self._holder = f"{self._name}.{self._losses}".encode()
        self._going_on.setdefault(self._holder, 0)
        self._redis.send_command(Command(BEAT, [HOLDERS], [self._lease]), self._holder)

    async def _beat(self) -> None:
        """Say that this worker is alive, and free what those hold that no longer are."""
        while True:
            try:
                names = list(self._going_on)
                for holder in await self._redis.run(BEAT, [HOLDERS], [self._lease, *names]):
                    if holder not in self._going_on:
                        log.warning("a worker is gone; what it held is free again", worker=holder.decode())
                        await self._free(holder)
            except StoreAway:
                pass  # logged by the connection
            except Exception as problem:
                log.error("limits: cannot tell that this worker is alive", problem=str(problem))
            await asyncio.sleep(self._pause)

    async def _free(self, holder: bytes) -> None:
        while await self._redis.run(FREE, [HOLDERS, HOLDER + holder], [holder]):
            pass

    async def _raise(self, purse: Purse, spent: int) -> None:
        await self._redis.run(RAISE, [PREFIX + purse.key], [spent])


def _admit(asked: Asked, holder: bytes) -> Command:
    """Lacks the tokens and the money."""
    arguments: list[Argument] = [len(asked.windows), holder, MINUTE]
    for _, limit, amount in asked.windows:
        arguments += (limit, _word(amount))
    for _, limit, amount, purse in asked.holds:
        arguments += (limit, _word(amount), 0 if purse is None else 1)
    return Command(ADMIT, _keys(asked.windows, asked.holds), arguments)


def _settle(windows: Sequence[WindowAsk], holds: Sequence[HoldAsk], holder: bytes) -> Command:
    """Lacks the step, the tokens used and asked for, the money and the cost."""
    arguments: list[Argument] = [len(windows), holder, MINUTE]
    for _, limit, amount in windows:
        arguments += (limit, _word(amount))
    for _, _, amount, purse in holds:
        arguments += (_word(amount), 0 if purse is None else 1)
    return Command(SETTLE, _keys(windows, holds), arguments)


def _keys(windows: Sequence[WindowAsk], holds: Sequence[HoldAsk]) -> list[Argument]:
    return [*(PREFIX + window.key for window in windows), *(PREFIX + hold.key for hold in holds)]


def _word(amount: int | None) -> Argument:
    return b"" if amount is None else amount
