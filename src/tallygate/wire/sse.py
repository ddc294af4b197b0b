"""Server-sent events: finds the events of a stream that is cut anywhere, and keeps back the one to be hidden.

Lines end with LF, CRLF or CR. Most pieces hold whole events with LF: those are split at once. All else goes through a
buffer of one event, and an event too large for that is skimmed as it passes.
"""

import re

from tallygate.wire.meter import WHOLE, WireMeter
from tallygate.wire.partial import is_json
from tallygate.wire.skim import Skimmer

_PIECE = 64 * 1024
_HOLD = 64 * 1024
"""Bytes of an event that may be held back because it could be the hidden one."""
_BOM = b"\xef\xbb\xbf"
_BLANK_LINE = re.compile(rb"(?>\r\n?|\n)(?>\r\n?|\n)")
_LINE_END = re.compile(rb"\r\n?|\n")
_HAS_CHOICES = re.compile(rb'"choices"[ \t]{0,8}:[ \t]{0,8}\[[ \t]{0,8}\{')
"""Shows that an event is not the hidden one, whose choices are empty."""
_HAS_CHOICES_SIZE = 48
_LINE_END_BYTE = re.compile(rb"[\r\n]")
_DATA = b"data: "
_LF, _CR = 0x0A, 0x0D


class EventStream:
    """A body of server-sent events."""

    __slots__ = ("_after_cr", "_between", "_dropped", "_hides", "_large", "_pending", "_released")

    def __init__(self, hides: bool) -> None:
        """``hides``: what the meter says is hidden is not relayed."""
        self._hides = hides
        self._pending = bytearray()
        """The event that has begun."""
        self._released = 0
        """How much of it was relayed already."""
        self._large: _LargeEvent | None = None
        self._between = True
        """Whether the next byte begins an event."""
        self._after_cr = self._dropped = False
        """Whether the last event ended with a CR, to which a LF may belong; whether that event was hidden."""

    def feed(self, meter: WireMeter, data: bytes) -> bytes:
        """Read the next bytes; returns what to relay."""
        if self._between and data[-2:] == b"\n\n" and b"\r" not in data and len(data) <= _PIECE:
            # The usual pieces: one event, with or without a name; several events.
            end = len(data) - 2
            line_end = data.find(b"\n")
            if line_end == end and data[:6] == b"data: ":
                return b"" if meter.read_event(data[6:end]) and self._hides else data
            start = line_end + 7
            if data[:6] == b"event:" and data[line_end + 1 : start] == b"data: " and data.find(b"\n", start) == end:
                return b"" if meter.read_event(data[start:end]) and self._hides else data
            dropped: list[int] | None = None
            frames = data.split(b"\n\n")
            for index, frame in enumerate(frames):
                event = frame[6:] if frame[:6] == b"data: " and b"\n" not in frame else data_of(frame)
                if event and meter.read_event(event) and self._hides:
                    dropped = [*(dropped or ()), index]
            if dropped is None:
                return data
            return b"".join(frame + b"\n\n" for index, frame in enumerate(frames[:-1]) if index not in dropped)
        relayed = [self._feed_piece(meter, data[at : at + _PIECE]) for at in range(0, len(data), _PIECE)]
        self._between = not self._pending and self._large is None and not self._after_cr
        return b"".join(relayed) if self._hides else data

    def close(self, meter: WireMeter) -> bytes:
        """The body has ended: the last event may lack its blank line."""
        if self._large is not None:
            if self._large.skimmer.complete:
                meter.read_large_event(self._large.skimmer)
            return b""
        rest = bytes(self._pending)
        held = rest[self._released :]
        event = data_of(rest)
        hidden = False
        if event.startswith(b"[DONE]") or (event and is_json(event)):
            hidden = meter.read_event(event)
        self._pending.clear()
        return held if self._hides and not (hidden and not self._released) else b""

    def _feed_piece(self, meter: WireMeter, data: bytes) -> bytes:
        """What to relay of a piece."""
        out: list[bytes] = []
        if self._after_cr:
            self._after_cr = False
            if data[0] == _LF:
                if not self._dropped:
                    out.append(b"\n")
                data = data[1:]
        if self._large is not None:
            end = self._large.feed(data)
            out.append(data[:end])
            data = data[end:]
            if self._large.ended:
                meter.read_large_event(self._large.skimmer)
                self._after_cr, self._dropped, self._large = out[-1][-1:] == b"\r", False, None
        if data:
            self._split(meter, data, out)
        return b"".join(out) if self._hides else b""

    def _split(self, meter: WireMeter, data: bytes, out: list[bytes]) -> None:
        pending = self._pending
        searched = max(0, len(pending) - 3)
        pending += data
        start = 0
        while (blank := _BLANK_LINE.search(pending, searched)) is not None:
            end = blank.end()
            frame = bytes(pending[start:end])
            event = data_of(frame)
            hidden = bool(event) and meter.read_event(event) and self._hides
            hidden = hidden and not self._released and len(frame) <= _HOLD
            if not hidden:
                out.append(frame[self._released :])
            self._dropped, self._released = hidden, 0
            self._after_cr = end == len(pending) and frame[-1] == _CR
            start = searched = end
        del pending[:start]
        if len(pending) > WHOLE:
            out.append(bytes(pending[self._released :]))
            self._released = 0
            self._large = _LargeEvent(meter)
            self._large.feed(bytes(pending).removeprefix(_BOM))
            pending.clear()
        elif self._hides:
            self._release(len(data), out)

    def _release(self, added: int, out: list[bytes]) -> None:
        """Relay the part of an event that is here as soon as it cannot be the hidden one."""
        pending = self._pending
        if (
            self._released
            or len(pending) > _HOLD
            or _HAS_CHOICES.search(pending, max(0, len(pending) - added - _HAS_CHOICES_SIZE))
        ):
            out.append(bytes(pending[self._released :]))
            self._released = len(pending)


class _LargeEvent:
    """An event too large to be held: its data lines go through a skimmer."""

    __slots__ = ("_begun", "_is_data", "_prefix", "_was_cr", "ended", "skimmer")

    def __init__(self, meter: WireMeter) -> None:
        self.skimmer = Skimmer(meter.paths)
        self.ended = False
        self._prefix: bytearray | None = bytearray()
        """The first bytes of a line, until they tell whether it is data; None then."""
        self._begun = self._is_data = self._was_cr = False

    def feed(self, data: bytes) -> int:
        """How many bytes of ``data`` belong to the event."""
        position, size = 0, len(data)
        while position < size:
            if self._was_cr and data[position] == _LF:
                position += 1
            self._was_cr = False
            found = _LINE_END_BYTE.search(data, position)
            end = found.start() if found else size
            if end > position:
                self._line(data[position:end])
            if found is None:
                return size
            position = end + 1
            self._was_cr = data[end] == _CR
            if self._begun and self._prefix is not None and not self._prefix:
                self.ended = True
                # The LF of a CRLF belongs to the event too.
                return position + (self._was_cr and data[position : position + 1] == b"\n")
            self._end_line()
        return size

    def _line(self, part: bytes) -> None:
        self._begun = True
        if self._prefix is not None:
            missing = len(_DATA) - len(self._prefix)
            self._prefix += part[:missing]
            part = part[missing:]
            if len(self._prefix) < len(_DATA):
                return
            self._begin_line(bytes(self._prefix))
        if self._is_data:
            self.skimmer.feed(part)

    def _begin_line(self, prefix: bytes) -> None:
        self._prefix, self._is_data = None, prefix.startswith(b"data:")
        if self._is_data:
            self.skimmer.feed(prefix[5:].removeprefix(b" "))

    def _end_line(self) -> None:
        if self._prefix:
            self._begin_line(bytes(self._prefix))
        if self._is_data:
            self.skimmer.feed(b"\n")
        self._prefix, self._is_data = bytearray(), False


def data_of(frame: bytes) -> bytes:
    """The data of one event: its data lines, joined by LF. b'' when it has none."""
    head, found, event = frame.partition(b"\ndata: ")
    if found and head[:6] == b"event:" and b"\r" not in frame and b"\n" not in head:
        event = event.removesuffix(b"\n\n")
        if b"\n" not in event:
            return event
    lines = []
    for line in _LINE_END.split(frame.removeprefix(_BOM)):
        name, colon, value = line.partition(b":")
        if name == b"data" and colon:
            lines.append(value.removeprefix(b" "))
    return b"\n".join(lines)
