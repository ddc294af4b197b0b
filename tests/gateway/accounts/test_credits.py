"""Credits: exact, granted once, whoever else grants at the same moment."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.gateway.accounts.money import MOST_UNITS, units_of, usd_of
from tallygate.gateway.accounts.problems import Conflict, Invalid
from tallygate.gateway.accounts.service import AccountService
from tallygate.pricing import UNITS_PER_USD
from tests.gateway.accounts.refusals import refused


async def test_grants_and_corrections_add_up(service: AccountService, revisions: list[int]) -> None:
    await service.create_user(name="Ada")
    first = await service.grant("Ada", 25 * UNITS_PER_USD, note="invoice 7")
    assert (first.user.granted, first.user.balance, first.repeated) == (25 * UNITS_PER_USD, 25 * UNITS_PER_USD, False)
    assert (first.credit.amount, first.credit.note, first.credit.idempotency_key) == (
        25 * UNITS_PER_USD,
        "invoice 7",
        None,
    )
    assert (await service.grant("Ada", -1)).user.granted == 25 * UNITS_PER_USD - 1
    assert [(one.amount, one.note) for one in (await service.credits("Ada")).items] == [
        (25 * UNITS_PER_USD, "invoice 7"),
        (-1, ""),
    ]
    assert (await service.user("Ada")).granted == 25 * UNITS_PER_USD - 1
    assert revisions == [1, 2, 3]


async def test_the_same_grant_twice_is_one(service: AccountService) -> None:
    await service.create_user(name="Ada")
    await service.create_user(name="Bob")
    first = await service.grant("Ada", 5, note="May", idempotency_key="may-2027")
    again = await service.grant("Ada", 5, note="May", idempotency_key="may-2027")
    assert (again.credit, again.user.granted, again.repeated) == (first.credit, 5, True)
    assert (await service.grant("Bob", 5, idempotency_key="may-2027")).repeated is False
    for amount, note in ((6, "May"), (5, "June")):
        with refused(
            Conflict,
            'idempotency_key: "may-2027": stands for another grant, of 0.00000000005 USD; '
            "use a new one for a new grant",
        ):
            await service.grant("Ada", amount, note=note, idempotency_key="may-2027")
    assert (await service.user("Ada")).granted == 5


async def test_concurrent_grants_all_count_and_repeated_ones_once(service: AccountService) -> None:
    await service.create_user(name="Ada")
    await asyncio.gather(
        *[service.grant("Ada", 1) for _ in range(10)],
        *[service.grant("Ada", 100, idempotency_key="once") for _ in range(10)],
    )
    assert (await service.user("Ada")).granted == 110
    assert sorted(one.amount for one in (await service.credits("Ada")).items) == [1] * 10 + [100]


async def test_what_cannot_be_granted(service: AccountService) -> None:
    await service.create_user(name="Ada")
    await service.grant("Ada", 10)
    with refused(Invalid, "amount: 0: is nothing; grant more, or take away less, than 0"):
        await service.grant("Ada", 0)
    with refused(Invalid, "amount: 1000000000000000001: is not between..."):
        await service.grant("Ada", MOST_UNITS + 1)
    with refused(
        Invalid,
        'amount: "-0.00000000011": would make the credits ever granted -0.00000000001 USD; '
        "they were 0.0000000001, and stay between 0 and 90000000.00",
    ):
        await service.grant("Ada", -11)
    with refused(Invalid, 'idempotency_key: "": is empty; give it a value'):
        await service.grant("Ada", 1, idempotency_key="")
    with refused(Invalid, "note: ... is longer than 500 characters; make it shorter"):
        await service.grant("Ada", 1, note="n" * 501)
    for _ in range(8):
        await service.grant("Ada", MOST_UNITS)
    with refused(Invalid, 'amount: "10000000.00": would make the credits ever granted 90000000.0000000001 USD; ...'):
        await service.grant("Ada", MOST_UNITS)
    assert (await service.user("Ada")).granted == 8 * MOST_UNITS + 10


async def test_credits_come_in_pages(service: AccountService) -> None:
    await service.create_user(name="Ada")
    for amount in (1, 2, 3):
        await service.grant("Ada", amount)
    first = await service.credits("Ada", limit=2)
    second = await service.credits("Ada", limit=2, after=first.next)
    assert sorted(one.amount for page in (first, second) for one in page.items) == [1, 2, 3]
    assert second.next is None


@given(st.integers(-MOST_UNITS, MOST_UNITS))
def test_money_is_exact_there_and_back(units: int) -> None:
    assert units_of(usd_of(units), "amount") == units
    assert Decimal(usd_of(units)) * UNITS_PER_USD == units


@pytest.mark.parametrize(
    ("usd", "units"),
    [("25", 25 * 10**11), ("0.5", 5 * 10**10), (" 1e-11 ", 1), (Decimal("-2.50"), -25 * 10**10), (3, 3 * 10**11)],
)
def test_usd_as_people_write_it(usd: str | int | Decimal, units: int) -> None:
    assert units_of(usd, "amount") == units


@pytest.mark.parametrize(
    ("usd", "said"),
    [
        ("much", 'amount: "much": is no amount; write USD with a decimal point, as in 12.50'),
        ("1,5", 'amount: "1,5": is no amount; write USD with a decimal point, as in 12.50'),
        ("NaN", 'amount: "NaN": is no amount; write USD with a decimal point, as in 12.50'),
        ("-Infinity", 'amount: "-Infinity": is no amount; write USD with a decimal point, as in 12.50'),
        ("1e99999", 'amount: "1e99999": is too much; use at most 10000000 USD at once'),
        ("100000000", 'amount: "100000000": is too much; use at most 10000000 USD at once'),
        ("1e-12", 'amount: "1e-12": is too fine; use at most 11 digits after the point'),
        ("1e-99999", 'amount: "1e-99999": is too fine; use at most 11 digits after the point'),
    ],
)
def test_what_is_no_amount(usd: str, said: str) -> None:
    with pytest.raises(Invalid) as raised:
        units_of(usd, "amount")
    assert str(raised.value) == said


def test_usd_are_shown_with_two_digits_at_least() -> None:
    assert [usd_of(units) for units in (0, 1, -1, 10**11, 125 * 10**9, -(10**18))] == [
        "0.00", "0.00000000001", "-0.00000000001", "1.00", "1.25", "-10000000.00",
    ]  # fmt: skip
