"""What was counted since the last look, from the rows of the ledger: those of all workers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from operator import itemgetter, sub
from typing import Final, NamedTuple

from tallygate.errors import domain_of
from tallygate.facts import CacheLookup, DeploymentBreaker, LLMCall, LLMInFlight, ProviderHealth
from tallygate.gateway.cache.responses import NAME as RESPONSES
from tallygate.gateway.page.layout import ERRORS, FAULTS, HITS, LOOKUPS, REQUESTS, Amounts, Layout
from tallygate.ledger.interface import Table
from tallygate.ledger.schema import gauges_of
from tallygate.tally import Tally

NEW_AT_ONCE: Final = 256
"""Rows that are met for the first time between two pauses."""
LOOKED_AT_ONCE: Final = 4096
CHANGED_AT_ONCE: Final = 16


class Who(NamedTuple):
    """What tells a row of calls from others, as far as the page does."""

    provider: str
    model: str
    route: str
    key: str
    """'' unless this identity is turned on, and told."""
    error_type: str
    status_code: str


class Change(NamedTuple):
    """What was added to a row."""

    who: Who
    amounts: Amounts


class Health(NamedTuple):
    """How things stand now."""

    active: int
    """Calls going on."""
    available: dict[str, bool]
    """Whether a provider can be called, by name."""
    breakers: dict[str, dict[str, str]]
    """The state of the breaker of each deployment, by provider and model."""


class CallReader:
    """Reads the rows of calls. What was there before is known to ``skip``; later readings tell what came since.

    A row that was written to while it was read tells the rest at the next reading.
    """

    def __init__(self, tally: Tally) -> None:
        assert tally.ledger is not None
        self._table, self._memory = tally.tables[LLMCall], tally.ledger.memory
        self.layout = Layout(self._table.schema)
        self._cells, self._size = itemgetter(*self.layout.cells), self._table.schema.cells
        names = self._table.schema.dimensions
        wanted = [names.index(name) for name in ("provider", "model", "route")]
        outcome = [names.index(name) for name in ("error_type", "status_code")]
        self._who = itemgetter(*wanted), itemgetter(*outcome)
        self._key = names.index("api_key_id") if "api_key_id" in names else None
        self._rows: list[tuple[int, Who]] = []
        self._counts: list[int] = []
        self._before: dict[int, tuple[int, ...]] = {}
        self._again: set[int] = set()
        self.called = False
        """Whether any call was ever counted."""

    def read(self) -> Iterator[list[Change]]:
        """What was added since the last reading, in portions that take less than a millisecond each."""
        yield from self._meet()
        again, self._again = self._again, set()
        changes: list[Change] = []
        memory, counts = self._memory, self._counts
        for index, (cell, _) in enumerate(self._rows):
            if memory[cell] != counts[index] or index in again:
                if (change := self._change(index)) is not None:
                    changes.append(change)
                if len(changes) == CHANGED_AT_ONCE:
                    yield changes
                    changes = []
            if not index % LOOKED_AT_ONCE:
                yield []
        yield changes

    def skip(self) -> Iterator[None]:
        """Take what is there already for known."""
        for _ in self.read():
            yield

    def _meet(self) -> Iterator[list[Change]]:
        """Rows that are new."""
        (common, outcome), key = self._who, self._key
        while rows := self._table.rows(len(self._rows), NEW_AT_ONCE):
            for row in rows:
                values = row.values
                provider, model, route = common(values)
                who = Who(provider, model, route, "" if key is None else values[key], *outcome(values))
                self._rows.append((row.cell, who))
                self._counts.append(0)
            yield []

    def _change(self, index: int) -> Change | None:
        cell, who = self._rows[index]
        now = self._cells(self._memory[cell : cell + self._size])
        self._counts[index] = now[0]
        before = self._before.get(index)
        self._before[index] = now
        # Without a before it is new; with a greater one, begun anew.
        added = now if before is None or now[0] < before[0] else tuple(map(sub, now, before))
        amounts = dict(zip(compress(self.layout.numbers, added), filter(None, added), strict=True))
        if not amounts:
            return None
        self._again.add(index)
        self.called = True
        if who.error_type and REQUESTS in amounts:
            amounts[ERRORS] = amounts[REQUESTS]
            if domain_of(who.error_type) == "provider":
                amounts[FAULTS] = amounts[REQUESTS]
        return Change(who, amounts)


class LookupReader:
    """Reads the looks into the gateway's cache of answers."""

    def __init__(self, tally: Tally) -> None:
        assert tally.ledger is not None
        self._table, self._memory = tally.tables[CacheLookup], tally.ledger.memory
        names = self._table.schema.dimensions
        self._cache, self._result = names.index(CacheLookup.cache.name), names.index(CacheLookup.result.name)
        self._more = self._table.schema.offset_of(CacheLookup.more.name)
        self._before: Amounts = {}

    def read(self) -> Amounts:
        """Lookups and hits since the last reading."""
        now = {HITS: 0, LOOKUPS: 0}
        for row in self._table.rows():
            if row.values[self._cache] == RESPONSES:
                looks = self._memory[row.cell] + self._memory[row.cell + self._more]
                now[LOOKUPS] += looks
                now[HITS] += looks if row.values[self._result] == "hit" else 0
        added = {number: amount - self._before.get(number, 0) for number, amount in now.items()}
        self._before = now
        return {number: amount for number, amount in added.items() if amount}


class HealthReader:
    """Reads the gauges: calls going on, providers' health, breakers."""

    def __init__(self, tally: Tally) -> None:
        self._in_flight = tally.tables[LLMInFlight]
        self._health, self._breakers = tally.tables[ProviderHealth], tally.tables[DeploymentBreaker]

    def read(self) -> Health:
        """How things stand now."""
        available = {values[0]: bool(up) for values, up in _gauges(self._health)}
        breakers: dict[str, dict[str, str]] = {}
        for (provider, model, state), holds in _gauges(self._breakers):
            if holds:
                breakers.setdefault(provider, {})[model] = state
        return Health(sum(self._in_flight.gauges()), available, breakers)


def _gauges(table: Table) -> list[tuple[tuple[str, ...], int]]:
    """The values of each row but the overflow row, and its first gauge."""
    columns = len(gauges_of(table.schema.measures))
    gauges = table.gauges()
    # Rows made meanwhile have no gauge in the copy yet.
    return [
        (row.values, gauges[at]) for row, at in zip(table.rows(1), range(columns, len(gauges), columns), strict=False)
    ]
