"""Who it was for: user, API key, session. There are ever so many of them, so they are no labels unless turned on."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Final

from tallygate.frequent import OTHER, Frequent
from tallygate.ledger.values import VALUE_LIMIT

NAMES: Final = ("user_id", "api_key_id", "session_id")
MOST: Final = 10_000
"""The greatest N of top:N."""
MOST_KNOWN: Final = 4096
"""How many labels are kept at hand; more are made again."""

_TOP: Final = re.compile(r"top:([1-9][0-9]{0,4})", re.ASCII)

Given = tuple[tuple[str, object], ...]

turned_on: Final[Counter[str]] = Counter()
"""How many tallies of this process want each identity. A context takes no note of the others."""
current: Final[ContextVar[Given | None]] = ContextVar("tallygate_identities", default=None)
"""What the contexts set, by name, each once; None outside of any that does."""


class IdentityError(ValueError):
    """Identities that cannot be turned on so; says which, and what mends it."""


class Identities:
    """The identities that a tally shows, and how.

    modes: by name. ``raw`` shows the id itself. ``hashed`` shows the first 16 hexadecimal digits of its SHA-256: plain,
    without a key, so that every worker, restart and machine gives the same; who can guess an id can check the guess.
    ``top:N`` gives the N most frequent a label each (see ``Frequent``) and calls the rest ``other``.

    Raises IdentityError.
    """

    def __init__(self, modes: Mapping[str, str], text: Callable[[object], str]) -> None:
        """text: makes a label value of anything, credentials put away."""
        check(modes)
        self.names = tuple(sorted(modes))
        self._text = text
        self._modes = dict(modes)
        self._known: dict[tuple[str, object], str] = {}
        self._top = {
            name: Frequent(int(match[1])) for name, mode in modes.items() if (match := _TOP.fullmatch(mode)) is not None
        }
        self._open = True
        turned_on.update(self.names)

    def close(self) -> None:
        """No longer wanted; again is once."""
        if self._open:
            self._open = False
            turned_on.subtract(self.names)

    def labels(self, given: Mapping[str, object]) -> dict[str, str]:
        """The identities that hold now, ready to be shown: what is not given comes from the context."""
        around = dict(current.get() or ())
        labels = {}
        for name in self.names:
            value = given.get(name)
            if value is None:
                value = around.get(name)
            if value is not None:
                labels[name] = self.label(name, value)
        return labels

    def label(self, name: str, value: object) -> str:
        """The label of one; '' for an identity that is not turned on."""
        mode = self._modes.get(name)
        if mode is None:
            return ""
        if name in self._top:
            return self._top[name].name(self._text(value))
        key = (name, value)
        label = self._known.get(key) if isinstance(value, str) else None
        if label is None:
            label = hashed(value) if mode == "hashed" else self._text(value)
            if isinstance(value, str) and len(value) <= VALUE_LIMIT and (mode == "hashed" or label == value):
                if len(self._known) >= MOST_KNOWN:
                    self._known.clear()
                self._known[key] = label
        return label

    def is_one(self, name: str, label: str) -> bool:
        """Whether this label stands for one identity alone."""
        return bool(label) and not (name in self._top and label == OTHER)


def hashed(value: object) -> str:
    """16 hexadecimal digits of the SHA-256 of its text."""
    return hashlib.sha256(str(value).encode(errors="replace")).hexdigest()[:16]


def check(modes: Mapping[str, str]) -> None:
    """Raises IdentityError for a name that is no identity, or a mode that does not exist."""
    for name, mode in modes.items():
        if name not in NAMES:
            raise IdentityError(f"identities: {name!r} is no identity; they are {', '.join(NAMES)}")
        top = _TOP.fullmatch(mode) if isinstance(mode, str) else None
        if mode not in ("raw", "hashed") and (top is None or int(top[1]) > MOST):
            raise IdentityError(f"identities: {name} is {mode!r}; say raw, hashed, or top:N with N from 1 to {MOST:,}")
