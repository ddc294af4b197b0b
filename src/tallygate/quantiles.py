"""Quantiles of a histogram's buckets."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    """The value below which this share of what was seen is, as PromQL's ``histogram_quantile`` tells it.

    buckets: upper bounds, ascending to infinity, and how many were at most so much. What a bucket holds is taken to be
    evenly spread within it. Infinite where the value lies above the last finite bound, None where nothing was seen.
    """
    if not buckets or not math.isinf(buckets[-1][0]) or not buckets[-1][1] > 0:
        return None
    rank, lower, before = share * buckets[-1][1], 0.0, 0.0
    for bound, count in buckets:
        if count >= rank and count > before:
            return bound if math.isinf(bound) else lower + (bound - lower) * (rank - before) / (count - before)
        lower, before = bound, count
    return math.inf
