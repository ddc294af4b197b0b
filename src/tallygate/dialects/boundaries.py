"""Which buckets the ledger keeps: all that any dialect asks for, so that each dialect's own are an exact coarsening."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tallygate.declare import Distribution, Fact, Gauge, Measure
from tallygate.dialects.families import Family, Histogram, Summary
from tallygate.ledger.schema import Kind, MeasureSchema, TableSchema


def boundaries(dialects: Iterable[Iterable[Family]]) -> Mapping[Distribution, tuple[int, ...]]:
    """The bucket boundaries of every distribution of which some dialect shows the spread, in units of its cells.

    Distributions that share a family (``split``) get the same boundaries, as the family has one set of buckets.
    """
    groups: dict[Distribution, set[Distribution]] = {}
    asked: dict[Distribution, set[int]] = {}
    for dialect in dialects:
        for family in dialect:
            if not isinstance(family, Histogram | Summary):
                continue
            members = [measure for measure in family.measures if isinstance(measure, Distribution)]
            together = set(members).union(*(groups.get(member, ()) for member in members))
            groups |= dict.fromkeys(together, together)
            for member in members:
                asked.setdefault(member, set()).update(map(int, family.boundaries()))
    return {
        measure: tuple(sorted(set().union(*(asked.get(member, ()) for member in together))))
        for measure, together in groups.items()
    }


def table_schema(
    fact: type[Fact], kept: Mapping[Distribution, tuple[int, ...]], custom: Sequence[str] = ()
) -> TableSchema:
    """The ledger table of a fact: its dimensions, the custom labels where the fact takes them, and its measures.

    Raises ValueError for a custom label that is a dimension already.
    """
    names = [dimension.name for dimension in fact.dimensions]
    for name in custom if fact.takes_custom_labels else ():
        if name in names:
            raise ValueError(f"the custom label {name!r} is taken: {fact.__name__} has it; give it another name")
        names.append(name)
    return TableSchema(
        name=fact.__name__,
        dimensions=tuple(names),
        measures=tuple(_measure_schema(measure, kept) for measure in fact.measures),
        budget=fact.budget,
    )


def _measure_schema(measure: Measure, kept: Mapping[Distribution, tuple[int, ...]]) -> MeasureSchema:
    match measure:
        case Distribution():
            return MeasureSchema(measure.name, Kind.DISTRIBUTION, measure.exponent, kept.get(measure, ()))
        case Gauge():
            return MeasureSchema(measure.name, Kind.GAUGE, measure.exponent, combine=measure.combine)
        case _:
            return MeasureSchema(measure.name, Kind.SUM, measure.exponent)
