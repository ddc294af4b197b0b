"""LLM calls made with ``httpx`` itself, or with ``httpx2``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import cache, wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from tallygate.facts import LLMCall
from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.support.llm_calls import watched, watched_async

if TYPE_CHECKING:
    from types import ModuleType

    from httpx import AsyncClient, Client

    from tallygate.instrument.support.http_calls import Calls, HTTPCall, MeteredBody
    from tallygate.instrument.support.llm_calls import ObservedCall
    from tallygate.record.recorder import Recorder

LIBRARIES: Final = ("httpx", "httpx2")
"""One design in two packages."""
NO_HOSTS: Final[Mapping[str, str]] = {}


def httpx(
    client: Client | AsyncClient | None = None,
    *,
    hosts: Mapping[str, str] = NO_HOSTS,
    tally: Recorder | None = None,
) -> Instrumentation:
    """Record the requests of this client that are LLM calls; without one, of all clients of httpx and httpx2.

    LLM calls are POST requests to an API that Tallygate can read, at a host that is known (OpenAI, Anthropic, Gemini,
    OpenRouter, Groq, ...) or given: ``hosts={"localhost:8000": "vllm"}``. What an SDK's own instrumentation records is
    left to it. Replies are read as their user reads them. Raises NotInstrumentable for anything that is no client,
    ValueError for what is no host, ModuleNotFoundError without the library or msgspec.
    """
    handle = Instrumentation(tally)
    calls = calls_of("instrument.httpx()", handle, hosts)
    for library in _libraries():
        if client is None:
            handle.wrap(library.Client, "_send_single_request", _sync_maker(library, calls))
            handle.wrap(library.AsyncClient, "_send_single_request", _async_maker(library, calls))
        elif isinstance(client, library.Client):
            handle.wrap(client, "_send_single_request", _bound(_sync_maker(library, calls)))
            return handle
        elif isinstance(client, library.AsyncClient):
            handle.wrap(client, "_send_single_request", _bound(_async_maker(library, calls)))
            return handle
    if client is not None:
        raise NotInstrumentable(f"instrument.httpx() takes a Client or AsyncClient, not {type(client).__name__}")
    return handle


def calls_of(who: str, handle: Instrumentation, hosts: Mapping[str, str]) -> Calls:
    """The calls of an instrumentation that needs the meters."""
    try:
        from tallygate.instrument.support.http_calls import Calls
    except ModuleNotFoundError as missing:
        if missing.name != "msgspec":
            raise
        message = f"{who} needs msgspec to read replies: pip install 'tallygate[instrument-http]'"
        raise ModuleNotFoundError(message, name="msgspec") from missing
    return Calls(handle, hosts)


def _libraries() -> list[ModuleType]:
    """Those that are there. Raises ModuleNotFoundError when none is."""
    found, missing = [], None
    for name in LIBRARIES:
        try:
            found.append(import_module(name))
        except ModuleNotFoundError as problem:
            if problem.name != name:
                raise
            missing = missing or problem
    if missing is not None and not found:
        raise missing
    return found


def _bound(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """For a method that is bound already."""

    def of(method: Any) -> Any:
        made = make(lambda self, request: method(request))
        return lambda request: made(None, request)

    return of


def _begin(calls: Calls, request: Any) -> HTTPCall | None:
    url = request.url
    return calls.begin(request.method, url.host, url.port, url.path, lambda: getattr(request, "_content", None))


def _sync_maker(library: ModuleType, calls: Calls) -> Callable[[Any], Any]:
    watched_stream = _sync_stream(library)

    def make(send: Any) -> Any:
        @wraps(send)
        def _send_single_request(self: Any, request: Any) -> Any:
            call = _begin(calls, request)
            if call is None:
                return send(self, request)
            with call:
                response = send(self, request)
            _watch(response, call, library, watched_stream)
            return response

        return _send_single_request

    return make


def _async_maker(library: ModuleType, calls: Calls) -> Callable[[Any], Any]:
    watched_stream = _async_stream(library)

    def make(send: Any) -> Any:
        @wraps(send)
        async def _send_single_request(self: Any, request: Any) -> Any:
            call = _begin(calls, request)
            if call is None:
                return await send(self, request)
            with call:
                response = await send(self, request)
            _watch(response, call, library, watched_stream)
            return response

        return _send_single_request

    return make


def _watch(response: Any, call: HTTPCall, library: ModuleType, watched_stream: Callable[..., Any]) -> None:
    """Let the call see the body as it passes."""
    try:
        status, kind, coding = response.status_code, "", ""
        for name, value in response.headers.raw:  # asking its headers for a name takes much longer
            match name.lower():
                case b"content-type":
                    kind = value.decode("latin-1")
                case b"content-encoding":
                    coding = f"{coding}, {value.decode('latin-1')}" if coding else value.decode("latin-1")
        if hasattr(response, "_content"):  # made by a transport that had all of it: a cache, a mock
            body = call.replied(status, kind, "")
            body.feed(response.content)
            body.end()
            call.observed.ended()
            return
        # The library's own, for what it asked for and the meters cannot undo: br, zstd.
        decoders = getattr(getattr(library, "_decoders", None), "SUPPORTED_DECODERS", {})
        body = call.replied(status, kind, coding, decoders)
        response.stream = watched_stream(response.stream, call.observed, body)
    except Exception as problem:
        call.observed.recorder.failed(LLMCall, problem)
        call.observed.ended()


@cache
def _sync_stream(library: ModuleType) -> Callable[..., Any]:
    class WatchedStream(library.SyncByteStream):  # type: ignore[misc, name-defined]  # of either library
        """The stream of a reply, each piece seen as it is read."""

        def __init__(self, stream: Any, call: ObservedCall, body: MeteredBody) -> None:
            self._stream, self._call, self._body = stream, call, body

        def __iter__(self) -> Iterator[bytes]:
            return watched(iter(self._stream), self._call, self._body)

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                if not self._call.reading:
                    self._call.closed()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

        def __del__(self) -> None:
            self._call.closed()

    return WatchedStream


@cache
def _async_stream(library: ModuleType) -> Callable[..., Any]:
    class WatchedAsyncStream(library.AsyncByteStream):  # type: ignore[misc, name-defined]  # of either library
        """The same for asynchronous ones."""

        def __init__(self, stream: Any, call: ObservedCall, body: MeteredBody) -> None:
            self._stream, self._call, self._body = stream, call, body

        def __aiter__(self) -> AsyncIterator[bytes]:
            return watched_async(aiter(self._stream), self._call, self._body)

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                if not self._call.reading:
                    self._call.closed()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

        def __del__(self) -> None:
            self._call.closed()

    return WatchedAsyncStream
