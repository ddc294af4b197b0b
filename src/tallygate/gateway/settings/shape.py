"""The shape of the settings, read from the models: what stands at a path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from tallygate.gateway.settings.models import Settings

Path = tuple[str | int, ...]


class Shape(Enum):
    """What can stand at a place."""

    SECTION = "table"
    MAPPING = "table of names"
    LIST = "list"
    SECRET = "secret"
    TRUTH = "truth value"
    VALUE = "value"


def bare(annotation: Any) -> Any:
    """A type without its validators, and without None beside it."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return bare(next(one for one in get_args(annotation) if one is not NoneType))
    return annotation


def is_section(kind: Any) -> bool:
    """Whether a bare type is a table with known keys."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def type_at(path: Sequence[str | int]) -> Any:
    """The bare type at a path; None where nothing can stand."""
    kind: Any = Settings
    for key in path:
        if is_section(kind):
            field = kind.model_fields.get(key)
            if field is None:
                return None
            kind = bare(field.annotation)
        elif get_origin(kind) is dict:
            kind = bare(get_args(kind)[1])
        elif get_origin(kind) is tuple and isinstance(key, int):
            kind = bare(get_args(kind)[0])
        else:
            return None
    return kind


def shape_at(path: Sequence[str | int]) -> Shape | None:
    """What stands at a path; None where nothing can."""
    kind = type_at(path)
    if kind is None:
        return None
    if is_section(kind):
        return Shape.SECTION
    if get_origin(kind) is dict:
        return Shape.MAPPING
    if get_origin(kind) is tuple:
        return Shape.LIST
    if isinstance(kind, type) and issubclass(kind, SecretStr):
        return Shape.SECRET
    return Shape.TRUTH if kind is bool else Shape.VALUE


def keys_at(path: Sequence[str | int]) -> list[str]:
    """The keys of the table at a path; none where they are free, or where no table stands."""
    kind = type_at(path)
    return list(kind.model_fields) if is_section(kind) else []


def leaves(path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all settings, ``*`` for a free name."""
    kind = type_at(path)
    if is_section(kind):
        for key in kind.model_fields:
            yield from leaves((*path, key))
    elif get_origin(kind) is dict and is_section(type_at((*path, "*"))):
        yield from leaves((*path, "*"))
    else:
        yield path
