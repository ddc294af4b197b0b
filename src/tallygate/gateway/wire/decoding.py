"""Content codings, undone on the side: what is relayed stays as it came."""

import zlib

from tallygate.gateway.wire.meter import Framing, WireMeter

READABLE = frozenset(("gzip", "x-gzip", "deflate"))
"""Content codings that can be undone here."""

_PIECE = 64 * 1024
"""Bytes that are decompressed at once: a bomb is read in such pieces and never held."""
_GZIP, _ZLIB, _RAW = 31, 15, -15


def framing_for(content_encoding: str, framing: Framing) -> Framing:
    """A framing that undoes the content codings of the header (in lower case) before ``framing`` reads the body."""
    codings = [coding for item in content_encoding.split(",") if (coding := item.strip()) not in ("", "identity")]
    if not codings:
        return framing
    if len(codings) == 1 and codings[0] in READABLE:
        return Inflated(codings[0], framing)
    return Opaque()


class Inflated:
    """A compressed body. It is relayed as it came, so nothing can be hidden in it."""

    __slots__ = ("_broken", "_decoder", "_framing", "_guessed")

    def __init__(self, coding: str, framing: Framing) -> None:
        self._framing = framing
        self._guessed = coding == "deflate"
        """Whether it is still open if this is zlib's format or, as some servers send it, bare deflate."""
        self._decoder = zlib.decompressobj(_ZLIB if self._guessed else _GZIP)
        self._broken = False

    def feed(self, meter: WireMeter, data: bytes) -> bytes:
        """Read the next bytes; all are relayed."""
        rest = data
        while rest and not self._broken:
            rest = self._inflate(meter, rest)
        return data

    def close(self, meter: WireMeter) -> bytes:
        """The body has ended."""
        self._framing.close(meter)
        if self._broken:
            meter.complete = False
        return b""

    def _inflate(self, meter: WireMeter, data: bytes) -> bytes:
        """Read a piece; returns what is still to be read."""
        decoder = self._decoder
        if decoder.eof:
            # A further member. What follows zlib's or deflate's end means nothing.
            decoder = self._decoder = zlib.decompressobj(_GZIP)
        try:
            piece = decoder.decompress(data, _PIECE)
        except zlib.error:
            if self._guessed:
                self._guessed = False
                self._decoder = zlib.decompressobj(_RAW)
                return data
            self._broken = True
            meter.garbled()
            return b""
        if piece:
            self._guessed = False
            self._framing.feed(meter, piece)
        return decoder.unused_data if decoder.eof else decoder.unconsumed_tail


class Opaque:
    """A body in a coding that cannot be undone here: it counts as complete when HTTP says so, and as unmetered."""

    def feed(self, meter: WireMeter, data: bytes) -> bytes:
        """All is relayed."""
        return data

    def close(self, meter: WireMeter) -> bytes:
        """The body has ended."""
        meter.complete = True
        return b""
