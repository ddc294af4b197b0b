"""All that a worker says of itself, for the server that runs in it."""

from __future__ import annotations

import asyncio

from tallygate.facts import Process
from tallygate.record.recorder import Recorder
from tallygate.runtime.collector import COLLECTOR
from tallygate.runtime.loop import SAMPLE_INTERVAL, LoopSampler
from tallygate.runtime.process import ProcessSampler


class RuntimeSampler:
    """Samples process, event loop and garbage collector of a worker, from ``start`` to ``stop``, both in its loop.

    Without threads and without tasks: some 50 microseconds once a second, and a timer ten times a second.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin. Again is once."""
        if self._recorder.enabled and self._timer is None:
            COLLECTOR.report_to(self._where)
            LoopSampler.of(asyncio.get_running_loop()).report_to(self._where)
            self._sample()

    def stop(self) -> None:
        """End. Again is once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            LoopSampler.of(asyncio.get_running_loop()).stop_reporting_to(self._where)
            COLLECTOR.stop_reporting_to(self._where)

    def _where(self) -> Recorder:
        return self._recorder

    def _sample(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SAMPLE_INTERVAL, self._sample)
        try:
            ProcessSampler.of(self._recorder).sample()
        except Exception as problem:  # /proc may be hidden, or descriptors used up
            self._recorder.failed(Process, problem)
