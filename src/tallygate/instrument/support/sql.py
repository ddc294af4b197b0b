"""What the text of a statement says: its normal form, its operation, its table. No parser: only what is simple.

All of it works on at most ``MOST_TEXT`` characters, in time that grows with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

MOST_TEXT: Final = 20_000
"""How many characters of a statement are looked at: what is longer is one of many rows of values."""
MOST_TABLE: Final = 64
"""Longest name of a table that is told."""
_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_TRANSACTION: Final = re.compile(
    r"(?:begin|start transaction|commit|end|rollback|abort|savepoint|release)\b[^(;]*;?\Z"  # no block of PL/SQL
)
_HIDDEN: Final = re.compile(
    r"""
      (?P<comment> /\* (?s:.*?) (?:\*/|\Z) | --[^\n]* )
    | (?P<literal> \b[eE]'(?:[^'\\]|\\(?s:.)|'')*(?:'|\Z)
                 | (?:\b(?:[nNbBxX]|[uU]&))?'[^']*(?:''[^']*)*(?:'|\Z)
                 | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$(?s:.*?)(?:\$(?P=tag)\$|\Z) )
    | (?P<quoted> "[^"]*" | `[^`]*` )
    """,
    re.VERBOSE,
)
_NUMBER: Final = re.compile(
    r"\b(?:limit|offset|first|next|top) \d+"  # how many rows are asked for is part of the statement
    r"|(?<![\w$:@?%.])(?:0x[0-9a-f]+|\d{2,}(?:\.\d+)?|\d\.\d+)(?:e[+-]?\d+)?(?![\w$.])"
)
_ITEM: Final = (
    r"(?:(?:\?\d*|%s|%\(\w+\)s|:\w+|@\w+|\$\d+|[+-]?\d+(?:\.\d+)?|null|true|false|default)"
    r"(?:::[\w.]+(?: varying| precision| with(?:out)? time zone)?(?:\([\d?]+(?:, ?[\d?]+)?\))?(?:\[\])*)?)"
)
_ROW: Final = rf"\( ?{_ITEM}(?: ?, ?{_ITEM})* ?(?:\)|\Z)"
_LIST: Final = re.compile(rf"(?P<before>\bin ?\( ?)(?P<first>{_ITEM})(?P<more>(?: ?, ?{_ITEM})*)(?P<after> ?(?:\)|\Z))")
_ROWS: Final = re.compile(rf"(?P<first>\bvalues ?{_ROW})(?: ?, ?{_ROW})+(?: ?, ?\(?[^)]*\Z)?")
_POSITION: Final = re.compile(r"\$(\d+)")
_TOKEN: Final = re.compile(r'"[^"]*"|`[^`]*`|\w[\w$]*|\S')
_WORD: Final = re.compile(r'"[^"]+"\Z|`[^`]+`\Z|[^\W\d][\w$]*\Z')

_OPERATIONS: Final = {word: word for word in ("select", "insert", "update", "delete")} | {"replace": "insert"}
_BEFORE_TABLE: Final = {"select": "from", "insert": "into", "update": "update", "delete": "from"}
_NO_TABLE: Final = frozenset(
    ("as", "default", "from", "ignore", "into", "lateral", "low_priority", "of", "on", "or", "rows", "select", "set",
     "table", "unnest", "values", "where", "with")
)  # fmt: skip


def normal(text: str) -> str:
    """The statement with its white space collapsed, in lower case as far as ASCII goes."""
    text = " ".join(text[:MOST_TEXT].split())
    return text.lower() if text.isascii() else text.translate(_LOWER)


def is_transaction(text: str) -> bool:
    """Whether it begins, ends or divides a transaction, and does nothing else."""
    return len(text) <= 256 and _TRANSACTION.match(normal(bare(text))) is not None


def comments(text: str) -> Iterator[str]:
    """What the comments of a statement say."""
    for match in _HIDDEN.finditer(text[:MOST_TEXT]):
        comment = match["comment"]
        if comment is not None:
            yield comment.removeprefix("/*").removesuffix("*/").removeprefix("--").strip()


def bare(text: str) -> str:
    """The statement without comments and with ``?`` for every quoted literal, white space collapsed."""
    return " ".join(_HIDDEN.sub(_hide, text[:MOST_TEXT]).split())


def _hide(match: re.Match[str]) -> str:
    return " " if match["comment"] is not None else match[0] if match["quoted"] is not None else "?"


def folded(text: str) -> str:
    """The normal form in which statements that differ in values alone are one.

    Comments are left out; literals, save numbers of one digit and how many rows are asked for, are ``?``; of a list
    after IN the first item is left, of rows after VALUES the first row. A statement with none of these stays as it is.
    """
    text = normal(bare(text))
    text = _NUMBER.sub(lambda match: match[0] if match[0][:1].isalpha() else "?", text)
    once = _ROWS.sub(r"\g<first>", _LIST.sub(_first, text))
    return once if once == text else _renumbered(once)


def _first(match: re.Match[str]) -> str:
    first, after = match["first"], match["after"]
    return f"{match['before']}{first if first[0] in '?%:@$' else '?'}{after if after else ')'}"


def _renumbered(text: str) -> str:
    """The places $1, $2 ... without the gaps that lists left."""
    kept = sorted({int(place) for place in _POSITION.findall(text)})
    ranks = {place: rank for rank, place in enumerate(kept, 1)}
    return _POSITION.sub(lambda match: f"${ranks[int(match[1])]}", text)


def operation_and_table(text: str) -> tuple[str, str]:
    """select, insert, update, delete or other; and the table it is about, without its schema, '' when in doubt.

    Of several tables it is the first; a subquery, a function and a common table expression are none.
    """
    tokens = list(_outer(bare(text)))
    words = [token.lower() for token in tokens]
    place = next((at for at, word in enumerate(words) if word in _OPERATIONS), -1)
    if place < 0 or not (place == 0 or words[0] == "with"):
        return "other", ""
    operation = _OPERATIONS[words[place]]
    before = _BEFORE_TABLE[operation]
    for at in range(place, len(words)):
        if words[at] == before and not (at and words[at - 1] == "distinct"):  # IS DISTINCT FROM
            # Where a backslash may hide a quote, what looks like a name could be part of a value.
            name = "" if "\\'" in text else _table(tokens[at + 1 :], operation, {*words[:place]})
            return operation, name
    return operation, ""


def _outer(text: str) -> Iterator[str]:
    """The tokens outside of parentheses; what is inside is one token, ``(``. Parentheses around it all are left out."""
    depth = 0
    for token in _TOKEN.findall(text.lstrip(" (")):
        if token == "(":
            if depth == 0:
                yield token
            depth += 1
        elif token == ")":
            depth = max(0, depth - 1)
        elif depth == 0:
            yield token


def _table(tokens: list[str], operation: str, expressions: set[str]) -> str:
    """The name that these tokens begin with. expressions: words that may be names of common table expressions."""
    tokens = [*tokens[:8], "", ""]
    at = first = 1 if tokens[0].lower() == "only" else 0
    while tokens[at + 1] == ".":
        at += 2
    name = tokens[at]
    is_function = operation == "select" and tokens[at + 1] == "("
    is_expression = at == first and name.lower() in expressions
    if is_function or is_expression or not _WORD.match(name) or name.lower() in _NO_TABLE:
        return ""
    name = name.strip('"`')
    return name if len(name) <= MOST_TABLE else ""
