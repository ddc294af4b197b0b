"""The last 24 hours in a bounded memory: four rings of slots, the finer the shorter."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tallygate.gateway.page.figures import MOST_ERRORS, MOST_NAMES, RANGES, STEPS, Failure, Value
from tallygate.gateway.page.layout import COST, ERRORS, REQUESTS, Amounts
from tallygate.gateway.page.reading import Change

Key = tuple[str, str]
"""What amounts are of: a kind (provider, model, route, key) and a name."""

ALL: Final[Key] = ("", "")
KINDS: Final = ("provider", "model", "route", "key")
MOST_PER_SLOT: Final = 24
"""Names of a kind that a slot keeps apart; what is of the others, the cheapest, is kept together."""
OTHER: Final = "other"
"""The name of those together, as of what the ledger has no room for."""

Packed = tuple[int, ...]
"""Amounts that change no more: number, amount, number, amount, ..."""


@dataclass(slots=True)
class Slot:
    """What was counted within one step."""

    start: int
    """Unix seconds, a multiple of the step."""
    seconds: float = 0.0
    """How much of it was watched."""
    active: int = 0
    """The most calls that were seen going on at once."""
    packed: dict[Key, Packed] = field(default_factory=dict)
    point: tuple[Value, ...] | None = None
    """The values of the curves, once somebody asked."""

    def amounts(self, key: Key) -> Amounts:
        """What was counted of a key, once the slot is closed."""
        packed = self.packed.get(key, ())
        return dict(zip(packed[::2], packed[1::2], strict=True))


class Ring:
    """The slots of one range, and their sum. The last slot is open: what is added goes there."""

    def __init__(self, step: int, slots: int) -> None:
        self.step, self.most = step, slots
        self.slots: deque[Slot] = deque()
        self.open: Slot | None = None
        self.added: dict[Key, Amounts] = {}
        """Amounts of the open slot."""
        self.total: dict[Key, Amounts] = {}
        """Amounts of all slots, the open one included."""

    def add(self, moment: float, seconds: float, added: Mapping[Key, Amounts], active: int) -> None:
        """What was counted in the ``seconds`` around a moment. Time that goes backwards stands still."""
        slot = self.advance(moment)
        slot.seconds += seconds
        slot.active = max(slot.active, active)
        for key, amounts in added.items():
            for sums in (self.added.setdefault(key, {}), self.total.setdefault(key, {})):
                for number, amount in amounts.items():
                    sums[number] = sums.get(number, 0) + amount

    def advance(self, moment: float) -> Slot:
        """Let time go on to a moment; gives the slot that is open then."""
        start = int(moment // self.step) * self.step
        if self.open is None or start > self.open.start:
            self._close()
            self.open = Slot(start)
        oldest = self.open.start - (self.most - 1) * self.step
        while self.slots and self.slots[0].start < oldest:
            self._forget(self.slots.popleft())
        return self.open

    def _close(self) -> None:
        if self.open is None:
            return
        for kind in KINDS:
            names = [key for key in self.added if key[0] == kind]
            if len(names) > MOST_PER_SLOT:
                names.sort(
                    key=lambda key: (self.added[key].get(COST, 0), self.added[key].get(REQUESTS, 0)), reverse=True
                )
                for key in names[MOST_PER_SLOT:]:
                    self._put_together(key, (kind, OTHER))
        self.open.packed = {
            key: tuple([value for pair in amounts.items() for value in pair]) for key, amounts in self.added.items()
        }
        self.slots.append(self.open)
        self.added = {}

    def _put_together(self, key: Key, other: Key) -> None:
        if key == other:
            return
        amounts = self.added.pop(key)
        self._subtract(key, amounts.items())
        for sums in (self.added.setdefault(other, {}), self.total.setdefault(other, {})):
            for number, amount in amounts.items():
                sums[number] = sums.get(number, 0) + amount

    def _forget(self, slot: Slot) -> None:
        for key, packed in slot.packed.items():
            self._subtract(key, zip(packed[::2], packed[1::2], strict=True))

    def _subtract(self, key: Key, amounts: Iterable[tuple[int, int]]) -> None:
        sums = self.total[key]
        for number, amount in amounts:
            if left := sums[number] - amount:
                sums[number] = left
            else:
                del sums[number]
        if not sums:
            del self.total[key]

    def top(self, kind: str) -> list[tuple[str, Amounts]]:
        """The names of a kind that cost most, then those asked most often."""
        names = [(key[1], amounts) for key, amounts in self.total.items() if key[0] == kind]
        names.sort(key=lambda one: (-one[1].get(COST, 0), -one[1].get(REQUESTS, 0), one[0]))
        return names[:MOST_NAMES]


class History:
    """What was counted, by range."""

    def __init__(self) -> None:
        self.rings = {name: Ring(STEPS[name], seconds // STEPS[name]) for name, seconds in RANGES.items()}
        self.errors: deque[Failure] = deque(maxlen=MOST_ERRORS)
        """The latest, the newest last."""

    def add(self, now: float, seconds: float, changes: Iterable[Change], lookups: Amounts, active: int) -> None:
        """What was counted in the ``seconds`` before ``now``, and how many calls go on now."""
        added = grouped(changes)
        if lookups:
            _sum(added, ALL, lookups)
        # Looks come at the ends of steps, a moment late: what they find belongs to the time before.
        for ring in self.rings.values():
            ring.add(now - seconds / 2, seconds, added, active)

    def fail(self, now: float, changes: Iterable[Change]) -> None:
        """Take note of what failed."""
        failed: dict[tuple[str, ...], int] = {}
        for who, amounts in changes:
            if count := amounts.get(ERRORS, 0):
                kind = (who.provider, who.model, who.route, who.error_type, who.status_code)
                failed[kind] = failed.get(kind, 0) + count
        self.errors += [Failure(now, count, *kind) for kind, count in failed.items()]


def grouped(changes: Iterable[Change]) -> dict[Key, Amounts]:
    """Changes summed up: over all, and by what the page tells apart."""
    added: dict[Key, Amounts] = {}
    for who, amounts in changes:
        _sum(added, ALL, amounts)
        for kind in KINDS:
            name = getattr(who, kind)
            if name or kind == "route":
                _sum(added, (kind, name), amounts)
    return added


def _sum(added: dict[Key, Amounts], key: Key, amounts: Amounts) -> None:
    sums = added.setdefault(key, {})
    for number, amount in amounts.items():
        sums[number] = sums.get(number, 0) + amount
