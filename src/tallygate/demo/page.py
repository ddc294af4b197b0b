"""A metrics page in the text format, read back: samples, sums and quantiles."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from tallygate.quantiles import quantile

_SAMPLE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a page."""

    name: str
    labels: dict[str, str]
    value: float


class MetricsPage:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[Sample]] = {}
        for line in text.splitlines():
            match = None if line.startswith("#") else _SAMPLE.match(line)
            if match is not None:
                labels = {name: _plain(value) for name, value in _LABEL.findall(match[2] or "")}
                self._samples.setdefault(match[1], []).append(Sample(match[1], labels, float(match[3])))

    def samples(self, name: str, **labels: str) -> Iterable[Sample]:
        """The samples of this name that have these labels."""
        wanted = labels.items()
        return (sample for sample in self._samples.get(name, ()) if wanted <= sample.labels.items())

    def total(self, name: str, **labels: str) -> float:
        """Their sum; 0 when there are none."""
        return math.fsum(sample.value for sample in self.samples(name, **labels))

    def by(self, label: str, name: str) -> dict[str, float]:
        """The sums per value of a label, those above 0, the greatest first."""
        sums: dict[str, float] = {}
        for sample in self.samples(name):
            value = sample.labels.get(label, "")
            sums[value] = sums.get(value, 0) + sample.value
        return {value: sums[value] for value in sorted(sums, key=lambda one: (-sums[one], one)) if sums[value] > 0}

    def quantile(self, share: float, name: str, **labels: str) -> float | None:
        """A quantile of a histogram, its last bound where it lies above; None when it is empty."""
        buckets: dict[float, float] = {}
        for sample in self.samples(f"{name}_bucket", **labels):
            bound = float(sample.labels["le"])
            buckets[bound] = buckets.get(bound, 0) + sample.value
        found, top = quantile(share, sorted(buckets.items())), max(filter(math.isfinite, buckets), default=0.0)
        return None if found is None else min(found, top)


def _plain(escaped: str) -> str:
    return _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else match[1], escaped)
