"""Figures from the gateway's own history, sampled from what all its workers counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence

from tallygate.gateway.page.figures import NAMES, RANGES, Figures, Named, Provider, Series, Totals, Value
from tallygate.gateway.page.history import ALL, MOST_PER_LOOK, History, Key, Kind, Ring, Slot, fold, gather
from tallygate.gateway.page.layout import (
    CACHED,
    COST,
    ERRORS,
    FAULTS,
    HITS,
    INPUT,
    LOOKUPS,
    OUTPUT,
    REQUESTS,
    UNMETERED,
    UNPRICED,
    Amounts,
    Layout,
    usd,
)
from tallygate.gateway.page.reading import CallReader, Health, HealthReader, LookupReader
from tallygate.gateway.page.source import provider_of
from tallygate.tally import Tally

HOUR = 3600


class Counted:
    """Looks into the ledger once a tick and keeps the history."""

    def __init__(
        self,
        tally: Tally,
        providers: Sequence[str],
        about: Callable[..., Figures],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """providers: those that are configured. about: fills in what is the same for all figures."""
        self._tally, self._providers, self._about, self._clock = tally, providers, about, clock
        self.history = History()
        self._calls, self._lookups, self._gauges = CallReader(tally), LookupReader(tally), HealthReader(tally)
        self._health = Health(0, {}, {})
        self._looked_at = time.monotonic()

    async def start(self) -> None:
        """What was counted before is not of this history."""
        for _ in self._calls.skip():
            await asyncio.sleep(0)
        self._lookups.read()
        self._health = self._gauges.read()
        self._looked_at = time.monotonic()
        for ring in self.history.rings.values():
            ring.advance(self._clock())

    async def close(self) -> None:
        """There is nothing to end: the history goes with the process."""

    async def look(self) -> None:
        now, moment = self._clock(), time.monotonic()
        added: dict[Key, Amounts] = {ALL: self._lookups.read()}
        failed: Counter[Kind] = Counter()
        for changes in self._calls.read():
            gather(added, failed, changes, self._calls.layout)
            await asyncio.sleep(0)
        fold(added, MOST_PER_LOOK)
        self._health = self._gauges.read()
        seconds, self._looked_at = moment - self._looked_at, moment
        self.history.fail(now, failed)
        for _ in self.history.add(now, seconds, added, self._health.active):
            await asyncio.sleep(0)

    async def figures(self, range: str) -> Figures:
        ring, layout = self.history.rings[range], self._calls.layout
        now = self._clock()
        times, points = curves(ring, layout)
        return self._about(
            range=range,
            now=now,
            empty=not self._calls.called,
            times=times,
            series=Series(*map(list, zip(*points, strict=True))),
            totals=totals(ring.total.get(ALL, {}), layout, self._health.active),
            providers=[self._provider(ring, name) for name in self._providers],
            models=named(ring, "model", layout),
            routes=named(ring, "route", layout),
            keys=named(ring, "key", layout),
            errors=[one for one in reversed(self.history.errors) if one.time > now - RANGES[range]],
        )

    def _provider(self, ring: Ring, name: str) -> Provider:
        amounts, layout = ring.total.get(("provider", name), {}), self._calls.layout
        return provider_of(
            name,
            requests=amounts.get(REQUESTS, 0),
            errors=amounts.get(ERRORS, 0),
            faults=amounts.get(FAULTS, 0),
            cost_usd=usd(amounts.get(COST, 0)),
            latency_p95=layout.latency.quantile(0.95, amounts),
            ttft_p95=layout.first_token.quantile(0.95, amounts),
            available=self._health.available.get(name, True),
            breakers=self._health.breakers.get(name, {}),
        )


def curves(ring: Ring, layout: Layout) -> tuple[list[int], list[tuple[Value, ...]]]:
    """The times of a range up to the slot that is open, and the values of all curves at each."""
    assert ring.open is not None
    last, step = ring.open.start, ring.step
    known = {slot.start: slot for slot in ring.slots}
    nothing = (None,) * len(NAMES)
    times = list(range(last - (ring.most - 1) * step, last + step, step))
    points: list[tuple[Value, ...]] = []
    for start in times[:-1]:
        slot = known.get(start)
        if slot is not None and slot.point is None:
            slot.point = point(slot, slot.amounts(ALL), layout)
        points.append(nothing if slot is None or slot.point is None else slot.point)
    return times, [*points, point(ring.open, ring.added.get(ALL, {}), layout)]


def point(slot: Slot, amounts: Amounts, layout: Layout) -> tuple[Value, ...]:
    """The values of all curves, in the order of ``Series``."""
    seconds = slot.seconds
    if not seconds:
        return (None,) * len(NAMES)
    lookups = amounts.get(LOOKUPS, 0)
    return (
        amounts.get(REQUESTS, 0) / seconds,
        amounts.get(ERRORS, 0) / seconds,
        usd(amounts.get(COST, 0)) * HOUR / seconds,
        amounts.get(INPUT, 0) / seconds,
        amounts.get(OUTPUT, 0) / seconds,
        amounts.get(CACHED, 0) / seconds,
        *[layout.latency.quantile(share, amounts) for share in (0.5, 0.95, 0.99)],
        *[layout.first_token.quantile(share, amounts) for share in (0.5, 0.95, 0.99)],
        layout.speed.quantile(0.5, amounts),
        amounts.get(HITS, 0) / lookups if lookups else None,
        slot.active,
    )


def totals(amounts: Amounts, layout: Layout, active: int) -> Totals:
    """Sums and quantiles of a whole range."""
    latency, first_token = layout.latency, layout.first_token
    return Totals(
        requests=amounts.get(REQUESTS, 0),
        errors=amounts.get(ERRORS, 0),
        cost_usd=usd(amounts.get(COST, 0)),
        input_tokens=amounts.get(INPUT, 0),
        output_tokens=amounts.get(OUTPUT, 0),
        cached_tokens=amounts.get(CACHED, 0),
        unpriced=amounts.get(UNPRICED, 0),
        unmetered=amounts.get(UNMETERED, 0),
        cache_hits=amounts.get(HITS, 0),
        cache_lookups=amounts.get(LOOKUPS, 0),
        active_requests=active,
        latency_p50=latency.quantile(0.5, amounts),
        latency_p95=latency.quantile(0.95, amounts),
        latency_p99=latency.quantile(0.99, amounts),
        ttft_p50=first_token.quantile(0.5, amounts),
        ttft_p95=first_token.quantile(0.95, amounts),
        ttft_p99=first_token.quantile(0.99, amounts),
        tokens_per_second_p50=layout.speed.quantile(0.5, amounts),
    )


def named(ring: Ring, kind: str, layout: Layout) -> list[Named]:
    """The most expensive of a kind."""
    return [
        Named(
            name=name,
            requests=amounts.get(REQUESTS, 0),
            errors=amounts.get(ERRORS, 0),
            tokens=amounts.get(INPUT, 0) + amounts.get(OUTPUT, 0),
            cost_usd=usd(amounts.get(COST, 0)),
            latency_p95=layout.latency.quantile(0.95, amounts),
        )
        for name, amounts in ring.top(kind)
    ]
