"""What the tally knows of its program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from tallygate import declare
from tallygate.declare import Fact, Gauge, Measure
from tallygate.runtime.reporting import Where
from tallygate.tally import Tally
from tests.record.reading import gauge as column
from tests.record.reading import rows_of


def sums(tally: Tally, fact: type[Fact]) -> dict[str, int]:
    """Sums by measure, in cell units."""
    (row,) = rows_of(tally, fact, also_empty=True)
    return row.sums


def gauge(tally: Tally, measure: Gauge) -> int:
    """In cell units."""
    gauges: list[Measure] = [item for item in measure.fact.measures if isinstance(item, declare.Gauge)]
    return column(tally, measure.fact, gauges.index(measure))


class Sampler(Protocol):
    def report_to(self, where: Where, /) -> None: ...
    def stop_reporting_to(self, where: Where, /) -> None: ...


@contextmanager
def reporting(sampler: Sampler, tally: Tally) -> Iterator[Where]:
    """While the sampler reports to this tally."""

    def where() -> Tally:
        return tally

    sampler.report_to(where)
    try:
        yield where
    finally:
        sampler.stop_reporting_to(where)


async def come_true(condition: Callable[[], object]) -> None:
    """Let the loop run until this holds."""
    while not condition():  # noqa: ASYNC110  what is waited for tells nobody when it happens
        await asyncio.sleep(0)
