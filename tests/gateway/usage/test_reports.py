"""What reports and the command line tell, to the last digit; and what a purse has spent."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.gateway.state.environment import Environment
from tallygate.gateway.state.interface import Purse
from tallygate.gateway.usage.entry import Entry, encode
from tallygate.gateway.usage.reports import GROUPS, Reports
from tallygate.gateway.usage.spending import Spending, days_of
from tallygate.gateway.usage.spool import Spool
from tallygate.gateway.usage.writing import Writer
from tests.cli.running import tallygate
from tests.gateway.usage.entries import DAY, NOON, append, call
from tests.gateway.usage.served import Account, make_account


async def write(database: Database, environment: Environment, spool: Spool, *entries: Entry) -> None:
    """As the flusher does."""
    append(environment, spool, *entries)
    writer = Writer(database, spool.source)
    position = await writer.find_position(spool.last)
    await writer.write(spool.read(position, 1000), left=0)
    spool.forget(spool.newest, 1000)


async def of_two_days(database: Database, service: AccountService, environment: Environment, spool: Spool) -> list[Any]:
    """Two users and the master key; three of their calls."""
    ann, bob = await make_account(service, "ann"), await make_account(service, "bob")

    def of(account: Account) -> dict[str, str]:
        return {"key_id": account.key_id, "user_id": account.user_id}

    await write(
        database,
        environment,
        spool,
        call(**of(ann), cost=3 * 10**11 + 1, model="gpt-4o"),
        call(**of(ann), cost=1, time=NOON + DAY, model="gpt-4o-mini", outcome="cancelled", estimated_cost=10**11),
        call(**of(bob), cost=5, time=NOON + DAY, provider="anthropic", model="claude", stream=0),
        call(key_id="", user_id="", cost=0, priced=0, outcome="failed", error_type="provider_timeout"),
    )
    return [ann, bob]


async def test_sums_by_everything(
    database: Database, service: AccountService, environment: Environment, spool: Spool
) -> None:
    ann, bob = await of_two_days(database, service, environment, spool)
    reports = Reports(database, spool)
    found = {by: await reports.report(by) for by in GROUPS}
    told = {
        by: [(line.group, line.name, line.totals.calls, line.totals.cost, line.totals.charged) for line in report.lines]
        for by, report in found.items()
    }
    whole, rest = Decimal("3.00000000001"), Decimal("0.00000000005")
    assert told == {
        "user": [
            (ann.user_id, "ann", 2, whole + Decimal("1e-11"), whole + 1 + Decimal("1e-11")),
            (bob.user_id, "bob", 1, rest, rest),
            ("", "", 1, Decimal(0), Decimal(0)),
        ],
        "key": [
            (ann.key_id, "key", 2, whole + Decimal("1e-11"), whole + 1 + Decimal("1e-11")),
            (bob.key_id, "key", 1, rest, rest),
            ("", "", 1, Decimal(0), Decimal(0)),
        ],
        "provider": [
            ("openai", "", 3, whole + Decimal("1e-11"), whole + 1 + Decimal("1e-11")),
            ("anthropic", "", 1, rest, rest),
        ],
        "model": [
            ("gpt-4o", "", 2, whole, whole),
            ("gpt-4o-mini", "", 1, Decimal("1e-11"), 1 + Decimal("1e-11")),
            ("claude", "", 1, rest, rest),
        ],
        "day": [
            ("2026-11-21", "", 2, whole, whole),
            ("2026-11-22", "", 2, Decimal("6e-11"), 1 + Decimal("6e-11")),
        ],
    }
    for report in found.values():
        total = report.total
        assert (total.calls, total.failed, total.cancelled, total.unreported, total.unpriced) == (4, 1, 1, 0, 1)
        assert (total.input_tokens, total.output_tokens, total.cache_read_tokens) == (400, 80, 120)
        assert (total.cache_write_tokens, total.reasoning_tokens) == (20, 28)
        assert total.charged == Decimal("4.00000000007")
        assert report.waiting == 0


async def test_days_and_owners_that_were_asked_for(
    database: Database, service: AccountService, environment: Environment, spool: Spool
) -> None:
    ann, bob = await of_two_days(database, service, environment, spool)
    reports = Reports(database, spool)
    first, second = date(2026, 11, 21), date(2026, 11, 22)
    assert (await reports.report("day", first, first)).total.calls == 2
    assert (await reports.report("day", second)).total.calls == 2
    assert (await reports.report("day", None, first)).total.calls == 2
    assert (await reports.report("day", date(2026, 11, 23))).total.calls == 0
    assert (await reports.report("model", key_id=ann.key_id)).total.calls == 2
    assert (await reports.report("model", second, user_id=bob.user_id)).total.calls == 1
    assert (await reports.report("model", key_id="")).total.calls == 1


async def test_a_report_says_how_many_calls_wait(
    database: Database, service: AccountService, environment: Environment, spool: Spool
) -> None:
    await of_two_days(database, service, environment, spool)
    other = Writer(database, "of another machine")
    await other.find_position(0)
    await other.write([(1, encode(call()))], left=7)
    append(environment, spool, call(), call())
    assert (await Reports(database, spool).report("day")).waiting == 9
    assert (await Reports(database).report("day")).waiting == 7


async def test_single_calls_newest_first(
    database: Database, service: AccountService, environment: Environment, spool: Spool
) -> None:
    ann, _ = await of_two_days(database, service, environment, spool)
    reports = Reports(database, spool)
    calls = await reports.calls()
    assert [one.model for one in calls] == ["gpt-4o", "claude", "gpt-4o-mini", "gpt-4o"]
    assert calls[1].ended_at == datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert (calls[1].cost, calls[1].stream, calls[1].reported) == (Decimal("5e-11"), False, True)
    assert (calls[0].priced, calls[0].error_type) == (False, "provider_timeout")
    page = await reports.calls(limit=2)
    assert [*page, *await reports.calls(limit=2, before=page[-1].number)] == list(calls)
    assert await reports.calls(key_id=ann.key_id) == (calls[2], calls[3])
    assert await reports.calls(user_id="") == (calls[0],)
    now = datetime.now(UTC)
    assert await reports.calls(since=now) == ()
    assert await reports.calls(until=now) == calls


@pytest.mark.parametrize("waits", [False, True])
async def test_what_purses_have_spent(
    waits: bool, database: Database, service: AccountService, environment: Environment, spool: Spool
) -> None:
    ann, _ = await of_two_days(database, service, environment, spool)
    mine = {"key_id": ann.key_id, "user_id": ann.user_id}
    more = [call(**mine, cost=100, estimated_cost=11), call(**mine, cost=1000, time=NOON + DAY), call(cost=9)]
    if waits:
        append(environment, spool, *more)
    else:
        await write(database, environment, spool, *more)
    spending = Spending(database, spool)
    spent = {
        purse: await spending.spent(purse)
        for purse in (
            Purse("user", ann.user_id),
            Purse("user", ann.user_id, "2026-11-21"),
            Purse("user", ann.user_id, "2026-11-22"),
            Purse("user", ann.user_id, "2026-11"),
            Purse("key", ann.key_id, "2026-11-22"),
            Purse("key", ann.key_id, "2026-11"),
            Purse("key", ann.key_id, "2026-12"),
            Purse("user", "usr_nobody"),
        )
    }
    first, second = 3 * 10**11 + 112, 10**11 + 1001
    assert list(spent.values()) == [first + second, first, second, first + second, second, first + second, 0, 0]


async def test_what_is_spent_is_never_counted_twice_or_left_out_while_it_is_written(
    database: Database, service: AccountService, environment: Environment, spool: Spool
) -> None:
    ann = await make_account(service, "ann")
    purse, spending = Purse("user", ann.user_id), Spending(database, spool)
    writer = Writer(database, spool.source)
    position = await writer.find_position(spool.last)
    for number in range(1, 31):
        append(environment, spool, call(key_id=ann.key_id, user_id=ann.user_id, cost=1))

        async def flush(position: int = position) -> int:
            calls = spool.read(position, 10)
            await writer.write(calls, left=0)
            await asyncio.sleep(0)
            spool.forget(calls[-1][0], 10)
            return calls[-1][0]

        position, spent, also = await asyncio.gather(flush(), spending.spent(purse), spending.spent(purse))
        assert spent == also == number


async def test_a_database_that_lost_its_place_does_not_keep_a_purse_waiting(
    database: Database, service: AccountService, environment: Environment, spool: Spool
) -> None:
    ann = await make_account(service, "ann")
    mine = {"key_id": ann.key_id, "user_id": ann.user_id}
    numbers = append(environment, spool, call(**mine, cost=1), call(**mine, cost=2))
    spool.forget(numbers[0], 1)
    assert await Spending(database, spool).spent(Purse("user", ann.user_id)) == 2


async def test_credits_of_a_key_there_are_none(database: Database, spool: Spool) -> None:
    with pytest.raises(ValueError, match="credits are a user's"):
        await Spending(database, spool).spent(Purse("key", "key_1"))


@pytest.mark.parametrize(
    ("period", "days"),
    [
        ("2026-11-21", (date(2026, 11, 21), date(2026, 11, 21))),
        ("2026-02", (date(2026, 2, 1), date(2026, 2, 28))),
        ("2028-02", (date(2028, 2, 1), date(2028, 2, 29))),
        ("2026-12", (date(2026, 12, 1), date(2026, 12, 31))),
    ],
)
def test_days_of_a_period(period: str, days: tuple[date, date]) -> None:
    assert days_of(period) == days


TABLE = """\
user                                calls  failed  cancelled  input tokens  output tokens           cost  estimated        charged
ann {ann}      2       0          1           200             40  3.00000000002       1.00  4.00000000002
bob {bob}      1       0          0           100             20  0.00000000005       0.00  0.00000000005
(master key)                            1       1          0           100             20           0.00       0.00           0.00
total                                   4       1          1           400             80  3.00000000007       1.00  4.00000000007
1 call(s) of models without a known price are not in the costs.
1 call(s) wait to be written and are not in the sums.
"""  # noqa: E501  # as it is printed


async def test_the_command_line(
    database_url: str,
    database: Database,
    service: AccountService,
    environment: Environment,
    spool: Spool,
    tmp_path: Path,
) -> None:
    ann, bob = await of_two_days(database, service, environment, spool)
    append(environment, spool, call())
    variables = {
        "TALLYGATE_ACCOUNTS__DATABASE_URL": database_url,
        "TALLYGATE_SHARED__STATE_DIRECTORY": str(environment.directory),
    }
    run = await asyncio.to_thread(tallygate, tmp_path, "usage", **variables)
    assert (run.status, run.err) == (0, "")
    assert run.out == TABLE.format(ann=ann.user_id, bob=bob.user_id)
    arguments = ("usage", "--by", "model", "--since", "2026-11-22", "--user", "ann", "--json")
    run = await asyncio.to_thread(tallygate, tmp_path, *arguments, **variables)
    assert (run.status, run.err) == (0, "")
    totals = {
        "calls": 1, "failed": 0, "cancelled": 1, "unreported": 0, "unpriced": 0, "input_tokens": 100,
        "output_tokens": 20, "cache_read_tokens": 30, "cache_write_tokens": 5, "reasoning_tokens": 7,
        "cost": "0.00000000001", "estimated_input_tokens": 0, "estimated_output_tokens": 0, "estimated_cost": "1.00",
        "charged": "1.00000000001",
    }  # fmt: skip
    assert json.loads(run.out) == {
        "by": "model",
        "lines": [{"group": "gpt-4o-mini", "name": "", "totals": totals}],
        "total": totals,
        "waiting": 1,
    }


def test_the_command_line_about_nobody(sqlite_url: str, tmp_path: Path) -> None:
    variables = {"TALLYGATE_ACCOUNTS__DATABASE_URL": sqlite_url}
    run = tallygate(tmp_path, "usage", "--user", "nobody", **variables)
    assert (run.status, run.out) == (3, "")
    assert run.err.startswith('user: "nobody": ')
    assert len(run.err.splitlines()) == 1


def test_the_command_line_without_a_database(tmp_path: Path) -> None:
    variables = {"TALLYGATE_ACCOUNTS__DATABASE_URL": f"postgresql://someone:secret@/none?host={tmp_path}"}
    run = tallygate(tmp_path, "usage", **variables)
    assert (run.status, run.out) == (1, "")
    assert "secret" not in run.err
    assert run.err.startswith("accounts.database_url: postgresql://someone:")
    assert len(run.err.splitlines()) == 1
