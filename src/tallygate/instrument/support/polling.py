"""Caches that count by themselves, or can only be asked how full they are: who asks them, and when.

Once a second in a daemon thread, so that every worker process tells what it has; before every page of its own process,
so that the page is exact; before a fork, so that nothing is told twice; and when the program ends.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakSet, ref

from tallygate.facts import CacheState
from tallygate.instrument.patching import NotInstrumentable

if TYPE_CHECKING:
    from tallygate.instrument.patching import Instrumentation
    from tallygate.record.recorder import Recorder

INTERVAL: Final = 1.0
"""Seconds between two rounds of the thread."""

_lock: Final = threading.RLock()
"""Held while caches are asked: what is told is told once."""
_polled: dict[PolledCache, None] = {}


class Reading(NamedTuple):
    """How full a cache is."""

    entries: int
    fill_ratio: float
    """0 to 1; 0 without a capacity."""
    capacity: float | None = None
    """In bytes; None when its capacity is none in bytes. So is ``used``."""
    used: float | None = None
    time_to_live: float = 0.0
    """In seconds; 0 when entries do not age."""


class PolledCache:
    """A cache that is asked until its instrumentation is removed, or nobody else has it any more."""

    def __init__(
        self,
        instrumentation: Instrumentation,
        cache: Any,
        name: str,
        read: Callable[[Any], Reading],
        count: Callable[[Any], tuple[int, int]] | None = None,
    ) -> None:
        """read: how full it is. count: hits and misses so far, of a cache that counts by itself. Caches of one name
        add up. Raises NotInstrumentable when it is asked already, ValueError without a name."""
        if not isinstance(name, str) or not name:
            raise ValueError(f"name={name!r} is no name of a cache; give one to tell it from others")
        self.name, self._instrumentation, self._cache = name, instrumentation, ref(cache)
        self._read, self._count = read, count
        self._told = (0, 0) if count is None else count(cache)
        self._in_bytes = False
        self._seeded: WeakSet[Recorder] = WeakSet()
        with _lock:
            for other in _polled:
                if other._cache() is cache:
                    raise NotInstrumentable(f"this cache is instrumented already, as {other.name!r}; remove that first")
            _polled[self] = None
        instrumentation.finally_do(self._stop)
        instrumentation.before_render(self.tell)
        self.tell(instrumentation.recorder)
        _thread.start()

    def tell(self, recorder: Recorder) -> None:
        """Tell this tally, when it is the one that wants to know, what has come to pass since it was told last."""
        if not recorder.enabled or recorder is not self._instrumentation.recorder:
            return
        with _lock:
            cache = self._cache()
            if cache is None:
                self._instrumentation.remove()
                return
            try:
                if recorder not in self._seeded:
                    self._seeded.add(recorder)
                    recorder.seed_cache(self.name)
                self._tell_counts(cache, recorder)
                self._tell_state(recorder)
            except Exception as problem:  # telemetry never breaks the program
                recorder.failed(CacheState, problem)

    def _tell_counts(self, cache: Any, recorder: Recorder) -> None:
        if self._count is not None:
            now, told = self._count(cache), self._told
            if now[0] < told[0] or now[1] < told[1]:  # it was cleared, and counts from 0 again
                told = (0, 0)
            self._told = now
            recorder.cache_lookups(self.name, hits=now[0] - told[0], misses=now[1] - told[1])

    def _tell_state(self, recorder: Recorder) -> None:
        """Of all caches that have this name, of which there may be none any more."""
        readings = [
            other._read(cache)
            for other in _polled
            if other.name == self.name
            and other._instrumentation.recorder is recorder
            and (cache := other._cache()) is not None
        ]
        self._in_bytes = self._in_bytes or any(each.capacity is not None for each in readings)
        recorder.set_cache_state(
            self.name,
            entries=sum(each.entries for each in readings),
            fill_ratio=max((each.fill_ratio for each in readings), default=0),
            capacity=sum(each.capacity or 0 for each in readings) if self._in_bytes else None,
            used=sum(each.used or 0 for each in readings) if self._in_bytes else None,
            time_to_live=max((each.time_to_live for each in readings), default=0),
            time_to_idle=0,
        )

    def clear(self, clear: Callable[[], Any]) -> Any:
        """Clear the cache, whose counts begin at 0 with that."""
        with _lock:
            self.tell(self._instrumentation.recorder)
            result = clear()
            self._told = (0, 0)
            return result

    def _stop(self) -> None:
        with _lock:
            recorder = self._instrumentation.recorder
            if self._cache() is not None:
                self.tell(recorder)
            _polled.pop(self, None)
            if recorder.enabled:
                self._tell_state(recorder)
            if not _polled:
                _thread.stop()


def _tell_all() -> None:
    with _lock:
        for polled in list(_polled):
            polled.tell(polled._instrumentation.recorder)


class _Thread:
    """Asks all caches once a second, as long as there are any."""

    def __init__(self) -> None:
        self._stopping: threading.Event | None = None

    def start(self) -> None:
        """Begin. Again is once."""
        with _lock:
            if self._stopping is None:
                self._stopping = threading.Event()
                run = threading.Thread(target=self._run, args=(self._stopping,), name="tallygate caches", daemon=True)
                run.start()

    def stop(self) -> None:
        with _lock:
            if self._stopping is not None:
                self._stopping.set()
                self._stopping = None

    def forked(self) -> None:
        """Threads do not follow into a child."""
        if self._stopping is not None:
            self._stopping = None
            self.start()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.wait(INTERVAL):
            _tell_all()


_thread: Final = _Thread()


def _before_fork() -> None:
    _lock.acquire()
    _tell_all()


def _after_fork_in_child() -> None:
    _lock.release()
    _thread.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_lock.release, after_in_child=_after_fork_in_child)
atexit.register(_tell_all)
