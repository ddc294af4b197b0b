"""The garbage collector: every pass, as a callback of it."""

from __future__ import annotations

import gc
import time
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

from tallygate.facts import GarbageCollection
from tallygate.ledger.interface import Row
from tallygate.record.recorder import Recorder
from tallygate.runtime.reporting import Reporters, Where


class Collector:
    """Records every pass of the garbage collector into ``facts.GarbageCollection``. The process has one."""

    def __init__(self) -> None:
        self._reporters = Reporters()
        self._rows: WeakKeyDictionary[Recorder, list[Row]] = WeakKeyDictionary()
        self._began = 0
        self._lock = Lock()

    def report_to(self, where: Where) -> None:
        """Begin to report there. Again is once."""
        with self._lock:
            self._reporters.add(where)
            if self not in gc.callbacks:
                gc.callbacks.append(self)

    def stop_reporting_to(self, where: Where) -> None:
        with self._lock:
            self._reporters.discard(where)
            if not self._reporters and self in gc.callbacks:
                gc.callbacks.remove(self)

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter_ns()
        elif self._began:
            seconds = (time.perf_counter_ns() - self._began) * 1e-9
            for recorder in self._reporters.recorders():
                try:
                    rows = self._rows.get(recorder) or self._bind(recorder)
                    rows[info["generation"]].record(seconds, info["collected"], info["uncollectable"])
                except Exception as problem:
                    recorder.failed(GarbageCollection, problem)

    def _bind(self, recorder: Recorder) -> list[Row]:
        table = recorder.tables[GarbageCollection]
        rows = self._rows[recorder] = [table.row(str(generation)) for generation in range(3)]
        return rows


COLLECTOR: Final = Collector()
