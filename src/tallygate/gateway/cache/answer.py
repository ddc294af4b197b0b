"""An answer as it is kept: what of its head may be shown again, and its body in the pieces in which it was relayed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from zlib import crc32

import msgspec

Headers = Sequence[tuple[bytes, bytes]]

NOT_KEPT = frozenset(
    {
        b"age", b"alt-svc", b"date", b"keep-alive", b"nel", b"proxy-authenticate", b"report-to", b"retry-after",
        b"server-timing", b"set-cookie", b"set-cookie2", b"traceparent", b"traceresponse", b"tracestate", b"trailer",
        b"via", b"x-tallygate-cache",
    }
)  # fmt: skip
"""What belongs to one answer at one moment to one client."""
PARTS_NOT_KEPT = (b"ratelimit", b"rate-limit", b"request-id", b"requestid", b"trace-id", b"correlation-id")
"""The same, where providers give it names of their own."""
ENDS_NOT_KEPT = (b"-ms", b"-time", b"-ray")

_CHECK_BYTES = 4


class Unsound(Exception):
    """What was kept is no answer any more."""


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A whole and good answer. Its status is 200."""

    headers: tuple[tuple[bytes, bytes], ...]
    pieces: tuple[bytes, ...]
    """The body as it was written to the first client: one piece, or those of a stream; none is empty."""

    def weight(self) -> int:
        """Bytes of memory that it takes."""
        size = sys.getsizeof(self) + sys.getsizeof(self.headers) + sys.getsizeof(self.pieces)
        size += sum([sys.getsizeof(piece) for piece in self.pieces])
        return size + sum([sys.getsizeof(one) + sum(map(sys.getsizeof, one)) for one in self.headers])

    def pack(self) -> bytes:
        """As it travels to a store, with what tells whether it came back whole."""
        packed = _encode(self)
        return crc32(packed).to_bytes(_CHECK_BYTES, "big") + packed


def unpack(data: bytes) -> Answer:
    """The answer that was packed. Raises Unsound for anything else."""
    packed = data[_CHECK_BYTES:]
    if crc32(packed).to_bytes(_CHECK_BYTES, "big") != data[:_CHECK_BYTES]:
        raise Unsound("the kept answer is damaged")
    try:
        return _decode(packed)
    except msgspec.DecodeError as problem:
        raise Unsound(f"the kept answer cannot be read: {problem}") from None


def kept_headers(headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of an answer that are true of it whenever it is given, and to whomever."""
    return tuple([(name, value) for name, value in headers if _may_be_kept(name)])


def _may_be_kept(name: bytes) -> bool:
    return not (name in NOT_KEPT or name.endswith(ENDS_NOT_KEPT) or any(part in name for part in PARTS_NOT_KEPT))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer).decode
