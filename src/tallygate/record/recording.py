"""What all the writing of facts stands on: the tables, and the promise that nothing is ever raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from tallygate.context import current
from tallygate.declare import Fact, Gauge, Measure
from tallygate.facts import LLMCall
from tallygate.identities import NAMES as IDENTITIES
from tallygate.identities import Identities
from tallygate.ledger.interface import Elapsed
from tallygate.ledger.schema import Kind
from tallygate.ledger.values import VALUE_LIMIT, units_of
from tallygate.record.credentials import REDACTED, is_credential
from tallygate.record.failures import Failures, shown

if TYPE_CHECKING:
    from tallygate.ledger.interface import Row, Table, Value
    from tallygate.record.binding import Exemplifier
    from tallygate.record.places import Place
    from tallygate.record.tracker import Tracker

V = TypeVar("V")

MOST_PLACES: Final = 4096
"""How many label sets are kept at hand; more are looked up again, which is slower and as exact."""
SURELY_FITS: Final = 1_000_000
"""Up to here every measure takes every number; above, the ledger's own rule is asked."""


class Recording:
    """Tables to write to. None of its methods, nor of the classes derived from it, ever raises for what it is given.

    Label values: None is '', what is no string is what ``str`` makes of it, and what looks like a credential is
    'redacted' and counted as dropped. A number that a measure cannot take is left out and counted as dropped, while
    the rest of the fact is recorded; so is a word that its vocabulary lacks.
    """

    def __init__(
        self,
        tables: Mapping[type[Fact], Table],
        exemplar: Exemplifier | None = None,
        custom_labels: Mapping[str, str] | None = None,
        identities: Mapping[str, str] | None = None,
    ) -> None:
        """custom_labels: label names by the configuration's key. identities: see ``Identities``."""
        self.tables, self.exemplar = tables, exemplar
        self.enabled = bool(tables)
        self._failures = Failures(tables)
        self.places: dict[tuple[object, ...], Place] = {}
        self._rows: dict[tuple[object, ...], Row] = {}
        names = dict(custom_labels or {})
        self._custom = {**names, **{name: name for name in names.values()}}
        self._custom_names = tuple(names.values())
        self.identities = Identities(identities, self._identity_text) if identities else None

    def failed(self, fact: type[Fact], problem: Exception, reason: str = "internal") -> None:
        """Count an observation that could not be recorded, and log the first of its kind."""
        self._failures.add(fact, problem, reason)

    # Label values

    def texts(self, fact: type[Fact], values: tuple[object, ...]) -> tuple[str, ...]:
        """These label values as strings that may be shown."""
        return tuple([self.text(fact, value) for value in values])

    def text(self, fact: type[Fact], value: object) -> str:
        """This label value as a string that may be shown."""
        text = value if isinstance(value, str) else "" if value is None else str(value)
        if is_credential(text):
            self.failed(fact, ValueError("a label value looks like a credential"), "credential")
            return REDACTED
        return text

    def label(self, labels: dict[str, str], key: str, value: object, fact: type[Fact]) -> None:
        """Put a custom label among these, by key or label name; one that is not configured is counted as dropped."""
        name = self._custom.get(key)
        if name is None:
            problem = LookupError(f"{shown(key)} is no dimension and no configured custom label")
            self.failed(fact, problem, "invalid_dimension")
        else:
            labels[name] = self.text(fact, value)

    def custom_values(self, fact: type[Fact], given: Mapping[str, object]) -> tuple[str, ...]:
        """Values of the configured custom labels, in their order."""
        labels: dict[str, str] = {}
        for key, value in given.items():
            if value is not None:
                self.label(labels, key, value, fact)
        return tuple([labels.get(name, "") for name in self._custom_names])

    def identified(self, custom: Mapping[str, str | None]) -> Mapping[str, str | None]:
        """These custom labels with the identities that hold now, ready to be shown; without those turned off."""
        if self.identities is None and not any(name in custom for name in IDENTITIES):
            return custom
        labels = self._identities_now(custom)
        return {**{name: value for name, value in custom.items() if name not in IDENTITIES}, **labels}

    def identity(self, name: str, value: object) -> str:
        """The label value of who it was: as given, else the context's; '' unless that identity is turned on."""
        return "" if self.identities is None else self._identities_now({name: value}).get(name, "")

    def _identities_now(self, given: Mapping[str, object]) -> dict[str, str]:
        try:
            return {} if self.identities is None else self.identities.labels(given)
        except Exception as problem:
            self.failed(LLMCall, problem)
            return {}

    def _identity_text(self, value: object) -> str:
        return self.text(LLMCall, value)

    def word(self, fact: type[Fact], dimension: str, value: str, values: tuple[str, ...], otherwise: str) -> str:
        """A word of a closed vocabulary; another one is counted as dropped, and is ``otherwise``."""
        return value if self._known(fact, dimension, value, values) else otherwise

    def _known(self, fact: type[Fact], dimension: str, value: str, values: tuple[str, ...]) -> bool:
        """Whether a value is in its closed vocabulary; one that is not is counted as dropped."""
        if value in values:
            return True
        problem = ValueError(f"{dimension} {shown(value)} is none of {', '.join(filter(None, values))}")
        self.failed(fact, problem, "invalid_dimension")
        return False

    # Rows

    def place(self, tracker: Tracker) -> Place:
        """Where this tracker's fact goes; kept at hand for the next with the same labels."""
        key = tracker.key
        place = tracker.find(self)
        if may_be_kept(key):
            if len(self.places) >= MOST_PLACES:
                self.places.clear()
            self.places[key] = place
        return place

    def row(self, fact: type[Fact], *values: object) -> Row:
        """The row of these label values. Raises what ``str`` raises for them."""
        key = (fact, *values)
        try:
            row = self._rows.get(key)
        except TypeError:  # a value that has no hash
            return self.tables[fact].row(*self.texts(fact, values))
        if row is None:
            row = self.tables[fact].row(*self.texts(fact, values))
            if may_be_kept(key):
                if len(self._rows) >= MOST_PLACES:
                    self._rows.clear()
                self._rows[key] = row
        return row

    def count(self, fact: type[Fact], values: tuple[object, ...], *measures: Value) -> None:
        """Record one fact with these dimension values and measures."""
        if not self.enabled:
            return
        try:
            numbers = self.checked(fact, measures)
            self.row(fact, *values).record(*numbers)
        except Exception as problem:
            self.failed(fact, problem)

    def _set(
        self,
        fact: type[Fact],
        values: tuple[object, ...],
        gauges: Mapping[Gauge, float | None],
        *,
        below_zero: bool = False,
    ) -> None:
        """Set gauges; one that is None stays as it is. below_zero: whether they may be."""
        if not self.enabled:
            return
        try:
            row, schema = self.row(fact, *values), self.tables[fact].schema
            for gauge, value in gauges.items():
                if value is None:
                    continue
                index = index_of(gauge)
                if units_of(schema.measures[index], value) is None or not (below_zero or value >= 0):
                    self._refused(fact, gauge.name, value)
                else:
                    row.set(index, value)
        except Exception as problem:
            self.failed(fact, problem)

    # Numbers

    def checked(self, fact: type[Fact], measures: tuple[V, ...]) -> list[V | None]:
        """These measures (gauges left out), the ones that cannot be recorded None."""
        return [
            value
            if value is None
            or type(value) is Elapsed
            or (type(value) in (int, float) and 0 <= value <= SURELY_FITS)  # type: ignore[operator]  # a number
            or self.fits(fact, place, value)
            else None
            for place, value in enumerate(measures)
        ]

    def fits(self, fact: type[Fact], place: int, value: object) -> bool:
        """Whether a measure (by its place among those that are no gauges) can take this number; else it is counted."""
        schemas = [schema for schema in self.tables[fact].schema.measures if schema.kind is not Kind.GAUGE]
        if units_of(schemas[place], value) is not None:
            return True
        self._refused(fact, schemas[place].name, value)
        return False

    def _refused(self, fact: type[Fact], measure: str, value: object) -> None:
        problem = ValueError(f"{measure} {shown(value)} is no number that it can be")
        self.failed(fact, problem, "invalid_value")


def may_be_kept(key: object) -> bool:
    """Whether a key is small, holds no credential, and keeps nothing of the program alive."""
    if isinstance(key, tuple):
        return all(map(may_be_kept, key))
    if isinstance(key, str):
        return len(key) <= VALUE_LIMIT and not is_credential(key)
    return key is None or isinstance(key, (int, type))


def index_of(measure: Measure) -> int:
    """The index of a measure in its fact, as rows want it."""
    return measure.fact.measures.index(measure)


def current_route(route: str | None) -> str:
    """The logical use: as given, else the context's."""
    if route is not None:
        return route
    context = current.get()
    return dict(context).get("route", "") if context else ""
