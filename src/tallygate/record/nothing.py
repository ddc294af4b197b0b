"""What stands in where nothing is recorded: the same interfaces, and nothing behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tallygate.ledger.interface import Elapsed, Row, Value


class NoActivity:
    """An activity of which nobody takes note."""

    __slots__ = ()
    elapsed: Final = 0.0
    marked: Final = None

    def mark(self) -> float:
        return 0.0

    def finish(self, row: Row | None = None, *measures: Value | Elapsed) -> bool:
        return False


NO_ACTIVITY: Final = NoActivity()
