"""SDKs that the generator Stainless has made (openai is one), taken hold of where they make their requests.

Their clients make every call with ``request``, which retries, and read every stream with ``Stream.__stream__``. Watched
there, every object that users get is the SDK's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from tallygate.context import current
from tallygate.errors import ErrorType
from tallygate.facts import LLMCall
from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.support.bodies import attach, take
from tallygate.instrument.support.known_calls import (
    PLACE,
    ClientPlace,
    ReplyReader,
    SDKCall,
    in_full,
    learn,
    now_sending,
    routines,
)
from tallygate.instrument.support.llm_calls import ObservedCall, watched, watched_async
from tallygate.instrument.support.once import inside, let_go
from tallygate.instrument.support.watchers import MARK, Watchers
from tallygate.record.recorder import UNKNOWN_MODEL, Recorder

if TYPE_CHECKING:
    from tallygate.instrument._core import RoutineCall

    AnyCall = SDKCall | RoutineCall


@dataclass(eq=False)
class SDK:
    """One such SDK, and who watches it."""

    name: str
    client: type
    """The base class of its synchronous clients, ``SyncAPIClient``."""
    async_client: type
    stream: type
    async_stream: type
    raw: tuple[type, ...]
    """What is given in place of a reply to those who asked for it raw; has an ``http_response``."""
    readers: Mapping[str, ReplyReader]
    """By path."""
    provider: Callable[[Any], str]
    """Who serves a client."""
    sending: str = "_send_request"
    """The clients' method that sends one request; its result is, or begins with, the response."""
    unsteady: tuple[type, ...] = ()
    """Clients whose base URL may be another at each call."""

    def __post_init__(self) -> None:
        self.watchers = Watchers(self.name, lambda patches: _patch(self, patches))
        self.routines = routines(("url",), ("method",), ("json_data", "model"))

    def instrument(self, client: Any, tally: Recorder | None) -> Instrumentation:
        """Watch this client, and those copied from it; all clients when it is None. Raises NotInstrumentable."""
        if client is not None and not isinstance(client, (self.client, self.async_client)):
            raise NotInstrumentable(
                f"instrument.{self.name}() takes a client of {self.name}, or nothing for all of them; "
                f"got {type(client).__name__}"
            )
        return self.watchers.add(client, tally)

    def begin(self, client: Any, options: Any, stream: bool) -> SDKCall | None:
        """The call that this request makes, when it is no known one; None when it is none, or nobody records it."""
        recorder = self.watchers.recorder(client)
        if recorder is None:
            return None
        try:
            reader = self.readers.get(options.url)
            if reader is None or options.method != "post" or inside.get() is not None:
                return None
            body = options.json_data
            named = body.get("model") if type(body) is dict or isinstance(body, Mapping) else None
            model = named if isinstance(named, str) else UNKNOWN_MODEL
            steady = not isinstance(client, self.unsteady)
            place: ClientPlace | None = vars(client).get(PLACE)
            if place is None or not place.holds(client):
                place = ClientPlace(self.provider(client), self.watchers, (None, "_base_url", client._base_url))
                if steady:
                    vars(client)[PLACE] = place
            call = SDKCall(recorder, reader, place.provider, model, stream)
            if steady and not stream and model is named and recorder.identities is None:
                call.learns = place, (options.url, options.method, model), current.get()
            inside.set(call)
            return call
        except Exception as problem:
            recorder.failed(LLMCall, problem)
            return None

    def arrived(self, call: AnyCall, result: Any, stream: bool, asynchronous: bool) -> None:
        """A request has this result."""
        call = in_full(call)
        call.underway = False
        try:
            response = result[0] if type(result) is tuple else result
            status = response.status_code
            call.answered(status, bool(stream) or not response.is_closed)
            if call.unread:
                attach(response, call, asynchronous)
            elif status < 400:
                call.answer = response
        except Exception as problem:
            call.recorder.failed(LLMCall, problem)

    def lost(self, call: AnyCall, problem: BaseException) -> None:
        """A request has raised this."""
        call = in_full(call)
        call.underway = False
        call.unanswered(problem)

    def end(self, call: AnyCall, result: Any) -> None:
        """``request`` has returned this."""
        let_go(call)
        call = in_full(call)
        if call.unread:
            return
        if isinstance(result, self.raw):
            _read_raw(call, getattr(result, "http_response", result))
        elif isinstance(result, str):
            call.failure = ErrorType.PROVIDER_INVALID_RESPONSE
        else:
            call.whole(result)
        call.ended()
        learn(call, self.watchers)

    def fail(self, call: AnyCall, problem: BaseException) -> None:
        """``request`` has raised this; perhaps after the reply was here, which then says what it used."""
        let_go(call)
        call = in_full(call)
        if call.answer is not None and not call.unread:
            _read_raw(call, call.answer)
        call.answer = None
        call.fail(problem)


def _read_raw(call: ObservedCall, response: Any) -> None:
    """Read a reply of which the library has made nothing."""
    try:
        call.whole(json.loads(response.content))
    except (ValueError, RecursionError):
        call.failure = ErrorType.PROVIDER_INVALID_RESPONSE
    except Exception as problem:
        call.recorder.failed(LLMCall, problem)


def _patch(sdk: SDK, patches: Instrumentation) -> None:
    patches.wrap(sdk.client, "request", lambda original: _request(sdk, original))
    patches.wrap(sdk.client, sdk.sending, lambda original: _send(sdk, original))
    patches.wrap(sdk.stream, "__stream__", _stream)
    patches.wrap(sdk.async_client, "request", lambda original: _async_request(sdk, original))
    patches.wrap(sdk.async_client, sdk.sending, lambda original: _async_send(sdk, original))
    patches.wrap(sdk.async_stream, "__stream__", _async_stream)
    for kind in (sdk.client, sdk.async_client):
        for derived in _derived(kind):
            for name in ("copy", "with_options"):
                if name in vars(derived):
                    patches.wrap(derived, name, _copy)


def _derived(kind: type[Any]) -> Iterator[type[Any]]:
    for derived in kind.__subclasses__():
        yield derived
        yield from _derived(derived)


# Nearly every call is like one before, and the compiled core sees to it. These wrappers run cold, among the library's
# own work, where each step costs several times what it does in a loop; so those of such calls are as few as can be.


def _request(sdk: SDK, original: Callable[..., Any]) -> Callable[..., Any]:
    begin, end = sdk.routines.begin, sdk.routines.end

    @wraps(original)
    def request(self: Any, cast_to: Any, options: Any, *, stream: bool = False, **further: Any) -> Any:
        call = begin(self, options, stream) or sdk.begin(self, options, stream)
        if call is None:
            return original(self, cast_to, options, stream=stream, **further)
        try:
            result = original(self, cast_to, options, stream=stream, **further)
        except BaseException as problem:
            sdk.fail(call, problem)
            raise
        if not end(call, result):
            sdk.end(call, result)
        return result

    return request


def _async_request(sdk: SDK, original: Callable[..., Any]) -> Callable[..., Any]:
    begin, end = sdk.routines.begin, sdk.routines.end

    @wraps(original)
    async def request(self: Any, cast_to: Any, options: Any, *, stream: bool = False, **further: Any) -> Any:
        call = begin(self, options, stream) or sdk.begin(self, options, stream)
        if call is None:
            return await original(self, cast_to, options, stream=stream, **further)
        try:
            result = await original(self, cast_to, options, stream=stream, **further)
        except BaseException as problem:
            sdk.fail(call, problem)
            raise
        if not end(call, result):
            sdk.end(call, result)
        return result

    return request


def _send(sdk: SDK, original: Callable[..., Any]) -> Callable[..., Any]:
    leave, arrive = sdk.routines.leave, sdk.routines.arrive

    @wraps(original)
    def send(self: Any, request: Any, *, stream: bool = False, **further: Any) -> Any:
        call = leave() or now_sending()
        if call is None:
            return original(self, request, stream=stream, **further)
        try:
            result = original(self, request, stream=stream, **further)
        except BaseException as problem:
            sdk.lost(call, problem)
            raise
        if not arrive(call, result, stream):
            sdk.arrived(call, result, stream, False)
        return result

    return send


def _async_send(sdk: SDK, original: Callable[..., Any]) -> Callable[..., Any]:
    leave, arrive = sdk.routines.leave, sdk.routines.arrive

    @wraps(original)
    async def send(self: Any, request: Any, *, stream: bool = False, **further: Any) -> Any:
        call = leave() or now_sending()
        if call is None:
            return await original(self, request, stream=stream, **further)
        try:
            result = await original(self, request, stream=stream, **further)
        except BaseException as problem:
            sdk.lost(call, problem)
            raise
        if not arrive(call, result, stream):
            sdk.arrived(call, result, stream, True)
        return result

    return send


def _stream(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def stream(self: Any) -> Any:
        call = take(self.response)
        return original(self) if call is None else watched(original(self), call)

    return stream


def _async_stream(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def stream(self: Any) -> Any:
        call = take(self.response)
        return original(self) if call is None else watched_async(original(self), call)

    return stream


def _copy(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def copy(self: Any, *given: Any, **further: Any) -> Any:
        made = original(self, *given, **further)
        if MARK in vars(self):
            vars(made)[MARK] = vars(self)[MARK]
        return made

    return copy
