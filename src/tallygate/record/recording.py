"""What all the writing of facts stands on: the tables, and the promise that nothing is ever raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tallygate.context import current
from tallygate.declare import Fact, Gauge, Measure
from tallygate.record.failures import Failures

if TYPE_CHECKING:
    from tallygate.ledger.interface import Table, Value
    from tallygate.record.binding import Exemplifier


class Recording:
    """Tables to write to. None of its methods, nor of the classes derived from it, ever raises for what it is given."""

    def __init__(self, tables: Mapping[type[Fact], Table], exemplar: Exemplifier | None = None) -> None:
        self.tables, self.exemplar = tables, exemplar
        self.enabled = bool(tables)
        self._failures = Failures(tables)

    def failed(self, fact: type[Fact], problem: Exception, reason: str = "internal") -> None:
        """Count an observation that could not be recorded, and log the first of its kind."""
        self._failures.add(fact, problem, reason)

    def _count(self, fact: type[Fact], values: tuple[str, ...], *measures: Value) -> None:
        """Record one fact with these dimension values and measures."""
        if not self.enabled:
            return
        try:
            self.tables[fact].row(*values).record(*measures)
        except Exception as problem:
            self.failed(fact, problem)

    def _set(self, fact: type[Fact], values: tuple[str, ...], gauges: Mapping[Gauge, float | None]) -> None:
        """Set gauges; one that is None stays as it is."""
        if not self.enabled:
            return
        try:
            row = self.tables[fact].row(*values)
            for gauge, value in gauges.items():
                if value is not None:
                    row.set(index_of(gauge), value)
        except Exception as problem:
            self.failed(fact, problem)

    def _known(self, fact: type[Fact], dimension: str, value: str, values: tuple[str, ...]) -> bool:
        """Whether a value is in its closed vocabulary; one that is not is counted as dropped."""
        if value in values:
            return True
        problem = ValueError(f"{dimension} {value!r} is none of {', '.join(values)}")
        self.failed(fact, problem, "invalid_dimension")
        return False


def index_of(measure: Measure) -> int:
    """The index of a measure in its fact, as rows want it."""
    return measure.fact.measures.index(measure)


def current_route(route: str | None) -> str:
    """The logical use: as given, else the context's."""
    if route is not None:
        return route
    context = current.get()
    return dict(context).get("route", "") if context else ""
