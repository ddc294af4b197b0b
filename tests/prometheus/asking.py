"""Asking one job: the dialects of several systems have families of the same names; and what quantiles must say."""

import math
import re
from collections.abc import Mapping

from tallygate.dialects import DIALECTS
from tallygate.dialects.families import Histogram


def samples(dialect: str) -> set[str]:
    """The sample names of a dialect."""
    endings = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
    return {family.name + ending for family in DIALECTS[dialect].families for ending in endings.get(family.kind, ("",))}


def of_job(query: str, job: str) -> str:
    """The query as it stands, asked of one job: Archestra and HyperAgent both have a ``llm_tokens_total``."""
    known = samples(job)

    def told(match: re.Match[str]) -> str:
        name, brace = match[1], match[2]
        if name not in known:
            return match[0]
        return f'{name}{{job="{job}",' if brace else f'{name}{{job="{job}"}}'

    return re.sub(r"\b([a-z_0-9]+)\b(\{)?", told, query)


def quantile(share: float, job: str, family: str, observed: Mapping[float, int]) -> float:
    """What histogram_quantile says of these values: straight lines inside the buckets."""
    (histogram,) = [each for each in DIALECTS[job] if each.name == family and isinstance(each, Histogram)]
    bounds = [float(bound) for bound in histogram.bounds]
    rank, below, lower = share * sum(observed.values()), 0, -math.inf
    for upper in bounds:
        inside = sum(count for value, count in observed.items() if lower < value <= upper)
        if inside and below + inside >= rank:
            start = max(lower, 0.0)
            return start + (upper - start) * (rank - below) / inside
        below, lower = below + inside, upper
    return bounds[-1]
