"""SDKs that the generator Stainless has made (openai is one), taken hold of where they make their requests.

Their clients make every call with ``request``, which retries, and read every stream with ``Stream.__stream__``. Watched
there, every object that users get is the SDK's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import Token
from dataclasses import dataclass
from functools import wraps
from time import perf_counter
from typing import Any, Final

from tallygate.context import current
from tallygate.errors import ErrorType
from tallygate.facts import LLMCall
from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.support.bodies import attach, take
from tallygate.instrument.support.known_calls import (
    MOST_KNOWN,
    CallLabels,
    ClientPlace,
    Known,
    KnownCall,
    ReplyReader,
    SDKCall,
)
from tallygate.instrument.support.llm_calls import ObservedCall, ongoing, watched, watched_async
from tallygate.instrument.support.once import inside
from tallygate.instrument.support.watchers import MARK, Watchers
from tallygate.record.binding import Binding
from tallygate.record.default import default
from tallygate.record.recorder import UNKNOWN_MODEL, Recorder

_PLACE: Final = "_tallygate_place"
"""Attribute of a client with its ``ClientPlace``."""
_new: Final = object.__new__


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

    def instrument(self, client: Any, tally: Recorder | None) -> Instrumentation:
        """Watch this client, and those copied from it; all clients when it is None. Raises NotInstrumentable."""
        if client is not None and not isinstance(client, (self.client, self.async_client)):
            raise NotInstrumentable(
                f"instrument.{self.name}() takes a client of {self.name}, or nothing for all of them; "
                f"got {type(client).__name__}"
            )
        return self.watchers.add(client, tally)

    def begin(self, client: Any, options: Any, stream: bool) -> SDKCall | None:
        """The call that this request makes; None when it is none, or nobody records it."""
        # Nearly every call is like one before. This runs cold, among the library's own work, where each step costs
        # several times what it does in a loop; so these are as few as can be. ``_begin`` comes to the same in full.
        try:
            members, asked = client.__dict__, options.__dict__
            place = members.get(_PLACE)
            if (
                place is not None
                and not stream
                and place.everybody is self.watchers.everybody
                and place.program is default.recorder
                and place.base_url is members["_base_url"]
                and type(body := asked["json_data"]) is dict
                and (known := place.known.get((asked["url"], body["model"], context := current.get()))) is not None
                and asked["method"] == "post"
                and ongoing.get() is None
                and not inside.get()
            ):
                call = _new(KnownCall)
                call.known, call.recorder, call.reader, call.sent, call.smooth = (
                    known,
                    known.recorder,
                    known.reader,
                    0.0,
                    False,
                )
                call.tracker = known.draft(known.binding, context).start()
                return call
        except Exception:  # say a model that has no hash
            return self._begin(client, options, stream)
        return self._begin(client, options, stream)

    def _begin(self, client: Any, options: Any, stream: bool) -> SDKCall | None:
        everybody, program = self.watchers.everybody, default.recorder
        recorder = self.watchers.recorder(client)
        if recorder is None:
            return None
        try:
            reader = self.readers.get(options.url)
            if reader is None or options.method != "post" or inside.get() or ongoing.get() is not None:
                return None
            body = options.json_data
            model = body.get("model") if type(body) is dict or isinstance(body, Mapping) else None
            if not isinstance(model, str):
                model = UNKNOWN_MODEL
            where, steady = client._base_url, not isinstance(client, self.unsteady)
            place: ClientPlace | None = client.__dict__.get(_PLACE)
            if (
                place is None
                or place.base_url is not where
                or place.everybody is not everybody
                or place.program is not program
            ):
                place = ClientPlace(where, self.provider(client), everybody, program)
                if steady:
                    client.__dict__[_PLACE] = place
            call = SDKCall(recorder, reader, place.provider, model, stream)
            if steady and not stream and recorder.identities is None:
                call.learns = place, (options.url, model, current.get())
            return call
        except Exception as problem:
            recorder.failed(LLMCall, problem)
            return None

    def end(self, call: SDKCall, result: Any) -> None:
        """``request`` has returned this, with nothing left to be read."""
        known = call.known
        if known is not None and call.smooth:
            # Nearly every call ends like this; as few steps as can be, and what follows comes to the same in full.
            try:
                tokens = known.reader.smooth(result)
                if tokens is not None:
                    call.over = True
                    known.close(call.tracker, *tokens, call.seconds)
                    return
            except Exception as problem:
                known.recorder.failed(LLMCall, problem)
        if isinstance(result, self.raw):
            _read_raw(call, getattr(result, "http_response", result))
        elif isinstance(result, str):
            call.failure = ErrorType.PROVIDER_INVALID_RESPONSE
        else:
            call.whole(result)
        call.ended()
        if call.learns is not None and call.failure is None and call.status == 200:
            self._learn(call, *call.learns)

    def _learn(self, call: SDKCall, place: ClientPlace, labels: CallLabels) -> None:
        """Calls like this one are known from here on."""
        binding = call.tracker.owner
        if not isinstance(binding, Binding) or place.everybody is not self.watchers.everybody:
            return  # nothing is recorded, or no longer so
        try:
            if len(place.known) >= MOST_KNOWN:
                place.known.clear()
            place.known[labels] = Known(call.recorder, self.readers[labels[0]], binding)
        except Exception as problem:
            call.recorder.failed(LLMCall, problem)

    def fail(self, call: ObservedCall, problem: BaseException) -> None:
        """``request`` has raised this; perhaps after the reply was here, which then says what it used."""
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
    patches.wrap(sdk.client, sdk.sending, _send)
    patches.wrap(sdk.stream, "__stream__", _stream)
    patches.wrap(sdk.async_client, "request", lambda original: _async_request(sdk, original))
    patches.wrap(sdk.async_client, sdk.sending, _async_send)
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


def _leave(token: Token[Any]) -> None:
    try:
        token.var.reset(token)
    except ValueError:
        # A coroutine that is finished in another context than it began in: what was set is gone with the first.
        return


def _request(sdk: SDK, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def request(self: Any, cast_to: Any, options: Any, *, stream: bool = False, **further: Any) -> Any:
        call = sdk.begin(self, options, stream)
        if call is None:
            return original(self, cast_to, options, stream=stream, **further)
        token = ongoing.set(call)
        try:
            result = original(self, cast_to, options, stream=stream, **further)
        except BaseException as problem:
            sdk.fail(call, problem)
            raise
        finally:
            ongoing.reset(token)
        if call.smooth or not call.unread:
            sdk.end(call, result)
        return result

    return request


def _async_request(sdk: SDK, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def request(self: Any, cast_to: Any, options: Any, *, stream: bool = False, **further: Any) -> Any:
        call = sdk.begin(self, options, stream)
        if call is None:
            return await original(self, cast_to, options, stream=stream, **further)
        token = ongoing.set(call)
        try:
            result = await original(self, cast_to, options, stream=stream, **further)
        except BaseException as problem:
            sdk.fail(call, problem)
            raise
        finally:
            _leave(token)
        if call.smooth or not call.unread:
            sdk.end(call, result)
        return result

    return request


def _sent(call: SDKCall, result: Any, stream: object, asynchronous: bool) -> None:
    """A request has this result."""
    try:
        response = result[0] if type(result) is tuple else result
        status = response.status_code
        if status == 200 and not stream and response.is_closed:  # nearly always
            call.seconds, call.status, call.answer, call.smooth = perf_counter() - call.sent, 200, response, True
            return
        call.answered(status, bool(stream) or not response.is_closed)
        if call.unread:
            attach(response, call, asynchronous)
        elif status < 400:
            call.answer = response
    except Exception as problem:
        call.recorder.failed(LLMCall, problem)


def _send(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def send(self: Any, request: Any, **further: Any) -> Any:
        call: Any = ongoing.get()
        if call is None or inside.get():
            return original(self, request, **further)
        if call.sent:
            call.smooth = False
            call.sending()
        else:
            call.sent = perf_counter()
        token = inside.set(True)
        try:
            result = original(self, request, **further)
        except BaseException as problem:
            call.unanswered(problem)
            raise
        finally:
            inside.reset(token)
        _sent(call, result, further.get("stream"), False)
        return result

    return send


def _async_send(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def send(self: Any, request: Any, **further: Any) -> Any:
        call: Any = ongoing.get()
        if call is None or inside.get():
            return await original(self, request, **further)
        if call.sent:
            call.smooth = False
            call.sending()
        else:
            call.sent = perf_counter()
        token = inside.set(True)
        try:
            result = await original(self, request, **further)
        except BaseException as problem:
            call.unanswered(problem)
            raise
        finally:
            _leave(token)
        _sent(call, result, further.get("stream"), True)
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
