"""What everything that begins, ends once and takes time has in common, LLM calls aside (see ``record.call``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Final, Self

from tallygate.declare import Fact
from tallygate.ledger.interface import ELAPSED, Value
from tallygate.record.classify import is_cancellation
from tallygate.record.default import default
from tallygate.record.recording import SURELY_FITS

if TYPE_CHECKING:
    from tallygate.ledger.interface import Activity
    from tallygate.record.places import Place
    from tallygate.record.recording import Recording


PLAIN: Final = (int, float)


class Tracker(ABC):
    """Tells the tally about one thing that takes time.

    Use it as ``with`` or ``async with``, or call ``start`` and ``finish``. Its clock runs from ``start`` (entering the
    block) on. It is recorded once, when it first ends, whichever thread ends it; what ends again changes nothing. No
    method raises, whatever it is given. Exceptions that leave the block are classified and pass unchanged; one started
    by hand and thrown away unfinished was cancelled. Made before ``init``, it goes to the tally that is there when it
    starts. It starts in one process and ends in the same: a forked child that inherits it records nothing.
    """

    fact: ClassVar[type[Fact]]
    """What is recorded."""
    timed: ClassVar[bool] = True
    """Whether its first measure is its duration."""

    __slots__ = ("__weakref__", "_activity", "_over", "_place", "_recorder", "key")

    def __init__(self, recorder: Recording, key: tuple[object, ...]) -> None:
        """key: the fact and the label values, as given."""
        self._recorder, self.key = recorder, key
        self._activity: Activity | None = None
        self._over = False
        self._place: Place

    # What each kind says

    @abstractmethod
    def find(self, recorder: Recording) -> Place:
        """Where facts with the labels of ``key`` go."""

    @abstractmethod
    def _end(self, problem: BaseException | None) -> bool:
        """Finish, with this exception if there is one."""

    # The life of all

    def start(self) -> Self:
        """Start the clock; again is once. Where nothing is recorded it is over at once."""
        if self._activity is None and not self._over:
            recorder = self._recorder
            if recorder is default.nowhere:
                recorder = self._recorder = default.recorder
            if not recorder.enabled:
                self._over = True
                return self
            try:
                try:
                    place = recorder.places.get(self.key) or recorder.place(self)
                except TypeError:  # a label value that has no hash
                    place = self.find(recorder)
                self._place = place
                self._activity = place.going.begin()
            except Exception as problem:
                self._over = True
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

    def _record(self, ending: tuple[str, ...], *measures: Value) -> bool:
        """End it in this way, with these measures after the duration. False when it was over or is not recorded."""
        if self._activity is None:
            self.start()
        activity, recorder = self._activity, self._recorder
        if self._over or activity is None:
            return False
        self._over = True
        try:
            place = self._place
            row = place.endings.get(ending) or place.ended(ending)
            for value in measures:
                if value is not None and not (type(value) in PLAIN and 0 <= value <= SURELY_FITS):
                    # With the duration before them, as in every fact that has measures.
                    measures = tuple(recorder.checked(self.fact, (None, *measures))[1:])
                    break
            finished = activity.finish(row, ELAPSED, *measures) if self.timed else activity.finish(row)
            if finished and recorder.exemplar is not None:
                trace = recorder.exemplar()
                if trace is not None:
                    row.exemplify(*trace, activity.elapsed, *measures)
            return finished
        except Exception as problem:
            recorder.failed(self.fact, problem)
            return activity.finish()

    def _word(self, dimension: str, value: str, values: tuple[str, ...], otherwise: str) -> str:
        """A word of a closed vocabulary; another one is counted as dropped, and is ``otherwise``."""
        return self._recorder.word(self.fact, dimension, value, values, otherwise)

    def _drop(self) -> bool:
        """End it unrecorded. False when it was over."""
        if self._over:
            return False
        self._over = True
        return self._activity is None or self._activity.finish()

    __enter__ = start

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
