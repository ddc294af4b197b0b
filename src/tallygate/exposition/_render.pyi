from collections.abc import Mapping, Sequence
from typing import Self

from tallygate.exposition.family import Prepared
from tallygate.ledger.interface import Exemplar

class Family:
    def __new__(cls, prepared: Prepared, /) -> Self: ...
    def series(self, labels: str, /) -> int: ...
    def add(self, series: int, buffer: int, cell: int, /) -> None: ...
    def constant(self, series: int, text: str, /) -> None: ...

def render(
    families: Sequence[Family],
    buffers: Sequence[memoryview],
    format: str,
    exemplars: Mapping[int, Exemplar],
    /,
) -> bytes: ...
