"""A real ledger with one record of every fact, and a page of it as a scraper sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tallygate.declare import Fact
from tallygate.dialects import DIALECTS, Dialect, Plan, boundaries, table_schema
from tallygate.exposition.render import Family, render
from tallygate.facts import FACTS
from tallygate.ledger import open_ledger
from tallygate.ledger.interface import Table
from tallygate.ledger.schema import Kind

CUSTOM = ("cost_center", "team")


class Filled:
    """A ledger of all facts, with the buckets of all built-in dialects."""

    def __init__(self, *dialects: Dialect, custom: Sequence[str] = CUSTOM) -> None:
        kept = boundaries([*DIALECTS.values(), *dialects])
        self.custom = tuple(custom)
        self.ledger = open_ledger([table_schema(fact, kept, custom) for fact in FACTS])
        self.tables: Mapping[type[Fact], Table] = dict(zip(FACTS, self.ledger.tables, strict=True))

    def record(self, fact: type[Fact], dimensions: Mapping[str, str], **measures: float) -> None:
        """Record one fact, in base units; dimensions not given are '', measures not given are unset."""
        table = self.tables[fact]
        row = table.row(*(dimensions.get(name, "") for name in table.schema.dimensions))
        counted = [measure for measure in table.schema.measures if measure.kind is not Kind.GAUGE]
        if counted or not table.schema.measures:
            row.record(*(measures.pop(measure.name, None) for measure in counted))
        for index, measure in enumerate(table.schema.measures):
            if measure.kind is Kind.GAUGE and measure.name in measures:
                row.set(index, measures.pop(measure.name))
        assert not measures, f"no such measures: {list(measures)}"

    def one_of_everything(self) -> None:
        """One record per fact: a value that tells its dimension, or the last of a closed vocabulary; 1 everywhere."""
        for fact in FACTS:
            dimensions = {name: f"some {name}" for name in (*(d.name for d in fact.dimensions), *self.custom)}
            dimensions |= {dimension.name: dimension.values[-1] for dimension in fact.dimensions if dimension.values}
            for name, value in (("stream", "true"), ("outcome", "completed")):  # so that every measure is set
                if name in dimensions:
                    dimensions[name] = value
            self.record(fact, dimensions, **{measure.name: 1 for measure in fact.measures})

    def computed(self) -> Mapping[str, int | float]:
        return self.ledger.statistics()._asdict()

    def page(self, *dialects: Dialect, format: str = "openmetrics") -> str:
        """The page of these dialects, as the renderer that is installed makes it."""
        plan = Plan(dialects, self.tables, self.ledger.memory, Family, custom=self.custom, computed=self.computed)
        with plan.reading() as page:
            return render(page.families, page.buffers, format, {}).decode()

    def families(self, *dialects: Dialect) -> dict[str, Metric]:
        """The OpenMetrics page, read by an independent parser, by family name."""
        metrics: dict[str, Metric] = {}
        for metric in text_string_to_metric_families(self.page(*dialects)):  # type: ignore[no-untyped-call]  # no types
            assert metric.name not in metrics
            metrics[metric.name] = metric
        return metrics
