"""The library ``google-genai``: contents and embeddings, of Gemini's own API and of Vertex AI.

Chats, automatic function calling and continuations make several calls of a model; each is recorded as one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tallygate.context import current
from tallygate.facts import LLMCall
from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.support.gemini_replies import BATCH_EMBED, EMBED, GENERATE, STREAM
from tallygate.instrument.support.hosts import provider_at
from tallygate.instrument.support.known_calls import (
    PLACE,
    ClientPlace,
    SDKCall,
    Unroutine,
    in_full,
    learn,
    now_sending,
    ongoing,
    routines,
)
from tallygate.instrument.support.llm_calls import Reader, watched, watched_async
from tallygate.instrument.support.once import inside, let_go
from tallygate.instrument.support.watchers import Watchers
from tallygate.record.classify import http_status
from tallygate.record.recorder import UNKNOWN_MODEL

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.client import AsyncClient

    from tallygate.instrument._core import RoutineCall
    from tallygate.record.recorder import Recorder

    AnyCall = SDKCall | RoutineCall

_watchers: Watchers | None = None


def google_genai(client: Client | AsyncClient | None = None, *, tally: Recorder | None = None) -> Instrumentation:
    """Record the calls of this client, ``client.aio`` included; without one, of all clients, those made before too.

    A call of several instrumentations is recorded once: by the client's own, else by the latest. Raises
    NotInstrumentable for anything that is no client, ImportError without the library.
    """
    global _watchers
    from google.genai import Client
    from google.genai.client import AsyncClient

    if _watchers is None:
        _watchers = Watchers("google-genai", _patch)
    if client is None:
        return _watchers.add(None, tally)
    if not isinstance(client, (Client, AsyncClient)):
        raise NotInstrumentable(
            "instrument.google_genai() takes a client of google-genai, or nothing for all of them; "
            f"got {type(client).__name__}"
        )
    return _watchers.add(client._api_client, tally)


@lru_cache(1024)
def _model_label(model: str) -> str:
    """The model's own name, of names like models/gemini-2.5-pro and publishers/google/models/gemini-2.5-pro."""
    return model.rpartition("/")[2] or UNKNOWN_MODEL


@lru_cache(256)
def _provider_at(base_url: str | None) -> str:
    return provider_at(urlsplit(base_url or "").hostname or "", "gemini")


_routines: Final = routines(("model",))
_unroutine: Final = Unroutine()


def _begin(owner: Any, reader: Reader, given: dict[str, Any], stream: bool = False) -> SDKCall | None:
    """The call that this makes, when it is no known one; None when nobody records it."""
    api = owner._api_client
    recorder = None if _watchers is None else _watchers.recorder(api)
    if recorder is None or _watchers is None or inside.get() is not None:
        return None
    try:
        if reader is BATCH_EMBED and (kind := given.get("embedding_api_type")) is not None:
            reader = EMBED.get(kind.value, BATCH_EMBED)
        model, options = given.get("model"), api._http_options
        label = _model_label(model) if isinstance(model, str) else UNKNOWN_MODEL
        place: ClientPlace | None = vars(api).get(PLACE)
        if place is None or not place.holds(api):
            provider = "vertex" if api.vertexai else _provider_at(options.base_url)
            own = ((None, name, vars(api)[name]) for name in ("vertexai", "_http_options"))
            place = ClientPlace(provider, _watchers, *own, (vars(options), "base_url", options.base_url))
            vars(api)[PLACE] = place
        call = SDKCall(recorder, reader, place.provider, label, stream)
        if reader is GENERATE and type(model) is str and recorder.identities is None:
            call.learns = place, (model,), current.get()
        return call
    except Exception as problem:
        recorder.failed(LLMCall, problem)
        return None


def _end(call: AnyCall, reply: Any) -> None:
    """The library has returned this."""
    let_go(call)
    call = in_full(call)
    call.whole(reply)
    call.ended()
    if _watchers is not None:
        learn(call, _watchers)


def _fail(call: AnyCall, problem: BaseException) -> None:
    """The library has raised this."""
    let_go(call)
    in_full(call).fail(problem)


def _patch(patches: Instrumentation) -> None:
    from google.genai import _api_client
    from google.genai.models import AsyncModels, Models

    patches.wrap(Models, "_generate_content", lambda original: _whole(original, GENERATE))
    patches.wrap(Models, "_embed_content", lambda original: _whole(original, BATCH_EMBED))
    patches.wrap(Models, "_generate_content_stream", _stream)
    patches.wrap(AsyncModels, "_generate_content", lambda original: _async_whole(original, GENERATE))
    patches.wrap(AsyncModels, "_embed_content", lambda original: _async_whole(original, BATCH_EMBED))
    patches.wrap(AsyncModels, "_generate_content_stream", _async_stream)
    patches.wrap(_api_client.BaseApiClient, "_request_once", _request_once)
    patches.wrap(_api_client.BaseApiClient, "_async_request_once", _async_request_once)
    if _api_client.has_aiohttp:
        from aiohttp import ClientSession

        patches.wrap(ClientSession, "_request", lambda original: _session_request(original, patches))


def _whole(original: Callable[..., Any], reader: Reader) -> Callable[..., Any]:
    known = _routines if reader is GENERATE else _unroutine
    begin, end = known.begin, known.end

    @wraps(original)
    def whole(self: Any, **given: Any) -> Any:
        call: AnyCall | None = begin(self._api_client, given, False)
        if call is None:
            call = _begin(self, reader, given)
            if call is None:
                return original(self, **given)
            inside.set(call)
        try:
            reply = original(self, **given)
        except BaseException as problem:
            _fail(call, problem)
            raise
        if not end(call, reply):
            _end(call, reply)
        return reply

    return whole


def _async_whole(original: Callable[..., Awaitable[Any]], reader: Reader) -> Callable[..., Awaitable[Any]]:
    known = _routines if reader is GENERATE else _unroutine
    begin, end = known.begin, known.end

    @wraps(original)
    async def whole(self: Any, **given: Any) -> Any:
        call: AnyCall | None = begin(self._api_client, given, False)
        if call is None:
            call = _begin(self, reader, given)
            if call is None:
                return await original(self, **given)
            inside.set(call)
        try:
            reply = await original(self, **given)
        except BaseException as problem:
            _fail(call, problem)
            raise
        if not end(call, reply):
            _end(call, reply)
        return reply

    return whole


def _stream(original: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    @wraps(original)
    def stream(self: Any, **given: Any) -> Generator[Any]:
        call = _begin(self, STREAM, given, True)
        items = original(self, **given)
        yield from items if call is None else watched(_sent_at_first(items, call), call)

    return stream


_END: Final = object()


def _sent_at_first(items: Iterator[Any], call: SDKCall) -> Generator[Any]:
    """These items, the first of which sends the request."""
    inside.set(call)
    try:
        first = next(items, _END)
    finally:
        let_go(call)
    if first is not _END:
        yield first
        yield from items


def _async_stream(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(original)
    async def stream(self: Any, **given: Any) -> AsyncIterator[Any]:
        call = _begin(self, STREAM, given, True)
        if call is None:
            return await original(self, **given)  # type: ignore[no-any-return]  # the library's iterator
        inside.set(call)
        try:
            items = await original(self, **given)
        except BaseException as problem:
            call.fail(problem)
            raise
        finally:
            let_go(call)
        return watched_async(items, call)

    return stream


def _lost(call: AnyCall, problem: BaseException) -> None:
    """A request gave this: the library's exception for an error's answer, or what happened to it on the way."""
    call = in_full(call)
    call.underway = False
    status = http_status(problem) if hasattr(problem, "details") else None
    if status is None:
        call.unanswered(problem)
    else:
        call.answered(status)


def _arrived(call: AnyCall, stream: bool) -> None:
    """A request was answered; errors are raised by the library."""
    call = in_full(call)
    call.underway = False
    call.answered(200, stream)


def _request_once(original: Callable[..., Any]) -> Callable[..., Any]:
    leave, arrive = _routines.leave, _routines.arrive

    @wraps(original)
    def request_once(self: Any, http_request: Any, stream: bool = False) -> Any:
        call = leave() or now_sending()
        if call is None:
            return original(self, http_request, stream)
        try:
            response = original(self, http_request, stream)
        except BaseException as problem:
            _lost(call, problem)
            raise
        if not arrive(call, None, stream):
            _arrived(call, stream)
        return response

    return request_once


def _async_request_once(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    leave, arrive = _routines.leave, _routines.arrive

    @wraps(original)
    async def request_once(self: Any, http_request: Any, stream: bool = False, **further: Any) -> Any:
        call = leave() or now_sending()
        if call is None:
            return await original(self, http_request, stream, **further)
        try:
            response = await original(self, http_request, stream, **further)
        except BaseException as problem:
            _lost(call, problem)
            raise
        if not arrive(call, None, stream):
            _arrived(call, stream)
        return response

    return request_once


def _session_request(
    original: Callable[..., Awaitable[Any]], patches: Instrumentation
) -> Callable[..., Awaitable[Any]]:
    """aiohttp's request, which the library sends a second time when the connection failed."""

    @wraps(original)
    async def request(self: Any, *given: Any, **further: Any) -> Any:
        call = None if patches.removed else ongoing()
        if call is None or not call.underway:
            return await original(self, *given, **further)
        if call.asked:
            call.sending()
        call.asked = True
        try:
            return await original(self, *given, **further)
        except BaseException as problem:
            call.unanswered(problem)
            raise

    return request
