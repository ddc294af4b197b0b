"""What is kept of calls: amounts by number, and how they become figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tallygate.facts import USD, LLMCall
from tallygate.ledger.schema import TableSchema

Amounts = dict[int, int]
"""Amounts by their numbers, in units of the ledger's cells; those that are 0 may be left out."""

(REQUESTS, ERRORS, FAULTS, COST, INPUT, OUTPUT, CACHED, UNPRICED, UNMETERED, HITS, LOOKUPS) = range(11)
"""FAULTS are errors by the provider's doing."""
FIRST_BUCKET: Final = 11


class Buckets:
    """Where the buckets of a distribution are among the amounts, and what they mean."""

    def __init__(self, first: int, bounds: Sequence[float]) -> None:
        """bounds: upper bounds, ascending; one more bucket holds what is above the last."""
        self.first, self.bounds = first, tuple(bounds)
        self.numbers = range(first, first + len(self.bounds) + 1)

    def quantile(self, share: float, amounts: Mapping[int, int]) -> float | None:
        """A quantile as Prometheus' ``histogram_quantile`` has it; None when nothing is in the buckets."""
        return quantile(share, [amounts.get(number, 0) for number in self.numbers], self.bounds)


def quantile(share: float, counts: Sequence[int], bounds: Sequence[float]) -> float | None:
    """The value below which this share of what was seen is, evenly spread within its bucket."""
    total = sum(counts)
    if not total or not bounds:
        return None
    rank, below = share * total, 0
    for index, count in enumerate(counts[:-1]):
        if below + count >= rank:
            lower = bounds[index - 1] if index else 0.0
            return lower + (bounds[index] - lower) * (rank - below) / count
        below += count
    return float(bounds[-1])


class Layout:
    """Which cells of a call's row are read, and which amounts they are."""

    def __init__(self, schema: TableSchema) -> None:
        cells = {
            REQUESTS: 0,
            COST: schema.offset_of(LLMCall.cost.name),
            INPUT: schema.offset_of(LLMCall.input_tokens.name),
            OUTPUT: schema.offset_of(LLMCall.output_tokens.name),
            CACHED: schema.offset_of(LLMCall.cache_read_tokens.name),
            UNPRICED: schema.offset_of(LLMCall.unpriced.name),
            UNMETERED: schema.offset_of(LLMCall.unmetered.name),
        }
        distributions = []
        number = FIRST_BUCKET
        for measure in (LLMCall.duration, LLMCall.time_to_first_token, LLMCall.output_tokens_per_second):
            (found,) = [one for one in schema.measures if one.name == measure.name]
            buckets = Buckets(number, [bound / 10**-found.exponent for bound in found.boundaries])
            start = schema.offset_of(measure.name) + 1
            cells |= {each: start + index for index, each in enumerate(buckets.numbers)}
            distributions.append(buckets)
            number = buckets.numbers.stop
        self.latency, self.first_token, self.speed = distributions
        """In this order among the amounts."""
        self.numbers = tuple(cells)
        """The amounts that a row has, in the order of ``cells``."""
        self.cells = tuple(cells.values())
        """Their cells, counted from the start of the row."""


def usd(units: int) -> float:
    """Money as the float nearest to it."""
    return units / 10**-USD
