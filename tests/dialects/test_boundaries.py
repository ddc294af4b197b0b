"""Which buckets and columns the ledger keeps."""

from __future__ import annotations

import pytest

from tallygate.declare import Dimension, Distribution, Fact, Gauge, Sum
from tallygate.dialects import DIALECTS, Dialect, boundaries, table_schema
from tallygate.dialects.families import Counter, Histogram, split
from tallygate.facts import FACTS, CacheLookup, LLMCall
from tallygate.ledger import open_ledger
from tallygate.ledger.schema import Combine, Kind, MeasureSchema, TableSchema


class Job(Fact):
    """A fact with one of each."""

    takes_custom_labels = True
    budget = 7

    queue = Dimension("which queue")

    one = Distribution("", "first")
    two = Distribution("", "second")
    three = Distribution("", "third")
    cost = Sum("usd", "price", exponent=-11)
    running = Gauge("", "how many", combine=Combine.MAX)


def histogram(name: str, *buckets: int, **parts: Distribution) -> Histogram:
    return Histogram(name, split("part", **parts), buckets=buckets)


def test_every_bound_of_every_dialect_is_kept_in_cell_units() -> None:
    seconds = Dialect("a", Histogram("x_seconds", LLMCall.duration, buckets=(0.1, 2.5)), Counter("n_total", Job.one))
    milliseconds = Dialect("b", Histogram("x_ms", LLMCall.duration * 1000, buckets=(1, 100, 0.5e4)))
    assert boundaries([seconds, milliseconds]) == {LLMCall.duration: (10_000, 1_000_000, 25_000_000, 50_000_000)}


def test_distributions_linked_through_families_share_all_bounds() -> None:
    chained = Dialect(
        "d",
        histogram("ab", 1, a=Job.one, b=Job.two),
        Histogram("c", Job.three, buckets=(5,)),
        histogram("bc", 3, b=Job.two, c=Job.three),
    )
    assert boundaries([chained]) == dict.fromkeys((Job.one, Job.two, Job.three), (1, 3, 5))


def test_a_table_has_the_fact_s_columns_then_the_custom_labels() -> None:
    assert table_schema(Job, {Job.two: (1, 4)}, ("cost_center", "team")) == TableSchema(
        name="Job",
        dimensions=("queue", "cost_center", "team"),
        measures=(
            MeasureSchema("one", Kind.DISTRIBUTION),
            MeasureSchema("two", Kind.DISTRIBUTION, boundaries=(1, 4)),
            MeasureSchema("three", Kind.DISTRIBUTION),
            MeasureSchema("cost", Kind.SUM, -11),
            MeasureSchema("running", Kind.GAUGE, combine=Combine.MAX),
        ),
        budget=7,
    )


def test_a_fact_that_takes_no_custom_labels_has_none() -> None:
    assert table_schema(CacheLookup, {}, ("team",)).dimensions == ("cache", "route", "result")


@pytest.mark.parametrize("custom", [("model",), ("team", "team")])
def test_a_custom_label_that_is_taken_is_refused(custom: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"the custom label '{custom[0]}' is taken: LLMCall has it; give it another"):
        table_schema(LLMCall, {}, custom)


def test_the_ledger_takes_the_tables_of_all_facts() -> None:
    kept = boundaries(DIALECTS.values())
    ledger = open_ledger([table_schema(fact, kept, ("team",)) for fact in FACTS])
    assert [table.schema.name for table in ledger.tables] == [fact.__name__ for fact in FACTS]
