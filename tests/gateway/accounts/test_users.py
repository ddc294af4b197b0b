"""Users: what can be said of them, and what comes of saying something else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tallygate.gateway.accounts.problems import Conflict, Invalid, NotFound
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.caller import Allowance
from tests.gateway.accounts.conftest import Clock
from tests.gateway.accounts.refusals import refused

NEW_YEAR = datetime(2027, 1, 1, 12, tzinfo=UTC)


async def test_a_new_user_is_an_active_one_on_the_free_plan(service: AccountService) -> None:
    user = await service.create_user(name=" Ada ")
    assert (user.name, user.kind, user.status, user.plan) == ("Ada", "user", "active", "free")
    assert (user.prepaid, user.granted, user.spent, user.balance) == (False, 0, 0, 0)
    assert (user.trial_ends_at, user.billing_cycle, user.models) == (None, None, None)
    assert user.allowance == Allowance()
    assert (user.created_at, user.updated_at) == (NEW_YEAR, NEW_YEAR)
    assert len(user.id) == 30
    assert user.id.startswith("usr_")
    assert await service.user(user.id) == await service.user("Ada") == user


async def test_everything_that_can_be_said_is_kept(service: AccountService) -> None:
    given: dict[str, Any] = {
        "name": "Search \u00fc",
        "kind": "team",
        "status": "inactive",
        "plan": "pro",
        "billing_cycle": "yearly",
        "prepaid": True,
        "models": ["gpt-4o", "claude", "gpt-4o"],
    }
    limits: dict[str, Any] = {
        "requests_per_minute": 60,
        "tokens_per_minute": 10**12,
        "concurrency": 3,
        "daily_budget": 10**11,
        "monthly_budget": 10**18,
    }
    user = await service.create_user(**given, **limits)
    assert {name: getattr(user, name) for name in given} == given | {"models": ("claude", "gpt-4o")}
    assert user.allowance == Allowance(**limits)
    assert await service.user(user.id) == user


async def test_only_what_is_given_changes(service: AccountService, clock: Clock, revisions: list[int]) -> None:
    user = await service.create_user(name="Ada", plan="pro", concurrency=2, models=["a"])
    clock.go(hours=1)
    changed = await service.change_user("Ada", concurrency=None, trial_ends_at=datetime(2027, 2, 1, tzinfo=UTC))
    assert (changed.id, changed.plan, changed.models) == (user.id, "pro", ("a",))
    assert changed.allowance == Allowance()
    assert changed.trial_ends_at == datetime(2027, 2, 1, tzinfo=UTC)
    assert (changed.created_at, changed.updated_at) == (NEW_YEAR, NEW_YEAR.replace(hour=13))
    assert await service.user(user.id) == changed
    assert (await service.change_user(user.id, models=None)).models is None
    assert revisions == [1, 2, 3]


async def test_names_are_given_once(service: AccountService) -> None:
    await service.create_user(name="Ada")
    bob = await service.create_user(name="Bob")
    taken = 'name: "Ada": is taken; give another name'
    with refused(Conflict, taken):
        await service.create_user(name="Ada")
    with refused(Conflict, taken):
        await service.change_user(bob.id, name="Ada")
    assert (await service.user(bob.id)).name == "Bob"


async def test_of_two_that_want_a_name_at_once_one_gets_it(service: AccountService) -> None:
    came = await asyncio.gather(*[service.create_user(name="Ada") for _ in range(4)], return_exceptions=True)
    assert sorted(type(one).__name__ for one in came) == ["Conflict", "Conflict", "Conflict", "User"]


@pytest.mark.parametrize("who", ["nobody", "", "usr_0", "\0", "\udc80", "' OR 1=1 --"])
async def test_nobody_is_not_found(service: AccountService, who: str) -> None:
    for ask in (service.user(who), service.change_user(who, plan="pro"), service.grant(who, 1), service.keys(user=who)):
        with refused(NotFound, "user: ...: is nobody's id or name; see `tallygate users list`"):
            await ask


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "name: is missing; give the user a name"),
    ({"name": ""}, 'name: "": is empty; give it a value'),
    ({"name": "  "}, 'name: "  ": is empty; give it a value'),
    ({"name": 5}, "name: 5: is no text; write it as text"),
    ({"name": "a" * 201}, "name: {} is longer than 200 characters; make it shorter"),
    ({"name": "a\nb"}, 'name: "a\\nb": has characters that cannot be shown; use letters, digits and spaces'),
    ({"name": "a\0"}, 'name: "a\\u0000": has characters that cannot be shown; use letters, digits and spaces'),
    ({"kind": "robot"}, 'kind: "robot": is none of user, team; known are user, team'),
    ({"kind": "teem"}, "kind: \"teem\": is none of user, team; did you mean 'team'?"),
    ({"status": "expired"}, 'status: "expired": is none of active, inactive; known are active, inactive'),
    ({"plan": "Pro!"}, 'plan: "Pro!": is no name for a plan; use lower-case letters, digits, - and _, 64 at most'),
    ({"plan": "a" * 65}, "plan: {} is no name for a plan; use lower-case letters, digits, - and _, 64 at most"),
    (
        {"billing_cycle": "montly"},
        "billing_cycle: \"montly\": is none of weekly, monthly, quarterly, yearly; did you mean 'monthly'?",
    ),
    ({"trial_ends_at": "tomorrow"}, 'trial_ends_at: "tomorrow": is no time; write it as in 2027-01-31T00:00:00Z'),
    (
        {"trial_ends_at": datetime(2027, 1, 1)},
        'trial_ends_at: "2027-01-01T00:00:00": has no time zone; end it with Z for UTC, or with +01:00',
    ),
    (
        {"trial_ends_at": NEW_YEAR, "billing_cycle": "monthly"},
        'billing_cycle: "monthly": goes with a subscription, not with a trial; clear it, or trial_ends_at',
    ),
    ({"prepaid": 1}, "prepaid: 1: is no truth value; use true or false"),
    ({"models": "gpt-4o"}, 'models: "gpt-4o": is no list of models; write their names as a list'),
    ({"models": []}, 'models: "[]": names no model; leave it out to allow all'),
    ({"models": [""]}, 'models: "": is empty; give it a value'),
    ({"models": list("a" * 1001)}, "models: 1001: names more than 1000 models; leave it out to allow all"),
    ({"concurrency": 0}, "concurrency: 0: is not between 1 and 2147483647; use a number in these bounds"),
    ({"concurrency": 2**31}, "concurrency: 2147483648: is not between 1 and 2147483647; use a number in these bounds"),
    ({"concurrency": 1.5}, "concurrency: 1.5: is no whole number; write one, or leave it out"),
    ({"concurrency": True}, "concurrency: true: is no whole number; write one, or leave it out"),
    ({"daily_budget": -1}, "daily_budget: -1: is not between 0 and 1000000000000000000; use a number in these bounds"),
    ({"granted": 5}, "granted: there is no such field; known are name, kind, status, plan, trial_ends_at, "),
    ({"concurency": 5}, "concurency: there is no such field; did you mean 'concurrency'?"),
]


@pytest.mark.parametrize(("given", "said"), WRONG, ids=[said[:40] for _, said in WRONG])
async def test_what_cannot_be_is_told_by_field_value_and_mend(given: dict[str, Any], said: str) -> None:
    """Before the database is asked: there is none."""
    unused: Any = None
    service = AccountService(unused)
    named = given if not given or "name" in given else {"name": "Ada", **given}
    with pytest.raises(Invalid) as raised:
        await service.create_user(**named)
    before, _, after = said.partition(" {} ")
    assert str(raised.value).startswith(before)
    assert after in str(raised.value)
    assert raised.value.field == said.partition(":")[0]


async def test_a_trial_and_a_subscription_do_not_come_together_by_a_change_either(service: AccountService) -> None:
    await service.create_user(name="Ada", billing_cycle="monthly")
    with refused(
        Invalid, 'billing_cycle: "monthly": goes with a subscription, not with a trial; clear it, or trial_ends_at'
    ):
        await service.change_user("Ada", trial_ends_at=NEW_YEAR)
    user = await service.change_user("Ada", trial_ends_at=NEW_YEAR, billing_cycle=None)
    assert (user.trial_ends_at, user.billing_cycle) == (NEW_YEAR, None)


async def test_lists_come_in_pages_by_age(service: AccountService) -> None:
    made = [
        await service.create_user(name=f"u{number}", plan="pro" if number % 2 else "free", kind="team")
        for number in range(5)
    ]
    await service.change_user("u1", status="inactive")
    first = await service.users(limit=2)
    second = await service.users(limit=2, after=first.next)
    third = await service.users(limit=2, after=second.next)
    assert {user.id for page in (first, second, third) for user in page.items} == {user.id for user in made}
    assert (len(first.items), len(second.items), len(third.items), third.next) == (2, 2, 1, None)
    assert (await service.users(limit=5)).next is None
    assert {user.name for user in (await service.users(plan="pro")).items} == {"u1", "u3"}
    assert {user.name for user in (await service.users(status="active", kind="team", plan="pro")).items} == {"u3"}
    assert (await service.users(kind="user")).items == ()
    with refused(Invalid, "limit: 1001: is not between 1 and 1000..."):
        await service.users(limit=1001)


async def test_concurrent_changes_of_different_fields_all_hold(service: AccountService) -> None:
    await service.create_user(name="Ada")
    await asyncio.gather(
        service.change_user("Ada", plan="pro"),
        service.change_user("Ada", prepaid=True),
        service.change_user("Ada", concurrency=7),
        service.grant("Ada", 5),
    )
    user = await service.user("Ada")
    assert (user.plan, user.prepaid, user.allowance.concurrency, user.granted) == ("pro", True, 7, 5)
