"""Where facts with the same labels go, found once: the row of those going on, and one row per way to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallygate.ledger.interface import Row, Table

MOST_ENDINGS = 64
"""How many endings of a place are kept at hand; more are looked up again, which is slower and as exact."""


class Place:
    """The rows of facts that differ in nothing but how they end."""

    __slots__ = ("_after", "_before", "_table", "endings", "going")

    def __init__(
        self, table: Table, before: tuple[str, ...], after: tuple[str, ...] = (), *, going: Row | tuple[str, ...]
    ) -> None:
        """before, after: values of the dimensions before and after those of the ending. going: the row whose first
        measure is the gauge of those going on; where there is no such gauge, the ending that is there from 0."""
        self._table, self._before, self._after = table, before, after
        self.endings: dict[tuple[str, ...], Row] = {}
        self.going = self.ended(going) if isinstance(going, tuple) else going

    def ended(self, ending: tuple[str, ...]) -> Row:
        """The row of facts that end like this."""
        row = self.endings.get(ending)
        if row is None:
            row = self._table.row(*self._before, *ending, *self._after)
            if len(self.endings) < MOST_ENDINGS:
                self.endings[ending] = row
        return row
