"""How an instrumentation takes hold of a library, and lets go of it again."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tallygate.record.default import default
from tallygate.record.hooks import Hook
from tallygate.record.recorder import Recorder
from tallygate.tally import Tally

F = TypeVar("F", bound=Callable[..., Any])

_lock: Final = Lock()
_MISSING: Final = object()


class NotInstrumentable(TypeError):
    """What was given cannot be instrumented; says what was expected."""


class Instrumentation:
    """A library, or an object of it, that reports to a tally until ``remove()`` or the end of the ``with`` block.

    What it records goes to ``tally``; without one to the program's tally, which may be made later with ``init``.
    """

    def __init__(self, tally: Recorder | None = None) -> None:
        self._tally = tally
        self._undo: list[Callable[[], None]] = []
        self.removed = False
        """Whether it was removed: then wrappers that are still held by somebody record nothing."""

    @property
    def recorder(self) -> Recorder:
        """Where facts go now."""
        return self._tally or default.recorder

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace the attribute ``name`` of a class, module or object by ``make`` of what it was.

        An inherited attribute is covered, not changed where it comes from. ``make`` is given a class's attribute as it
        lies there: a function, or a classmethod or staticmethod object.
        """
        with _lock:
            own = vars(owner).get(name, _MISSING) if hasattr(owner, "__dict__") else _MISSING
            before = own
            if own is _MISSING:
                before = _inherited(owner, name) if isinstance(owner, type) else getattr(owner, name)
            after = make(before)
            setattr(owner, name, after)

        def undo() -> None:
            if vars(owner).get(name) is not after:
                # Somebody wrapped it after us: taking it back would undo theirs too, so ours only falls silent.
                return
            if own is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, own)

        self.finally_do(undo)

    def finally_do(self, undo: Callable[[], None]) -> None:
        """Something else that ``remove`` does: an event listener taken off, a callback unregistered."""
        self._undo.append(undo)

    @property
    def is_off(self) -> bool:
        """Whether nothing is recorded, and nothing ever will be: its tally is switched off."""
        recorder = self.recorder
        return recorder is not default.nowhere and not recorder.enabled

    def before_render(self, hook: Hook) -> None:
        """Call this before every page of the tally that this reports to, until it is removed: see ``Tally``."""
        if self._tally is None:
            self.finally_do(default.hooks.add(hook))
        elif isinstance(self._tally, Tally):
            self.finally_do(self._tally.before_render(hook))

    def remove(self) -> None:
        """Give the library back as it was, last change first. Again is once."""
        with _lock:
            undo, self._undo, self.removed = self._undo, [], True
        for step in reversed(undo):
            step()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def _inherited(owner: type, name: str) -> Any:
    for kind in owner.__mro__:
        if name in vars(kind):
            return vars(kind)[name]
    raise AttributeError(f"{owner.__name__} has no attribute {name!r}")
