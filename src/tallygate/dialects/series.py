"""From the dimension values of a ledger row to the labels of an output series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from tallygate.declare import Condition, Dimension, Label
from tallygate.ledger.interface import RowView

OVERFLOW = 0
"""Index of every table's overflow row."""


def escaped(value: str) -> str:
    """A label value as all text formats write it between its quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class _Written(dict[str, str]):
    """``name="value"`` by dimension value, each worked out once."""

    def __init__(self, label: Label) -> None:
        super().__init__()
        self.label = label

    def __missing__(self, value: str) -> str:
        self[value] = written = f'{self.label.name}="{escaped(self.label(value))}"'
        return written


class Columns:
    """The labels of some families of one table: which dimensions, in which words, which of them from zero."""

    def __init__(
        self, labels: Sequence[Label], dimensions: Sequence[str], zeros: tuple[Mapping[str, str], ...] = ()
    ) -> None:
        self.labels, self.zeros = tuple(labels), zeros
        self._columns = tuple((dimensions.index(label.dimension.name), _Written(label)) for label in labels)
        vocabulary: dict[int, dict[str, None]] = {}
        for label, (index, _) in zip(labels, self._columns, strict=True):
            if label.zero:
                vocabulary.setdefault(index, {}).update(dict.fromkeys(label.zero))
        self._vocabulary = {index: tuple(values) for index, values in vocabulary.items()}
        self._open = tuple((index, words) for index, words in self._columns if index not in vocabulary)
        self._seeded: set[tuple[str, ...]] = set()

    def of(self, values: Sequence[str]) -> str:
        """The labels of a row: escaped, joined, ready to print."""
        return ",".join([words[values[index]] for index, words in self._columns])

    @property
    def closed(self) -> bool:
        """Whether every label shows its whole vocabulary from zero, so that all series are known beforehand."""
        return not self._open

    def seeds(self, values: Sequence[str]) -> Iterator[str]:
        """The labels of all series that are shown at 0 because of this row, unless an earlier row did it."""
        if not (self._vocabulary or self.zeros):
            return
        seed = tuple([words[values[index]] for index, words in self._open])
        if seed in self._seeded:
            return
        self._seeded.add(seed)
        yield from self._beside(values)

    def beforehand(self) -> Iterator[str]:
        """The labels of all series of a closed family."""
        if self._columns:
            yield from self._beside([""] * (1 + max(index for index, _ in self._columns)))
        else:
            yield ""

    def _beside(self, values: Sequence[str]) -> Iterator[str]:
        if self._vocabulary:
            changed = list(values)
            for combination in product(*self._vocabulary.values()):
                for index, value in zip(self._vocabulary, combination, strict=True):
                    changed[index] = value
                yield self.of(changed)
        for zero in self.zeros:
            yield ",".join(
                f'{words.label.name}="{escaped(zero[words.label.name])}"'
                if words.label.name in zero
                else words[values[index]]
                for index, words in self._columns
            )


class Filter:
    """A condition made ready for rows.

    A row that fails a clause about a label has no series; one that fails another clause has its series, at 0, except
    where the family is sparse: an empty histogram is many lines that say nothing, and a gauge that was never set is not
    0. ``only`` are conditions of measures that are unset on other rows.
    """

    def __init__(
        self,
        condition: Condition,
        dimensions: Sequence[str],
        labels: Sequence[Label],
        *,
        sparse: bool = False,
        only: Sequence[Condition] = (),
    ) -> None:
        shown = {label.dimension for label in labels}
        self._shown = _Clauses([c for c in condition.clauses if sparse or c[0] in shown], dimensions)
        self._hidden = _Clauses([c for c in condition.clauses if not sparse and c[0] not in shown], dimensions)
        known = {label.dimension for label in labels if label.zero}
        self._seeds = _Clauses([c for c in condition.clauses if c[0] in shown - known], dimensions)
        self._only = _Clauses([clause for each in only if sparse for clause in each.clauses], dimensions)

    def shows(self, row: RowView) -> bool:
        """Whether the row's own series belongs to the family at all, be it at 0."""
        return self._shown.hold(row) and (row.index == OVERFLOW or self._only.hold(row))

    def seeds(self, row: RowView) -> bool:
        """Whether the family shows, because of this row, what is known beforehand of the row's other labels."""
        return self._seeds.hold(row)

    def counts(self, row: RowView) -> bool:
        """Whether the row, whose series belongs to the family, adds to it."""
        return self._hidden.hold(row)


class _Clauses:
    """Some clauses of a condition. Of the overflow row nothing is known about dimensions with a closed vocabulary.

    Its records may be successes as well as failures, whatever its placeholder says; no such clause holds for it.
    """

    def __init__(self, clauses: Sequence[tuple[Dimension, frozenset[str], bool]], dimensions: Sequence[str]) -> None:
        self._clauses = tuple((dimensions.index(dimension.name), values, is_in) for dimension, values, is_in in clauses)
        self._unknown_of_overflow = any(dimension.values for dimension, _, _ in clauses)

    def hold(self, row: RowView) -> bool:
        if row.index == OVERFLOW and self._unknown_of_overflow:
            return False
        return all((row.values[index] in values) is is_in for index, values, is_in in self._clauses)
