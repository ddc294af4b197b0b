"""Typed partial decoding that forgives: a member of an unexpected shape is left out, the others are still read.

Providers that speak somebody else's API bend it. What a typed decoder refuses is decoded once more without types,
and whatever fits is kept. Only what is no JSON at all is unreadable.
"""

import json
from functools import cache
from typing import Any, Generic, TypeVar, cast, get_args

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


class Unreadable(Exception):
    """Not a JSON object, or one nested too deeply."""


class Partial(Generic[S]):
    """Decodes the members of a JSON object that a struct names. Every member of the struct needs a default."""

    __slots__ = ("_type", "decode_strictly")

    def __init__(self, struct: type[S]) -> None:
        self._type = struct
        self.decode_strictly = msgspec.json.Decoder(struct).decode
        """The quick way; raises what msgspec raises, to be followed by ``decode_leniently``."""

    def decode(self, data: bytes) -> S:
        """Raises Unreadable."""
        try:
            return self.decode_strictly(data)
        except (ValueError, RecursionError):
            return self.decode_leniently(data)

    def decode_leniently(self, data: bytes) -> S:
        """Raises Unreadable."""
        document = loads(data)
        if not isinstance(document, dict):
            raise Unreadable("not a JSON object")
        return cast(S, _convert(document, self._type))


def loads(data: bytes) -> Any:
    """Any JSON, with what Python's own parser lets pass: lone surrogates, NaN. Raises Unreadable."""
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError) as problem:
        raise Unreadable(str(problem)) from None


def is_json(data: bytes) -> bool:
    """Whether this is one JSON document."""
    try:
        loads(data)
    except Unreadable:
        return False
    return True


def _convert(document: dict[str, Any], struct: type[msgspec.Struct]) -> msgspec.Struct:
    """A struct of those members that have, or contain, what is expected."""
    found = {}
    for name, encoded_name, expected in _fields(struct):
        value = document.get(encoded_name)
        if value is None:
            continue
        try:
            found[name] = msgspec.convert(value, expected)
        except (ValueError, RecursionError):
            rescued = _rescue(value, expected)
            if rescued is not None:
                found[name] = rescued
    return struct(**found)


def _rescue(value: Any, expected: Any) -> Any:
    """The readable part of a value that does not have the expected type as a whole; None when there is none."""
    for option in get_args(expected) or (expected,):
        if isinstance(value, dict) and isinstance(option, type) and issubclass(option, msgspec.Struct):
            return _convert(value, option)
        if isinstance(value, list) and getattr(option, "__origin__", None) is list:
            items = (_rescue(item, get_args(option)[0]) for item in value)
            return [item for item in items if item is not None]
    return None


@cache
def _fields(struct: type[msgspec.Struct]) -> tuple[tuple[str, str, Any], ...]:
    return tuple((field.name, field.encode_name, field.type) for field in msgspec.structs.fields(struct))
