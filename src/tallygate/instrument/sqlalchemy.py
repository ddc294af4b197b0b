"""SQLAlchemy: the statements of its engines, sync and async, and their open connections."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from time import perf_counter
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.queries import MOST_KEPT, Registry
from tallygate.instrument.support.connections import OpenConnections
from tallygate.instrument.support.statements import Statements, inside
from tallygate.record.default import default

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tallygate.record.recorder import Recorder

EXECUTE: Final = ("do_execute", "do_execute_no_params", "do_executemany")
"""Methods of a dialect that hand a statement to the driver. They are nearer to it than events, and cost less."""


def sqlalchemy(
    engine: Engine | AsyncEngine | None = None,
    *,
    queries: Registry | None = None,
    tally: Recorder | None = None,
) -> Instrumentation:
    """Record the statements of this engine, Core's and the ORM's; without one, of all engines, those made before too.

    queries: the names of statements; None for those of ``instrument.queries``. What several instrumentations see is
    recorded once: by the engine's own, else by the latest. Connections that are opened from now on are counted as
    ``db``. Raises NotInstrumentable for anything that is no engine, ModuleNotFoundError without the library.
    """
    from sqlalchemy import Engine
    from sqlalchemy.pool import Pool

    handle = Instrumentation(tally)
    target: Any = getattr(engine, "sync_engine", engine)
    if target is not None and not isinstance(target, Engine):
        kind = type(engine).__name__
        raise NotInstrumentable(f"instrument.sqlalchemy() takes an Engine or an AsyncEngine, not {kind}")
    if handle.is_off:
        return handle
    if target is None:
        _watch_all(handle, Statements(handle, queries, tally=tally, table=Tables()))
        _count_connections(handle, Pool)
    else:
        dialect = target.dialect
        statements = Statements(handle, queries, dialect.name, tally=tally, table=Tables())
        for name in EXECUTE:
            watched = _watched if name == "do_execute_no_params" else _watched_alone
            handle.wrap(dialect, name, partial(_bound, watched, statements, dialect))
        _count_connections(handle, target.pool)
    return handle


def _bound(watched: Callable[..., Any], statements: Statements, dialect: Any, before: Any) -> MethodType:
    return MethodType(watched(statements, _function(before)), dialect)


def _function(method: Any) -> Callable[..., Any]:
    """What a method calls, which takes the object first."""
    if isinstance(method, MethodType):
        return method.__func__
    return lambda dialect, *arguments, **named: method(*arguments, **named)


def _watch_all(handle: Instrumentation, statements: Statements) -> None:
    """Watch every class of dialects that has methods of its own, also those that are imported later."""
    from sqlalchemy import Engine
    from sqlalchemy.engine.default import DefaultDialect

    covered: set[type] = set()

    def cover(kind: type) -> None:
        if kind not in covered:
            covered.add(kind)
            overrides = kind is not DefaultDialect
            watched = partial(_watched, statements, calls_others=overrides, called_by_others=True)
            for name in EXECUTE:
                if name in vars(kind):
                    handle.wrap(kind, name, watched)

    def cover_all(kind: type[Any]) -> None:
        cover(kind)
        derived: type[Any]
        for derived in kind.__subclasses__():
            cover_all(derived)

    def make(init: Callable[..., None]) -> Callable[..., None]:
        @wraps(init)
        def __init__(self: Any, *arguments: Any, **named: Any) -> None:
            init(self, *arguments, **named)
            if not handle.removed:
                for kind in type(self.dialect).__mro__[:-1]:
                    cover(kind)

        return __init__

    cover_all(DefaultDialect)
    handle.wrap(Engine, "__init__", make)


def _count_connections(handle: Instrumentation, pool: Any) -> None:
    from sqlalchemy import event

    connections = OpenConnections(handle, "db")

    def connect(connection: object, record: object) -> None:
        connections.opened(connection)

    def close(connection: object, record: object) -> None:
        connections.closed(connection)

    def listen(name: str, listener: Callable[..., None]) -> None:
        event.listen(pool, name, listener)
        handle.finally_do(lambda: event.remove(pool, name, listener))

    listen("connect", connect)
    listen("close", close)
    listen("close_detached", connections.closed)


def _watched(
    statements: Statements, execute: Callable[..., Any], *, calls_others: bool = False, called_by_others: bool = False
) -> Callable[..., Any]:
    """A method that hands over a statement, with a clock around it. The outermost of several records.

    calls_others, called_by_others: whether that may be others that are watched on behalf of the same instrumentation.
    """
    record = statements.record

    @wraps(execute)
    def do_execute(dialect: Any, cursor: Any, statement: str, *rest: Any, **named: Any) -> Any:
        several = Statements.live > 1  # context variables take as long as all else here, so not without need
        if statements.removed or ((called_by_others or several) and inside.get()):
            return execute(dialect, cursor, statement, *rest, **named)
        outermost = calls_others or several
        began = perf_counter()
        try:
            if outermost:
                inside.set(True)
            result = execute(dialect, cursor, statement, *rest, **named)
        except BaseException as problem:
            seconds = perf_counter() - began
            if outermost:
                inside.set(False)
            record(dialect.name, statement, seconds, problem, rest)
            raise
        seconds = perf_counter() - began
        if outermost:
            inside.set(False)
        record(dialect.name, statement, seconds, None, rest)
        return result

    return do_execute


def _watched_alone(statements: Statements, execute: Callable[..., Any]) -> Callable[..., Any]:
    """The same for one that takes parameters, and neither calls others nor is called by them.

    Nearly every statement is like one before: its row is found here, with nothing called but what has to be.
    """
    in_full = _watched(statements, execute)
    record, registry, tally = statements.record, statements.registry, statements.tally

    @wraps(execute)
    def do_execute(dialect: Any, cursor: Any, statement: str, parameters: Any, context: Any = None) -> Any:
        if statements.removed or Statements.live > 1:
            return in_full(dialect, cursor, statement, parameters, context)
        began = perf_counter()
        try:
            result = execute(dialect, cursor, statement, parameters, context)
        except BaseException as problem:
            record(dialect.name, statement, perf_counter() - began, problem, (parameters, context))
            raise
        seconds = perf_counter() - began
        recorder, version, rows = statements.bound
        row = rows.get((dialect.name, statement))
        if row is not None and version == registry.version and recorder is (tally or default.recorder):
            row.record(seconds)
        else:
            record(dialect.name, statement, seconds, None, (parameters, context))
        return result

    return do_execute


class Tables:
    """The tables of statements whose texts do not tell, as SQLAlchemy knows them; '' when it does not either."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, text: str, rest: tuple[Any, ...]) -> str:
        """rest: what the dialect was given besides the text, the context of the execution last."""
        table = self._known.get(text)
        if table is None:
            compiled = getattr(rest[-1] if rest else None, "compiled", None)
            table = table_of(getattr(compiled, "statement", None))
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            self._known[text] = table
        return table


def table_of(element: Any) -> str:
    """The first table that a construct is about, whatever subqueries and joins it is in."""
    from sqlalchemy import Join, Select, Table
    from sqlalchemy.sql.selectable import AliasedReturnsRows

    while element is not None:
        if isinstance(element, Table):
            return element.name
        if isinstance(element, Select):
            element = next(iter(element.get_final_froms()), None)
        elif isinstance(element, Join):
            element = element.left
        elif isinstance(element, AliasedReturnsRows):
            element = element.element
        else:
            element = getattr(element, "table", None)
    return ""
