"""From real rows to a real page: the row budget, strange label values, exemplars, and a vocabulary of one's own."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tallygate.declare import Dimension, Distribution, Fact, Sum
from tallygate.declare import Gauge as GaugeMeasure
from tallygate.dialects import Dialect, Plan, boundaries, table_schema
from tallygate.dialects.families import Counter, Gauge, Histogram, split
from tallygate.exposition.render import Family, render
from tallygate.ledger import open_ledger
from tallygate.ledger.interface import Ledger


class Delivery(Fact):
    """A parcel brought to a door."""

    budget = 3

    street = Dimension("where")
    result = Dimension("what came of it", values=("handed over", "left behind", "refused"))

    minutes = Distribution("", "on the way", exponent=-2)
    parcels = Sum("", "how many")


class Vans(Fact):
    """Vans on the road."""

    depot = Dimension("whose")

    out = GaugeMeasure("", "how many")


# A vocabulary of one's own, whole:
POST = Dialect(
    "post",
    Counter("post_deliveries_total", Delivery.count, by=(Delivery.street, Delivery.result.from_zero())),
    Counter("post_refused_total", Delivery.count.where(Delivery.result.among("refused"))),
    Counter("post_things_total", split("thing", parcel=Delivery.parcels, visit=Delivery.count), by=(Delivery.street,)),
    Histogram("post_way_seconds", Delivery.minutes * 60, buckets=(60, 300, 900), help="Time on the way"),
    Gauge("post_vans", Vans.out, by=(Vans.depot.named("home"),)),
)


class Post:
    def __init__(self, dialect: Dialect = POST) -> None:
        kept = boundaries([dialect])
        self.ledger: Ledger = open_ledger([table_schema(fact, kept) for fact in (Delivery, Vans)])
        self.deliveries, self.vans = self.ledger.tables
        tables = {Delivery: self.deliveries, Vans: self.vans}
        self.plan = Plan([dialect], tables, self.ledger.memory, Family)

    def page(self) -> str:
        exemplars = {exemplar.cell: exemplar for exemplar in self.ledger.exemplars()}
        with self.plan.reading() as page:
            return render(page.families, page.buffers, "openmetrics", exemplars).decode()

    def samples(self, family: str) -> dict[tuple[str, ...], float]:
        metrics: Sequence[Metric] = list(text_string_to_metric_families(self.page()))  # type: ignore[no-untyped-call]
        return {
            (*sample.labels.values(), sample.name.removeprefix(family).removeprefix("_")): sample.value
            for metric in metrics
            for sample in metric.samples
            if metric.name == family
        }


def test_a_vocabulary_of_one_s_own() -> None:
    post = Post()
    post.deliveries.row("Elm Street", "handed over").record(2.5, 3)
    post.deliveries.row("Elm Street", "refused").record(20, 1)
    post.vans.row("north").set(0, 4)
    assert post.samples("post_deliveries") == {
        ("Elm Street", "handed over", "total"): 1,
        ("Elm Street", "left behind", "total"): 0,
        ("Elm Street", "refused", "total"): 1,
    }
    assert post.samples("post_refused") == {("total",): 1}
    assert post.samples("post_things") == {("Elm Street", "parcel", "total"): 4, ("Elm Street", "visit", "total"): 2}
    assert post.samples("post_vans") == {("north", ""): 4}
    assert post.samples("post_way_seconds") == {
        ("60.0", "bucket"): 0,
        ("300.0", "bucket"): 1,
        ("900.0", "bucket"): 1,
        ("+Inf", "bucket"): 2,
        ("sum",): 1350,
        ("count",): 2,
    }


def test_beyond_the_budget_totals_stay_exact() -> None:
    post = Post()
    for number in range(10):
        post.deliveries.row(f"street {number}", "refused").record(1, 2)
        things = post.samples("post_things")
        assert sum(value for key, value in things.items() if key[1] == "parcel") == 2 * (number + 1)
        assert (("other", "parcel", "total") in things) is (number >= 3)
    assert post.samples("post_things")["other", "visit", "total"] == 7
    assert post.samples("post_refused") == {("total",): 3}  # what became of the other seven is not known
    assert post.samples("post_way_seconds")["count",] == 10
    assert post.ledger.statistics().overflowed == 7


def test_a_delivery_that_was_traced_shows_its_trace() -> None:
    post = Post()
    row = post.deliveries.row("Elm Street", "handed over")
    row.record(2.5, 3)
    row.exemplify("0" * 31 + "1", "0" * 15 + "2", 2.5, 3)
    line = next(line for line in post.page().splitlines() if line.startswith('post_way_seconds_bucket{le="300.0"}'))
    assert line.startswith(
        f'post_way_seconds_bucket{{le="300.0"}} 1 # {{trace_id="{"0" * 31}1",span_id="{"0" * 15}2"}} 150 '
    )


street = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
delivery = st.tuples(street, st.sampled_from(Delivery.result.values), st.integers(0, 10**7), st.integers(0, 99))


@given(st.lists(delivery, max_size=12))
def test_any_street_any_number(deliveries: list[tuple[str, str, int, int]]) -> None:
    class Roomy(Delivery):
        """As Delivery, with room for all."""

        budget = 100
        street = Dimension("where")
        result = Dimension("what came of it", values=Delivery.result.values)
        minutes = Distribution("", "on the way", exponent=-2)
        parcels = Sum("", "how many")

    dialect = Dialect(
        "roomy",
        Counter("parcels_total", Roomy.parcels, by=(Roomy.street,)),
        Histogram("way", Roomy.minutes, by=(Roomy.result,), buckets=(1, 50, 99.99)),
    )
    ledger = open_ledger([table_schema(Roomy, boundaries([dialect]))])
    for where, result, hundredths, parcels in deliveries:
        ledger.tables[0].row(where, result).record(hundredths / 100, parcels)
    with Plan([dialect], {Roomy: ledger.tables[0]}, ledger.memory, Family).reading() as page:
        text = render(page.families, page.buffers, "openmetrics", {}).decode()
    parcels_by_street: Tally[str] = Tally()
    ways: dict[tuple[str, str, str], Decimal] = {}
    for where, result, hundredths, parcels in deliveries:
        parcels_by_street[where] += parcels
        for le, bound in (("1.0", 100), ("50.0", 5000), ("99.99", 9999), ("+Inf", 10**9)):
            at = ("way_bucket", result, le)
            ways[at] = ways.get(at, Decimal(0)) + (hundredths <= bound)
        ways["way_count", result, ""] = ways.get(("way_count", result, ""), Decimal(0)) + 1
        ways["way_sum", result, ""] = ways.get(("way_sum", result, ""), Decimal(0)) + Decimal(hundredths).scaleb(-2)
    metrics: list[Metric] = list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    shown = [sample for metric in metrics for sample in metric.samples]
    assert {s.labels["street"]: s.value for s in shown if s.name == "parcels_total"} == dict(parcels_by_street)
    assert {
        (s.name, s.labels["result"], s.labels.get("le", "")): s.value for s in shown if s.name.startswith("way")
    } == {key: float(value) for key, value in ways.items()}
