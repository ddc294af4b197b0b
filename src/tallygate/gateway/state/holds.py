"""What is held until a call is settled, and what was spent: one record per key, with a share of each worker."""

from __future__ import annotations

from functools import cache
from struct import Struct

MOST = 2**62
"""What a record can say; no sum of money or number of calls comes near."""


def unpack(record: bytes) -> list[int]:
    """What was spent; then for each worker that holds some of it its number, and how much."""
    return list(_form((len(record) - 8) // 16).unpack(record))


def pack(values: list[int]) -> bytes:
    """The record of what ``unpack`` gave."""
    return _form(len(values) // 2).pack(*values)


def hold(values: list[int], worker: int, amount: int) -> None:
    """Let a worker hold more, or less; what it does not hold it cannot free."""
    for place in range(1, len(values), 2):
        if values[place] == worker:
            values[place + 1] += amount
            if values[place + 1] <= 0:
                del values[place : place + 2]
            return
    if amount > 0:
        values += (worker, amount)


@cache
def _form(workers: int) -> Struct:
    return Struct("<q" + "qq" * workers)
