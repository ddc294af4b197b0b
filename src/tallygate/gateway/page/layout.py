"""What is kept of calls: amounts by number, and how they become figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final

from tallygate.facts import USD, LLMCall
from tallygate.ledger.schema import TableSchema
from tallygate.quantiles import quantile

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
        """A quantile, the last bound where it lies above; None when nothing is in the buckets."""
        counts = accumulate(amounts.get(number, 0) for number in self.numbers)
        found = quantile(share, list(zip((*self.bounds, math.inf), counts, strict=True)))
        return None if found is None or not self.bounds else min(found, self.bounds[-1])


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
