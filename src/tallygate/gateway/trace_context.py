"""The caller's trace, from W3C's ``traceparent`` header: exemplars link the metrics of a call to it.

Format: https://www.w3.org/TR/trace-context/#traceparent-header
"""

import re
from contextvars import ContextVar

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?\Z")
_SAMPLED = 1

_span: ContextVar[tuple[str, str] | None] = ContextVar("tallygate_caller_span", default=None)


def note_caller_span(traceparent: bytes | None) -> None:
    """Remember the caller's span for the rest of this request's task, if it is sampled and well-formed."""
    found = _TRACEPARENT.match(traceparent) if traceparent else None
    if found is not None and int(found[3], 16) & _SAMPLED:
        _span.set((found[1].decode(), found[2].decode()))


caller_span = _span.get
"""Trace id and span id of the caller's sampled span; None when there is none."""
