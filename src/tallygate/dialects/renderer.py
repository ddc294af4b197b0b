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
    """Makes an empty rendered family."""

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
        bucket_map: Sequence[int] | None = None,
        combine: str = "sum",
    ) -> F_co: ...
