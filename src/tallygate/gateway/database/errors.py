"""What can go wrong with the database, told without its password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc


class DatabaseError(Exception):
    """The database cannot be used as it is: says which, what is wrong, and what mends it; never a password."""


class DatabaseAway(DatabaseError):
    """The database cannot be reached now; later the same may work."""


MENDS = {
    "28000": "mend its user or password, or the server's pg_hba.conf",
    "28P01": "mend its user or password",
    "3D000": "create it, or mend its name",
    "42501": "grant its user the right to create tables in it",
    "file is not a database": "name another file, or restore a backup",
}
"""What mends a refusal, by PostgreSQL's code or SQLite's words."""
AWAY_CLASSES = ("08", "53", "57P", "58", "25006")
"""Beginnings of PostgreSQL's codes: connection failures, no resources, shutting down, system errors, a read-only
standby."""
SQLITE_AWAY = ("unable to open", "database is locked", "disk i/o error", "readonly database", "disk is full")


@contextmanager
def told_as_away(shown: str) -> Iterator[None]:
    """Failures to reach the database become DatabaseAway; others stay what they are. shown: its URL, masked."""
    try:
        yield
    except (exc.TimeoutError, OSError, TimeoutError) as problem:
        raise DatabaseAway(f"{shown}: {reason(problem)}") from problem
    except exc.DBAPIError as problem:
        if is_away(problem):
            raise DatabaseAway(f"{shown}: {reason(problem.orig or problem)}") from problem
        raise


@contextmanager
def told_at_start(shown: str) -> Iterator[None]:
    """Whatever keeps the gateway from using its database becomes a DatabaseError that names the setting."""
    setting = f"accounts.database_url: {shown}"
    try:
        with told_as_away(shown):
            yield
    except DatabaseAway as problem:
        cause = str(problem).removeprefix(f"{shown}: ")
        raise DatabaseAway(f"{setting}: cannot be reached: {cause}; start the database or mend the address") from None
    except exc.DBAPIError as problem:
        code, cause = code_of(problem), reason(problem.orig or problem)
        mend = MENDS.get(code or cause, "see docs/accounts.md")
        raise DatabaseError(f"{setting}: {cause}; {mend}") from None


def is_away(problem: exc.DBAPIError) -> bool:
    """Whether a failed statement failed because the database could not be reached."""
    if problem.connection_invalidated:
        return True
    code = code_of(problem)
    if code is not None:
        return code.startswith(AWAY_CLASSES)
    text = str(problem.orig).lower()
    if isinstance(problem, exc.InterfaceError):
        return True
    return isinstance(problem, exc.OperationalError) and any(sign in text for sign in SQLITE_AWAY)


def code_of(problem: exc.DBAPIError) -> str | None:
    """PostgreSQL's code of an error; None where there is none."""
    code = getattr(problem.orig, "sqlstate", None)
    return code if isinstance(code, str) else None


def reason(problem: BaseException) -> str:
    """The cause in one line, as its driver tells it; drivers do not tell passwords."""
    if isinstance(problem, exc.TimeoutError):
        return "no connection became free in time"
    if isinstance(problem, TimeoutError) and not str(problem):
        return "it did not answer in time"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    text = str(problem).partition("\n")[0]
    # SQLAlchemy's drivers put the class of the error before its text.
    return text.partition(">: ")[2] or text or type(problem).__name__
