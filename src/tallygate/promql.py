"""PromQL over the families that a dialect declares, for dashboards, rules and pages.

A query that names a family or a label that is not declared, or that would match nothing because its two sides have
different labels, cannot be written: QueryError says where and what is there instead. ::

    ours = Vocabulary(DIALECTS["tallygate"], window="5m")
    failed = ours("tallygate_llm_errors_total").where(domain="provider").rate().sum("model")
    share = failed / ours("tallygate_llm_calls_total").rate().sum("model")
    slow = ours("tallygate_llm_call_duration_seconds").quantile(0.95, "model").above(10)

``str(query)`` is the PromQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tallygate.declare import CustomLabels, Dimension
from tallygate.dialects.families import Computed, Counter, Dialect, Family, Histogram, Split, Summary

SCRAPED = ("job", "instance")
"""Labels that Prometheus adds to what it scrapes."""

Number = int | float


@dataclass(frozen=True)
class Scalar:
    """A number that Prometheus works out, such as ``time()``, or that a dashboard's variable is."""

    text: str


class QueryError(ValueError):
    """A query that cannot be right: says what it names and what there is."""


@dataclass(frozen=True)
class Query:
    """A vector: its PromQL, and which labels its series have.

    joined: parts stand side by side, not in brackets.
    most: no value is larger, as a quantile cannot be told beyond the top bucket; None where nothing is known.
    """

    text: str
    labels: frozenset[str] = frozenset()
    joined: bool = False
    most: float | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.text

    @property
    def _enclosed(self) -> str:
        return f"({self.text})" if self.joined else self.text

    def sum(self, *by: str) -> Query:
        """Added up, per value of these labels."""
        return self.aggregated("sum", by)

    def max(self, *by: str) -> Query:
        """The largest, per value of these labels."""
        return self.aggregated("max", by)

    def min(self, *by: str) -> Query:
        """The smallest, per value of these labels."""
        return self.aggregated("min", by)

    def average(self, *by: str) -> Query:
        """The mean, per value of these labels."""
        return self.aggregated("avg", by)

    def number(self, *by: str) -> Query:
        """How many series there are, per value of these labels."""
        return self.aggregated("count", by)

    def aggregated(self, operator: str, by: Iterable[str]) -> Query:
        """An aggregation of PromQL. Raises QueryError for a label that the series do not have."""
        by = tuple(by)
        self._check(by)
        grouped = f" by ({', '.join(by)}) " if by else ""
        most = self.most if operator in ("max", "min", "avg") else None
        return Query(f"{operator}{grouped}({self.text})", frozenset(by), most=most)

    def top(self, count: int) -> Query:
        """The largest so many series."""
        return replace(self, text=f"topk({count}, {self.text})", joined=False)

    def at_least(self, number: Number) -> Query:
        """Its values, none smaller than this: for divisors that must not be 0."""
        return replace(self, text=f"clamp_min({self.text}, {number:g})", joined=False)

    def or_zero(self) -> Query:
        """0 where there is nothing at all. Only for a query without labels."""
        if self.labels:
            raise QueryError(f"{self.text}: 0 has no labels, the query has {_listed(self.labels)}; sum() it first")
        return Query(f"{self._enclosed} or vector(0)", joined=True)

    def absent(self) -> Query:
        """1 when there is no series at all, else nothing."""
        return Query(f"absent({self.text})")

    def __add__(self, other: Query | Number | Scalar) -> Query:
        return self._with("+", other)

    def __sub__(self, other: Query | Number | Scalar) -> Query:
        return self._with("-", other)

    def __mul__(self, other: Query | Number | Scalar) -> Query:
        return self._with("*", other)

    def __truediv__(self, other: Query | Number | Scalar) -> Query:
        return self._with("/", other)

    def __rsub__(self, number: Number) -> Query:
        return Query(f"{number:.12g} - {self._enclosed}", self.labels, joined=True)

    def above(self, other: Query | Number) -> Query:
        """The series that are larger. Raises QueryError for a quantile and a number that it can never be above."""
        if self.most is not None and not isinstance(other, Query) and other >= self.most:
            raise QueryError(
                f"{self.text} > {other:g}: is never above its top bucket, {self.most:g};"
                " ask for a smaller number, or for beyond() that bucket"
            )
        return self._with(">", other)

    def below(self, other: Query | Number) -> Query:
        """The series that are smaller."""
        return self._with("<", other)

    def equal(self, other: Query | Number) -> Query:
        """The series that are equal."""
        return self._with("==", other)

    def and_(self, other: Query) -> Query:
        """The series that the other has too."""
        return self._with("and", other)

    def or_(self, other: Query) -> Query:
        """The series of this one, and those that only the other has."""
        return self._with("or", other)

    def unless(self, other: Query) -> Query:
        """The series that the other does not have."""
        return self._with("unless", other)

    def per(self, other: Query) -> Query:
        """Each series divided by the one number that the other is: shares of a total."""
        if other.labels:
            raise QueryError(f"{other.text}: is not one number, it has the labels {_listed(other.labels)}")
        return Query(
            f"{self._enclosed} / ignoring({', '.join(sorted(self.labels))}) group_left {other._enclosed}"
            if self.labels
            else f"{self._enclosed} / {other._enclosed}",
            self.labels,
            joined=True,
        )

    def share_of(self, whole: Query) -> Query:
        """What part of the other this is, 0 where the other is 0."""
        return self / whole.at_least(1e-9)

    def told_by(self, other: Query, on: Iterable[str], labels: Iterable[str]) -> Query:
        """With labels of an info family, joined on labels that both have."""
        on, labels = tuple(on), tuple(labels)
        self._check(on)
        other._check((*on, *labels))
        matching = f"on ({', '.join(on)}) group_left ({', '.join(labels)})"
        return Query(f"{self._enclosed} * {matching} {other._enclosed}", self.labels | set(labels), joined=True)

    def _with(self, operator: str, other: Query | Number | Scalar) -> Query:
        if isinstance(other, Scalar):
            return replace(self, text=f"{self._enclosed} {operator} ({other.text})", joined=True, most=None)
        if not isinstance(other, Query):
            most = self.most if operator not in ("+", "-", "*", "/") else None
            return replace(self, text=f"{self._enclosed} {operator} {other:.12g}", joined=True, most=most)
        if self.labels != other.labels:
            raise QueryError(
                f"{self.text} {operator} {other.text}: nothing matches, the one has the labels"
                f" {_listed(self.labels)} and the other {_listed(other.labels)}; sum() both by the same"
            )
        return Query(f"{self._enclosed} {operator} {other._enclosed}", self.labels, joined=True)

    def _check(self, labels: Iterable[str]) -> None:
        unknown = [label for label in labels if label not in self.labels]
        if unknown:
            raise QueryError(f"{self.text}: has no label {unknown[0]!r}; it has {_listed(self.labels)}")


@dataclass(frozen=True)
class Recorded:
    """The series that a recording rule writes."""

    name: str
    labels: frozenset[str]
    offset: str = ""

    def ago(self, offset: str) -> Recorded:
        """As it was so long ago."""
        return replace(self, offset=offset)

    @property
    def now(self) -> Query:
        """The values as they were written last."""
        return Query(f"{self.name}{self._ago}", self.labels)

    def average(self, window: str) -> Query:
        """The mean of what was written in this time."""
        return Query(f"avg_over_time({self.name}[{window}]{self._ago})", self.labels)

    def total(self, window: str, step: str) -> Query:
        """The sum of what was true at each step of this time."""
        return Query(f"sum_over_time({self.name}[{window}:{step}]{self._ago})", self.labels)

    def foreseen(self, window: str, seconds: Number) -> Query:
        """What it will be in so many seconds if it goes on as in this time."""
        return Query(f"predict_linear({self.name}[{window}]{self._ago}, {seconds:g})", self.labels)

    @property
    def _ago(self) -> str:
        return f" offset {self.offset}" if self.offset else ""


@dataclass(frozen=True)
class Selector:
    """The series of one family, as they are. ``window`` is what its rates are taken over unless they say otherwise."""

    family: Family
    window: str
    allowed: frozenset[str]
    matchers: tuple[str, ...] = ()
    offset: str = ""

    def where(self, **values: str) -> Selector:
        """Only series with these label values."""
        return self._matching((name, "=", value) for name, value in values.items())

    def like(self, **patterns: str) -> Selector:
        """Only series whose labels match these regular expressions."""
        return self._matching((name, "=~", pattern) for name, pattern in patterns.items())

    def unlike(self, **patterns: str) -> Selector:
        """Only series whose labels do not match these regular expressions."""
        return self._matching((name, "!~", pattern) for name, pattern in patterns.items())

    def ago(self, offset: str) -> Selector:
        """As it was so long ago."""
        return replace(self, offset=offset)

    @property
    def now(self) -> Query:
        """The values as they are: of gauges, infos and state sets, and the quantiles of a summary."""
        if isinstance(self.family, Histogram):
            raise QueryError(f"{self.family.name}: a histogram has no values; ask for a rate(), quantile() or mean()")
        return Query(self._text() + self._ago, self.allowed)

    @property
    def series(self) -> str:
        """Names its series, to be asked for the values of labels."""
        return self._text("_count" if isinstance(self.family, Histogram | Summary) else "")

    def rate(self, window: str = "", part: str = "") -> Query:
        """Per second: of a counter, or of a histogram's or summary's ``count`` (the default) or ``sum``."""
        return self._over("rate", window, part)

    def increase(self, window: str = "", part: str = "") -> Query:
        """How much was added: of a counter, or of a histogram's or summary's ``count`` (the default) or ``sum``."""
        return self._over("increase", window, part)

    def quantile(self, share: float, *by: str, window: str = "") -> Query:
        """A quantile of a histogram, per value of these labels."""
        buckets = self._over("rate", window, "bucket").sum(*by, "le")
        top = float(self.family.bounds[-1]) if isinstance(self.family, Histogram) else None
        return Query(f"histogram_quantile({share:g}, {buckets})", frozenset(by), most=top)

    def mean(self, *by: str, window: str = "") -> Query:
        """The mean of what a histogram or summary saw, per value of these labels."""
        return self.rate(window, "sum").sum(*by) / self.rate(window, "count").sum(*by)

    def within(self, bound: str, *by: str, window: str = "") -> Query:
        """The share of what a histogram saw that was at most ``bound``, one of its buckets as it is written."""
        return self._inside(bound, window).sum(*by) / self.rate(window, "count").sum(*by)

    def beyond(self, bound: str, *by: str, window: str = "") -> Query:
        """What a histogram saw per second that was above ``bound``, one of its buckets as it is written."""
        return self.rate(window, "count").sum(*by) - self._inside(bound, window).sum(*by)

    def _inside(self, bound: str, window: str) -> Query:
        family = self.family
        if not isinstance(family, Histogram) or float(bound) not in [float(each) for each in family.bounds]:
            bounds = [str(each) for each in family.bounds] if isinstance(family, Histogram) else []
            raise QueryError(f"{family.name}: has no bucket {bound!r}; it has {', '.join(bounds) or 'none'}")
        inside = replace(self, matchers=(*self.matchers, f'le=~"{bound.replace(".", "[.]")}(?:[.]0)?"'))
        return inside._over("rate", window, "bucket")

    def _over(self, function: str, window: str, part: str) -> Query:
        family, suffix, allowed = self.family, "", self.allowed
        if isinstance(family, Histogram | Summary):
            part = part or "count"
            if part not in ("count", "sum", "bucket") or (part == "bucket" and isinstance(family, Summary)):
                raise QueryError(f"{family.name}: a {family.kind} has no {part!r}")
            suffix = f"_{part}"
            allowed = allowed | {"le"} if part == "bucket" else allowed - {"quantile"}
        elif not isinstance(family, Counter) or part:
            raise QueryError(f"{family.name}: {function}() is for counters and histograms, this is a {family.kind}")
        return Query(f"{function}({self._text(suffix)}[{window or self.window}]{self._ago})", allowed)

    @property
    def _ago(self) -> str:
        return f" offset {self.offset}" if self.offset else ""

    def _text(self, suffix: str = "") -> str:
        return self.family.name + suffix + (f"{{{', '.join(self.matchers)}}}" if self.matchers else "")

    def _matching(self, matchers: Iterable[tuple[str, str, str]]) -> Selector:
        written = []
        for name, operator, value in matchers:
            if name not in self.allowed:
                raise QueryError(f"{self.family.name}: has no label {name!r}; it has {_listed(self.allowed)}")
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            written.append(f'{name}{operator}"{escaped}"')
        return replace(self, matchers=(*self.matchers, *written))


@dataclass(frozen=True)
class Exporter:
    """Families that another program exposes, such as a database's exporter: asked with the same checks."""

    name: str
    families: tuple[Family, ...]

    def __iter__(self) -> Iterator[Family]:
        return iter(self.families)


def foreign(kind: type[Family], name: str, *labels: str) -> Family:
    """A family of an ``Exporter``: its type, the name of its samples as they are, and its labels."""
    return kind(name, Computed(""), by=tuple(Dimension("").named(label) for label in labels))


class Vocabulary:
    """The families of a dialect, or of an exporter, to be asked."""

    def __init__(
        self,
        dialect: Dialect | Exporter,
        *,
        window: str,
        filters: Mapping[str, str] | None = None,
        custom: Iterable[str] = (),
    ) -> None:
        """window: what rates are taken over, "5m" or a dashboard's variable.

        filters: label to regular expression, applied to every family that has the label: a dashboard's variables.
        custom: names of the custom labels that the gateway was configured with.
        """
        self.dialect, self.window = dialect, window
        self._filters, self._custom = dict(filters or {}), tuple(custom)
        self._families = {family.name: family for family in dialect}

    def __call__(self, name: str) -> Selector:
        """The series of this family. Raises QueryError when the dialect does not have it."""
        family = self._families.get(name)
        if family is None:
            what = "exporter" if isinstance(self.dialect, Exporter) else "dialect"
            raise QueryError(f"the {what} {self.dialect.name!r} has no family {name!r}")
        allowed = frozenset((*label_names(family, self._custom), *SCRAPED))
        selector = Selector(family, self.window, allowed)
        return selector.like(**{label: pattern for label, pattern in self._filters.items() if label in allowed})


def label_names(family: Family, custom: Iterable[str] = ()) -> tuple[str, ...]:
    """The labels of a family's samples, those that its type adds included; ``le`` is a bucket's only."""
    names: list[str] = []
    for item in family.labels:
        names += custom if isinstance(item, CustomLabels) else [item.name]
    if isinstance(family.value, Split):
        names.append(family.value.label)
    if isinstance(family, Summary) and family.quantiles:
        names.append("quantile")
    return tuple(names)


def _listed(labels: Iterable[str]) -> str:
    return ", ".join(sorted(labels)) or "none"
