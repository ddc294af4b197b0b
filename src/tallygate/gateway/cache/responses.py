"""The response cache as the pipeline and the metrics see it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from tallygate.gateway.cache.asking import HEADER, Asked, Asking
from tallygate.gateway.cache.capture import Capture
from tallygate.gateway.cache.keys import Keys
from tallygate.gateway.cache.normal import Unfit
from tallygate.gateway.dimensions import UNLISTED
from tallygate.gateway.settling import settle

if TYPE_CHECKING:
    from tallygate.gateway.cache.answer import Answer
    from tallygate.gateway.cache.interface import Found, Store
    from tallygate.gateway.exchange import Exchange
    from tallygate.gateway.parts import Parts
    from tallygate.gateway.settings.cache import CacheSettings
    from tallygate.gateway.settings.models import DimensionSettings
    from tallygate.tally import Tally

log = structlog.get_logger("tallygate.gateway")

NAME = "responses"
"""The cache's name on labels."""
LOOK_SECONDS = 2.0
"""How often what has expired is let go, and the gauges are brought up to date."""
BREATH = 64
"""Pieces of a replayed stream after which others get a turn."""

HIT, MISS, REFRESH, BYPASS = ((HEADER, word) for word in (b"hit", b"miss", b"refresh", b"bypass"))


class Responses:
    """Keeps answers, and gives them again."""

    def __init__(
        self, settings: CacheSettings, store: Store, tally: Tally, route: DimensionSettings | None = None
    ) -> None:
        """route: how requests tell their logical route, for the label; None when it is not configured."""
        self._settings, self._store, self._tally = settings, store, tally
        self._asking = Asking(settings.routes, settings.by_header)
        self._keys = Keys(settings.headers, settings.scope == "user")
        self._route_header = b"" if route is None else route.header.lower().encode()
        self._routes = {} if route is None else {value.encode(): value for value in route.values}
        self._looking: asyncio.Task[None] | None = None
        for value in ("", *self._routes.values(), *([UNLISTED] if self._routes else [])):
            tally.seed_cache(NAME, value)

    # What the pipeline calls

    async def answer(self, parts: Parts, exchange: Exchange) -> bool:
        """As ResponseCache.answer."""
        asked = self._asking.read(exchange)
        if asked is None:
            return False
        found = await self._find(parts, exchange, asked)
        if found is None:
            return False
        await _replay(parts, exchange, found.answer)
        return True

    def keep(self, exchange: Exchange) -> None:
        """As ResponseCache.keep."""
        capture, target, meter = exchange.capture, exchange.target, exchange.meter
        if capture is None or target is None or exchange.status != 200 or exchange.outcome != "completed":
            return
        if meter is None or meter.usage is None or meter.failure is not None or not meter.complete:
            return
        # What a fallback said is for this one time.
        if all(place.deployment is not exchange.deployment for place in target.places):
            return
        answer = capture.answer()
        if answer is not None:
            self._store.put(capture.key, answer)

    async def purge(self) -> None:
        """As ResponseCache.purge."""
        await self._store.purge()

    # What the gateway calls at its start and end

    async def start(self) -> None:
        """As Service.start."""
        await self._store.start()
        await self._tell()
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        """As Service.close."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._store.close()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._tell()
            except Exception:
                log.exception("the response cache could not be looked after")

    async def _tell(self) -> None:
        """Bring the gauges up to date."""
        fill, settings = await self._store.fill(), self._settings
        self._tally.set_cache_state(
            NAME,
            capacity=0 if fill is None else settings.capacity,
            used=0 if fill is None else fill.used,
            entries=0 if fill is None else fill.entries,
            time_to_live=settings.time_to_live_seconds,
            time_to_idle=settings.time_to_idle_seconds or 0,
        )

    async def _find(self, parts: Parts, exchange: Exchange, asked: Asked) -> Found | None:
        """The kept answer; where there is none, the exchange gets what it needs to keep one."""
        said = exchange.more_headers
        exchange.more_headers = (*said, BYPASS)
        if not asked.allowed or len(exchange.body) > self._settings.largest_request:
            return None
        # As it is dispatched: what must be edited comes uncompressed.
        accepted = None if exchange.hides_usage else exchange.headers.get(b"accept-encoding")
        try:
            key = self._keys.of(exchange, parts.accept_encoding(accepted), parts.forwards_credentials)
        except Unfit:
            return None
        exchange.more_headers = (*said, MISS if asked.looks else REFRESH)
        if asked.looks:
            found = await self._store.get(key, asked.max_age)
            self._tally.cache_lookup(NAME, found is not None, self._route(exchange))
            if found is not None:
                exchange.more_headers = (*said, HIT, (b"age", b"%d" % found.age))
                return found
        exchange.capture = Capture(key, self._settings.largest_answer)
        return None

    def _route(self, exchange: Exchange) -> str:
        """The logical route, as of the calls of this request."""
        value = exchange.headers.get(self._route_header)
        return "" if value is None else self._routes.get(value, UNLISTED)


async def _replay(parts: Parts, exchange: Exchange, answer: Answer) -> None:
    """Give the answer again as it was given first."""
    last = len(answer.pieces) - 1
    await exchange.begin(200, answer.headers)
    for index, piece in enumerate(answer.pieces):
        if index == last:
            settle(parts, exchange)
        elif index % BREATH == BREATH - 1:
            await asyncio.sleep(0)
        await exchange.write(piece, more=index < last)
