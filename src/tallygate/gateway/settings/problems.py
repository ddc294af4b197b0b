"""What is wrong with a configuration: where, which value, why, and what mends it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

MASK = "********"

_URL_SECRETS = re.compile(r"(?<=//).*(?=@)|(?<=[?#]).+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; ``str()`` is its line for people, without any secret."""

    where: str
    """A setting in a file, a variable or a flag."""
    problem: str
    mend: str
    value: str = ""
    """The value as it may be shown; '' when there is none, or when it may hold a secret."""

    def __str__(self) -> str:
        value = f" {self.value}:" if self.value else ""
        return f"{self.where}:{value} {self.problem}; {self.mend}"


class NoProvider(Problem):
    """Nothing is wrong but that there is nobody to pass requests on to."""


class ConfigurationError(Exception):
    """A configuration that cannot be used, with all that is wrong with it, one line each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def shown(value: Any) -> str:
    """A plain value as a person would write it; '' for what has parts, as they may hold secrets."""
    if isinstance(value, str):
        text = _URL_SECRETS.sub(MASK, value)
        return json.dumps(text if len(text) <= 200 else text[:200] + "...", ensure_ascii=False)
    return json.dumps(value) if isinstance(value, bool | int | float) else ""


def did_you_mean(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known word that is most like ``word``, if any is."""
    by_shape = {_shape(one): one for one in known}
    close = difflib.get_close_matches(_shape(word), by_shape, 1, cutoff)
    return by_shape[close[0]] if close else None


def _shape(word: str) -> str:
    return word.lower().replace("-", "_")


def suggestion(word: str, known: Sequence[str]) -> str:
    """The mend for an unknown word."""
    close = did_you_mean(word, known)
    return f"did you mean {close!r}?" if close else f"known are {', '.join(known)}"
