"""What must hold of a dialect, so that every page it makes is valid; and of several dialects on one page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from tallygate import declare
from tallygate.declare import CustomLabels, Dimension, Distribution, Expression, Label, Measure, labels_of
from tallygate.dialects import families
from tallygate.dialects.families import Computed, DialectError, Family, Histogram, Info, Split, StateSet, Summary

if TYPE_CHECKING:
    from tallygate.dialects.families import Dialect

DIALECT_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")
METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
LABELS = (Dimension, Label, CustomLabels)
RESERVED_LABELS = {"le", "quantile"}


def check(dialect: Dialect) -> None:
    """Raise DialectError for the first thing that is wrong."""
    if not DIALECT_NAME.match(dialect.name):
        raise DialectError(dialect.name, "", "not a dialect name", "use lower-case letters, digits, - and _")
    owners: dict[str, Family] = {}
    for family in dialect.families:
        _Check(dialect.name, family).all()
        for name in sorted(family.owned_names):
            if name in owners:
                raise DialectError(dialect.name, family.name, *_clash(family, owners[name], name))
        owners |= dict.fromkeys(family.owned_names, family)


def _clash(family: Family, other: Family, name: str) -> tuple[str, str]:
    if family.name == other.name:
        return "declared twice", "remove or rename one"
    return f"clashes with {other.kind} {other.name!r}: both own the name {name!r}", "rename one"


class DialectClash(DialectError):
    """Two dialects that cannot share a page."""

    def __init__(self, first: str, second: str, family: str, problem: str) -> None:
        ValueError.__init__(
            self,
            f"dialects {first!r} and {second!r} cannot share a page: {problem}; "
            f"serve one of them by default and read the other apart, with ?dialect={second}",
        )
        self.dialect, self.other, self.family, self.problem = first, second, family, problem
        self.mend = f"?dialect={second}"


def merge(dialects: Sequence[Dialect]) -> tuple[tuple[Dialect, Family], ...]:
    """The families of all dialects on one page, those declared alike once. Raises DialectClash."""
    merged: list[tuple[Dialect, Family]] = []
    owners: dict[str, tuple[str, Family]] = {}
    for dialect in dialects:
        for family in dialect:
            taken = [name for name in sorted(family.owned_names) if name in owners]
            if not taken:
                merged.append((dialect, family))
                owners |= dict.fromkeys(family.owned_names, (dialect.name, family))
                continue
            owner, other = owners[taken[0]]
            if other == family:
                continue
            if other.name == family.name:
                problem = f"each declares {family.name!r} in its own way"
            else:
                problem = (
                    f"{other.kind} {other.name!r} and {family.kind} {family.name!r} both own the name {taken[0]!r}"
                )
            raise DialectClash(owner, dialect.name, family.name, problem)
    return tuple(merged)


class _Check:
    """The checks of one family, each a method."""

    def __init__(self, dialect: str, family: Family) -> None:
        self.dialect, self.family = dialect, family

    def all(self) -> None:
        self.types()
        self.name()
        self.value()
        self.labels()
        self.unit()
        if isinstance(self.family, Histogram):
            self.buckets(self.family)
        if isinstance(self.family, Summary):
            self.quantiles(self.family)

    def error(self, problem: str, mend: str) -> DialectError:
        return DialectError(self.dialect, self.family.name, problem, mend)

    def types(self) -> None:
        """What a type checker would say, for those who have none."""
        family, value = self.family, self.family.value
        if isinstance(value, Split):
            fits = all(isinstance(number, Measure | Expression) for _, number in value.parts)
        else:
            fits = isinstance(value, Measure | Expression | Computed)
        if not fits:
            raise self.error("its value is no measure", "read one of a fact: LLMCall.duration, LLMCall.cost * 100")
        if not (isinstance(family.by, tuple) and all(isinstance(item, LABELS) for item in family.by)):
            raise self.error("by is no tuple of dimensions", "write by=(LLMCall.provider, LLMCall.model)")

    def name(self) -> None:
        name = self.family.name
        if not METRIC_NAME.match(name):
            raise self.error("not a metric name", "use letters, digits, _ and :, not beginning with a digit")
        ends_in_total = name.endswith("_total") and len(name) > 6
        if isinstance(self.family, families.BareCounter):
            if ends_in_total:
                raise self.error("the name of a bare counter ends in _total", "declare it as a Counter")
        elif isinstance(self.family, families.Counter) and not ends_in_total:
            raise self.error("the name of a counter must end in _total", f"call it {name}_total")
        if isinstance(self.family, Info) and not (name.endswith("_info") and len(name) > 5):
            raise self.error("the name of an info must end in _info", f"call it {name}_info")

    def value(self) -> None:
        family = self.family
        if isinstance(family.value, Split) and not family.parts:
            raise self.error("a split without parts", "name at least one: split('type', input=LLMCall.input_tokens)")
        if isinstance(family.value, Computed):
            if isinstance(family, Histogram | Summary | Info | StateSet):
                raise self.error(f"no {family.kind} can be read from {family.value!r}", "read a measure of a fact")
            return
        facts = {part.expression.fact for part in family.parts}
        if len(facts) > 1 or any(measure.fact not in facts for measure in family.measures):
            names = ", ".join(sorted({measure.fact.__name__ for measure in family.measures}))
            raise self.error(f"reads measures of several facts ({names})", "read one fact per family")
        self.same_unit()
        for part in family.parts:
            self.terms(part)

    def same_unit(self) -> None:
        """Cells are added as whole numbers: all terms must count in the same units."""
        terms = [term for part in self.family.parts for term in part.expression.terms]
        if any(factor <= 0 for _, factor in terms):
            raise self.error("a factor is not above 0", "multiply with a positive number")
        if len({factor for _, factor in terms}) > 1:
            raise self.error("its terms have different factors", "multiply the whole sum instead")
        if len({measure.exponent for measure, _ in terms}) > 1:
            kept = ", ".join(f"{measure!r} 10^{measure.exponent}" for measure, _ in terms)
            raise self.error(f"adds measures kept at different resolutions ({kept})", "read them as separate families")
        if len({measure.combine for measure, _ in terms if isinstance(measure, declare.Gauge)}) > 1:
            raise self.error("its gauges combine differently over workers", "read them as separate families")

    def terms(self, part: families.Part) -> None:
        family, measures = self.family, [measure for measure, _ in part.expression.terms]
        for dimension, _, _ in part.expression.condition.clauses:
            if dimension.fact is not part.expression.fact:
                raise self.error(f"its condition is about {dimension!r}", f"use {part.expression.fact.__name__}'s own")
        gauges = [measure for measure in measures if isinstance(measure, declare.Gauge)]
        if isinstance(family, families.Counter | Histogram | Summary) and gauges:
            raise self.error(f"{gauges[0]!r} goes up and down", "declare it as a Gauge")
        one_distribution = len(measures) == 1 and isinstance(measures[0], Distribution)
        if isinstance(family, Histogram | Summary) and not one_distribution:
            raise self.error(f"a {family.kind} reads one Distribution", "name one, or declare a Counter")
        if isinstance(family, families.Gauge | Info | StateSet) and len(gauges) < len(measures):
            raise self.error(f"{measures[0]!r} only adds up", "declare it as a Counter, or read a Gauge of the fact")
        if isinstance(family, Info) and (len(measures) > 1 or isinstance(family.value, Split)):
            raise self.error("an info reads one gauge", "declare several families")

    def labels(self) -> None:
        family, fact = self.family, self.family.fact
        if fact is None and family.labels:
            raise self.error("has labels and no fact to take their values from", "remove them, or read a fact")
        labels = list(labels_of(family.labels))
        if isinstance(family, StateSet) and not (family.state and labels[-1].zero):
            raise self.error("the states are not known", "give state= a dimension with a closed vocabulary")
        for label in labels:
            if label.dimension.fact is not fact:
                own = fact.__name__ if fact else "nothing"
                raise self.error(f"grouped by {label.dimension!r}", f"group by dimensions of {own}")
        own_names = [label.name for label in labels]
        names = own_names + ([family.value.label] if isinstance(family.value, Split) else [])
        for name in names:
            if names.count(name) > 1:
                raise self.error(f"has two labels {name!r}", "rename one with .named(...)")
            if name in RESERVED_LABELS or name.startswith("__") or not LABEL_NAME.match(name):
                raise self.error(f"{name!r} cannot be a label", "rename it with .named(...)")
        for zero in family.zeros:
            if unknown := sorted(set(zero) - set(own_names)):
                raise self.error(f"zeros names {unknown[0]!r}, which is no label of it", f"its labels are {own_names}")

    def unit(self) -> None:
        if self.family.unit and not self.family.base.endswith(f"_{self.family.unit}"):
            raise self.error(f"the name does not end in its unit {self.family.unit!r}", "rename it, or leave unit out")

    def quantiles(self, family: Summary) -> None:
        if not family.quantiles:
            if any(family.within):
                raise self.error("tells within which bounds, and no quantiles", "give quantiles=(0.5, 0.99) too")
            return
        if any(not 0 <= share <= 1 for share in family.shares) or len(set(family.shares)) < len(family.shares):
            raise self.error("its quantiles are not different numbers from 0 to 1", "give quantiles=(0.5, 0.99)")
        step = Decimal(1).scaleb(family.measures[0].exponent) * family.factor
        low, high = (Decimal(str(end)) for end in family.within)
        if not 10 * step <= low < high or any((end / step) % 1 for end in (low, high)):
            problem = f"quantiles cannot be told within {low} and {high}"
            raise self.error(
                problem, f"give within=(low, high), ascending multiples of {step.normalize():f}, low at least tenfold"
            )

    def buckets(self, family: Histogram) -> None:
        if not family.buckets:
            raise self.error("a histogram without buckets", "give buckets=(...) in the family's unit")
        if any(not bound.is_finite() for bound in family.bounds):
            raise self.error("a bucket is not finite", "leave it out: +Inf is always there")
        if list(family.bounds) != sorted(set(family.bounds)):
            raise self.error("the buckets do not ascend", "sort them and remove doubles")
        for bound, cells in zip(family.bounds, family.boundaries(), strict=True):
            if cells != cells.to_integral_value() or abs(cells) > 2**62 or not _exact(cells, bound, family):
                step = (Decimal(1) * family.factor).scaleb(family.measures[0].exponent).normalize()
                raise self.error(f"bucket {bound} is finer than what is counted", f"use multiples of {step}")


def _exact(cells: Decimal, bound: Decimal, family: Histogram) -> bool:
    """Whether no digit was lost on the way from the bound to the cells."""
    return cells.scaleb(family.measures[0].exponent) * family.factor == bound
