"""A registry of prometheus_client and a tally, each shown on the other's page."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector, exposition
from prometheus_client.core import REGISTRY, Exemplar, Metric, Timestamp
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector, CollectorRegistry

from tallygate.dialects import DIALECTS, resolve
from tallygate.dialects.families import Family
from tallygate.exposition.sources import EOF, ForeignFamily, NameClash
from tallygate.record.default import default
from tallygate.record.recorder import Recorder
from tallygate.tally import Tally

SUFFIXES: Final = {
    "counter": ("_total", "_created"),
    "summary": ("_sum", "_count", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "info": ("_info",),
}
"""What samples of a type append to the name of their family."""
RUNTIME_COLLECTORS: Final = (GCCollector, PlatformCollector, ProcessCollector)
"""They see what our own samplers see; the one whose page it is shows it."""
QUOTED: Final = r'"[^"\\]*(?:\\.[^"\\]*)*"'
SAMPLE: Final = re.compile(rf"([^{{ ]+)(?:\{{((?:\w+={QUOTED},?)*)\}})? (\S+)(?: # \{{([^}}]*)\}} (\S+) (\d+)\.(\d+))?")
"""A line of our own OpenMetrics page."""
LABEL: Final = re.compile(r'(\w+)="([^"\\]*(?:\\.[^"\\]*)*)"')
ESCAPED: Final = re.compile(r"\\(.)")
NOT_LEGACY: Final = re.compile(r"[^a-zA-Z0-9_:]")

_showing = threading.local()
"""Which tally's page is being made in this thread, so that a registry that holds its collector does not repeat it."""


class TallyCollector:
    """What a tally counts, for a registry of prometheus_client: ``REGISTRY.register(TallyCollector())``.

    dialects: by name; None for the default ones. without: names that other collectors of the registry have; families
    that own one of them are left out. tally: None for the program's, which is empty before ``init``.
    Raises UnknownDialect or DialectClash.
    """

    def __init__(
        self,
        dialects: Sequence[str] | None = None,
        *,
        without: Collection[str] = frozenset(),
        tally: Tally | None = None,
    ) -> None:
        self._dialects = None if dialects is None else tuple(dialects)
        self._without, self._tally = frozenset(without), tally
        self._families()

    @property
    def tally(self) -> Recorder:
        return self._tally or default.recorder

    def check(self, registry: CollectorRegistry) -> None:
        """Raise NameClash when the registry has a name of a family already."""
        for family in self._families():
            for name in sorted(family.owned_names & registry._names_to_collectors.keys()):
                raise NameClash(
                    f"the registry has {name!r} already, a name of our {family.name!r}; "
                    "rename the other metric, choose dialects= without it, or remove the bridge that is there"
                )

    def _families(self) -> list[Family]:
        tally = self.tally
        known = tally.dialects if isinstance(tally, Tally) else DIALECTS
        chosen = self._dialects or (tally.default_dialects if isinstance(tally, Tally) else ("tallygate",))
        dialects = resolve(chosen, known)
        return [family for dialect in dialects for family in dialect if not self._without & family.owned_names]

    def describe(self) -> Iterator[Metric]:
        """The families without samples, by which a registry finds clashes."""
        for name, family in {family.base: family for family in self._families()}.items():
            yield Metric(name, family.shown_help, family.kind)

    def collect(self) -> Iterator[Metric]:
        """The families now, from all worker processes."""
        tally = self.tally
        if not isinstance(tally, Tally) or getattr(_showing, "tally", None) is tally:
            return
        page = tally.render_own(self._dialects, "openmetrics").decode()
        for metric in metrics_of(page):
            if not self._without & names_of(metric):
                yield metric


class RegistrySource:
    """The metrics of a registry, for the page of a tally: see ``Tally.add_source``.

    In prometheus_client's multiprocess mode the default registry is read from the files of all processes, as that mode
    wants it; any other registry is read as it is. The collectors of process, garbage collector and platform give
    way to families of the same name.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, tally: Tally | None = None) -> None:
        self.registry, self._tally = registry, tally

    def names(self) -> Collection[str]:
        known = self.registry._names_to_collectors.items()
        ours = {name for name, collector in known if self._is_ours(collector)}
        return frozenset(self.registry._names_to_collectors) - names_of_runtime(self.registry) - ours

    def _is_ours(self, collector: Collector) -> bool:
        return isinstance(collector, TallyCollector) and collector.tally is (self._tally or default.recorder)

    def families(self, format: str, names: Collection[str]) -> Iterator[ForeignFamily]:
        """Every family that the registry collects, written by prometheus_client itself."""
        write = openmetrics.generate_latest if format == "openmetrics" else exposition.generate_latest
        gives_way = names_of_runtime(self.registry)
        for metric in self._collect():
            owned = names_of(metric)
            if not names or not owned.isdisjoint(names):
                body = write(_One(metric)).removesuffix(EOF)
                yield ForeignFamily(metric.name, owned, body, not gives_way.isdisjoint(owned))

    def _collect(self) -> Iterator[Metric]:
        registry = self.registry
        if registry is REGISTRY and os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it registers itself
        _showing.tally = self._tally or default.recorder
        try:
            yield from registry.collect()
        finally:
            del _showing.tally


class _One:
    """A registry of one metric."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> list[Metric]:
        return [self._metric]


def names_of_runtime(registry: CollectorRegistry) -> frozenset[str]:
    """The names that prometheus_client's own collectors of the runtime have there."""
    known = registry._names_to_collectors.items()
    return frozenset(name for name, collector in known if isinstance(collector, RUNTIME_COLLECTORS))


def names_of(metric: Metric) -> frozenset[str]:
    """Every name that a family of prometheus_client has on a page, as it is written there."""
    own = (metric.name, *(metric.name + suffix for suffix in SUFFIXES.get(metric.type, ())))
    return frozenset(NOT_LEGACY.sub("_", name) for name in (*own, *(sample.name for sample in metric.samples)))


def metrics_of(page: str) -> Iterator[Metric]:
    """The families of one of our own OpenMetrics pages.

    prometheus_client has a parser for pages of any origin, which takes some five times as long.
    """
    metric: Metric | None = None
    for line in page.removesuffix("\n").split("\n"):  # and at nothing else that may stand in a label
        if not line.startswith("# "):
            assert metric is not None, f"a sample before its family: {line}"
            _add_sample(metric, line)
            continue
        word, name, text = (*line[2:].split(" ", 2), "", "")[:3]
        if metric is None or metric.name != name:
            if metric is not None:
                yield metric
            if word == "EOF":
                return
            metric = Metric(name, "", "unknown")
        match word:
            case "HELP":
                metric.documentation = _unescaped(text)
            case "TYPE":
                metric.type = text
            case "UNIT":
                metric.unit = text


def _add_sample(metric: Metric, line: str) -> None:
    found = SAMPLE.fullmatch(line)
    assert found, f"not a line of our own: {line}"
    name, labels, value, traced, observed, seconds, fraction = found.groups()
    exemplar = None
    if traced is not None:
        timestamp = Timestamp(int(seconds), int(fraction.ljust(9, "0")))
        exemplar = Exemplar(dict(LABEL.findall(traced)), float(observed), timestamp)
    metric.add_sample(name, _labels(labels or ""), float(value), exemplar=exemplar)


def _labels(text: str) -> dict[str, str]:
    pairs = LABEL.findall(text)
    if "\\" in text:
        pairs = [(name, _unescaped(value)) for name, value in pairs]
    return dict(pairs)


def _unescaped(text: str) -> str:
    return ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text)
