"""The ledger: rows of 64-bit cells, shared by all worker processes that open the same path.

``open_ledger`` is the door. It gives the compiled core where that is built, else its pure-Python twin, which
counts for one process only; which one it was is said by ``implementation_name``.
"""

import logging
import os
from collections.abc import Sequence
from typing import Final, Literal

from tallygate.ledger.interface import Ledger, LedgerError
from tallygate.ledger.schema import Kind, TableSchema

__all__ = ["DEFAULT_CAPACITY", "Implementation", "Ledger", "LedgerError", "implementation_name", "open_ledger"]

Implementation = Literal["native", "python"]

DEFAULT_CAPACITY: Final = 256 * 1024 * 1024
"""Bytes of address space a ledger reserves; memory or disk is taken only as rows are made."""

_logger = logging.getLogger("tallygate.ledger")
_said = False


def implementation_name(implementation: Implementation | None = None) -> Implementation:
    """Which implementation ``open_ledger`` takes: the argument, else TALLYGATE_LEDGER, else native where it is built.

    Raises LedgerError for a name it does not know, or for the core when it is asked for and not built.
    """
    global _said
    asked = implementation or os.environ.get("TALLYGATE_LEDGER", "")
    if asked not in ("", "native", "python"):
        raise LedgerError(f"TALLYGATE_LEDGER={asked!r} is no implementation of the ledger: set it to native or python")
    if asked == "python":
        return "python"
    try:
        from tallygate.ledger import _core  # noqa: F401  the import is the question
    except ImportError as error:
        if asked == "native":
            raise LedgerError(
                f"the compiled core of the ledger cannot be loaded ({error}): "
                "install a C compiler and the Python headers, then reinstall tallygate"
            ) from error
        if not _said:
            _said = True
            _logger.warning(
                "the compiled core of the ledger is not built (%s); counting in pure Python, for this process alone. "
                "To mend it install a C compiler and the Python headers, then reinstall tallygate.",
                error,
            )
        return "python"
    return "native"


def open_ledger(
    tables: Sequence[TableSchema],
    path: str | os.PathLike[str] | None = None,
    *,
    capacity_bytes: int = DEFAULT_CAPACITY,
    max_workers: int = 256,
    implementation: Implementation | None = None,
) -> Ledger:
    """Open the ledger at ``path``, made if it is not there; without a path, memory of this process and its forks.

    All processes must open a path with the same tables. ``capacity_bytes`` and ``max_workers`` (live processes at
    one time) of an existing file stay as they are. Raises LedgerError, with the path, the cause and the mend.
    """
    check_schemas(tables)
    if not 4096 <= capacity_bytes <= 1 << 46:
        raise LedgerError(f"capacity_bytes is {capacity_bytes}: it must be from 4096 to 2**46")
    if max_workers < 1 or max_workers > 65536:
        raise LedgerError(f"max_workers is {max_workers}: it must be from 1 to 65536")
    if implementation_name(implementation) == "native":
        from tallygate.ledger.native import open_native

        return open_native(tables, path, capacity_bytes, max_workers)
    if path is not None:
        raise LedgerError(
            f"cannot open the ledger {os.fsdecode(path)}: the pure-Python ledger cannot be shared between processes; "
            "leave the path out (one process), or install a C compiler and reinstall tallygate"
        )
    from tallygate.ledger import python

    return python.Ledger(tables, capacity_bytes)


def check_schemas(tables: Sequence[TableSchema]) -> None:
    """Raises LedgerError for tables that no ledger can hold, naming the table and the measure."""
    if len({table.name for table in tables}) != len(tables):
        raise LedgerError(f"two tables have the same name: {', '.join(sorted(table.name for table in tables))}")
    for table in tables:
        if table.budget < 0 or table.budget > 10_000_000:
            raise LedgerError(f"table {table.name}: budget is {table.budget}, must be from 0 to 10,000,000")
        if len(table.dimensions) > 64:
            raise LedgerError(f"table {table.name}: {len(table.dimensions)} dimensions, 64 are the most")
        for measure in table.measures:
            where = f"table {table.name}, measure {measure.name}"
            if not -18 <= measure.exponent <= 18:
                raise LedgerError(f"{where}: exponent is {measure.exponent}, must be from -18 to 18")
            if list(measure.boundaries) != sorted(set(measure.boundaries)):
                raise LedgerError(f"{where}: boundaries must ascend strictly")
            if measure.boundaries and measure.kind is not Kind.DISTRIBUTION:
                raise LedgerError(f"{where}: only a distribution has boundaries")
            if any(not -(2**63) <= boundary < 2**63 for boundary in measure.boundaries):
                raise LedgerError(f"{where}: boundaries must be 64-bit integers")
