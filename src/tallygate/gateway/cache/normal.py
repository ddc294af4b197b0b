"""Requests that mean the same have one form.

Exact rather than clever: two requests are the same only where the JSON standard and the APIs say so, and a request of
which that cannot be said has no form.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn


class Unfit(Exception):
    """A request whose answer cannot be kept; the message says why."""


def normal_form(body: bytes, stateful: Iterable[str] = ()) -> str:
    """The JSON object of a request in its one form, in ASCII. Raises Unfit, also where a member of ``stateful`` is set.

    White space and escapes mean nothing, nor does ``"stream": false``. Numbers are compared by value, 1 and 1.0 apart,
    for some providers take only one of them.
    """
    try:
        request = _decode(body.decode())
    except RecursionError:
        raise Unfit("it is nested too deeply") from None
    except ValueError as problem:
        raise Unfit(f"it is no plain JSON: {problem}") from None
    if not isinstance(request, dict):
        raise Unfit("it is no JSON object")
    for name in stateful:
        if request.get(name):
            raise Unfit(f"{name} is set")
    if request.get("stream") is False:
        del request["stream"]
    try:
        return _encode(_sorted(request))
    except ValueError as problem:
        raise Unfit(str(problem)) from None


def _sorted(value: Any, level: int = 0) -> Any:
    """This value with the members of objects in alphabetical order where their order means nothing.

    That is so in the request itself, in its members and in messages, parts of their content and tools. Further down
    are schemas and arguments of tools: models are shown those in their order, and write their answers in it.
    """
    if isinstance(value, dict):
        return {name: _sorted_below(value[name], level + 1) for name in sorted(value)}
    return value


def _sorted_below(value: Any, level: int) -> Any:
    """The same for a member: of ``level`` 1 in the request, 2 in an object below it."""
    if isinstance(value, list) and level <= 2:
        return [_sorted(item, level) for item in value]
    return _sorted(value, level) if level == 1 else value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object none of whose members is there twice: whoever reads such takes the first, the last or neither."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a member is there twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_decode = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant).decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
