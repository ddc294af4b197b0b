"""From pydantic's errors to problems in our words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic_core import ErrorDetails

from tallygate.gateway.settings.problems import Problem, did_you_mean, suggestion
from tallygate.gateway.settings.shape import Path, is_section, keys_at, type_at
from tallygate.gateway.settings.tree import Tree

_MENDS: Mapping[str, tuple[str, str]] = {
    "int_": ("is no whole number", "write one, such as {example}"),
    "float_": ("is no number", "write one, such as {example}"),
    "decimal_": ("is no price", "use a number of USD per million tokens, such as 0.15"),
    "byte_size": ("is no size", "write a number of bytes, or text such as 32MiB"),
    "finite_number": ("is no time", "write a number of seconds"),
    "string_too_short": ("is empty", "give it a value, or leave it out"),
    "too_short": ("is empty", "name at least one"),
    "string_": ("is no text", "write it in quotes"),
    "path_": ("is no path", "write it in quotes"),
    "secret": ("is no text", "write it in quotes"),
    "tuple_": ("is no list", 'write ["one", "two"]'),
    "dict_": ("is no table", "write names and values below it"),
    "model_": ("is no table", "write its settings below it: {keys}"),
}
"""Pydantic's words for what is wrong, by how they begin, and ours."""


def path_of(detail: ErrorDetails) -> Path:
    """Where an error lies; that of a key lies at its table."""
    path = detail["loc"]
    return path[:-1] if path[-1:] == ("[key]",) else path


def problem_of(tree: Tree, detail: ErrorDetails) -> Problem:
    """The problem behind one of pydantic's errors."""
    path, kind, context = path_of(detail), detail["type"], detail.get("ctx", {})
    if kind == "setting":
        return tree.problem(path, context["problem"], context["mend"])
    if kind == "extra_forbidden":
        return tree.problem(path, "there is no such setting", suggestion(str(path[-1]), keys_at(path[:-1])))
    if kind == "missing":
        return tree.problem(path, "is missing", f"add {path[-1]}")
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        close = did_you_mean(str(tree.get(path)), known)
        mend = f"did you mean {close!r}?" if close else "use one of these"
        return tree.problem(path, f"is none of {', '.join(known)}", mend)
    for bound, word in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
        if bound in context and kind.startswith(("greater", "less")):
            limit = context[bound]
            limit = int(limit) if float(limit).is_integer() else limit
            return tree.problem(path, f"must be {word} {limit}", _range(path))
    for beginning, (problem, mend) in _MENDS.items():
        if kind.startswith(beginning):
            example = _example(path)
            keys = ", ".join(keys_at(path))
            return tree.problem(path, problem, mend.format(example=example, keys=keys))
    message = detail["msg"]
    return tree.problem(path, message[:1].lower() + message[1:], "see docs/configuration.md")


def _range(path: Path) -> str:
    if path[-1] == "port":
        return "ports are 1 to 65535, and 0 for any free one"
    default = _default(path)
    return "leave it out when there is none" if default is None else f"the default is {default}"


def _example(path: Path) -> str:
    return _default(path) or "10"


def _default(path: Path) -> str | None:
    """The default of a setting; None when it is no number."""
    section = type_at(path[:-1])
    field = section.model_fields.get(path[-1]) if is_section(section) else None
    default = field.default if field is not None else None
    return f"{default:g}" if isinstance(default, float) else str(int(default)) if isinstance(default, int) else None
