"""The circuit breaker of a deployment: after failures in a row it is left alone, then one call may try it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half_open"


class Breaker:
    """Counts failures in a row. What began before it opened, and ends while it is open, changes nothing.

    limit: failures in a row that open it; 0: never. seconds: how long it stays open. tell: is told every new state.
    Times are readings of one monotonic clock, in seconds.
    """

    __slots__ = ("_limit", "_seconds", "_tell", "cause", "failures", "state", "trial", "until")

    def __init__(self, limit: int, seconds: float, tell: Callable[[str], None]) -> None:
        self._limit, self._seconds, self._tell = limit, seconds, tell
        self.state = CLOSED
        self.failures = 0
        """In a row, up to now."""
        self.until = 0.0
        """When it may be tried again, while it is open."""
        self.cause = ""
        """The error type of the last failure."""
        self.trial: object | None = None
        """Whose call tries it now."""

    def admits(self, now: float) -> bool:
        """Whether a call may be made."""
        if self.state == CLOSED:
            return True
        return self.trial is None and (self.state == HALF_OPEN or now >= self.until)

    def begin(self, caller: object, now: float) -> bool:
        """A call is about to be made; False when it may not. Out of service, it is the one that tries."""
        if not self.admits(now):
            return False
        if self.state != CLOSED:
            self.trial = caller
            self._become(HALF_OPEN)
        return True

    def succeeded(self, caller: object) -> None:
        """A call was answered."""
        if self.state == CLOSED:
            self.failures = 0
        elif self.trial is caller:
            self.trial, self.failures = None, 0
            self._become(CLOSED)

    def failed(self, caller: object, cause: str, now: float) -> None:
        """A call failed, and it was the provider's fault."""
        if self.state == CLOSED:
            self.failures, self.cause = self.failures + 1, cause
            if self._limit and self.failures >= self._limit:
                self._open(now)
        elif self.trial is caller:
            self.trial, self.failures, self.cause = None, self.failures + 1, cause
            self._open(now)

    def released(self, caller: object) -> None:
        """A call ended without telling anything of the provider: another may try."""
        if self.trial is caller:
            self.trial = None

    def _open(self, now: float) -> None:
        self.until = now + self._seconds
        self._become(OPEN)

    def _become(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self._tell(state)
