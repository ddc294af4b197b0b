"""Vocabularies for reading the ledger: one file each, and the words they are written in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tallygate.dialects.archestra import ARCHESTRA
from tallygate.dialects.aurora import AURORA
from tallygate.dialects.boundaries import boundaries, table_schema
from tallygate.dialects.checks import DialectClash, merge
from tallygate.dialects.erato import ERATO
from tallygate.dialects.families import Dialect, DialectError
from tallygate.dialects.gatewayz import GATEWAYZ
from tallygate.dialects.hyperagent import HYPERAGENT
from tallygate.dialects.otel import OTEL
from tallygate.dialects.plan import Page, Plan
from tallygate.dialects.tallygate import TALLYGATE

__all__ = [
    "DIALECTS",
    "Dialect",
    "DialectClash",
    "DialectError",
    "Page",
    "Plan",
    "UnknownDialect",
    "boundaries",
    "merge",
    "resolve",
    "table_schema",
]

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (TALLYGATE, OTEL, ERATO, AURORA, GATEWAYZ, ARCHESTRA, HYPERAGENT)
}
"""The dialects that come with Tallygate, by name."""


class UnknownDialect(LookupError):
    """No dialect has this name; ``known`` are those that exist."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(sorted(known))
        super().__init__(f"no dialect is called {name!r}; known are {', '.join(self.known)}")


def resolve(names: Iterable[str], known: Mapping[str, Dialect] = DIALECTS) -> tuple[Dialect, ...]:
    """The dialects of these names, each once, in order. Raises UnknownDialect, or DialectClash."""
    dialects = []
    for name in dict.fromkeys(names):
        if name not in known:
            raise UnknownDialect(name, known)
        dialects.append(known[name])
    merge(dialects)
    return tuple(dialects)
