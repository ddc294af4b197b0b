"""Replies whose body is read after the library has returned: as a stream of its objects, or as bytes.

They are httpx responses (of httpx or httpx2). The library's streams find the call in ``response.extensions``; who
reads the bytes goes through ``response.iter_bytes``; closing ends in ``response.stream``. All three live with this one
response, and go away when it is read.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final
from weakref import ref

from tallygate.errors import ErrorType
from tallygate.facts import LLMCall
from tallygate.instrument.support.llm_calls import ObservedCall, watched, watched_async

_KEY: Final = "tallygate_call"


def attach(response: Any, call: ObservedCall, asynchronous: bool) -> None:
    """What becomes of this response, whose body is unread, is told to the call."""
    try:
        body = _Body(response.headers.get("content-type", ""), call)
        if asynchronous:
            _hook(response, "aiter_bytes", lambda pieces: watched_async(pieces, call, body))
            _hook_aclose(response.stream, call)
        else:
            _hook(response, "iter_bytes", lambda pieces: watched(pieces, call, body))
            _hook_close(response.stream, call)
        response.extensions[_KEY] = call
    except Exception as problem:
        call.recorder.failed(LLMCall, problem)


def take(response: Any) -> ObservedCall | None:
    """The call of a response that is read as a stream of objects from here on; None when nobody observes it."""
    extensions = getattr(response, "extensions", None)
    call: ObservedCall | None = extensions.pop(_KEY, None) if isinstance(extensions, dict) else None
    if call is not None:
        vars(response).pop("iter_bytes", None)
        vars(response).pop("aiter_bytes", None)
    return call


def _hook(response: Any, name: str, watch: Callable[[Any], Any]) -> None:
    """Let ``watch`` see what the method of this name gives, once."""

    def iterate(chunk_size: int | None = None) -> Iterator[bytes] | AsyncIterator[bytes]:
        vars(response).pop(name, None)
        response.extensions.pop(_KEY, None)
        pieces: Iterator[bytes] | AsyncIterator[bytes] = watch(getattr(response, name)(chunk_size))
        return pieces

    vars(response)[name] = iterate


def _hook_close(stream: Any, call: ObservedCall) -> None:
    owner = ref(stream)  # a cycle would keep a stream that is dropped from ending at once

    def close() -> None:
        stream = owner()
        try:
            if stream is not None:
                vars(stream).pop("close", None)
                stream.close()
        finally:
            if not call.reading:
                call.closed()

    stream.close = close


def _hook_aclose(stream: Any, call: ObservedCall) -> None:
    owner = ref(stream)

    async def aclose() -> None:
        stream = owner()
        try:
            if stream is not None:
                vars(stream).pop("aclose", None)
                await stream.aclose()
        finally:
            if not call.reading:
                call.closed()

    stream.aclose = aclose


class _Body:
    """The bytes of a body, put together to the JSON documents in it: one, or one per event."""

    def __init__(self, content_type: str, call: ObservedCall) -> None:
        self._events = content_type.startswith("text/event-stream")
        self._opaque = content_type.startswith("application/vnd.amazon.eventstream")
        """AWS's own frames, which its library alone reads: such a body tells no usage here."""
        self._call = call
        self._pieces: list[bytes] = []
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        if not self._events or b"\n" not in piece:
            if not self._opaque:
                self._pieces.append(piece)
            return
        *lines, rest = b"".join((*self._pieces, piece)).split(b"\n")
        self._pieces = [rest]
        for line in lines:
            self._line(line.rstrip(b"\r"))

    def end(self) -> None:
        """The body has ended."""
        rest = b"".join(self._pieces)
        if self._events:
            self._line(rest.rstrip(b"\r"))
            self._line(b"")
            return
        if self._opaque:
            self._call.complete = True
            return
        try:
            document = json.loads(rest)
        except (ValueError, RecursionError):
            self._call.failure = self._call.failure or ErrorType.PROVIDER_INVALID_RESPONSE
        else:
            self._call.whole(document)

    def _line(self, line: bytes) -> None:
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
        elif self._data:
            data, self._data = b"\n".join(self._data), []
            if data.startswith(b"[DONE]"):
                self._call.complete = True
                return
            try:
                event = json.loads(data)
            except (ValueError, RecursionError):
                self._call.failure = self._call.failure or ErrorType.PROVIDER_INVALID_RESPONSE
            else:
                self._call.event(event)
