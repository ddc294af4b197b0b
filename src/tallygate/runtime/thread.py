"""A thread that samples the process, for programs that have no event loop of ours to do it."""

from __future__ import annotations

import os
import threading
from typing import Final
from weakref import WeakSet

from tallygate.facts import Process
from tallygate.runtime.process import ProcessSampler
from tallygate.runtime.reporting import Where

_running: Final[WeakSet[ProcessThread]] = WeakSet()


class ProcessThread:
    """Samples the process every ``interval`` seconds, in a daemon thread, in forked children too."""

    def __init__(self, where: Where, interval: float = 1.0) -> None:
        self._where, self._interval = where, interval

    def start(self) -> None:
        """Begin."""
        _running.add(self)
        self._begin()

    def _begin(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._stop,), name="tallygate process sampler", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it. Again is once."""
        if self in _running:
            _running.discard(self)
            self._stop.set()
            self._thread.join()

    def _run(self, stop: threading.Event) -> None:
        while True:
            recorder = self._where()
            if recorder.enabled:
                try:
                    ProcessSampler.of(recorder).sample()
                except Exception as problem:  # /proc may be hidden, or descriptors used up
                    recorder.failed(Process, problem)
            if stop.wait(self._interval):
                return


def _after_fork() -> None:
    """Threads do not follow into a forked child."""
    for thread in list(_running):
        thread._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
