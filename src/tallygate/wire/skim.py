"""Reads wanted members out of a JSON document of any size, fed in pieces cut anywhere, in O(1) memory.

The skimmer checks the grammar on the way to what is wanted. What it steps over it only follows through strings and
brackets: enough to know where a value ends and whether the document came to its end.
"""

import json
import re
from collections.abc import Iterable, Mapping
from enum import IntEnum

Path = tuple[str, ...]

EVERY = "*"
"""In a path: every item of an array."""
CAPTURE_LIMIT = 16 * 1024
"""Bytes of one captured value; a longer one is only noted as overflowed."""
_KEY_LIMIT = 256
_BIT = 64 * 1024

_SPACE = re.compile(rb"[ \t\r\n]*+")
# Groups are repeated within (?>...) and not by *+, which before CPython 3.11.5 goes wrong where the group has choices.
_TEXT = rb'[^"\\]*+(?>(?:\\.[^"\\]*+)*)'
_STRING = rb'"' + _TEXT + rb'"'
_STRING_REST = re.compile(_TEXT, re.DOTALL)
_PLAIN = rb'[^"{}\[\]]++|' + _STRING
_SMALL = _PLAIN
for _ in range(3):
    _SMALL = rb"(?:" + _PLAIN + rb"|[{\[](?>(?:" + _SMALL + rb")*)[}\]])"
_STRINGS = re.compile(_STRING, re.DOTALL)
_ENDED_STRINGS = re.compile(rb'(?>(?:[^"]++|' + _STRING + rb")*)", re.DOTALL)
_RUN = re.compile(rb"(?>(?:" + _SMALL + rb")*)", re.DOTALL)
"""Whatever does not change the depth: whole strings, numbers, objects and arrays of up to three levels."""
_SCALAR_REST = re.compile(rb"[-+.0-9a-zA-Z]*+")
_QUOTE, _OPENING, _CLOSING = 0x22, b"{[", b"}]"


class Nesting:
    """Finds the end of an object or array. At depth 0 it expects the opening bracket, at 1 what follows it."""

    __slots__ = ("_escaped", "_in_string", "depth")

    def __init__(self) -> None:
        self.depth = 0
        self._in_string = self._escaped = False

    def feed(self, data: bytes, position: int) -> int:
        """Where the value ends, its last bracket included; -1 when it goes on after ``data``."""
        if self._in_string:
            position = self.end_string(data, position)
            if position < 0:
                return -1
        size = len(data)
        if not self.depth:
            self.depth = 1
            position += 1
        if data.count(b"}", position) + data.count(b"]", position) < self.depth:
            self._go_on(data[position:])
            return -1
        while True:
            position = _RUN.match(data, position).end()  # type: ignore[union-attr]  # it matches the empty string too
            if position == size:
                return -1
            byte = data[position]
            position += 1
            if byte == _QUOTE:
                # The run steps over whole strings, so this one goes on after the piece.
                return self.end_string(data, position)
            if byte in _OPENING:
                self.depth += 1
            else:
                self.depth -= 1
                if not self.depth:
                    return position

    def _go_on(self, data: bytes) -> None:
        """Step over a piece in which the value cannot end."""
        # Up to where strings end only: in one that does not, a search would try again at each escaped quote.
        end = _ENDED_STRINGS.match(data).end()  # type: ignore[union-attr]  # it matches the empty string too
        bare = _STRINGS.sub(b"", data[:end])
        self.depth += bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")
        if end < len(data):
            self.end_string(data, end + 1)

    def end_string(self, data: bytes, position: int) -> int:
        """The same for a string whose opening quote was read."""
        self._in_string = True
        if self._escaped and position < len(data):
            self._escaped = False
            position += 1
        position = _STRING_REST.match(data, position).end()  # type: ignore[union-attr]  # as above
        if position == len(data):
            return -1
        if data[position] == _QUOTE:
            self._in_string = False
            return position + 1
        self._escaped = True
        return -1


class _Node:
    """A place in the document where something wanted is, or below which it is."""

    __slots__ = ("below", "path", "wanted")

    def __init__(self, path: Path) -> None:
        self.path, self.wanted, self.below = path, False, dict[str, _Node]()


class _State(IntEnum):
    VALUE = 0
    FIRST_ITEM = 1
    FIRST_KEY = 2
    NEXT_KEY = 3
    COLON = 4
    AFTER = 5
    IN_KEY = 6
    IN_STRING = 7
    IN_SCALAR = 8
    IN_NESTING = 9
    END = 10


class Skimmer:
    """Feed it the pieces, then look at ``captured``, ``complete`` and ``broken``."""

    __slots__ = (
        "_capture", "_key", "_nesting", "_node", "_open", "_state", "_wanted",
        "broken", "captured", "overflowed", "repeated",
    )  # fmt: skip

    def __init__(self, paths: Iterable[Path]) -> None:
        """``paths``: which values to capture; none may lie within another."""
        self.captured: dict[Path, bytes] = {}
        """The last value of each path, as it came."""
        self.overflowed: set[Path] = set()
        """Paths with a value too large to capture."""
        self.repeated: set[Path] = set()
        """Paths without EVERY whose value came more than once."""
        self.broken = False
        """Whether this cannot be a JSON object or array."""
        self._node: _Node | None = _tree(paths)
        self._open: list[tuple[_Node, int]] = []
        self._state = _State.VALUE
        self._nesting = Nesting()
        self._key = bytearray()
        self._capture: bytearray | None = None
        self._wanted: _Node | None = None

    @property
    def complete(self) -> bool:
        """Whether the document's last bracket was read and nothing but white space came after it."""
        return self._state == _State.END and not self.broken

    def feed(self, data: bytes) -> None:
        """Read the next piece."""
        position = 0
        while position < len(data) and not self.broken:
            if self._state in _INSIDE:
                position = self._go_through(data, position)
            else:
                position = _SPACE.match(data, position).end()  # type: ignore[union-attr]  # as above
                if position < len(data):
                    position = self._step(data, position)

    def feed_all(self, data: bytes) -> None:
        """Read a large piece, bit by bit."""
        for at in range(0, len(data), _BIT):
            self.feed(data[at : at + _BIT])

    def reduced(self) -> bytes:
        """A document that holds only what was captured."""
        document: _Reduced = {}
        for path, value in self.captured.items():
            at = document
            for name in path[:-1]:
                at = at.setdefault(name, {})  # type: ignore[assignment]  # paths do not lie within each other
            at[path[-1]] = value
        return _write(document)

    def _step(self, data: bytes, position: int) -> int:
        """Between values: what the next byte means."""
        byte, state = data[position], self._state
        if state == _State.COLON:
            self._state, self.broken = _State.VALUE, byte != 0x3A
        elif state == _State.AFTER:
            node, closing = self._open[-1]
            if byte == closing:
                self._close()
            elif byte == 0x2C and closing == 0x7D:
                self._state = _State.NEXT_KEY
            elif byte == 0x2C:
                self._state, self._node = _State.VALUE, node.below.get(EVERY)
            else:
                self.broken = True
        elif state in (_State.FIRST_KEY, _State.FIRST_ITEM) and byte == self._open[-1][1]:
            self._close()
        elif state in (_State.FIRST_KEY, _State.NEXT_KEY):
            self.broken = byte != _QUOTE
            self._key.clear()
            self._state = _State.IN_KEY
        elif state == _State.END:
            self.broken = True
        else:
            return self._begin_value(data, position, byte)
        return position + 1

    def _begin_value(self, data: bytes, position: int, byte: int) -> int:
        node = self._node
        if node is not None:
            self._forget(node)
            if node.wanted:
                self._wanted, self._capture = node, bytearray()
        if byte in _OPENING:
            if node is not None and node.below:
                self._open.append((node, 0x7D if byte == 0x7B else 0x5D))
                self._state = _State.FIRST_KEY if byte == 0x7B else _State.FIRST_ITEM
                self._node = node.below.get(EVERY) if byte == 0x5B else None
                return position + 1
            self._nesting.depth, self._state = 0, _State.IN_NESTING
        elif not self._open:
            self.broken = True
        elif byte == _QUOTE:
            self._state = _State.IN_STRING
            self._take(data, position, position + 1)
            return position + 1
        elif byte in b"-0123456789tfn":
            self._state = _State.IN_SCALAR
        else:
            self.broken = True
        return position

    def _go_through(self, data: bytes, position: int) -> int:
        """Within a key or value: up to its end, or the piece's."""
        state = self._state
        if state == _State.IN_SCALAR:
            end = _SCALAR_REST.match(data, position).end()  # type: ignore[union-attr]  # as above
            ended = end < len(data)
        else:
            find = self._nesting.feed if state == _State.IN_NESTING else self._nesting.end_string
            end = find(data, position)
            ended = end >= 0
            end = end if ended else len(data)
        if state == _State.IN_KEY:
            if len(self._key) <= _KEY_LIMIT:
                self._key += data[position : min(end, position + _KEY_LIMIT + 1)]
            if ended:
                node = self._open[-1][0]
                self._node = node.below.get(_name(bytes(self._key)))
                self._state = _State.COLON
            return end
        self._take(data, position, end)
        if ended:
            self._end_value()
        return end

    def _close(self) -> None:
        """An object or array on the way to something wanted has ended."""
        self._open.pop()
        self._end_value()

    def _end_value(self) -> None:
        if self._wanted is not None and self._capture is not None:
            self.captured[self._wanted.path] = bytes(self._capture)
        self._wanted = self._capture = None
        self._state = _State.AFTER if self._open else _State.END

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._capture is None or self._wanted is None:
            return
        if len(self._capture) + end - start > CAPTURE_LIMIT:
            self.overflowed.add(self._wanted.path)
            self._capture = None
        else:
            self._capture += data[start:end]

    def _forget(self, node: _Node) -> None:
        """A value that comes again replaces the one before; the items of an array stand beside each other."""
        path = node.path
        if EVERY in path:
            return
        if node.wanted and (path in self.captured or path in self.overflowed):
            self.repeated.add(path)
        for known in [known for known in self.captured if known[: len(path)] == path]:
            del self.captured[known]
        self.overflowed -= {known for known in self.overflowed if known[: len(path)] == path}


_INSIDE = frozenset((_State.IN_KEY, _State.IN_STRING, _State.IN_SCALAR, _State.IN_NESTING))
_Reduced = dict[str, "bytes | _Reduced"]


def _tree(paths: Iterable[Path]) -> _Node:
    root = _Node(())
    for path in paths:
        node = root
        for depth, name in enumerate(path, 1):
            node = node.below.setdefault(name, _Node(path[:depth]))
        node.wanted = True
    return root


def _name(key: bytes) -> str:
    """A key as text, from its bytes up to and with the closing quote; '' for one that cannot be wanted."""
    if b"\\" not in key:
        name = key[:-1].decode("utf-8", "replace")
    else:
        try:
            name = json.loads(b'"' + key)
        except ValueError:
            return ""
    # A key that is spelled like the sign for items is not meant by it.
    return "" if name == EVERY else name


def _write(document: Mapping[str, "bytes | _Reduced"]) -> bytes:
    """The reduced document: the items of an array are merged into one."""
    if EVERY in document:
        item = document[EVERY]
        return b"[" + (item if isinstance(item, bytes) else _write(item)) + b"]"
    members = (
        json.dumps(name).encode() + b":" + (value if isinstance(value, bytes) else _write(value))
        for name, value in document.items()
    )
    return b"{" + b",".join(members) + b"}"
