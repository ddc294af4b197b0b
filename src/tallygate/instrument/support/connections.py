"""Connections that are open, counted as they come and go."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

if TYPE_CHECKING:
    from tallygate.instrument.patching import Instrumentation
    from tallygate.record.recorder import Recorder

_lock: Final = RLock()  # the garbage collector may close a connection while one is being counted
_counted: Final[WeakSet[OpenConnections]] = WeakSet()


class OpenConnections:
    """The connections of one kind that one instrumentation has seen open; several of a kind add up."""

    def __init__(self, instrumentation: Instrumentation, kind: str) -> None:
        """kind: as facts.Connections.connection_type."""
        self._instrumentation, self._kind = instrumentation, kind
        self._open: set[int] = set()
        with _lock:
            _counted.add(self)
        instrumentation.before_render(self._tell)
        instrumentation.finally_do(self._forget)

    def opened(self, connection: object) -> None:
        """This one is open. Again is once."""
        with _lock:
            self._open.add(id(connection))
        self._tell(self._instrumentation.recorder)

    def closed(self, connection: object) -> None:
        """This one is not; one that was opened unseen changes nothing."""
        with _lock:
            self._open.discard(id(connection))
        self._tell(self._instrumentation.recorder)

    def _forget(self) -> None:
        with _lock:
            _counted.discard(self)
        self._tell(self._instrumentation.recorder)

    def _tell(self, recorder: Recorder) -> None:
        if not recorder.enabled:
            return
        with _lock:
            # Who is seen by several instrumentations is one connection.
            seen = [
                other._open
                for other in _counted
                if other._kind == self._kind and other._instrumentation.recorder is recorder
            ]
            recorder.set_connections(self._kind, len(set[int]().union(*seen)))
