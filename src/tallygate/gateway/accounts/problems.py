"""What is wrong with a change that somebody asks for: which field, which value, and what mends it."""

from __future__ import annotations

from tallygate.gateway.settings.problems import shown


class AccountError(Exception):
    """``str()`` is a line for people; no secret is ever in it."""

    def __init__(self, field: str, value: object, problem: str, mend: str) -> None:
        self.field, self.value, self.problem, self.mend = field, shown(value), problem, mend
        super().__init__(f"{field}: {self.value + ': ' if self.value else ''}{problem}; {mend}")


class Invalid(AccountError):
    """A value that cannot be."""


class NotFound(AccountError):
    """Nobody has this id or name."""


class Conflict(AccountError):
    """What is asked for contradicts what is there."""
