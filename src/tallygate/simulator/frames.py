"""From events to the bytes of a body, and from those to HTTP."""

import zlib
from collections.abc import Iterable
from http import HTTPStatus
from typing import Protocol

from tallygate.simulator.apis.api import Event

Headers = Iterable[tuple[bytes, bytes]]
LAST_CHUNK = b"0\r\n\r\n"

_GZIP_WINDOW = 31
"""zlib's way to ask for a gzip envelope, whose time stamp it leaves at zero."""


def reason_of(status: int) -> str:
    """The words after a status; those of 529 are in no registry."""
    return "Site Overloaded" if status == 529 else HTTPStatus(status).phrase


def head(status: int, content_type: bytes, headers: Headers, length: int | None, keep_alive: bool) -> bytes:
    """The head of a reply; without a length it is chunked, or ends with the connection."""
    lines = [b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\n" % (status, reason_of(status).encode(), content_type)]
    lines += [b"%s: %s\r\n" % pair for pair in headers]
    if length is not None:
        lines.append(b"content-length: %d\r\n" % length)
    elif keep_alive:
        lines.append(b"transfer-encoding: chunked\r\n")
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; nothing for no data, which would end the body."""
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


class Framing(Protocol):
    """How the events of a stream follow each other."""

    def frame(self, event: Event) -> bytes:
        """The bytes of the next event."""

    def end(self) -> bytes:
        """What follows the last event."""


class ServerSentEvents:
    """``event:`` and ``data:`` lines."""

    def __init__(self, newline: bytes) -> None:
        self._newline = newline

    def frame(self, event: Event) -> bytes:
        """One event, or one comment."""
        newline = self._newline
        if event.comment:
            return event.data + newline + newline
        if event.name:
            return b"event: %s%sdata: %s%s%s" % (event.name, newline, event.data, newline, newline)
        return b"data: %s%s%s" % (event.data, newline, newline)

    def end(self) -> bytes:
        """Nothing: the last event says so itself, or the body ends."""
        return b""


class JSONArray:
    """One array, an element an event: Gemini's stream without ``alt=sse``."""

    def __init__(self) -> None:
        self._before = b"["

    def frame(self, event: Event) -> bytes:
        """The next element; a comment is white space."""
        if event.comment:
            return b"\r\n"
        before, self._before = self._before, b",\r\n"
        return before + event.data

    def end(self) -> bytes:
        """The end of the array."""
        return b"]" if self._before != b"[" else b"[]"


class Plain:
    """No content coding."""

    def encode(self, data: bytes) -> bytes:
        """The data as they are."""
        return data

    def end(self) -> bytes:
        """Nothing."""
        return b""


class Gzip:
    """gzip with a flush after every piece, so that each can be read as soon as it arrives."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(6, zlib.DEFLATED, _GZIP_WINDOW)

    def encode(self, data: bytes) -> bytes:
        """The piece, compressed and flushed."""
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH) if data else b""

    def end(self) -> bytes:
        """The envelope's end."""
        return self._compressor.flush(zlib.Z_FINISH)
