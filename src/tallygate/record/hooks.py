"""What is done before a page is made: numbers are fetched that nobody reports when they change."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final

from tallygate.facts import Scrape

if TYPE_CHECKING:
    from tallygate.record.recorder import Recorder

Hook = Callable[["Recorder"], None]
"""Given the tally whose page is about to be made, in the thread that makes it; several threads may be there at once."""

_lock: Final = Lock()


class Hooks:
    """Hooks in their order."""

    def __init__(self) -> None:
        self._hooks: tuple[Hook, ...] = ()

    def add(self, hook: Hook) -> Callable[[], None]:
        """Run it too, from now on; gives what ends that."""
        with _lock:
            self._hooks += (hook,)

        def remove() -> None:
            with _lock:
                self._hooks = tuple([other for other in self._hooks if other is not hook])

        return remove

    def run(self, recorder: Recorder) -> None:
        """Run them all. An exception of one is counted as dropped and keeps nothing else from being shown."""
        for hook in self._hooks:
            try:
                hook(recorder)
            except Exception as problem:
                recorder.failed(Scrape, problem)
