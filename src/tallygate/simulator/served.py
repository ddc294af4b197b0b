"""The ground truth: what the simulator really sent out, grouped and counted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tallygate.simulator.answer import Usage

OUTCOMES = ("completed", "failed", "cut", "client_gone")
"""How a call ended: as asked; with an error told to the client; broken off by us; left by the client."""

_COUNTS = (
    "requests",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "reported_usage",
    "content_deltas",
)


class Kind(NamedTuple):
    """What calls are grouped by."""

    api: str
    model: str
    stream: bool
    behaviour: str
    outcome: str
    status: int


@dataclass(frozen=True, slots=True)
class Sent:
    """What one reply carried to the client."""

    usage: Usage | None = None
    """The last usage that was sent; None when none was."""
    content_deltas: int = 0


class Served:
    """Counts of everything served since the start or the last reset."""

    def __init__(self) -> None:
        self._calls: dict[Kind, list[int]] = {}
        self.in_progress = 0
        self._watchers: list[Callable[[], None]] = []

    def add(self, kind: Kind, sent: Sent) -> None:
        """One call has ended."""
        counts = self._calls.get(kind)
        if counts is None:
            counts = self._calls[kind] = [0] * len(_COUNTS)
        counts[0] += 1
        usage = sent.usage
        if usage is not None:
            counts[1] += usage.input_tokens
            counts[2] += usage.output_tokens
            counts[3] += usage.cache_read_tokens
            counts[4] += usage.cache_write_tokens
            counts[5] += usage.reasoning_tokens
            counts[6] += 1
        counts[7] += sent.content_deltas
        if self._watchers:
            self.changed()

    def begin(self) -> None:
        """A call that takes time has begun."""
        self.in_progress += 1
        self.changed()

    def end(self) -> None:
        """A call that had begun has ended."""
        self.in_progress -= 1
        self.changed()

    def changed(self) -> None:
        """Tell the watchers."""
        for watcher in tuple(self._watchers):
            watcher()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have ``watcher`` called at every change."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """End a watch."""
        self._watchers.remove(watcher)

    def reset(self) -> None:
        """Forget all that has ended; calls in progress stay so."""
        self._calls.clear()
        self.changed()

    def count(self, **where: Any) -> int:
        """How many ended calls have these values: ``count(outcome="client_gone")``."""
        return sum(
            counts[0]
            for kind, counts in self._calls.items()
            if all(getattr(kind, name) == value for name, value in where.items())
        )

    def document(self) -> dict[str, Any]:
        """The answer of ``GET /served``."""
        groups = sorted(self._calls.items())
        calls = [{**kind._asdict(), **dict(zip(_COUNTS, counts, strict=True))} for kind, counts in groups]
        totals = {name: sum(counts[index] for counts in self._calls.values()) for index, name in enumerate(_COUNTS)}
        return {"calls": calls, "totals": totals, "in_progress": self.in_progress}
