from typing import Final

from tallygate.ledger.interface import Ledger
from tallygate.ledger.schema import TableSchema

_CRASH_STEPS: Final[int]

def open(
    path: bytes | None,
    capacity_bytes: int,
    max_workers: int,
    schema: bytes,
    tables: tuple[tuple[TableSchema, int, int, tuple[tuple[int, int, int, tuple[int, ...]], ...]], ...],
    /,
) -> Ledger: ...
def _nothing(*arguments: object) -> None: ...
def _crash_at(step: int, /) -> None: ...
