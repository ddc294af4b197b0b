"""Names of statements: by them a metrics page, a log and the database's own views tell our statements apart."""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Delete, Engine, Insert, Select, Update, event

from tallygate.instrument.queries import Registry

Statement = Select[Any] | Insert | Update | Delete
S = TypeVar("S", bound=Statement)

NAMED: Final[dict[str, Statement]] = {}
"""Every named statement of the program, made when its module is imported."""


def named(name: str, statement: S) -> S:
    """The statement under this name (``room.what_it_does``), which it keeps when conditions are added to it.

    Raises ValueError for a name that another statement has.
    """
    if name in NAMED:
        raise ValueError(f"two statements are called {name!r}; rename one")
    NAMED[name] = statement
    return cast(S, statement.execution_options(query_id=name))


def registry_for(engine: Engine) -> Registry:
    """The names of all statements, as the instrumentation of databases takes them."""
    registry = Registry()
    for name, statement in NAMED.items():
        registry.register(name, str(statement.compile(dialect=engine.dialect)))
    return registry


def announce_names(engine: Engine) -> None:
    """Let every statement of this engine begin with its name in a comment."""

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def prefix(
        connection: Connection, cursor: object, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> tuple[str, Any]:
        name = context.execution_options.get("query_id") if context is not None else None
        return (statement if name is None else f"/* query_id: {name} */ {statement}"), parameters
