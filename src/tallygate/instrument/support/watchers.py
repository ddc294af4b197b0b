"""Who records the calls of a library's clients, looked up when a call begins."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Final, Protocol
from weakref import WeakSet, ref

from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.record.recorder import Recorder

MARK: Final = "_tallygate_instrumentations"
"""Attribute of a client with its own instrumentations."""
_lock: Final = Lock()


class Forgetful(Protocol):
    """Knows something that holds as long as the same instrumentations watch."""

    def forget(self) -> None:
        """They have changed."""


class Watchers:
    """The instrumentations of one library. It is changed when the first comes, and as it was when the last has gone.

    A call is recorded by its client's own instrumentation before one of all clients, the latest first, and only once.
    """

    def __init__(self, name: str, patch: Callable[[Instrumentation], None]) -> None:
        """patch: changes the library. An AttributeError of its says that the library is made in another way."""
        self._name, self._patch = name, patch
        self._everywhere: tuple[Instrumentation, ...] = ()
        self._count = 0
        self._patches = Instrumentation()
        self.everybody: WeakSet[Forgetful] = WeakSet()
        """Another one whenever an instrumentation has come or gone; those in it forget what they know then."""

    def add(self, client: Any, tally: Recorder | None) -> Instrumentation:
        """Watch what has this object for a client; everything when it is None. Raises NotInstrumentable."""
        handle = Instrumentation(tally)
        if handle.is_off:
            return handle
        with _lock:
            if not self._count:
                self._take_hold()
            self._count += 1
            if client is None:
                self._everywhere = (*self._everywhere, handle)
            else:
                vars(client)[MARK] = (*vars(client).get(MARK, ()), handle)
            self._change()
        where = None if client is None else ref(client)
        handle.finally_do(lambda: self._let_go(handle, where))
        return handle

    def recorder(self, client: Any) -> Recorder | None:
        """Who records the calls of this client; None when nobody does."""
        own = client.__dict__.get(MARK)
        handle = (own and _latest(own)) or (self._everywhere and self._everywhere[-1])
        if not handle:
            return None
        recorder: Recorder = handle.recorder
        return recorder if recorder.enabled else None

    def _change(self) -> None:
        before, self.everybody = self.everybody, WeakSet()
        for one in before:
            one.forget()

    def _take_hold(self) -> None:
        self._patches = Instrumentation()
        try:
            self._patch(self._patches)
        except AttributeError as problem:
            self._patches.remove()
            raise NotInstrumentable(
                f"this release of {self._name} is made in a way that is not known: {problem}"
            ) from None

    def _let_go(self, handle: Instrumentation, where: Callable[[], Any] | None) -> None:
        with _lock:
            self._everywhere = tuple(other for other in self._everywhere if other is not handle)
            client = where and where()
            if client is not None:
                vars(client)[MARK] = tuple(other for other in vars(client)[MARK] if other is not handle)
            self._count -= 1
            self._change()
            if not self._count:
                self._patches.remove()


def _latest(handles: tuple[Instrumentation, ...]) -> Instrumentation | None:
    # Copies of a client have what it had when they were made.
    return next((handle for handle in reversed(handles) if not handle.removed), None)
