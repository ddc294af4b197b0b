"""A call that several instrumentations see is recorded by the outermost alone.

The SDKs of providers send their requests with httpx or aiohttp. An instrumentation of an SDK says that it records the
call by setting ``inside`` around what sends its requests; those of the HTTP clients record nothing while it is set:

    token = inside.set(call)
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

inside: Final[ContextVar[object]] = ContextVar("tallygate_inside_llm_call", default=None)
"""The LLM call that an instrumentation further out records already, or True when it has no need to find it here."""


def let_go(call: object) -> None:
    """What ``inside`` was set to, where nothing was before, is gone from there.

    Instead of resetting it: a coroutine may be finished in another context than it began in.
    """
    if inside.get() is call:
        inside.set(None)
