"""The settings in force, fit to be shown."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, SecretStr

from tallygate.gateway.settings.addresses import SecretURL
from tallygate.gateway.settings.models import Settings
from tallygate.gateway.settings.problems import MASK


def masked(settings: Settings) -> dict[str, Any]:
    """Plain dictionaries, lists, text and numbers, less what is unset; every secret is ``********``, of an address its
    password."""
    shown = _plain(settings)
    assert isinstance(shown, dict)
    return shown


def secrets(settings: Settings) -> Iterator[str]:
    """Every secret in the settings, to be kept out of logs."""
    yield from _secrets(settings)


def _plain(value: Any) -> Any:
    match value:
        case SecretURL():
            return value.shown
        case SecretStr():
            return MASK
        case BaseModel():
            return {name: _plain(one) for name, one in value if one is not None}
        case dict():
            return {str(name): _plain(one) for name, one in value.items() if one is not None}
        case tuple() | list():
            return [_plain(one) for one in value]
        case Decimal():
            return format(value, "f")
        case PurePath():
            return str(value)
        case bool() | str():
            return value
        case int():
            return int(value)
        case _:
            return value


def _secrets(value: Any) -> Iterator[str]:
    match value:
        case SecretURL():
            yield from value.passwords
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            for _, one in value:
                yield from _secrets(one)
        case dict():
            for one in value.values():
                yield from _secrets(one)
        case tuple():
            for one in value:
                yield from _secrets(one)
