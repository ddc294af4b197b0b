"""Checks the arguments of ``Tally``: what is wrong with them is told at once, and what mends it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from tallygate.pricing import PriceOverride


class ArgumentError(ValueError):
    """Arguments that a tally cannot be made of; each with its value and the mend, one line each."""


Check = Callable[[Any], str | None]
"""What mends a value; None for a good one."""


def _texts(example: str) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
            return f"give several in a list, as in {example}"
        wrong = [one for one in value if not isinstance(one, str)]
        return f"{_shown(wrong[0])} in it is no name; give names, as in {example}" if wrong else None

    return check


def _dialects(value: Any) -> str | None:
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        return "give several in a list, as in ['tallygate', 'otel']"
    return None if value else "name at least one, as in ['tallygate']"


def _mapping(example: str) -> Check:
    def check(value: Any) -> str | None:
        good = isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)
        return None if good or value is None else f"give names and texts, as in {example}"

    return check


def _prices(value: Any) -> str | None:
    # An iterator is read once, and later.
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
        return "give PriceOverride objects in a list"
    if isinstance(value, Collection) and not all(isinstance(one, PriceOverride) for one in value):
        return "give PriceOverride objects, as in [PriceOverride('my-model', input=Decimal('0.5'))]"
    return None


def _capacity(value: Any) -> str | None:
    good = type(value) is int and 4096 <= value <= 1 << 46
    return None if good else "give whole bytes from 4096 to 2**46"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "give a text"


CHECKS: Final[Mapping[str, Check]] = {
    "dialects": _dialects,
    "custom_labels": _texts("['my-team']"),
    "identities": _mapping("{'user_id': 'hashed'}"),
    "path": lambda value: None if value is None or isinstance(value, (str, os.PathLike)) else "give a path, or None",
    "price_overrides": _prices,
    "catalogue_providers": _mapping("{'my-openai': 'openai'}"),
    "known_models": lambda value: None if value is None else _texts("['gpt-4o']")(value),
    "service": _text,
    "environment": _text,
    "deployment_version": _text,
    "exemplar": lambda value: None if value is None or callable(value) else "give a function, or None",
    "enabled": lambda value: None if isinstance(value, bool) else "give True or False",
    "implementation": lambda value: None if value in (None, "native", "python") else "give native, python or None",
    "capacity_bytes": _capacity,
}


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raises ArgumentError with all that is wrong."""
    wrong = [
        f"Tally: {name} is {_shown(arguments[name])}; {mend}"
        for name, check in CHECKS.items()
        if (mend := check(arguments[name])) is not None
    ]
    if wrong:
        raise ArgumentError("\n".join(wrong))


def _shown(value: object) -> str:
    return f"{value!r:.100}"
