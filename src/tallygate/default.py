"""The program's own tally, for those who need only one: made by ``init``, used by the functions here."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from threading import Lock
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

from tallygate.record.call import LLMCallTracker
from tallygate.record.default import default
from tallygate.record.late import LateCall
from tallygate.record.recorder import Recorder
from tallygate.tally import Tally

P = ParamSpec("P")
T = TypeVar("T")

_WORDS: Final = {"true": True, "1": True, "false": False, "0": False, "": False}
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

    Without ``enabled`` the environment decides: METRICS_ENABLED is true (1) unless it is false (0) or empty.
    Raises AlreadyInitialised for other settings, ValueError for another word, and what ``Tally`` raises.
    """
    global _settings
    if "enabled" not in settings:
        settings["enabled"] = _enabled_by_environment()
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


def _enabled_by_environment() -> bool:
    word = os.environ.get("METRICS_ENABLED", "true")
    if word.lower() not in _WORDS:
        raise ValueError(f"METRICS_ENABLED={word!r} is neither true nor false; say one of them, or unset it")
    return _WORDS[word.lower()]


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

    return cast(LLMCallTracker, LateCall(make)) if default.recorder is default.nowhere else make()


def _of_default(method: Callable[Concatenate[Recorder, P], T]) -> Callable[P, T]:
    """A method of the program's tally as a function; before ``init`` it records nothing."""

    @wraps(method)
    def function(*args: P.args, **kwargs: P.kwargs) -> T:
        return method(default.recorder, *args, **kwargs)

    full = inspect.signature(method)
    own = list(full.parameters.values())[1:]
    vars(function)["__signature__"] = full.replace(parameters=own)  # without self, for help() and editors
    return function


track_http_request = _of_default(Recorder.track_http_request)
track_tool_call = _of_default(Recorder.track_tool_call)
track_mcp_operation = _of_default(Recorder.track_mcp_operation)
track_mcp_session = _of_default(Recorder.track_mcp_session)
track_command = _of_default(Recorder.track_command)
track_query = _of_default(Recorder.track_query)
track_cache = _of_default(Recorder.track_cache)
track_task = _of_default(Recorder.track_task)
track_connector_sync = _of_default(Recorder.track_connector_sync)
track_embedding_batch = _of_default(Recorder.track_embedding_batch)
track_rag_query = _of_default(Recorder.track_rag_query)

record_api_key_use = _of_default(Recorder.record_api_key_use)
record_credits = _of_default(Recorder.record_credits)
record_ingestion = _of_default(Recorder.record_ingestion)
record_rate_limited = _of_default(Recorder.record_rate_limited)
record_store_failure = _of_default(Recorder.record_store_failure)
record_task_event = _of_default(Recorder.record_task_event)

set_api_keys = _of_default(Recorder.set_api_keys)
set_cache_state = _of_default(Recorder.set_cache_state)
set_connections = _of_default(Recorder.set_connections)
set_credit_balance = _of_default(Recorder.set_credit_balance)
set_mcp_server_state = _of_default(Recorder.set_mcp_server_state)
set_mcp_sessions = _of_default(Recorder.set_mcp_sessions)
set_provider_health = _of_default(Recorder.set_provider_health)
set_queue = _of_default(Recorder.set_queue)
set_rate_limit = _of_default(Recorder.set_rate_limit)
set_subscriptions = _of_default(Recorder.set_subscriptions)
set_trials = _of_default(Recorder.set_trials)


def render(dialects: Sequence[str] | None = None, format: str = "text", names: Collection[str] = frozenset()) -> bytes:
    """``Tally.render`` of the program's tally. Raises RuntimeError before ``init``."""
    if not isinstance(default.recorder, Tally):
        raise RuntimeError("nothing is recorded yet: call tallygate.init() first")
    return default.recorder.render(dialects, format, names)
