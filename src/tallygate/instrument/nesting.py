"""What several instrumentations see is recorded once: those further in see a context variable that is set."""

from __future__ import annotations

from contextvars import Token
from typing import Any


def leave(outside: Token[Any]) -> None:
    """Undo the ``set`` of a context variable that gave this."""
    try:
        outside.var.reset(outside)
    except ValueError:
        # A coroutine thrown away unfinished is closed in another context: what was set is gone with its own.
        return
