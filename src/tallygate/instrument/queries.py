"""The names of statements: what a statement is called on a metrics page, where its text never is.

    from tallygate.instrument import queries

    queries.register("list_recent_chats", "SELECT id, title FROM chats WHERE owner = $1 ORDER BY updated DESC LIMIT 50")
    queries.register("search_chats")          # its text varies: it says /* query_id: search_chats */

A statement is, in this order: the name under which its text is registered; the name in a comment of it, which is
``/* query_id: NAME */`` or ``-- name: NAME``; else ``hash-`` and the first 16 hexadecimal digits of the SHA-256 of its
normal form. There are only so many, whatever users make a program send. A comment chooses among registered names; one
with which a statement begins, and which is therefore the program's own, can bring a new name, 100 in a process. Of
hashes there are 1,000, after which the rest is ``hash-other``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from threading import Lock
from typing import Final, NamedTuple

from tallygate.instrument.support.sql import MOST_TEXT, comments, folded, is_transaction, normal, operation_and_table

OTHER: Final = "hash-other"
"""Name of the statements that have none, once there are too many of them."""
MOST_KEPT: Final = 1000
"""How many texts are kept together with what they say; others are read again, which is slower."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}\Z")
_COMMENT: Final = re.compile(r"(?:query_id|name)\s*:\s*([A-Za-z_][A-Za-z0-9_.]{0,63})(?:\s*[\^$!*#]|<!|\s+:\w+)?\Z")
"""The whole of a comment that names its statement; what aiosql and sqlc write behind the name is no part of it."""


class Statement(NamedTuple):
    """What a page says of a statement."""

    query: str
    table: str
    operation: str


class Registry:
    """Registered names, and the bounds of those that are not."""

    def __init__(self, *, most_hashes: int = 1000, most_comment_names: int = 100) -> None:
        """As ``configure``."""
        self._lock = Lock()
        self._exact: dict[str, Statement] = {}
        self._folded: dict[str, Statement | None] = {}
        self._names: dict[str, Statement | None] = {}
        self._hashes: set[str] = set()
        self._from_comments: set[str] = set()
        self.version = 0
        """Grows when names are added."""
        self.configure(most_hashes=most_hashes, most_comment_names=most_comment_names)
        self._kept = lru_cache(MOST_KEPT)(self._read)

    def configure(self, *, most_hashes: int | None = None, most_comment_names: int | None = None) -> None:
        """Set the bounds; None leaves one as it is. Raises ValueError for what is no bound.

        most_hashes: how many statements without a name are told apart by their hashes. most_comment_names: how many
        names that nobody registered may come from comments; 0 where all that begins a statement may be a user's.
        """
        for name, bound in (("most_hashes", most_hashes), ("most_comment_names", most_comment_names)):
            if bound is None:
                continue
            if isinstance(bound, bool) or not isinstance(bound, int) or bound < 0:
                raise ValueError(f"{name}={bound!r} is no bound; give a whole number from 0 on")
            setattr(self, f"_{name}", bound)

    _most_hashes: int
    _most_comment_names: int

    def register(self, name: str, text: str | None = None) -> None:
        """Give a statement a name. Without a text the name is for comments to choose.

        White space and the case of letters do not matter in a text, nor does the length of its lists after IN. A name
        can have several texts. Raises ValueError for what is no plain name, or a text that has another name already.
        """
        if not isinstance(name, str) or not _NAME.match(name):
            mend = "use a letter or underscore, then letters, digits, underscores and dots, 64 characters at most"
            raise ValueError(f"query name {name!r:.100} is no plain name; {mend}")
        with self._lock:
            if text is None:
                self._names.setdefault(name, None)
            else:
                self._add(name, text)
            self.version += 1

    def _add(self, name: str, text: str) -> None:
        key, similar = normal(text), folded(text)
        if not key:
            raise ValueError(f"query {name!r} has an empty text; give its SQL, or none at all")
        there = self._exact.get(key)
        if there is not None and there.query != name:
            raise ValueError(f"query {name!r} has the text of {there.query!r}; register a statement under one name")
        operation, table = operation_and_table(text)
        statement = Statement(name, table, operation)
        self._exact[key] = statement
        self._names[name] = self._names.get(name) or statement
        # Two statements that differ in a literal alone are told apart by their exact texts only.
        alone = similar not in self._folded or self._folded[similar] == statement
        self._folded[similar] = statement if alone else None

    def load(self, statements: Mapping[str, str]) -> None:
        """Register all of these: texts by name. Raises as ``register``."""
        for name, text in statements.items():
            self.register(name, text)

    @property
    def registered(self) -> tuple[Statement, ...]:
        """All that is known of registered statements before they are sent."""
        with self._lock:
            return tuple(dict.fromkeys((*self._exact.values(), *filter(None, self._names.values()))))

    def describe(self, text: str) -> Statement | None:
        """What a page says of a statement; None for what only begins, ends or divides a transaction."""
        return self._kept(text, self.version) if len(text) <= MOST_TEXT else self._read(text)

    def _read(self, text: str, version: int = 0) -> Statement | None:
        """version: of the registry, under which the answer is kept."""
        if is_transaction(text):
            return None
        exact = self._exact.get(normal(text))
        if exact is not None:
            return exact
        similar = folded(text)
        known = self._folded.get(similar)
        if known is not None:
            return known
        operation, table = operation_and_table(text)
        with self._lock:
            first = text.lstrip().startswith(("/*", "--"))
            for comment in comments(text):
                match = _COMMENT.match(comment)
                if match is not None and self._counts(match[1], first):
                    named = self._names.get(match[1])
                    if named is None:
                        # What it says of its first text goes for all of them: a page has one row of it.
                        named = self._names[match[1]] = Statement(match[1], table, operation)
                        self.version += 1
                    return named
                first = False
            query = f"hash-{hashlib.sha256(similar.encode(errors='replace')).hexdigest()[:16]}"
            if query not in self._hashes:
                if len(self._hashes) >= self._most_hashes:
                    return Statement(OTHER, "", operation)
                self._hashes.add(query)
        return Statement(query, table, operation)

    def _counts(self, name: str, first: bool) -> bool:
        """Whether a name in a comment is one. first: the statement begins with the comment."""
        if name in self._names:
            return True
        if not first or len(self._from_comments) >= self._most_comment_names:
            return False
        self._from_comments.add(name)
        return True


PROGRAM: Final = Registry()
"""The names that instrumentations use unless they are given others."""

register = PROGRAM.register
load = PROGRAM.load
configure = PROGRAM.configure
