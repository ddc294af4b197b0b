"""What everything that begins, ends once and takes time has in common, LLM calls aside (see ``record.call``)."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from tallygate.declare import Fact
from tallygate.ledger.interface import Elapsed, Value
from tallygate.record.classify import is_cancellation
from tallygate.record.default import default

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallygate.ledger.interface import Activity, Row
    from tallygate.record.recording import Recording


class Tracker:
    """Tells the tally about one thing that takes time.

    Use it as ``with`` or ``async with``, or call ``start`` and ``finish``. Its clock runs from ``start`` (entering the
    block) on. It is recorded once, when it first ends; what ends again changes nothing. No method raises, whatever it
    is given. Exceptions that leave the block are classified and pass unchanged; one started by hand and thrown away
    unfinished was cancelled. Made before ``init``, it goes to the tally that is there when it starts.
    """

    fact: ClassVar[type[Fact]]
    """What is recorded."""

    __slots__ = ("__weakref__", "_activity", "_over", "_recorder")

    def __init__(self, recorder: Recording) -> None:
        self._recorder = recorder
        self._activity: Activity | None = None
        self._over = False

    # What each kind says

    def _going(self) -> Row:
        """The row whose first measure is the gauge of those going on; one without gauges is a clock alone."""
        raise NotImplementedError

    def _end(self, problem: BaseException | None) -> bool:
        """Finish, with this exception if there is one."""
        raise NotImplementedError

    # The life of all

    def start(self) -> Self:
        """Start the clock; again is once."""
        if self._activity is None and not self._over:
            recorder = self._recorder
            if recorder is default.nowhere:
                recorder = self._recorder = default.recorder
            if recorder.enabled:
                try:
                    self._activity = self._going().begin()
                except Exception as problem:
                    recorder.failed(self.fact, problem)
        return self

    @property
    def elapsed(self) -> float:
        """Seconds since ``start``; stands still once it is over, and is 0 when nothing is recorded."""
        return 0.0 if self._activity is None else self._activity.elapsed

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._over

    def fail(self, problem: BaseException) -> bool:
        """Finish with what this exception says: failed and why, or cancelled. False when it was finished before."""
        return self._end(problem)

    def _record(self, values: Sequence[str], *measures: Value | Elapsed) -> bool:
        """End it as the row of these dimension values. False when it was over, or nothing is recorded."""
        self.start()
        if self._over:
            return False
        self._over = True
        activity, recorder = self._activity, self._recorder
        if activity is None:
            return False
        try:
            row = recorder.tables[self.fact].row(*values)
            finished = activity.finish(row, *measures)
            if recorder.exemplar is not None:
                trace = recorder.exemplar()
                if trace is not None:
                    row.exemplify(
                        *trace, *[activity.elapsed if isinstance(value, Elapsed) else value for value in measures]
                    )
            return finished
        except Exception as problem:
            recorder.failed(self.fact, problem)
            return activity.finish()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(problem)

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(problem)

    def __del__(self) -> None:
        if not self._over and self._activity is not None:
            self._end(GeneratorExit())


def outcome_of(problem: BaseException | None) -> str:
    """completed, failed or cancelled (facts.OUTCOMES), for what leaves a block with this exception."""
    if problem is None:
        return "completed"
    return "cancelled" if is_cancellation(problem) else "failed"


def status_of(problem: BaseException | None) -> str:
    """The same in the words success, error and cancelled (facts.STATUSES)."""
    if problem is None:
        return "success"
    return "cancelled" if is_cancellation(problem) else "error"
