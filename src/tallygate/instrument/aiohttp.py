"""LLM calls made with the client of ``aiohttp``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial, wraps
from typing import TYPE_CHECKING, Any
from weakref import ref

from tallygate.facts import LLMCall
from tallygate.instrument.httpx import NO_HOSTS, calls_of
from tallygate.instrument.patching import Instrumentation, NotInstrumentable

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

    from tallygate.instrument.support.http_calls import Calls, HTTPCall, MeteredBody
    from tallygate.instrument.support.llm_calls import ObservedCall
    from tallygate.record.recorder import Recorder


def aiohttp(
    session: ClientSession | None = None,
    *,
    hosts: Mapping[str, str] = NO_HOSTS,
    tally: Recorder | None = None,
) -> Instrumentation:
    """Record the requests of this session that are LLM calls; without one, of all sessions.

    Which requests these are, ``hosts``, and what is left to the SDKs' own instrumentations: as for
    ``instrument.httpx``. Raises NotInstrumentable for anything that is no session, ValueError for what is no host,
    ModuleNotFoundError without the library or msgspec.
    """
    from aiohttp import ClientSession

    handle = Instrumentation(tally)
    calls = calls_of("instrument.aiohttp()", handle, hosts)
    make = partial(_maker, calls, _watched_content())
    if session is None:
        handle.wrap(ClientSession, "_request", make)
    elif isinstance(session, ClientSession):
        own = vars(session)  # not through setattr, of which the session warns when Python is in development mode
        before = own.get("_request")
        inner = before or partial(type(session)._request, session)
        own["_request"] = after = partial(make(lambda self, *given, **named: inner(*given, **named)), session)

        def undo() -> None:
            if own.get("_request") is after:
                own.pop("_request")
                if before is not None:
                    own["_request"] = before

        handle.finally_do(undo)
    else:
        raise NotInstrumentable(f"instrument.aiohttp() takes a ClientSession, not {type(session).__name__}")
    return handle


def _maker(calls: Calls, content: Callable[..., Any], request: Any) -> Callable[..., Coroutine[Any, Any, Any]]:
    @wraps(request)
    async def _request(self: ClientSession, method: str, str_or_url: Any, **options: Any) -> ClientResponse:
        call = _begin(self, calls, method, str_or_url, options)
        if call is None:
            return await request(self, method, str_or_url, **options)  # type: ignore[no-any-return]  # what it was
        with call:
            response: ClientResponse = await request(self, method, str_or_url, **options)
        plain = options.get("auto_decompress")
        _watch(response, call, content, self.auto_decompress if plain is None else plain)
        return response

    return _request


def _begin(
    session: ClientSession, calls: Calls, method: str, str_or_url: Any, options: Mapping[str, Any]
) -> HTTPCall | None:
    try:
        url = session._build_url(str_or_url)
    except Exception:  # what is wrong with it, is for the session to say
        return None
    given = options.get("json")
    return calls.begin(
        method.upper(), url.host or "", url.port, url.path, lambda: options.get("data") if given is None else given
    )


def _watch(response: ClientResponse, call: HTTPCall, content: Callable[..., Any], decompressed: bool) -> None:
    """Let the call see the body as it is read, and what becomes of the response."""
    observed = call.observed
    try:
        headers = response.headers
        coding = "" if decompressed else headers.get("Content-Encoding", "")
        body = call.replied(response.status, headers.get("Content-Type", ""), coding)
        response.content = content(response.content, observed, body)
        owner = ref(response)  # a cycle would keep a response that is dropped
        for name in ("release", "close"):
            vars(response)[name] = partial(_leave, owner, name, observed)
    except Exception as problem:
        observed.recorder.failed(LLMCall, problem)
        observed.ended()


def _leave(owner: ref[ClientResponse], name: str, call: ObservedCall) -> Any:
    """Release or close the response. Who does so before the body was read has broken off."""
    response = owner()
    try:
        if response is not None:
            return getattr(type(response), name)(response)
        return None
    finally:
        if not call.reading:
            call.closed()


def _watched_content() -> Callable[..., Any]:
    from aiohttp import StreamReader

    iterators: Any = StreamReader

    class WatchedContent:
        """The body of a response: a StreamReader in all that is public, of which every piece is seen as it is read."""

        # These read with the methods below.
        __aiter__ = iterators.__aiter__
        iter_chunked = iterators.iter_chunked
        iter_any = iterators.iter_any
        iter_chunks = iterators.iter_chunks
        readexactly = iterators.readexactly

        def __init__(self, content: Any, call: ObservedCall, body: MeteredBody) -> None:
            self._content, self._call, self._body = content, call, body

        def __getattr__(self, name: str) -> Any:
            return getattr(self._content, name)

        @property  # type: ignore[misc]  # so that isinstance() finds what it looks for
        def __class__(self) -> type[Any]:
            return type(self._content)

        async def _read(self, name: str, *given: Any, **named: Any) -> Any:
            call = self._call
            call.reading = True
            try:
                got = await getattr(self._content, name)(*given, **named)
            except Exception as problem:  # and not CancelledError: a read that is given up may be tried again
                call.fail(problem)
                raise
            finally:
                call.reading = False
            self._see(got[0] if type(got) is tuple else got)
            return got

        def _see(self, piece: bytes) -> None:
            if piece:
                self._body.feed(piece)
            if self._content.at_eof() and not self._call.over:
                self._body.end()
                self._call.ended()

        async def read(self, n: int = -1) -> bytes:
            if n >= 0:
                return await self._read("read", n)  # type: ignore[no-any-return]  # bytes, here and below
            pieces = []
            while piece := await self.readany():  # not at once, so that what comes before a failure is seen
                pieces.append(piece)
            return b"".join(pieces)

        async def readany(self) -> bytes:
            return await self._read("readany")  # type: ignore[no-any-return]  # as above

        async def readline(self, **named: Any) -> bytes:
            return await self._read("readline", **named)  # type: ignore[no-any-return]  # as above

        async def readuntil(self, *given: Any, **named: Any) -> bytes:
            return await self._read("readuntil", *given, **named)  # type: ignore[no-any-return]  # as above

        async def readchunk(self) -> tuple[bytes, bool]:
            return await self._read("readchunk")  # type: ignore[no-any-return]  # a tuple

        def read_nowait(self, n: int = -1) -> bytes:
            got: bytes = self._content.read_nowait(n)
            self._see(got)
            return got

        def __del__(self) -> None:
            self._call.closed()

    return WatchedContent
