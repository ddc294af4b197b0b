"""What stands in where nothing is recorded: the same interfaces, and nothing behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from tallygate.ledger.interface import Elapsed, Row, Value
    from tallygate.record.call import LLMCallTracker


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


class NoCall:
    """A call of which nobody takes note: an LLMCallTracker in all that is public."""

    __slots__ = ()
    elapsed: Final = 0.0
    marked: Final = None
    over: Final = True

    def start(self) -> NoCall:
        return self

    def __enter__(self) -> NoCall:
        return self

    def __exit__(self, *ending: object) -> None:
        return None

    async def __aenter__(self) -> NoCall:
        return self

    async def __aexit__(self, *ending: object) -> None:
        return None

    def finish(self, *ending: object, **named: object) -> bool:
        return False

    fail = finish

    def usage(self, *numbers: object, **named: object) -> None:
        return None

    headers = content = rate_limited = blocked_tools = overhead = attempt = usage


NO_CALL: Final = cast("LLMCallTracker", NoCall())
