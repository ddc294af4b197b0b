"""Usage through the admin API: sums by key, user, provider, model or day, and single calls."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from tallygate.gateway.accounts.money import units_of, usd_of
from tallygate.gateway.admin.operations import Asked, Operation
from tallygate.gateway.admin.reading import fields_of
from tallygate.gateway.admin.schemas import Input, Instant, Money
from tallygate.gateway.usage import reports

OfKey = Annotated[str, Meta(description="of this key, by its id")]
OfUser = Annotated[str, Meta(description="of this user, by id or name")]


class Totals(Struct):
    """Sums over calls that were sent to a provider. Costs are in USD; cached tokens are input tokens, too."""

    calls: int
    failed: int
    cancelled: int
    unreported: Annotated[int, Meta(description="completed, and the provider told no usage")]
    unpriced: Annotated[int, Meta(description="with usage, and the model has no known price")]
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: Money
    estimated_input_tokens: Annotated[int, Meta(description="beyond what was reported: of calls that broke off")]
    estimated_output_tokens: int
    estimated_cost: Money
    charged: Annotated[str, Meta(description="USD that are taken from credits and budgets")]


class Line(Struct):
    """One key, user, provider, model or day."""

    group: Annotated[str, Meta(description="its id or name; empty for the master key")]
    name: Annotated[str, Meta(description="of the key or user, as people know it")]
    totals: Totals


class Report(Struct):
    """Lines, the most expensive first (days: the oldest), and their sum."""

    by: reports.By
    lines: list[Line]
    total: Totals
    waiting: Annotated[int, Meta(description="calls that are not in the database yet, and not in the sums")]


class Call(Struct):
    """One call that was sent to a provider."""

    number: int
    ended_at: Instant
    key_id: str
    user_id: str
    provider: str
    model: str
    operation: str
    stream: bool
    outcome: Literal["completed", "failed", "cancelled"]
    error_type: str
    reported: bool
    priced: bool
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: Money
    estimated_input_tokens: int
    estimated_output_tokens: int
    estimated_cost: Money


class Calls(Struct):
    """A page of calls, the newest first."""

    items: list[Call]
    next: Annotated[int | None, Meta(description="`before` of the next page; null at the end")]


class ReportQuery(Input):
    """What to sum."""

    by: reports.By = "user"
    since: Annotated[date, Meta(description="first day, UTC")] | UnsetType = UNSET
    until: Annotated[date, Meta(description="last day, UTC")] | UnsetType = UNSET
    key: OfKey | UnsetType = UNSET
    user: OfUser | UnsetType = UNSET


class CallsQuery(Input):
    """Which calls."""

    since: Instant | UnsetType = UNSET
    until: Instant | UnsetType = UNSET
    key: OfKey | UnsetType = UNSET
    user: OfUser | UnsetType = UNSET
    before: Annotated[int, Meta(ge=1, le=2**63 - 1, description="`next` of the page before")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=reports.MOST_CALLS, description="how many at once, at most")] = 100


async def report_usage(asked: Asked) -> Report:
    return told_report(await asked.reports.report(**await _wanted(asked)))


async def list_calls(asked: Asked) -> Calls:
    found = await asked.reports.calls(**await _wanted(asked))
    more = len(found) == asked.query.limit
    return Calls([_call(call) for call in found], found[-1].number if more else None)


async def _wanted(asked: Asked) -> dict[str, Any]:
    """The query as the reports take it. Raises NotFound for a key or user that there is not."""
    wanted = fields_of(asked.query)
    if "key" in wanted:
        wanted["key_id"] = (await asked.accounts.key(wanted.pop("key"))).id
    if "user" in wanted:
        wanted["user_id"] = (await asked.accounts.user(wanted.pop("user"))).id
    return wanted


def told_report(found: reports.Report) -> Report:
    """A report, with money in USD."""
    lines = [Line(line.group, line.name, _totals(line.totals)) for line in found.lines]
    return Report(found.by, lines, _totals(found.total), found.waiting)


def _totals(totals: reports.Totals) -> Totals:
    return Totals(**{name: _told(getattr(totals, name)) for name in Totals.__struct_fields__})


def _call(call: reports.Call) -> Call:
    return Call(**{name: _told(getattr(call, name)) for name in Call.__struct_fields__})


def _told(value: Decimal | datetime | int | str) -> Any:
    return usd_of(units_of(value, "cost")) if isinstance(value, Decimal) else value


OPERATIONS = (
    Operation("GET", "/admin/usage", "reportUsage", "What was used, in sums", report_usage, Report, ReportQuery),
    Operation("GET", "/admin/usage/calls", "listCalls", "Single calls, newest first", list_calls, Calls, CallsQuery),
)
