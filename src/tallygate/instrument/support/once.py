"""A call that several instrumentations see is recorded by the outermost alone.

The SDKs of providers send their requests with httpx or aiohttp. An instrumentation of an SDK says that it records the
call by setting ``inside`` around the request it sends; those of the HTTP clients record nothing while it is set:

    token = inside.set(True)
    try:
        return send(...)
    finally:
        inside.reset(token)

Only the sending needs it: whether a response is metered is settled when its request leaves, so a stream may be read
at any later time and in any context.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

inside: Final[ContextVar[bool]] = ContextVar("tallygate_inside_llm_call", default=False)
"""Whether an instrumentation further out records this LLM call already."""
