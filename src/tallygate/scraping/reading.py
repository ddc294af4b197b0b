"""What the samples of a page tell of the facts, whichever dialect they are in.

A dialect declares how a fact is shown: which measure, times which factor, under which labels in which words. Read the
other way round, a sample is an amount of a measure, of facts whose dimensions have values that its labels tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tallygate.declare import Dimension, Label, Measure, labels_of
from tallygate.dialects import DIALECTS
from tallygate.dialects.families import Counter, Dialect, Family, Histogram, Info, Part, Split, Summary
from tallygate.dialects.process import CPU_BY_MODE, PROCESS
from tallygate.facts import LLMCall, LLMInFlight, LLMOutputChunk, UpstreamAttempt
from tallygate.quantiles import quantile
from tallygate.scraping.parsing import Labels, Samples

SHARED = frozenset(family.base for family in (*PROCESS, *CPU_BY_MODE))
"""Families that say nothing about which dialect a page speaks."""
TELLING = (LLMCall, LLMInFlight, LLMOutputChunk, UpstreamAttempt)
"""Facts that a dialect of a gateway has; a page that tells of none of them is some other program's."""


class Where(NamedTuple):
    """Only facts whose value of a dimension is one of some."""

    dimension: Dimension
    holds: Callable[[str], bool]


class Wanted(NamedTuple):
    """A number that is asked for: the sum of some measures, or how many facts have one (``number``)."""

    terms: tuple[Measure, ...]
    where: tuple[Where, ...] = ()
    number: bool = False


class Value(NamedTuple):
    """What a label tells of a dimension: its word on the page, and the values that may stand behind it."""

    shown: str
    may_be: frozenset[str]


@dataclass(frozen=True)
class Spread:
    """How a distribution spread, in the measure's own unit."""

    buckets: Mapping[float, float]
    """How many were at most so much, by upper bound; the last one is infinite."""

    @property
    def top(self) -> float:
        """The last bound that is finite; infinite when none is."""
        return max((bound for bound in self.buckets if math.isfinite(bound)), default=math.inf)

    def quantile(self, share: float) -> float | None:
        """As PromQL tells it; infinite where it lies above the last bound, None where there was nothing."""
        return quantile(share, sorted(self.buckets.items()))


def spoken(samples: Samples, dialects: Iterable[Dialect] = DIALECTS.values()) -> tuple[Dialect, ...]:
    """The dialects that a page speaks; none for a page of something else.

    Dialects that share names cannot share a page: the one that explains most of it goes first, and takes its names.
    """
    left, found, others = set(samples.families) - SHARED, [], list(dialects)
    while others:
        known = {dialect.name: _names(dialect) & left for dialect in others}
        best = max(others, key=lambda dialect: len(known[dialect.name]))
        others.remove(best)
        facts = {family.fact for family in best if _bases(family) & known[best.name]}
        if facts & set(TELLING):
            found.append(best)
            left -= known[best.name]
    return tuple(found)


def _names(dialect: Dialect) -> set[str]:
    return {name for family in dialect for name in _bases(family)}


def _bases(family: Family) -> frozenset[str]:
    """Names under which parsers list a family: a counter's without _total, an info's, in text, with _info."""
    return frozenset({family.base, family.name})


class Source:
    """A family, or a part of a split one, that a page has: what it tells of its fact."""

    def __init__(self, family: Family, part: Part, samples: Samples) -> None:
        self.family, self._part, self._samples = family, part, samples
        self.terms = tuple(measure for measure, _ in part.expression.terms)
        self._labels = tuple(label for label in labels_of(family.labels) if not _is_lossy(label))
        self.dimensions = {label.dimension for label in self._labels}
        self._known: dict[tuple[str, str], frozenset[str]] = {}
        self._amounts: dict[bool, Sequence[tuple[Mapping[Dimension, Value], float]]] = {}

    def _series(self, suffix: str) -> Iterator[tuple[dict[str, str], float]]:
        """The labels of each sample, and its number; of samples of this part only."""
        split = self.family.value.label if isinstance(self.family.value, Split) else None
        for labels, number in self._samples.values.get(self.family.base + suffix, {}).items():
            told = dict(labels)
            if math.isfinite(number) and (split is None or told.get(split) == self._part.word):
                yield told, number

    def amounts(self, number: bool) -> Sequence[tuple[Mapping[Dimension, Value], float]]:
        """The measures' amounts, in their own unit, or how many facts had one; of each series."""
        if number not in self._amounts:
            spreads = isinstance(self.family, Histogram | Summary)
            suffix = {Counter: "_total", Info: "_info"}.get(_shape(self.family), "")
            if spreads:
                suffix = "_count" if number else "_sum"
            factor = 1.0 if number else float(self.family.factor)
            found = () if number and not spreads else self._series(suffix)
            self._amounts[number] = [
                (values_of(self._labels, told, self._known), amount / factor) for told, amount in found
            ]
        return self._amounts[number]

    @cached_property
    def buckets(self) -> Sequence[tuple[Mapping[Dimension, Value], Mapping[float, float]]]:
        """How a histogram's distribution spread, in the measure's own unit; of each series."""
        factor = float(self.family.factor)
        found: dict[Labels, dict[float, float]] = {}
        for told, number in self._series("_bucket"):
            bound = _float(told.pop("le", ""))
            if bound is not None:
                found.setdefault(tuple(told.items()), {})[bound / factor] = number
        return [(values_of(self._labels, dict(labels), self._known), buckets) for labels, buckets in found.items()]

    def answers(self, where: Where) -> bool:
        """Whether it can be told which of its facts these are: by a label, or because it has no others."""
        return where.dimension in self.dimensions or any(
            dimension is where.dimension and _same(where, values, is_in)
            for dimension, values, is_in in self._part.expression.condition.clauses
        )

    def is_about(self, wheres: Sequence[Where]) -> bool:
        """Whether it leaves out nothing that is asked for."""
        return all(
            any(where.dimension is dimension and _same(where, values, is_in) for where in wheres)
            for dimension, values, is_in in self._part.expression.condition.clauses
        )


def _same(where: Where, values: frozenset[str], is_in: bool) -> bool:
    """Whether a clause lets pass just what is asked for."""
    possible = where.dimension.values
    return bool(possible) and all(where.holds(value) is ((value in values) is is_in) for value in possible)


def _shape(family: Family) -> type[Family]:
    return next((shape for shape in (Counter, Info) if isinstance(family, shape)), Family)


def values_of(
    labels: Sequence[Label], told: Mapping[str, str], known: dict[tuple[str, str], frozenset[str]] | None = None
) -> dict[Dimension, Value]:
    """What labels tell of dimensions; of one that has several labels, all together, in the words of what tells most.

    known: the values behind what these labels showed before, by label and word; added to.
    """
    known = {} if known is None else known
    values: dict[Dimension, Value] = {}
    for label in sorted(labels, key=lambda each: each.name not in told):
        before = values.get(label.dimension)
        if label.name not in told and before is not None:
            continue
        shown = told.get(label.name, "")
        may_be = known.get((label.name, shown))
        if may_be is None:
            may_be = known[label.name, shown] = _behind(label, shown)
        now = Value(shown, may_be)
        if before is not None:
            word = min(before, now, key=lambda value: len(value.may_be)).shown
            now = Value(word, before.may_be & now.may_be or now.may_be)
        values[label.dimension] = now
    return values


def _is_lossy(label: Label) -> bool:
    """Whether any value may stand behind what such a label shows."""
    return not label.dimension.values and any(callable(words) or other is not None for words, other in label.words)


def _behind(label: Label, shown: str) -> frozenset[str]:
    """The values of a dimension that a label shows so."""
    if not label.words:
        return frozenset({shown})
    words = [known for known, _ in label.words if isinstance(known, Mapping)]
    possible = label.dimension.values or (*(words[0] if words else ()), shown)
    return frozenset(value for value in possible if label(value) == shown) or frozenset({shown})


class Reading:
    """The facts that a page, or what was added between two pages, tells of."""

    def __init__(self, samples: Samples, dialects: Sequence[Dialect] | None = None) -> None:
        self.samples = samples
        self.dialects = spoken(samples) if dialects is None else tuple(dialects)

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """What the page has, in the order of the dialects."""
        return tuple(
            Source(family, part, self.samples)
            for dialect in self.dialects
            for family in dialect
            if _bases(family) & self.samples.families
            for part in family.parts
        )

    def amount(self, wanted: Iterable[Wanted]) -> float | None:
        """The first of some numbers that can be told; None when none can."""
        found = self.amounts(wanted, None)
        return None if found is None else sum(found.values())

    def amounts(self, wanted: Iterable[Wanted], by: Dimension | None) -> dict[str, float] | None:
        """The same for each value of a dimension."""
        for one in wanted:
            # A part is no answer to how much there was in all; of failures it is better than none.
            for source in self._fitting(one.terms, one.where, by, whole=not one.where):
                if one.number and not isinstance(source.family, Histogram | Summary):
                    continue
                found = _grouped(source.amounts(one.number), one.where, by)
                if found is not None:
                    return found
        return None

    def spreads(self, measure: Measure, by: Dimension | None = None) -> dict[str, Spread] | None:
        """How a distribution spread, for each value of a dimension; None when that cannot be told."""
        for source in self._fitting((measure,), (), by, whole=False):
            if isinstance(source.family, Histogram):
                found: dict[str, dict[float, float]] = {}
                for values, buckets in source.buckets:
                    sums = found.setdefault(values[by].shown if by is not None else "", {})
                    for bound, number in buckets.items():
                        sums[bound] = sums.get(bound, 0.0) + number
                return {name: Spread(sums) for name, sums in found.items()}
        return None

    def _fitting(
        self, terms: tuple[Measure, ...], where: Sequence[Where], by: Dimension | None, *, whole: bool
    ) -> Iterator[Source]:
        """Sources of a number, those that leave nothing out before others, or (``whole``) alone."""
        fit = [
            source
            for source in self.sources
            if set(source.terms) == set(terms)
            and all(map(source.answers, where))
            and (by is None or by in source.dimensions)
        ]
        about = {source: source.is_about(where) for source in fit}
        yield from (source for source in fit if about[source])
        if not whole:
            yield from (source for source in fit if not about[source])


def _grouped(
    series: Iterable[tuple[Mapping[Dimension, Value], float]], where: Sequence[Where], by: Dimension | None
) -> dict[str, float] | None:
    """Sums by a dimension's value; None when a sample may or may not be one that is asked for."""
    found: dict[str, float] = {}
    for values, amount in series:
        chosen = [_decided(values.get(dimension), holds) for dimension, holds in where]
        if False in chosen:
            continue
        if None in chosen and amount:
            return None
        key = values[by].shown if by is not None else ""
        found[key] = found.get(key, 0) + amount
    return found


def _decided(value: Value | None, holds: Callable[[str], bool]) -> bool | None:
    """Whether a condition holds for what a label tells. Without a label the family's own condition says yes."""
    if value is None:
        return True
    answers = {holds(one) for one in value.may_be}
    return answers.pop() if len(answers) == 1 else None


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
