"""The words that facts are declared with, and the small algebra in which dialects ask for them.

``facts/`` reads as the list of what is measured; a dialect reads as the list of what is shown. Both are
made of the classes here, which hold no numbers themselves: the ledger does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import ClassVar

from tallygate.ledger.schema import Combine

Words = Mapping[str, str] | Callable[[str], str]


class Declared:
    """Something a fact declares: knows its own name and its fact once the class body is read."""

    name: str = ""
    help: str = ""
    fact: type[Fact]

    def __set_name__(self, owner: type[Fact], name: str) -> None:
        self.name, self.fact = name, owner

    def __repr__(self) -> str:
        return f"{self.fact.__name__}.{self.name}" if self.name else type(self).__name__


class Dimension(Declared):
    """A string that tells facts of one kind apart. ``values`` is its closed vocabulary, empty when it is open."""

    def __init__(self, help: str, *, values: tuple[str, ...] = ()) -> None:
        self.help, self.values = help, values

    def as_(self, words: Words, *, otherwise: str | None = None) -> Label:
        """This dimension in other words; a value that ``words`` lacks becomes ``otherwise``, or stays as it is."""
        return Label(self).as_(words, otherwise=otherwise)

    def named(self, name: str) -> Label:
        """This dimension under another label name."""
        return Label(self, name)

    def from_zero(self, *values: str) -> Label:
        """This dimension with these values (default: its whole closed vocabulary) shown at 0 before they happen."""
        return Label(self).from_zero(*values)

    def among(self, *values: str) -> Condition:
        """Holds for facts whose value is one of ``values``."""
        return Condition(((self, frozenset(values), True),))

    def not_among(self, *values: str) -> Condition:
        """Holds for facts whose value is none of ``values``."""
        return Condition(((self, frozenset(values), False),))


@dataclass(frozen=True)
class Label:
    """How a dimension is shown: under which name, in which words, from zero or not."""

    dimension: Dimension
    name: str = ""
    words: tuple[tuple[Words, str | None], ...] = ()
    zero: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.dimension.name)

    def named(self, name: str) -> Label:
        return replace(self, name=name)

    def as_(self, words: Words, *, otherwise: str | None = None) -> Label:
        return replace(self, words=(*self.words, (words, otherwise)))

    def from_zero(self, *values: str) -> Label:
        """Show these dimension values (default: the dimension's whole vocabulary) at 0 before they happen."""
        return replace(self, zero=values or tuple(value for value in self.dimension.values if value))

    def __call__(self, value: str) -> str:
        """The label's value for a dimension's value."""
        for words, otherwise in self.words:
            value = words(value) if callable(words) else words.get(value, value if otherwise is None else otherwise)
        return value


@dataclass(frozen=True)
class Condition:
    """A filter on the dimensions of one fact: every clause must hold."""

    clauses: tuple[tuple[Dimension, frozenset[str], bool], ...]

    def __and__(self, other: Condition) -> Condition:
        return Condition(self.clauses + other.clauses)

    def holds(self, values: Mapping[str, str]) -> bool:
        """Whether a row with these dimension values (by dimension name) passes."""
        return all((values[dimension.name] in allowed) is wanted for dimension, allowed, wanted in self.clauses)


@dataclass(frozen=True)
class Expression:
    """A sum of measures of one fact, each times a factor, over the rows that pass a condition."""

    terms: tuple[tuple[Measure, Decimal], ...]
    condition: Condition = field(default=Condition(()))

    @property
    def fact(self) -> type[Fact]:
        return self.terms[0][0].fact

    def __add__(self, other: Measure | Expression) -> Expression:
        other = other.expression if isinstance(other, Measure) else other
        if other.condition != self.condition or other.fact is not self.fact:
            raise ValueError(f"cannot add {other} to {self}: both must read the same fact under the same condition")
        return replace(self, terms=self.terms + other.terms)

    def __mul__(self, factor: int | Decimal) -> Expression:
        return replace(self, terms=tuple((measure, already * factor) for measure, already in self.terms))

    def where(self, condition: Condition) -> Expression:
        return replace(self, condition=self.condition & condition)


class Measure(Declared):
    """A number that a fact carries.

    exponent: the ledger's resolution; cells count units of 10**exponent. only: on facts for which this condition does
    not hold the measure is never set, so that a page need not show it for them.
    """

    exponent: int = 0
    only: Condition = Condition(())

    def __init__(self, unit: str, help: str, *, exponent: int = 0, only: Condition = Condition(())) -> None:
        self.unit, self.help, self.exponent, self.only = unit, help, exponent, only

    @property
    def expression(self) -> Expression:
        return Expression(((self, Decimal(1)),))

    def __add__(self, other: Measure | Expression) -> Expression:
        return self.expression + other

    def __mul__(self, factor: int | Decimal) -> Expression:
        return self.expression * factor

    def where(self, condition: Condition) -> Expression:
        return self.expression.where(condition)


class Count(Measure):
    """How many facts were recorded. Every fact has one, named ``count``."""

    def __init__(self) -> None:
        super().__init__("", "how many were recorded")


class Sum(Measure):
    """A number that only adds up: tokens, dollars."""


class Distribution(Measure):
    """A number whose spread matters: durations, sizes. The ledger keeps its sum and its buckets."""


class Gauge(Measure):
    """A number that goes up and down, kept per worker and combined over the live ones."""

    def __init__(self, unit: str, help: str, *, exponent: int = 0, combine: Combine = Combine.SUM) -> None:
        super().__init__(unit, help, exponent=exponent)
        self.combine = combine


class Fact:
    """Something that happens to LLM traffic. Subclasses declare dimensions and measures, and nothing else."""

    dimensions: ClassVar[tuple[Dimension, ...]] = ()
    measures: ClassVar[tuple[Measure, ...]] = ()
    count: ClassVar[Count]
    takes_custom_labels: ClassVar[bool] = False
    """Whether the custom labels of the configuration are further dimensions of this fact."""
    budget: ClassVar[int] = 10_000
    """How many distinct rows may exist before the rest goes to the overflow row."""

    def __init_subclass__(cls) -> None:
        declared = vars(cls).values()
        cls.dimensions = tuple(item for item in declared if isinstance(item, Dimension))
        cls.measures = tuple(item for item in declared if isinstance(item, Measure))
        cls.count = Count()
        cls.count.__set_name__(cls, "count")


class CustomLabels:
    """Stands in a family's ``by`` for all the custom labels of the configuration, in sorted order."""


CUSTOM_LABELS = CustomLabels()


def labels_of(by: tuple[Dimension | Label | CustomLabels, ...], custom: tuple[Dimension, ...] = ()) -> Iterator[Label]:
    """The labels that ``by`` names, in order, with the custom ones put in their place."""
    for item in by:
        if isinstance(item, Label):
            yield item
        elif isinstance(item, Dimension):
            yield Label(item)
        else:
            yield from map(Label, custom)
