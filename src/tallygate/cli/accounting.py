"""What the commands of accounts share: reaching the accounts, reading options, printing what came of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from tallygate.cli import telling as tell
from tallygate.cli.commands import FAILED, MISTAKEN, complain
from tallygate.cli.settings import settings_from
from tallygate.gateway.accounts.money import units_of
from tallygate.gateway.accounts.problems import AccountError, Conflict, Invalid, NotFound
from tallygate.gateway.accounts.records import Page, User
from tallygate.gateway.accounts.revision import tell_workers
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database, DatabaseError
from tallygate.gateway.settings import Settings

T = TypeVar("T")

MISSING, CONFLICT = 3, 4
"""Further exit statuses: nobody has this id or name; it contradicts what is there."""
STATUSES: Final[Mapping[type[AccountError], int]] = {Invalid: MISTAKEN, NotFound: MISSING, Conflict: CONFLICT}
NONE: Final = "none"
"""What takes a value away."""
AT_ONCE: Final = 1000
"""How much of a list is read in one go."""

_SPAN = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def with_accounts(config: Path | None, env_file: Path, work: Callable[[AccountService], Awaitable[T]]) -> T:
    """Do some work on the accounts of the configured database; what goes wrong ends the command."""
    settings = settings_from({}, config, env_file, serves=False)

    async def main() -> T:
        database = Database(settings.accounts.url.get_secret_value(), connections=1)
        if not database.exists:
            tell.say(f"a new database is made: {database.shown}")
        try:
            await database.start()
            return await work(AccountService(database, changed=lambda revision: _tell(settings, revision)))
        finally:
            await database.close()

    try:
        return asyncio.run(main())
    except AccountError as problem:
        complain(str(problem), STATUSES[type(problem)])
    except DatabaseError as problem:
        complain(str(problem), FAILED)


def _tell(settings: Settings, revision: int) -> None:
    """Let the gateway's workers on this machine know at once; all others look once a second."""
    try:
        tell_workers(settings.shared.state_directory, revision)
    except OSError as problem:
        tell.say(f"the change is made; a running gateway sees it within a second ({problem.strerror})")


async def every(pages: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    """All of a list, page after page."""
    items: list[T] = []
    after = None
    while True:
        page = await pages(after)
        items += page.items
        after = page.next
        if after is None:
            return items


def grant(
    config: Path | None, env_file: Path, user: str, usd: str, sign: int, note: str, once: str | None, as_json: bool
) -> None:
    """Grant, or with the sign -1 take away, and tell the balance."""

    async def work(accounts: AccountService) -> User:
        units = units_of(usd, "usd")
        if units <= 0:
            raise Invalid("usd", usd, "is not above 0", "say how much; `credits take` takes some away")
        return (await accounts.grant(user, sign * units, note=note, idempotency_key=once)).user

    tell.user(with_accounts(config, env_file, work), as_json)


# What options say


def user_fields(**options: Any) -> dict[str, Any]:
    """The options that were given, as fields of a user or a key. Raises Invalid."""
    return {name: _read(name, option) for name, option in options.items() if option is not None}


key_fields = user_fields


def _read(name: str, option: Any) -> Any:
    if not isinstance(option, str) or name in ("name", "kind", "plan"):
        return option
    if option.strip().lower() == NONE:
        return None
    return READ.get(name, _word)(name, option)


def _word(name: str, text: str) -> str:
    return text


def _number(name: str, text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdecimal()):
        raise Invalid(name, text, "is no whole number", "write one, or none")
    return int(text)


def _usd(name: str, text: str) -> int:
    return units_of(text, name)


def _names(name: str, text: str) -> list[str]:
    return [one.strip() for one in text.split(",")]


def _moment(name: str, text: str) -> datetime:
    """A time, or how long it is until then."""
    if _SPAN.fullmatch(text.strip()):
        return datetime.now(UTC) + timedelta(seconds=seconds(name, text))
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Invalid(name, text, "is no time", "write it as in 2027-01-31, 2027-01-31T12:00:00Z or 30d") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def seconds(name: str, text: str) -> int:
    """How long: 90s, 15m, 24h, 30d, 2w. Raises Invalid."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise Invalid(name, text, "is no time", "write it as in 90s, 15m, 24h, 30d or 2w")
    return int(timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds())


READ: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "requests_per_minute": _number,
    "tokens_per_minute": _number,
    "concurrency": _number,
    "daily_budget": _usd,
    "monthly_budget": _usd,
    "models": _names,
    "trial_ends_at": _moment,
    "expires_at": _moment,
}
