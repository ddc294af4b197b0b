"""A page in the text format or in OpenMetrics as samples. prometheus_client's parsers read it."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_fd_to_metric_families as _parse_openmetrics
from prometheus_client.parser import text_fd_to_metric_families as _parse_text
from prometheus_client.samples import Exemplar

Labels = tuple[tuple[str, str], ...]
"""Label names and values, sorted."""
Format = Literal["text", "openmetrics"]

LINE_LIMIT: Final = 64 * 1024
"""Characters of a line; the parsers' time grows with its square."""
EXCERPT: Final = 60
"""Characters of a line that an error shows."""
SECONDS: Final = 60.0
"""Time to read a page."""
GROWING: Final = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}
"""Which samples of a type only go up."""


_NAME: Final = re.compile(r"[{\s]")
"""What ends the name of a sample."""


class PageError(ValueError):
    """A page that cannot be read; says the line."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line, self.problem = line, problem


@dataclass(frozen=True)
class Samples:
    """The numbers of a page, or what became of them between two pages."""

    values: Mapping[str, Mapping[Labels, float]]
    """By the sample's name, and its labels."""
    families: frozenset[str]
    """Names of families that are there, be it without samples."""

    def number(self, name: str) -> float | None:
        """The sum of the samples of a name; None when there is none."""
        found = self.values.get(name)
        return sum(found.values()) if found else None


@dataclass(frozen=True)
class Page:
    """A page that was read."""

    format: Format
    metrics: tuple[Metric, ...]
    samples: Samples
    growing: frozenset[str]
    """Names of samples that only go up while the program runs."""
    doubled: tuple[tuple[str, Labels], ...] = ()
    """Series that are there twice."""
    exemplars: tuple[Exemplar, ...] = field(default=(), repr=False)

    @property
    def started(self) -> float | None:
        """Unix time at which the program started, if it says so."""
        found = self.samples.values.get("process_start_time_seconds")
        return min(found.values()) if found else None


def format_of(content_type: str) -> Format | None:
    """The format that a Content-Type names; None for one that is no metrics page's."""
    media_type = content_type.partition(";")[0].strip().lower()
    formats: dict[str, Format] = {"text/plain": "text", "application/openmetrics-text": "openmetrics"}
    return formats.get(media_type)


def parse(body: bytes, format: Format, seconds: float = SECONDS, only: Container[str] | None = None) -> Page:
    """Read a page. Raises PageError. only: names of the samples to read; the families of others are known too."""
    try:
        text = body.decode()
    except UnicodeDecodeError as problem:
        raise PageError(body.count(b"\n", 0, problem.start) + 1, "is not UTF-8") from None
    lines = _Lines(text, time.monotonic() + seconds, only)
    parser = _parse_openmetrics if format == "openmetrics" else _parse_text
    try:
        return _page(format, parser(lines))  # type: ignore[arg-type]  # any lines will do
    except PageError:
        raise
    except Exception as problem:  # of many types: the parsers were made for well-meant pages
        why = f"{str(problem) or 'cannot be read'}, in {lines.line.rstrip()[:EXCERPT]!r}"
        raise PageError(lines.number, why) from problem


class _Lines:
    """The lines of a page, counted while they are read."""

    def __init__(self, text: str, deadline: float, only: Container[str] | None) -> None:
        self._text, self._deadline, self._only = text, deadline, only
        self.number = 0
        self.line = ""
        """The latest."""

    def __iter__(self) -> Iterator[str]:
        for line in io.StringIO(self._text, newline="\n"):
            self.number, self.line = self.number + 1, line
            if len(line) > LINE_LIMIT:
                raise PageError(self.number, f"is longer than {LINE_LIMIT} characters")
            if self.number % 1000 == 0 and time.monotonic() > self._deadline:
                raise PageError(self.number, "the page takes too long to read")
            if self._only is None or line.startswith("#") or _NAME.split(line, 1)[0] in self._only:
                yield line


def _page(format: Format, metrics: Iterable[Metric]) -> Page:
    kept: list[Metric] = []
    values: dict[str, dict[Labels, float]] = {}
    growing: set[str] = set()
    doubled: list[tuple[str, Labels]] = []
    exemplars: list[Exemplar] = []
    for metric in metrics:
        kept.append(metric)
        growing.update(metric.name + suffix for suffix in GROWING.get(metric.type, ()))
        for sample in metric.samples:
            series = values.setdefault(sample.name, {})
            labels = tuple(sorted(sample.labels.items()))
            if labels in series:
                doubled.append((sample.name, labels))
            series[labels] = sample.value
            if sample.exemplar is not None:
                exemplars.append(sample.exemplar)
    families = frozenset({metric.name for metric in kept} | set(values))
    return Page(format, tuple(kept), Samples(values, families), frozenset(growing), tuple(doubled), tuple(exemplars))


def grown(before: Page, after: Page) -> tuple[Samples, bool]:
    """What was added between two pages of one program, gauges as they are now; and whether it began anew between them.

    When one counter went down or is gone, all of them began at 0 again, and everything on the page was added since.
    """
    if any(True for _ in fallen(before, after)):
        return after.samples, True
    added: dict[str, Mapping[Labels, float]] = {}
    for name, series in after.samples.values.items():
        if name in after.growing:
            old = before.samples.values.get(name, {})
            added[name] = {labels: value - old.get(labels, 0) for labels, value in series.items()}
        else:
            added[name] = series
    return Samples(added, after.samples.families), False


def fallen(before: Page, after: Page) -> Iterator[tuple[str, Labels, float, float | None]]:
    """Series that only go up, and did not: name, labels, value before and after (None: gone)."""
    for name in before.growing:
        new = after.samples.values.get(name, {})
        for labels, value in before.samples.values.get(name, {}).items():
            now = new.get(labels)
            if now is None or now < value:
                yield name, labels, value, now
