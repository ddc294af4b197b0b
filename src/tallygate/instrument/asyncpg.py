"""asyncpg: the statements of its connections, pools, prepared statements and cursors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

from tallygate.instrument.patching import Instrumentation
from tallygate.instrument.support.statements import Statements

if TYPE_CHECKING:
    from tallygate.instrument.queries import Registry
    from tallygate.record.recorder import Recorder

Method = Callable[..., Awaitable[Any]]

CONNECTION: Final = ("execute", "executemany", "fetch", "fetchmany", "fetchrow", "fetchval")
"""Methods that send the statement that is their first argument."""
PREPARED: Final = ("executemany", "fetch", "fetchmany", "fetchrow", "fetchval")
"""Methods that send the statement that was prepared."""


def asyncpg(*, queries: Registry | None = None, tally: Recorder | None = None) -> Instrumentation:
    """Record the statements of all connections, also of those that are open already.

    queries: the names of statements; None for those of ``instrument.queries``. What only begins or ends a transaction
    is not recorded, nor is COPY. Raises ModuleNotFoundError without the library.
    """
    from asyncpg import Connection
    from asyncpg.cursor import Cursor, CursorIterator
    from asyncpg.prepared_stmt import PreparedStatement

    handle = Instrumentation(tally)
    if handle.is_off:
        return handle
    statements = Statements(handle, queries, "postgresql", tally=tally)
    for owner, names, make in (
        (Connection, CONNECTION, _sends_its_argument),
        (PreparedStatement, PREPARED, _sends_its_own),
        (Cursor, ("_init",), _sends_its_own),
        (CursorIterator, ("__anext__",), _sends_its_own_at_first),
    ):
        for name in names:
            if hasattr(owner, name):  # fetchmany came late
                handle.wrap(owner, name, partial(make, statements))
    return handle


def _sends_its_argument(statements: Statements, method: Method) -> Method:
    @wraps(method)
    async def send(self: Any, *arguments: Any, **named: Any) -> Any:
        text = arguments[0] if arguments else named.get("query", named.get("command"))
        with statements.watch("postgresql", text):
            return await method(self, *arguments, **named)

    return send


def _sends_its_own(statements: Statements, method: Method) -> Method:
    @wraps(method)
    async def send(self: Any, *arguments: Any, **named: Any) -> Any:
        with statements.watch("postgresql", self._query):
            return await method(self, *arguments, **named)

    return send


def _sends_its_own_at_first(statements: Statements, method: Method) -> Method:
    """A cursor's statement is recorded when it begins, and not with every batch of rows."""
    send = _sends_its_own(statements, method)

    @wraps(method)
    def anext(self: Any) -> Awaitable[Any]:
        begun = self._portal_name or self._exhausted
        return method(self) if begun else send(self)

    return anext
