"""What was used, as a table or as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date

import msgspec

from tallygate.cli.accounting import STATUSES
from tallygate.cli.commands import FAILED, complain
from tallygate.gateway.accounts.money import units_of, usd_of
from tallygate.gateway.accounts.problems import AccountError
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.admin.usage import told_report
from tallygate.gateway.database import Database, DatabaseError
from tallygate.gateway.settings import Settings
from tallygate.gateway.state.environment import FILE, Environment, StateError
from tallygate.gateway.usage.reports import By, Line, Report, Reports, Totals
from tallygate.gateway.usage.spool import Spool

HEADINGS = ("calls", "failed", "cancelled", "input tokens", "output tokens", "cost", "estimated", "charged")
MASTER_KEY = "(master key)"


async def fetch(
    settings: Settings, by: By, since: date | None, until: date | None, key: str | None, user: str | None
) -> Report:
    """The report. Raises DatabaseError, StateError, AccountError for a key or user that there is not."""
    database = Database(settings.accounts.url.get_secret_value(), connections=1)
    await database.start()
    try:
        accounts = AccountService(database)
        key_id = None if key is None else (await accounts.key(key)).id
        user_id = None if user is None else (await accounts.user(user)).id
        directory = settings.shared.state_directory
        if not (directory / FILE).exists():
            return await Reports(database).report(by, since, until, key_id=key_id, user_id=user_id)
        environment = Environment(directory)
        try:
            reports = Reports(database, Spool(environment))
            return await reports.report(by, since, until, key_id=key_id, user_id=user_id)
        finally:
            environment.close()
    finally:
        await database.close()


def report(
    settings: Settings,
    by: By,
    since: date | None,
    until: date | None,
    *,
    key: str | None,
    user: str | None,
    as_json: bool,
) -> str:
    """What to print; ends with a line and the status of what is wrong when there is nothing to be had."""
    try:
        found = asyncio.run(fetch(settings, by, since, until, key, user))
    except AccountError as problem:
        complain(str(problem), STATUSES[type(problem)])
    except (DatabaseError, StateError) as problem:
        complain(str(problem), FAILED)
    return in_json(found) if as_json else in_table(found)


def in_json(report: Report) -> str:
    """As the admin API tells it."""
    return msgspec.json.format(msgspec.json.encode(told_report(report)), indent=2).decode() + "\n"


def in_table(report: Report) -> str:
    """Aligned columns, and how many calls are not in them yet."""
    rows: list[tuple[str, ...]] = [(report.by, *HEADINGS)]
    rows += [(_title(report.by, line), *_cells(line.totals)) for line in report.lines]
    if len(report.lines) != 1:
        rows.append(("total", *_cells(report.total)))
    text = _aligned(rows)
    notes = []
    if report.total.unreported:
        notes.append(f"{report.total.unreported} call(s) whose provider told no usage are estimated.")
    if report.total.unpriced:
        notes.append(f"{report.total.unpriced} call(s) of models without a known price are not in the costs.")
    if report.waiting:
        notes.append(f"{report.waiting} call(s) wait to be written and are not in the sums.")
    return text + "".join(f"{note}\n" for note in notes)


def _title(by: By, line: Line) -> str:
    if by in ("key", "user"):
        return f"{line.name} {line.group}".strip() or MASTER_KEY
    return line.group


def _cells(totals: Totals) -> tuple[str, ...]:
    counts = (totals.calls, totals.failed, totals.cancelled, totals.input_tokens, totals.output_tokens)
    amounts = (totals.cost, totals.estimated_cost, totals.charged)
    return (*map(str, counts), *[usd_of(units_of(amount, "")) for amount in amounts])


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *[cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]]
        )
        for row in rows
    ]
    return "".join(f"{line}\n" for line in lines)
