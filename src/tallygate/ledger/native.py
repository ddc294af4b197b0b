"""The door to the compiled core: says in plain numbers what a schema says in words."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from tallygate.ledger import _core
from tallygate.ledger.interface import Ledger
from tallygate.ledger.schema import Combine, Kind, MeasureSchema, TableSchema

_KINDS: Final = {Kind.SUM: 0, Kind.DISTRIBUTION: 1, Kind.GAUGE: 2}
_COMBINES: Final = {Combine.SUM: 0, Combine.MAX: 1, Combine.MIN: 2, Combine.LATEST: 3}


def open_native(
    tables: Sequence[TableSchema], path: str | os.PathLike[str] | None, capacity_bytes: int, max_workers: int
) -> Ledger:
    """As ``open_ledger``, with the compiled core."""
    text = json.dumps([asdict(table) for table in tables], separators=(",", ":"), sort_keys=True).encode()
    descriptions = tuple(
        (table, len(table.dimensions), table.budget, tuple(_description(measure) for measure in table.measures))
        for table in tables
    )
    return _core.open(None if path is None else os.fsencode(path), capacity_bytes, max_workers, text, descriptions)


def _description(measure: MeasureSchema) -> tuple[int, int, int, tuple[int, ...]]:
    return _KINDS[measure.kind], measure.exponent, _COMBINES[measure.combine], measure.boundaries
