"""HyperAgent's functions and its backend wrapper: a program written against them changes one import.

They write to the program's tally, and move the families that theirs move. Better than theirs: fractions of a cent are
kept, ``dec_active_requests`` never goes below zero, ``init_prometheus`` may be called again, and a stream that breaks
off ends. None of them raises; before ``init_prometheus`` (or ``tallygate.init``) they do nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tallygate.errors import ErrorType
from tallygate.facts import LLMCall, LLMInFlight
from tallygate.record import parts
from tallygate.record.default import default
from tallygate.record.measures import COST, DURATION, RATE_LIMIT_EVENTS
from tallygate.record.wrapping import tracked

if TYPE_CHECKING:
    from tallygate.ledger.interface import Activity
    from tallygate.tally import Tally

ERROR_TYPES: Final = {
    "rate_limit": ErrorType.PROVIDER_RATE_LIMIT,
    "auth_failed": ErrorType.PROVIDER_AUTHENTICATION,
    "network": ErrorType.PROVIDER_NETWORK,
    "invalid_response": ErrorType.PROVIDER_INVALID_RESPONSE,
    "api_error": ErrorType.PROVIDER_SERVER_ERROR,
    "serialization": ErrorType.GATEWAY_SERIALIZATION,
    "validation": ErrorType.CALLER_INVALID_REQUEST,
    "timeout": ErrorType.PROVIDER_TIMEOUT,
    "token_limit": ErrorType.CALLER_CONTEXT_LENGTH,
    "model_unavailable": ErrorType.PROVIDER_MODEL_UNAVAILABLE,
}
"""Its ten words for what goes wrong; any other is ``other``, which it shows as api_error."""


class PrometheusHandle(NamedTuple):
    """Renders what was recorded."""

    tally: Tally

    def render(self) -> str:
        """The ten families as text, for GET /metrics."""
        return self.tally.render(("hyperagent",)).decode()


def init_prometheus() -> PrometheusHandle:
    """Make the program's tally, unless it is made already."""
    from tallygate.default import init  # reads all dialects, this one too
    from tallygate.tally import Tally

    recorder = default.recorder
    return PrometheusHandle(recorder if isinstance(recorder, Tally) else init(dialects=("hyperagent",)))


def record_llm_tokens(route: str, model: str, input: int, output: int) -> None:
    """A call completed with these tokens. What it cost is told by ``record_llm_cost``."""
    try:
        told = parts.tokens(input, output)
    except TypeError as problem:  # no numbers
        default.recorder.failed(LLMCall, problem, "invalid_value")
        return
    parts.record("", *told, model=model, route=route)


def record_llm_cost(route: str, model: str, cost_usd: float) -> None:
    """What a call cost, in USD."""
    parts.add(COST, cost_usd, model=model, route=route)


def record_llm_latency(route: str, model: str, latency_ms: float) -> None:
    """How long a call took, in milliseconds, whether it completed or failed."""
    try:
        seconds = latency_ms / 1000
    except (ArithmeticError, TypeError) as problem:
        default.recorder.failed(LLMCall, problem, "invalid_value")
        return
    parts.add(DURATION, seconds, model=model, route=route)


def record_llm_error(route: str, model: str, error_type: str) -> None:
    """A call failed. error_type: one of ``ERROR_TYPES``."""
    word = default.recorder.word(LLMCall, "error_type", error_type, tuple(ERROR_TYPES), "")
    failure = ERROR_TYPES.get(word, ErrorType.OTHER)
    parts.record(failure.value, model=model, route=route, status_code="network_error")


def record_rate_limit(provider: str, model: str) -> None:
    """The provider answered that a rate limit is reached."""
    parts.add(RATE_LIMIT_EVENTS, 1, model=model, provider=provider)


def inc_cache_hit(route: str) -> None:
    """A reply was in the cache."""
    default.recorder.cache_lookup("llm", True, route)


def inc_cache_miss(route: str) -> None:
    """A reply was not in the cache."""
    default.recorder.cache_lookup("llm", False, route)


_active: Final[dict[tuple[str, str], list[Activity]]] = {}


def inc_active_requests(route: str, model: str) -> None:
    """A call began; ``dec_active_requests`` says that it ended."""
    recorder = default.recorder
    if not recorder.enabled:
        return
    try:
        activity = recorder.row(LLMInFlight, "", model, "", route, "false").begin()
        _active.setdefault((route, model), []).append(activity)
    except Exception as problem:
        recorder.failed(LLMInFlight, problem)


def dec_active_requests(route: str, model: str) -> None:
    """A call ended; one too many changes nothing, and is counted as dropped."""
    try:
        _active[route, model].pop().finish()
    except (KeyError, IndexError, TypeError) as problem:
        default.recorder.failed(LLMInFlight, problem, "invalid_value")


class InstrumentedBackend:
    """A backend whose every call is recorded; all else it has is reached through it.

    backend: has some of ``infer``, ``infer_stream`` and ``embed``, async or not, with whatever arguments. The model is
    the argument ``model``, that of the first argument, or the backend's own.
    """

    def __init__(self, backend: Any, provider: str, route: str) -> None:
        self._backend, self._provider, self._route = backend, provider, route

    @property
    def inner(self) -> Any:
        """The backend itself."""
        return self._backend

    def infer(self, *args: Any, **kwargs: Any) -> Any:
        """Ask for a reply."""
        return self._call(self._backend.infer, "chat", self._route, False, args, kwargs)

    def infer_stream(self, *args: Any, **kwargs: Any) -> Any:
        """Ask for a reply in pieces; recorded when the stream ends, whichever way."""
        return self._call(self._backend.infer_stream, "chat", self._route, True, args, kwargs)

    def embed(self, *args: Any, **kwargs: Any) -> Any:
        """Ask for embeddings; its route is ``embeddings``."""
        return self._call(self._backend.embed, "embeddings", "embeddings", False, args, kwargs)

    def _call(
        self, method: Any, operation: str, route: str, stream: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        make = partial(
            default.recorder.track_llm_call,
            self._provider,
            _model(self._backend, args, kwargs),
            operation,
            route=route,
            stream=stream,
        )
        return tracked(make, usage=usage_of, content=has_content)(method)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "_backend":  # a copy in the making
            raise AttributeError(name)
        return getattr(self._backend, name)


def usage_of(result: object) -> Mapping[str, int | None] | None:
    """The tokens that a result or an item of a stream tells in ``usage``, in OpenAI's words or in Anthropic's."""
    usage = _get(result, "usage")
    if usage is None:
        return None
    read, written = _get(usage, "input_tokens", "prompt_tokens"), _get(usage, "output_tokens", "completion_tokens")
    return {"input_tokens": read, "output_tokens": written}


def has_content(item: object) -> bool:
    """Whether an item of a stream is a text, or has ``delta``, ``content`` or ``text``."""
    return bool(item if isinstance(item, str) else _get(item, "delta", "content", "text"))


def _model(backend: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    for place in (kwargs, *args[:1], backend):
        model = _get(place, "model")
        if isinstance(model, str):
            return model
    return ""


def _get(thing: object, *names: str) -> Any:
    """The first of these that it has, as an item or as an attribute; None when it has none."""
    for name in names:
        found = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
        if found is not None:
            return found
    return None
