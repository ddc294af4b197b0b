"""The words that a dialect is written in: one declaration per metric family, each a small query over one fact.

A family says *which measure, filtered by what, grouped by which dimensions, under which name*::

    Counter("llm_tokens_total", LLMCall.input_tokens + LLMCall.output_tokens, by=(LLMCall.route, LLMCall.model))
    Histogram("llm_latency_ms", LLMCall.duration * 1000, by=(LLMCall.model,), buckets=(100, 1000, 5000))

Declarations hold no numbers and know no ledger; ``Dialect`` checks all of its families when it is built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from tallygate.declare import CustomLabels, Dimension, Expression, Fact, Label, Measure

Number = int | float | Decimal
By = tuple[Dimension | Label | CustomLabels, ...]


@dataclass(frozen=True)
class Split:
    """Several numbers of one fact in one family, told apart by a constant label."""

    label: str
    parts: tuple[tuple[str, Measure | Expression], ...]


def split(label: str, /, **parts: Measure | Expression) -> Split:
    """``split("type", input=LLMCall.input_tokens, output=...)``: series with type="input" and type="output"."""
    return Split(label, tuple(parts.items()))


@dataclass(frozen=True)
class Computed:
    """A number that is asked for while a page is made, under this key; not a fact of the ledger."""

    key: str


Value = Measure | Expression | Split | Computed


@dataclass(frozen=True)
class Part:
    """One term list of a family: which word the split label has ("" without a split), and what is summed."""

    word: str
    expression: Expression


@dataclass(frozen=True)
class Family:
    """A metric family. ``help`` and ``unit`` default to those of its measure.

    kind: counter, gauge, histogram, summary, info or stateset, as the text formats call it.
    zeros: combinations of label values that are shown at 0 beside every series, as long as they have not happened:
    ``zeros=({"status_code": "500", "status_type": "error"},)``. For a gauge without labels ``zeros=({},)`` says that it
    is 0, and not unknown, before anything happened.
    """

    kind: ClassVar[str] = "unknown"
    suffixes: ClassVar[tuple[str, ...]] = ()
    """What is appended to the name in samples; a family owns these names too."""

    name: str
    value: Value
    by: By = ()
    help: str = ""
    unit: str = ""
    zeros: tuple[Mapping[str, str], ...] = ()

    @property
    def base(self) -> str:
        """The family's name in OpenMetrics: without ``_total`` or ``_info``."""
        return self.name

    @property
    def labels(self) -> By:
        """``by``, and what the type itself adds to it."""
        return self.by

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is read from the ledger; nothing for a computed value."""
        match self.value:
            case Split(parts=parts):
                return tuple(Part(word, expression_of(number)) for word, number in parts)
            case Measure() | Expression():
                return (Part("", expression_of(self.value)),)
            case _:
                return ()

    @property
    def fact(self) -> type[Fact] | None:
        """The fact that is read; None for a value that comes from elsewhere."""
        return self.parts[0].expression.fact if self.parts else None

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Every measure that is read, in order."""
        return tuple(measure for part in self.parts for measure, _ in part.expression.terms)

    @property
    def factor(self) -> Decimal:
        """What the measures are multiplied with; one for the whole family."""
        return self.parts[0].expression.terms[0][1] if self.parts else Decimal(1)

    @property
    def owned_names(self) -> frozenset[str]:
        """Every sample and family name, in any format, that no other family may have."""
        return frozenset({self.name, self.base, *(self.base + suffix for suffix in self.suffixes)})

    @property
    def shown_help(self) -> str:
        """The help text of the page."""
        return self.help or " and ".join(dict.fromkeys(measure.help for measure in self.measures))

    @property
    def shown_unit(self) -> str:
        """The unit of the page: the declared one, or the measure's, unscaled, where the name ends in it."""
        if self.unit or not self.measures or self.factor != 1:
            return self.unit
        unit = self.measures[0].unit
        return unit if unit and self.base.endswith(f"_{unit}") else ""


def expression_of(number: Measure | Expression) -> Expression:
    """A measure alone is an expression of one term."""
    return number.expression if isinstance(number, Measure) else number


@dataclass(frozen=True)
class Counter(Family):
    """Only goes up. Its name ends in ``_total``. Reads counts, sums and the sums of distributions.

    A row that fails the condition shows its series at 0, unless the condition is about a dimension that is a label.
    """

    kind: ClassVar[str] = "counter"
    suffixes: ClassVar[tuple[str, ...]] = ("_total", "_created")

    @property
    def base(self) -> str:
        return self.name.removesuffix("_total")


@dataclass(frozen=True)
class BareCounter(Counter):
    """A counter whose promised name does not end in ``_total``; OpenMetrics, which has none such, calls it unknown."""

    suffixes: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class Gauge(Family):
    """Goes up and down. Reads a fact's gauges, each combined over the live workers as the fact says."""

    kind: ClassVar[str] = "gauge"


@dataclass(frozen=True)
class Histogram(Family):
    """How a distribution spreads. ``buckets`` are upper bounds in the family's own unit, ascending, without +Inf.

    as_written: OpenMetrics and Prometheus write bounds as doubles, ``le="4.0"``; this one stays ``le="4"`` for the
    queries that select it so. Prometheus 3 rewrites it all the same.
    """

    kind: ClassVar[str] = "histogram"
    suffixes: ClassVar[tuple[str, ...]] = ("_bucket", "_sum", "_count", "_created")

    buckets: tuple[Number, ...] = ()
    as_written: bool = False

    @property
    def bounds(self) -> tuple[Decimal, ...]:
        """``buckets`` exactly as they were written."""
        return tuple(Decimal(str(bucket)) for bucket in self.buckets)

    def boundaries(self) -> tuple[Decimal, ...]:
        """The bounds in units of the ledger's cells; whole numbers in every dialect that was checked."""
        return tuple((bound / self.factor).scaleb(-self.measures[0].exponent) for bound in self.bounds)


@dataclass(frozen=True)
class Summary(Family):
    """How many a distribution had, their sum, and quantiles of all that were ever recorded.

    A quantile is told from the buckets that the ledger keeps for it: between the two bounds of ``within``, in the
    family's own unit, it is less than 5 % off the value of its rank; what is a tenth below the lower one is told as
    about half of it, what is above the upper one as that. Quantiles of several series cannot be added up: a
    histogram's can.
    """

    kind: ClassVar[str] = "summary"
    suffixes: ClassVar[tuple[str, ...]] = ("_sum", "_count", "_created")

    quantiles: tuple[Number, ...] = ()
    within: tuple[Number, Number] = (0, 0)

    @property
    def shares(self) -> tuple[Decimal, ...]:
        """``quantiles`` exactly as they were written."""
        return tuple(Decimal(str(quantile)) for quantile in self.quantiles)

    def boundaries(self) -> tuple[Decimal, ...]:
        """The bounds of its buckets in units of the ledger's cells, none more than a tenth above the one before it."""
        if not self.quantiles:
            return ()
        low, high = ((Decimal(str(end)) / self.factor).scaleb(-self.measures[0].exponent) for end in self.within)
        bounds = [Decimal(-(-int(low) * 10 // 11))]  # so that the lower end has a bucket of its own
        while bounds[-1] < high:
            bounds.append(min(high, Decimal(int(bounds[-1] * 11 / 10))))
        return tuple(bounds)


@dataclass(frozen=True)
class Info(Family):
    """Labels that say something, with the value 1. Its name ends in ``_info``.

    Reads a gauge that is above 0 while it holds; what holds in no live worker is not shown.
    """

    kind: ClassVar[str] = "info"

    @property
    def base(self) -> str:
        return self.name.removesuffix("_info")


@dataclass(frozen=True)
class StateSet(Family):
    """Which of a closed vocabulary of states holds: one series per state, 1 or 0. The label is named as the family."""

    kind: ClassVar[str] = "stateset"

    state: Dimension | Label | None = None

    @property
    def labels(self) -> By:
        if self.state is None:
            return self.by
        state = self.state if isinstance(self.state, Label) else Label(self.state)
        return (*self.by, state.named(self.name).from_zero(*state.zero))


class DialectError(ValueError):
    """A dialect that cannot be: says which dialect and family, what is wrong and what mends it."""

    def __init__(self, dialect: str, family: str, problem: str, mend: str) -> None:
        where = f"dialect {dialect!r}, family {family!r}" if family else f"dialect {dialect!r}"
        super().__init__(f"{where}: {problem}; {mend}")
        self.dialect, self.family, self.problem, self.mend = dialect, family, problem, mend


class Dialect:
    """A vocabulary for reading: a name and its families. Building one checks it whole; raises DialectError."""

    def __init__(self, name: str, *families: Family, help: str = "") -> None:
        from tallygate.dialects.checks import check  # the checks are about these classes

        self.name, self.families, self.help = name, families, help
        check(self)

    def __iter__(self) -> Iterator[Family]:
        return iter(self.families)

    def __repr__(self) -> str:
        return f"Dialect({self.name!r}, {len(self.families)} families)"
