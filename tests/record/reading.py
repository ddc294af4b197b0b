"""What a ledger holds, read straight from its cells."""

from __future__ import annotations

from dataclasses import dataclass

from tallygate.declare import Fact
from tallygate.ledger.schema import Kind
from tallygate.tally import Tally


@dataclass
class Recorded:
    """A row: dimension values (unset ones left out), records, and what each measure came to, in cell units."""

    dimensions: dict[str, str]
    count: int
    sums: dict[str, int]
    """By measure; those that are 0 and were never observed left out."""
    observed: dict[str, int]
    """How often each distribution was observed; those that never were left out."""


def rows_of(tally: Tally, fact: type[Fact], *, also_empty: bool = False) -> list[Recorded]:
    """The rows of a fact that have records, in order of creation."""
    assert tally.ledger is not None
    table, memory = tally.tables[fact], tally.ledger.memory
    found = []
    for view in table.rows():
        if memory[view.cell] == 0 and not also_empty:
            continue
        sums, observed = {}, {}
        for measure in table.schema.measures:
            if measure.kind is Kind.GAUGE:
                continue
            at = view.cell + table.schema.offset_of(measure.name)
            if measure.kind is Kind.DISTRIBUTION:
                times = sum(memory[at + 1 : at + measure.cells])
                if times:
                    observed[measure.name] = times
                    sums[measure.name] = memory[at]
            elif memory[at]:
                sums[measure.name] = memory[at]
        named = dict(zip(table.schema.dimensions, view.values, strict=True))
        shown = {name: value for name, value in named.items() if value}
        found.append(Recorded(shown, memory[view.cell], sums, observed))
    return found


def only_row(tally: Tally, fact: type[Fact]) -> Recorded:
    """The one row with records."""
    (row,) = rows_of(tally, fact)
    return row


def gauge(tally: Tally, fact: type[Fact], column: int = 0) -> int:
    """A gauge summed over all rows, in cell units."""
    table = tally.tables[fact]
    width = sum(measure.kind is Kind.GAUGE for measure in table.schema.measures)
    return sum(table.gauges()[column::width])


def dropped(tally: Tally) -> dict[tuple[str, str], int]:
    """Dropped observations by fact and reason."""
    from tallygate.facts import Dropped

    return {(row.dimensions["fact"], row.dimensions["reason"]): row.count for row in rows_of(tally, Dropped)}
