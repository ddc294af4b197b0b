"""A request's head as bytes: what must not travel is left out, what would forge a second header is refused."""

import re

from tallygate.gateway.upstream.interface import Headers
from tallygate.gateway.upstream.target import Target

HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection",
        b"te", b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
"""Headers that speak of one connection only (RFC 9110, 7.6.1)."""

OURS = frozenset({b"host", b"content-length", b"expect"})
"""Headers that are written here, or that speak of how the body is sent."""

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_MEMORY = 2048
"""Header names remembered: clients choose them, so there is an end to it."""

_starts: dict[bytes, bytes] = {}


def request_head(method: str, target: Target, headers: Headers, body: bytes) -> bytes:
    """The head of a request up to its empty line. Raises ValueError for names and values that HTTP forbids."""
    parts = [method.encode(), target.opening]
    lines = 2
    for name, value in headers:
        start = _starts.get(name)
        if start is None:
            start = _start_of(name)
        if start:
            parts += (start, value, b"\r\n")
            lines += 1
        elif name.lower() == b"connection":
            named = {token.strip().lower() for token in value.split(b",")}
            if not named <= HOP_BY_HOP | {b"close", b""}:
                kept = [(key, text) for key, text in headers if key.lower() not in named | {b"connection"}]
                return request_head(method, target, kept, body)
    if body or method in _WITH_BODY:
        parts.append(b"content-length: %d\r\n" % len(body))
        lines += 1
    parts.append(b"\r\n")
    head = b"".join(parts)
    # One line feed and one carriage return per line: any more came from a value.
    if head.count(b"\n") != lines + 1 or head.count(b"\r") != lines + 1 or b"\0" in head:
        raise ValueError("a header value or the method contains a line break or a NUL byte")
    if not _TOKEN.fullmatch(parts[0]):
        raise ValueError("the method of a request must be one HTTP token")
    return head


def _start_of(name: bytes) -> bytes:
    """How the line of this header begins; empty when the header is not sent on."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name[:50]!r} is no header name")
    # Servers that hand headers on as variables take an underscore for a hyphen: Transfer_Encoding is not sent either.
    lower = name.lower().replace(b"_", b"-")
    start = b"" if lower in HOP_BY_HOP or lower in OURS else name + b": "
    if len(_starts) < _MEMORY and len(name) <= 100:
        _starts[name] = start
    return start
