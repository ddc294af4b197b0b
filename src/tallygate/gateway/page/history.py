"""The last 24 hours in a bounded memory: four rings of slots, the finer the shorter."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tallygate.gateway.page.figures import MOST_ERRORS, MOST_NAMES, RANGES, STEPS, Failure, Value
from tallygate.gateway.page.layout import COST, ERRORS, REQUESTS, Amounts, Layout
from tallygate.gateway.page.reading import Change

Kind = tuple[str, str, str, str, str]
"""Of failures: provider, model, route, error type and status."""
Key = tuple[str, str]
"""What amounts are of: a kind (provider, model, route, key) and a name."""

ALL: Final[Key] = ("", "")
KINDS: Final = ("provider", "model", "route", "key")
MOST_PER_SLOT: Final = 16
"""Names of a kind that a slot keeps apart; what is of the others, the cheapest, is kept together."""
MOST_PER_LOOK: Final = 64
"""Names of a kind that a look tells apart."""
OTHER: Final = "other"
"""The name of those together, as of what the ledger has no room for."""

Packed: TypeAlias = "array[int]"
"""Amounts that change no more: number, amount, number, amount, ... It takes a third of what a dictionary does."""
NOTHING: Final[Packed] = array("q")


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
        packed = self.packed.get(key, NOTHING)
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
            _sum(self.added, key, amounts)
            _sum(self.total, key, amounts)

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
        for key in cheapest(self.added, MOST_PER_SLOT):
            amounts = self.added.pop(key)
            self._subtract(key, amounts.items())
            for sums in (self.added, self.total):
                _sum(sums, (key[0], OTHER), amounts)
        self.open.packed = {
            key: array("q", [value for pair in amounts.items() for value in pair])
            for key, amounts in self.added.items()
        }
        self.slots.append(self.open)
        self.added = {}

    def _forget(self, slot: Slot) -> None:
        for key, packed in slot.packed.items():
            self._subtract(key, zip(packed[::2], packed[1::2], strict=True))

    def _subtract(self, key: Key, amounts: Iterable[tuple[int, int]]) -> None:
        sums = self.total.setdefault(key, {})
        for number, amount in amounts:
            if left := sums.get(number, 0) - amount:
                sums[number] = left
            else:
                sums.pop(number, None)
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

    def add(self, now: float, seconds: float, added: Mapping[Key, Amounts], active: int) -> Iterator[None]:
        """What was counted in the ``seconds`` before ``now``, to one ring after the other."""
        for ring in self.rings.values():
            # Looks come at the ends of steps, a moment late: what they find belongs to the time before.
            ring.add(now - seconds / 2, seconds, added, active)
            yield

    def fail(self, now: float, failed: Mapping[Kind, int]) -> None:
        """What failed alike, and how often."""
        self.errors += [Failure(now, count, *kind) for kind, count in failed.items()]


def gather(added: dict[Key, Amounts], failed: Counter[Kind], changes: Iterable[Change], layout: Layout) -> None:
    """Sum up changes: over all, and by what the page tells apart; and what failed alike."""
    named = layout.latency.numbers.stop
    for who, amounts in changes:
        _sum(added, ALL, amounts)
        _sum(added, ("provider", who.provider), amounts)
        # What is not told of them is not kept: times to first token, and speeds.
        less = {number: amount for number, amount in amounts.items() if number < named}
        _sum(added, ("model", who.model), less)
        _sum(added, ("route", who.route), less)
        if who.key:
            _sum(added, ("key", who.key), less)
        if errors := amounts.get(ERRORS, 0):
            failed[who.provider, who.model, who.route, who.error_type, who.status_code] += errors


def fold(added: dict[Key, Amounts], most: int) -> None:
    """Put together, of each kind, what is beyond so many names."""
    for key in cheapest(added, most):
        _sum(added, (key[0], OTHER), added.pop(key))


def cheapest(added: Mapping[Key, Amounts], most: int) -> list[Key]:
    """The names beyond so many of each kind: those that cost least, then those asked least often."""
    found: list[Key] = []
    if len(added) <= most:
        return found
    for kind in KINDS:
        names = [key for key in added if key[0] == kind and key[1] != OTHER]
        if len(names) > most:
            names.sort(key=lambda key: (-added[key].get(COST, 0), -added[key].get(REQUESTS, 0)))
            found += names[most:]
    return found


def _sum(added: dict[Key, Amounts], key: Key, amounts: Amounts) -> None:
    sums = added.get(key)
    if sums is None:
        added[key] = dict(amounts)
        return
    for number, amount in amounts.items():
        sums[number] = sums.get(number, 0) + amount
