"""Buffers of cells, and exemplars, as the ledger hands them over."""

from array import array

from tallygate.ledger.interface import Exemplar

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def cells(*values: int) -> memoryview:
    """A buffer with these cells."""
    return memoryview(array("q", values)).toreadonly()


def exemplar(
    cell: int, value: float, timestamp: float = 1_700_000_000.0, trace_id: str = TRACE, span_id: str = SPAN
) -> dict[int, Exemplar]:
    """One exemplar, by its cell."""
    return {cell: Exemplar(cell, trace_id, span_id, value, timestamp)}
