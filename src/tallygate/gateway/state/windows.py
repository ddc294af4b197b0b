"""Sliding windows: how much passed in the last minute, from two counters.

A window is counted in steps of its own length. What passed in the step before weighs as much as of it still lies within
the window: the arithmetic of the sliding window counter of ``limits``, in whole milliseconds.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from tallygate.gateway.state.holds import MOST

RECORD = Struct("<qqq")
"""Number of the step, what passed in the step before it, and in it."""


class Window(NamedTuple):
    """A window at a moment."""

    step: int
    previous: int
    current: int
    left: int
    """Milliseconds until the step ends."""
    length: int
    """Milliseconds."""

    @property
    def used(self) -> int:
        """How much of what passed is within the window."""
        return self.previous * self.left // self.length + self.current

    @property
    def reset(self) -> int:
        """Milliseconds until nothing of it is."""
        return self.left + self.length if self.current else self.left if self.previous else 0

    def wait(self, limit: int, amount: int) -> int | None:
        """Milliseconds until ``amount`` may pass, if nobody else comes; None: it never may."""
        if amount > limit:
            return None
        room = limit - amount - self.current
        if room >= 0:  # the step before must weigh less
            return _until(self.previous, room, self.left, self.length)
        return self.left + _until(self.current, limit - amount, self.length, self.length)


def _until(count: int, room: int, left: int, length: int) -> int:
    """Milliseconds until ``count`` weighs no more than ``room``."""
    return 0 if count * left // length <= room else left - (room + 1) * length // count + _inexact(room, length, count)


def _inexact(room: int, length: int, count: int) -> int:
    """The weight must be below room + 1: exactly there it is not yet."""
    return 1 if (room + 1) * length % count == 0 else 0


def window_at(record: bytes | None, now: int, length: int) -> Window:
    """The window of a record at a moment (milliseconds)."""
    step, into = divmod(now, length)
    if record is None:
        return Window(step, 0, 0, length - into, length)
    kept, previous, current = RECORD.unpack(record)
    if kept == step:
        return Window(step, previous, current, length - into, length)
    if kept == step - 1:
        return Window(step, current, 0, length - into, length)
    if kept < step:
        return Window(step, 0, 0, length - into, length)
    if kept == step + 1:  # the clock was set back a little: wait for it
        return Window(kept, previous, current, length, length)
    return Window(step, previous, current, length - into, length)  # by much: what passed, passed just now


def corrected(record: bytes | None, now: int, length: int, step: int, amount: int) -> bytes | None:
    """The record when so much more was used than was asked for in ``step``; None when it stays as it is.

    More counts now, when it is known. Less counts where it was asked for, as long as that is within the window.
    """
    if record is not None:
        kept, previous, current = RECORD.unpack(record)
        if kept == step == now // length:  # as nearly always
            return RECORD.pack(step, previous, min(max(current + amount, 0), MOST))
    window = window_at(record, now, length)
    previous, current = window.previous, window.current
    if amount > 0 or step == window.step:
        current = min(max(current + amount, 0), MOST)
    elif step == window.step - 1:
        previous = max(previous + amount, 0)
    else:
        return None
    return RECORD.pack(window.step, previous, current)
