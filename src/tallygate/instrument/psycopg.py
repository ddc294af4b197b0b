"""psycopg, version 3: the statements of its cursors, sync and async."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, closing
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

from tallygate.instrument.patching import Instrumentation
from tallygate.instrument.support.statements import Statements

if TYPE_CHECKING:
    from tallygate.instrument.queries import Registry
    from tallygate.record.recorder import Recorder

SEND: Final = ("execute", "executemany")
_END: Final = object()


def psycopg(*, queries: Registry | None = None, tally: Recorder | None = None) -> Instrumentation:
    """Record the statements of all cursors, also of those of connections that are open already.

    queries: the names of statements; None for those of ``instrument.queries``. Of ``stream`` the time to the first row
    is recorded; in a pipeline the time to take the statement up. What only begins or ends a transaction is not
    recorded, nor is COPY. Raises ModuleNotFoundError without the library.
    """
    from psycopg import AsyncCursor, AsyncServerCursor, Cursor, ServerCursor

    handle = Instrumentation(tally)
    if handle.is_off:
        return handle
    statements = Statements(handle, queries, "postgresql", tally=tally)
    for owner, send, stream in (
        (Cursor, _sends, _streams),
        (AsyncCursor, _async_sends, _async_streams),
        (ServerCursor, _sends, None),
        (AsyncServerCursor, _async_sends, None),
    ):
        for name in SEND:
            if name in vars(owner):
                handle.wrap(owner, name, partial(send, statements))
        if stream is not None:
            handle.wrap(owner, "stream", partial(stream, statements))
    return handle


def _text(cursor: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> str | bytes:
    """The text of the query among these arguments, composed if need be. '' for what is none: psycopg will say so."""
    from psycopg import sql

    query = arguments[0] if arguments else named.get("query")
    if isinstance(query, (str, bytes)):
        return query
    try:
        text: object = query.as_string(cursor) if isinstance(query, sql.Composable) else sql.as_string(query, cursor)
    except Exception:
        return ""
    return text if isinstance(text, str) else ""


def _sends(statements: Statements, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def send(self: Any, *arguments: Any, **named: Any) -> Any:
        with statements.watch("postgresql", _text(self, arguments, named)):
            return method(self, *arguments, **named)

    return send


def _async_sends(statements: Statements, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def send(self: Any, *arguments: Any, **named: Any) -> Any:
        with statements.watch("postgresql", _text(self, arguments, named)):
            return await method(self, *arguments, **named)

    return send


def _streams(statements: Statements, method: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    @wraps(method)
    def stream(self: Any, *arguments: Any, **named: Any) -> Iterator[Any]:
        with closing(method(self, *arguments, **named)) as rows:
            with statements.watch("postgresql", _text(self, arguments, named)):
                first = next(rows, _END)
            if first is not _END:
                yield first
                yield from rows

    return stream


def _async_streams(statements: Statements, method: Callable[..., Any]) -> Callable[..., AsyncIterator[Any]]:
    @wraps(method)
    async def stream(self: Any, *arguments: Any, **named: Any) -> AsyncIterator[Any]:
        async with aclosing(method(self, *arguments, **named)) as rows:
            with statements.watch("postgresql", _text(self, arguments, named)):
                first = await anext(rows, _END)
            if first is not _END:
                yield first
                async for row in rows:
                    yield row

    return stream
