"""Settings from several places laid over each other, each value knowing where it came from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tallygate.gateway.settings.problems import Problem, shown
from tallygate.gateway.settings.shape import Path, Shape, shape_at

_BARE_KEY = re.compile(r"[A-Za-z0-9_*-]+\Z")


def dotted(path: Sequence[str | int]) -> str:
    """A path as it is written in TOML: ``providers.openai.models[1].price``."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            key = key if _BARE_KEY.match(key) else '"' + key.replace('"', '\\"') + '"'
            text += f".{key}" if text else key
    return text


SWITCHES = {("metrics", "listener")}
"""Tables that a truth value can stand for."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where values come from: a file, when ``whole``, or one variable or flag."""

    name: str
    whole: bool = False

    def at(self, path: Path, own: Path) -> str:
        """The place of ``path``, which lies at or below ``own``, where this origin was noted."""
        if self.whole:
            return f"{dotted(path)} in {self.name}" if path else self.name
        rest = dotted(path[len(own) :]) if path[: len(own)] == own else ""
        return f"{self.name} ({rest})" if rest else self.name


class Tree:
    """The merged settings, not yet validated."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self._origins: dict[Path, Origin] = {}

    def lay(self, path: Path, value: Any, origin: Origin) -> None:
        """Put a value over what was there; tables are joined, everything else is replaced. None is not given."""
        if value is None or self._blocked(path):
            return
        if isinstance(value, dict):
            if not isinstance(self.get(path), dict):
                self._put(path, {}, origin)
            for key, one in value.items():
                self.lay((*path, str(key)), one, origin)
        else:
            self._put(path, value, origin)

    def _blocked(self, path: Path) -> bool:
        """Whether something that is no table stands where one must be: it stays, to be complained of."""
        whole = (path[:length] for length in range(1, len(path)) if path[:length] not in SWITCHES)
        return any(self.get(part) is not None and not isinstance(self.get(part), dict) for part in whole)

    def _put(self, path: Path, value: Any, origin: Origin) -> None:
        if self.get(path) is not None:
            self._origins = {known: one for known, one in self._origins.items() if known[: len(path)] != path}
        self._origins[path] = origin
        if not path:
            return
        table: Any = self.data
        for key in path[:-1]:
            if not isinstance(table.get(key), dict):
                table[key] = {}
            table = table[key]
        table[path[-1]] = value

    def get(self, path: Path) -> Any:
        """The value at a path; None when there is none."""
        value: Any = self.data
        for key in path:
            if isinstance(value, dict) and isinstance(key, str):
                value = value.get(key)
            elif isinstance(value, list | tuple) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return value

    def without(self, path: Path) -> Path:
        """Take out what stands at a path, with the list or the named table it is part of; returns the path of that."""
        for length in range(1, len(path)):
            named = shape_at(path[: length - 1]) is Shape.MAPPING and shape_at(path[:length]) is Shape.SECTION
            if named or shape_at(path[:length]) is Shape.LIST:
                path = path[:length]
                break
        self.drop(path)
        return path

    def drop(self, path: Path) -> None:
        """Take out exactly what stands at a path."""
        table = self.get(path[:-1])
        if isinstance(table, dict):
            table.pop(path[-1], None)

    def where(self, path: Path) -> str:
        """Where the value at a path was set."""
        if (origin := self._origins.get(path)) is not None:
            return origin.at(path, path)
        # Not set by itself: what was set below it tells, or else the whole it is part of.
        for known, origin in self._origins.items():
            if known[: len(path)] == path:
                return origin.at(path if origin.whole else known, known)
        for length in range(len(path) - 1, 0, -1):
            if (origin := self._origins.get(path[:length])) is not None:
                return origin.at(path, path[:length])
        return dotted(path)

    def problem(self, path: Path, problem: str, mend: str, *, value: bool = True) -> Problem:
        """A problem of the value at a path, which is shown unless it may hold a secret."""
        may_show = value and shape_at(path) in (Shape.VALUE, Shape.TRUTH)
        return Problem(self.where(path), problem, mend, shown(self.get(path)) if may_show else "")
