"""How providers are doing, told from the attempts that all workers have counted."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

from tallygate.facts import ProviderHealth, UpstreamAttempt
from tallygate.gateway.failover.policy import AGAINST

if TYPE_CHECKING:
    from tallygate.gateway.providers import Provider
    from tallygate.record.recorder import Recorder
    from tallygate.tally import Tally

LOOK_SECONDS: Final = 5.0
"""How often the counts are looked at between two scrapes."""
OFTEN_ENOUGH: Final = 5
"""Failures without an answer that make a provider unavailable, where no breaker says another number."""


@dataclass(slots=True)
class Counts:
    """Attempts at a provider up to a moment."""

    made: int = 0
    failed: int = 0
    """Those that failed by the provider's doing, rate limits included."""
    unanswered: int = 0
    """Those of them that a breaker would count: the provider was not there, or not well."""


@dataclass(slots=True)
class Seen:
    """What is known of one provider."""

    last: Counts = field(default_factory=Counts)
    failures: int = 0
    """Unanswered attempts since the last that was answered."""
    failed_at: float = 0.0
    """When the last of them was seen."""


class HealthWatch:
    """Keeps the gauges of ``facts.ProviderHealth`` true: looks at the ledger now and then, and before every page.

    The error rate is that of the last ``window`` seconds. A provider is unavailable when it did not answer the last
    probe, or when ``failures`` attempts in a row, as far as a look can tell their order, got no good answer from it and
    the last of them is no older than the window.
    """

    def __init__(
        self,
        tally: Tally,
        providers: Sequence[Provider],
        window: float,
        failures: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tally, self._providers, self._window, self._clock = tally, providers, window, clock
        self._failures = failures or OFTEN_ENOUGH
        self._seen = {provider.name: Seen() for provider in providers}
        self._rows: list[tuple[str, str, int]] = []
        """Provider, error type and cell of the rows of attempts."""
        self._next_row = 1  # row 0 holds what found no room
        self._history: deque[tuple[float, dict[str, Counts]]] = deque()
        self._lock = Lock()
        self._task: asyncio.Task[None] | None = None
        self._unhook: Callable[[], None] | None = None
        counts = self._counts()
        for name, seen in self._seen.items():
            seen.last = counts[name]
        self._history.append((clock(), counts))
        self.look()

    async def start(self) -> None:
        self._unhook = self._tally.before_render(self._before_page)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._unhook is not None:
            self._unhook()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self.look()
            except Exception as problem:
                self._tally.failed(ProviderHealth, problem)

    def _before_page(self, recorder: Recorder) -> None:
        self.look()

    def look(self) -> None:
        """Set the gauges by what the ledger says now. Safe in any thread."""
        with self._lock:
            now, counts = self._clock(), self._counts()
            before = self._before(now)
            for provider in self._providers:
                name, seen = provider.name, self._seen[provider.name]
                current = counts[name]
                self._follow(seen, current, now)
                since = before.get(name, Counts())
                made = current.made - since.made
                rate = (current.failed - since.failed) / made if made > 0 else 0.0
                away = seen.failures >= self._failures and now - seen.failed_at <= self._window
                self._tally.set_provider_health(name, available=provider.reachable and not away, error_rate=rate)
            if now - self._history[-1][0] >= 1:
                self._history.append((now, counts))

    def _follow(self, seen: Seen, current: Counts, now: float) -> None:
        made, unanswered = current.made - seen.last.made, current.unanswered - seen.last.unanswered
        if made > unanswered:
            seen.failures = 0
        elif unanswered:
            seen.failures += unanswered
            seen.failed_at = now
        seen.last = current

    def _before(self, now: float) -> dict[str, Counts]:
        """The counts at the beginning of the window, or the first there are; older ones are forgotten."""
        while len(self._history) > 1 and self._history[1][0] <= now - self._window:
            self._history.popleft()
        return self._history[0][1]

    def _counts(self) -> dict[str, Counts]:
        counts = {provider.name: Counts() for provider in self._providers}
        ledger = self._tally.ledger
        if ledger is None:
            return counts
        names = self._tally.tables[UpstreamAttempt].schema.dimensions
        whose, why = names.index("provider"), names.index("error_type")
        for row in self._tally.tables[UpstreamAttempt].rows(self._next_row):
            self._rows.append((row.values[whose], row.values[why], row.cell))
            self._next_row = row.index + 1
        memory = ledger.memory
        for name, error_type, cell in self._rows:
            of_provider = counts.get(name)
            if of_provider is not None:
                count = memory[cell]
                of_provider.made += count
                if error_type.startswith("provider_"):
                    of_provider.failed += count
                    if error_type in AGAINST:
                        of_provider.unanswered += count
        return counts
