"""Content codings, undone on the side: what is relayed stays as it came."""

import zlib

from tallygate.wire.meter import Framing, WireMeter

READABLE = frozenset(("gzip", "x-gzip", "deflate"))
"""Content codings that can be undone here."""

_PIECE = 64 * 1024
"""Bytes that are decompressed at once: a bomb is read in such pieces and never held."""
_GZIP, _ZLIB, _RAW = 31, 15, -15
_GZIP_START = b"\x1f"


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

    __slots__ = ("_broken", "_decoder", "_framing", "_start")

    def __init__(self, coding: str, framing: Framing) -> None:
        self._framing = framing
        self._decoder = None if coding == "deflate" else zlib.decompressobj(_GZIP)
        """None while it is open whether this is zlib's format or, as some servers send it, bare deflate."""
        self._start = b""
        self._broken = False

    def feed(self, meter: WireMeter, data: bytes) -> bytes:
        """Read the next bytes; all are relayed."""
        rest = data
        if self._decoder is None:
            rest = self._start = self._start + data
            if len(rest) < 2:
                return data
            self._decoder = zlib.decompressobj(_ZLIB if _has_zlib_head(rest) else _RAW)
        while rest and not self._broken:
            rest = self._inflate(meter, self._decoder, rest)
        return data

    def close(self, meter: WireMeter) -> bytes:
        """The body has ended."""
        self._framing.close(meter)
        if self._broken:
            meter.complete = False
        return b""

    def _inflate(self, meter: WireMeter, decoder: "zlib._Decompress", data: bytes) -> bytes:
        """Read a piece; returns what is still to be read."""
        if decoder.eof:
            if data[:1] != _GZIP_START:
                # Padding, which decoders ignore.
                return b""
            decoder = self._decoder = zlib.decompressobj(_GZIP)
        try:
            piece = decoder.decompress(data, _PIECE)
        except zlib.error:
            self._broken = True
            meter.garbled()
            return b""
        if piece:
            self._framing.feed(meter, piece)
        return decoder.unused_data if decoder.eof else decoder.unconsumed_tail


def _has_zlib_head(data: bytes) -> bool:
    return data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0


class Opaque:
    """A body in a coding that cannot be undone here: it counts as complete when HTTP says so, and as unmetered."""

    def feed(self, meter: WireMeter, data: bytes) -> bytes:
        """All is relayed."""
        return data

    def close(self, meter: WireMeter) -> bytes:
        """The body has ended."""
        meter.complete = True
        return b""
