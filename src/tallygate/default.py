"""The program's own tally, for those who need only one: made by ``init``, used by the functions here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from threading import Lock
from typing import Any, Final, ParamSpec, TypeVar, cast

from tallygate.record.call import LLMCallTracker
from tallygate.record.default import NOWHERE, default
from tallygate.record.late import LateCall
from tallygate.tally import Tally

P = ParamSpec("P")
T = TypeVar("T")

_lock: Final = Lock()
_settings: dict[str, Any] | None = None


class AlreadyInitialised(RuntimeError):
    """``init`` was called before with other settings, which are in force."""


def _like(pattern: Callable[P, T]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """The decorated function takes what ``pattern`` takes."""

    def decorate(function: Callable[..., T]) -> Callable[P, T]:
        return function

    return decorate


@_like(Tally)
def init(**settings: Any) -> Tally:
    """Make the program's tally, with the arguments of ``Tally``. Again with equal settings gives the same one.

    Raises AlreadyInitialised for other settings, and what ``Tally`` raises.
    """
    global _settings
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    with _lock:
        recorder = default.recorder
        if isinstance(recorder, Tally):
            if given == _settings:
                return recorder
            before = _settings or {}
            changed = sorted(
                name for name in before.keys() | given.keys() if before.get(name, ...) != given.get(name, ...)
            )
            raise AlreadyInitialised(
                f"tallygate.init() was called before with another {', '.join(changed)}; "
                "call it once, or make a tallygate.Tally of your own"
            )
        tally = Tally(**given)
        _settings, default.recorder = given, tally
        return tally


def track_llm_call(
    provider: str,
    model: str,
    operation: str = "chat",
    endpoint: str = "",
    route: str | None = None,
    stream: bool = False,
    agent_id: str | None = None,
    agent_name: str | None = None,
    agent_type: str | None = None,
    external_agent_id: str | None = None,
    source: str | None = None,
    **custom: str | None,
) -> LLMCallTracker:
    """``Tally.track_llm_call`` of the program's tally; also before ``init``, as long as the call starts after it.

    A call that starts before ``init`` is not recorded.
    """

    def make() -> LLMCallTracker:
        return default.recorder.track_llm_call(
            provider, model, operation, endpoint, route, stream, agent_id, agent_name, agent_type, external_agent_id,
            source, **custom,
        )  # fmt: skip

    return cast(LLMCallTracker, LateCall(make)) if default.recorder is NOWHERE else make()


def render(dialects: Sequence[str] | None = None, format: str = "text", names: Collection[str] = frozenset()) -> bytes:
    """``Tally.render`` of the program's tally. Raises RuntimeError before ``init``."""
    if not isinstance(default.recorder, Tally):
        raise RuntimeError("nothing is recorded yet: call tallygate.init() first")
    return default.recorder.render(dialects, format, names)
