"""What a plan needs of a renderer; ``tallygate.exposition`` has it."""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class RenderedFamily(Protocol):
    """A metric family on its way to a page."""

    def series(self, labels: str, /) -> int:
        """The index of the series with these labels (escaped and joined); made, at 0, when new."""

    def add(self, series: int, buffer: int, cell: int, /) -> None:
        """Add a cell to a series; for a histogram, the cell of the sum, which the buckets follow."""

    def constant(self, series: int, text: str, /) -> None:
        """Let a series have this value, written out."""


F_co = TypeVar("F_co", bound=RenderedFamily, covariant=True)


class FamilyFactory(Protocol[F_co]):
    """Makes an empty rendered family.

    Its values are cells times 10**exponent, times factor where that is no power of ten. scale: its unit is 10**-scale
    of the measure's base unit (3 for milliseconds), for what is not kept in cells. le: upper bounds of its buckets.
    le_as_written: print them so in all formats.
    bucket_map: for each bucket of the ledger, which of the family's it lies in. quantiles: what a summary tells from
    its buckets. combine: how sources make one value.
    """

    def __call__(
        self,
        name: str,
        type: str,
        help: str,
        unit: str,
        *,
        exponent: int = 0,
        factor: float | None = None,
        le: Sequence[str] | None = None,
        le_as_written: bool = False,
        bucket_map: Sequence[int] | None = None,
        quantiles: Sequence[str] | None = None,
        combine: str = "sum",
        scale: int = 0,
    ) -> F_co: ...
