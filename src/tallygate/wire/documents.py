"""Bodies that are JSON, one document or an array of events; and streams that turn out to be such."""

from tallygate.wire.meter import WHOLE, Framing, WireMeter
from tallygate.wire.partial import is_json
from tallygate.wire.skim import Nesting, Skimmer

_PIECE = 64 * 1024
_SPACE = b" \t\r\n"
_MANY_PIECES = 1024
"""Pieces are joined at that many, so that a body of single bytes does not cost an object for each."""


class Document:
    """A body that is one JSON document: held while it is small, else skimmed."""

    __slots__ = ("_pieces", "_size", "_skimmer")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._skimmer: Skimmer | None = None

    def feed(self, meter: WireMeter, data: bytes) -> bytes:
        """Read the next bytes; all are relayed."""
        meter.ends_with_body = True
        self._size += len(data)
        if self._skimmer is not None:
            self._skimmer.feed_all(data)
        else:
            self._pieces.append(data)
            if len(self._pieces) >= _MANY_PIECES:
                self._pieces = [b"".join(self._pieces)]
            if self._size > WHOLE:
                self._skimmer = Skimmer(meter.paths)
                for piece in self._pieces:
                    self._skimmer.feed_all(piece)
                self._pieces.clear()
        return data

    def close(self, meter: WireMeter) -> bytes:
        """The body has ended: read it."""
        if self._skimmer is not None:
            meter.end_large_document(self._skimmer)
        else:
            meter.end_document(b"".join(self._pieces))
            self._pieces.clear()
        return b""


class EventArray:
    """A body that is a JSON array of events, as Gemini streams them when not asked for server-sent events."""

    __slots__ = ("_begun", "_broken", "_closed", "_nesting", "_pending", "_skimmer")

    def __init__(self) -> None:
        self._begun = self._closed = self._broken = False
        self._nesting = Nesting()
        self._pending = bytearray()
        self._skimmer: Skimmer | None = None

    def feed(self, meter: WireMeter, data: bytes) -> bytes:
        """Read the next bytes; all are relayed."""
        if self._begun and not (self._nesting.depth or self._closed or self._broken) and len(data) <= WHOLE:
            event = data.strip(b", \t\r\n")
            if event[:1] == b"{" and event[-1:] == b"}" and is_json(event):
                # The usual piece: one event and its comma.
                meter.read_event(event)
                return data
        for at in range(0, len(data), _PIECE):
            self._feed_piece(meter, data[at : at + _PIECE])
        return data

    def close(self, meter: WireMeter) -> bytes:
        """The body has ended."""
        if self._closed and not self._broken:
            meter.complete = True
        return b""

    def _feed_piece(self, meter: WireMeter, data: bytes) -> None:
        position = 0
        while position < len(data) and not self._broken:
            if not self._nesting.depth:
                position = self._between(meter, data, position)
                continue
            end = self._nesting.feed(data, position)
            part = data[position : end if end >= 0 else len(data)]
            if self._skimmer is not None:
                self._skimmer.feed(part)
            else:
                self._pending += part
                if len(self._pending) > WHOLE:
                    self._skimmer = Skimmer(meter.paths)
                    self._skimmer.feed_all(bytes(self._pending))
                    self._pending.clear()
            if end < 0:
                return
            position = end
            self._end_event(meter)

    def _between(self, meter: WireMeter, data: bytes, position: int) -> int:
        """A byte between events."""
        byte = data[position]
        if byte in _SPACE:
            return position + 1
        if self._closed or (byte == 0x5B) is self._begun:
            self._broken = True
        elif byte == 0x5B:
            self._begun = True
        elif byte == 0x5D:
            self._closed = meter.ends_with_body = True
        elif byte == 0x7B:
            self._pending += b"{"
            self._nesting.depth = 1
        else:
            self._broken = byte != 0x2C
        if self._broken:
            meter.garbled()
        return position + 1

    def _end_event(self, meter: WireMeter) -> None:
        if self._skimmer is not None:
            meter.read_large_event(self._skimmer)
            self._skimmer = None
        else:
            meter.read_event(bytes(self._pending))
            self._pending.clear()


class Sniffed:
    """A body that should be a stream: its first byte tells whether it is one or a JSON document after all."""

    __slots__ = ("_body", "_stream")

    def __init__(self, stream: Framing) -> None:
        self._stream = stream
        self._body: Framing | None = None

    def feed(self, meter: WireMeter, data: bytes) -> bytes:
        """Read the next bytes."""
        if self._body is None:
            start = data.lstrip(_SPACE)[:1]
            if not start:
                # White space before anything else: neither form cares for it.
                return data
            self._body = Document() if start == b"{" else EventArray() if start == b"[" else self._stream
            if meter.framing is self:
                # From now on without this step between; a coding that is undone before stays.
                meter.framing = self._body
        return self._body.feed(meter, data)

    def close(self, meter: WireMeter) -> bytes:
        """The body has ended."""
        return b"" if self._body is None else self._body.close(meter)
