"""Users, keys and credits through the admin API, on a real socket and a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog

from tests.gateway.admin.asking import ADMIN_KEY, Admin, administered

NO_LIMITS = dict.fromkeys(("requests_per_minute", "tokens_per_minute", "concurrency", "daily_budget", "monthly_budget"))


@pytest_asyncio.fixture
async def everywhere(tmp_path: Path, database_url: str) -> AsyncIterator[Admin]:
    """Over each kind of database in turn."""
    async with administered(tmp_path, database_url) as api:
        yield api


@pytest_asyncio.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with administered(tmp_path) as api:
        yield api


def without_times(told: dict[str, Any]) -> dict[str, Any]:
    assert told["created_at"].endswith("Z")
    return {name: value for name, value in told.items() if name not in ("created_at", "updated_at")}


async def test_the_life_of_a_user(admin: Admin) -> None:
    made = await admin.ask("POST", "/users", {"name": "research"}, status=201)
    plain = {
        "id": made["id"],
        "name": "research",
        "kind": "user",
        "status": "active",
        "plan": "free",
        "trial_ends_at": None,
        "billing_cycle": None,
        "prepaid": False,
        "granted": "0.00",
        "spent": "0.00",
        "balance": "0.00",
        "models": None,
        "limits": NO_LIMITS,
    }
    assert without_times(made) == plain
    assert await admin.ask("GET", "/users/research") == made
    assert await admin.ask("GET", f"/users/{made['id']}") == made
    change = {
        "name": "lab one",
        "kind": "team",
        "plan": "pro",
        "billing_cycle": "monthly",
        "prepaid": True,
        "models": ["m2", "m1"],
        "requests_per_minute": 60,
        "tokens_per_minute": 100_000,
        "concurrency": 4,
        "daily_budget": "12.5",
        "monthly_budget": "0.00000000001",
    }
    changed = await admin.ask("PATCH", "/users/research", change)
    limits = {
        "requests_per_minute": 60,
        "tokens_per_minute": 100_000,
        "concurrency": 4,
        "daily_budget": "12.50",
        "monthly_budget": "0.00000000001",
    }
    kept = {name: value for name, value in change.items() if name not in limits} | {"models": ["m1", "m2"]}
    assert without_times(changed) == {**plain, **kept, "limits": limits}
    # What is left out stays; null takes away.
    cleared = await admin.ask("PATCH", "/users/lab%20one", {"models": None, "daily_budget": None, "status": "inactive"})
    assert (cleared["models"], cleared["status"], cleared["plan"]) == (None, "inactive", "pro")
    assert cleared["limits"] == limits | {"daily_budget": None}


async def test_the_life_of_a_key(everywhere: Admin) -> None:
    admin = everywhere
    user = await admin.ask("POST", "/users", {"name": "research"}, status=201)
    draft = {"user": "research", "name": "ci", "models": ["m"], "expires_at": "2999-01-01T01:00:00+01:00"}
    made = await admin.ask("POST", "/keys", draft, status=201)
    key, secret = made["key"], made["secret"]
    assert without_times(key) == {
        "id": key["id"],
        "user_id": user["id"],
        "name": "ci",
        "prefix": secret[:9],
        "status": "active",
        "expires_at": "2999-01-01T00:00:00Z",
        "models": ["m"],
        "caches": False,
        "limits": NO_LIMITS,
    }
    assert made["previous_until"] is None
    assert await admin.ask("GET", f"/keys/{key['id']}") == key
    rotated = await admin.ask("POST", f"/keys/{key['id']}/rotate", {"grace_seconds": 60})
    assert rotated["secret"] != secret
    assert rotated["key"]["prefix"] == rotated["secret"][:9]
    assert rotated["previous_until"].endswith("Z")
    once_more = await admin.ask("POST", f"/keys/{key['id']}/rotate")
    assert once_more["secret"] not in (secret, rotated["secret"])
    off = await admin.ask("PATCH", f"/keys/{key['id']}", {"status": "inactive", "concurrency": 2, "caches": True})
    assert (off["status"], off["limits"]["concurrency"], off["caches"]) == ("inactive", 2, True)
    # A secret is told once.
    told = [
        await admin.raw("GET", path) for path in ("/users", "/keys", f"/keys/{key['id']}", "/users/research/credits")
    ]
    for one in (secret, rotated["secret"], once_more["secret"]):
        assert not any(one.encode() in answer.body for answer in told)


async def test_credits(admin: Admin) -> None:
    await admin.ask("POST", "/users", {"name": "research"}, status=201)
    granted = await admin.ask("POST", "/users/research/credits", {"amount": "20.00000000001", "note": "to begin with"})
    assert (granted["credit"]["amount"], granted["credit"]["note"]) == ("20.00000000001", "to begin with")
    taken = await admin.ask("POST", "/users/research/credits", {"amount": "-0.5"})
    assert (taken["credit"]["amount"], taken["user"]["granted"]) == ("-0.50", "19.50000000001")
    assert taken["user"]["balance"] == "19.50000000001"
    listed = await admin.ask("GET", "/users/research/credits")
    assert listed == {"items": [granted["credit"], taken["credit"]], "next": None}


async def test_the_same_grant_sent_again_is_made_once(everywhere: Admin) -> None:
    admin = everywhere
    await admin.ask("POST", "/users", {"name": "research"}, status=201)
    once, path = {"idempotency-key": "order 17"}, "/users/research/credits"
    first = await admin.ask("POST", path, {"amount": "5"}, once)
    again = await admin.ask("POST", path, {"amount": "5"}, once)
    assert again["credit"] == first["credit"]
    assert again["user"]["granted"] == "5.00"
    other = await admin.ask("POST", path, {"amount": "6"}, once, status=409)
    assert other["detail"] == (
        'idempotency_key: "order 17": stands for another grant, of 5.00 USD; use a new one for a new grant'
    )


async def test_what_is_there_is_not_made_twice(admin: Admin) -> None:
    await admin.ask("POST", "/users", {"name": "research"}, status=201)
    await admin.ask("POST", "/keys", {"user": "research", "name": "ci"}, status=201)
    taken = 'name: "research": is taken; give another name'
    assert await admin.problem("POST", "/users", {"name": "research"}, status=409) == ("name", '"research"', taken)
    assert (await admin.problem("POST", "/keys", {"user": "research", "name": "ci"}, status=409))[2] == (
        'name: "ci": is taken; give another name, or rotate the key that has it'
    )


async def test_pages(admin: Admin) -> None:
    names = [f"user {number}" for number in range(5)]
    for number, name in enumerate(names):
        await admin.ask("POST", "/users", {"name": name, "kind": "team" if number % 2 else "user"}, status=201)
    found: list[str] = []
    path = "/users?limit=2"
    while True:
        page = await admin.ask("GET", path)
        assert len(page["items"]) <= 2
        found += [user["name"] for user in page["items"]]
        if page["next"] is None:
            break
        path = f"/users?limit=2&after={page['next']}"
    assert found == names
    teams = await admin.ask("GET", "/users?kind=team&status=active&plan=free")
    assert [user["name"] for user in teams["items"]] == ["user 1", "user 3"]
    await admin.ask("POST", "/keys", {"user": "user 1", "name": "k"}, status=201)
    await admin.ask("POST", "/keys", {"user": "user 2", "name": "k", "status": "inactive"}, status=201)
    assert len((await admin.ask("GET", "/keys"))["items"]) == 2
    assert len((await admin.ask("GET", "/keys?user=user%201"))["items"]) == 1
    assert len((await admin.ask("GET", "/keys?status=inactive"))["items"]) == 1
    assert (await admin.ask("GET", "/keys?status=expired"))["items"] == []


async def test_requests_are_counted_by_their_template(admin: Admin) -> None:
    await admin.ask("POST", "/users", {"name": "research"}, status=201)
    await admin.ask("GET", "/users/research")
    await admin.ask("GET", "/users/nobody", status=404)
    await admin.ask("GET", "/users/research/secrets", status=404)
    await Admin(admin.running, "wrong").ask("GET", "/users", status=401)
    page = admin.running.page()
    samples = {
        tuple(dict(labels)[name] for name in ("method", "route", "status_code")): value
        for (name, labels), value in page.samples.items()
        if name == "tallygate_http_requests_total"
    }
    assert samples == {
        ("POST", "/admin/users", "201"): 1,
        ("GET", "/admin/users/{user}", "200"): 1,
        ("GET", "/admin/users/{user}", "404"): 1,
        ("GET", "/admin/*", "404"): 1,
        ("GET", "/admin/users", "401"): 1,
    }
    assert page.total("tallygate_http_requests_in_flight") == 0


async def test_changes_are_logged_without_secrets(admin: Admin) -> None:
    with structlog.testing.capture_logs() as logged:
        await admin.ask("POST", "/users", {"name": "research"}, status=201)
        made = await admin.ask("POST", "/keys", {"user": "research", "name": "ci"}, status=201)
        await admin.ask("POST", "/users", {"name": "research"}, status=409)
        await admin.ask("GET", "/users")
        await admin.ask("PATCH", f"/keys/{made['key']['id']}", {"status": "inactive"})
    changes = [one for one in logged if one["event"] == "admin change"]
    assert [(one["operation"], one["path"], one["client"]) for one in changes] == [
        ("createUser", "/admin/users", "127.0.0.1"),
        ("createKey", "/admin/keys", "127.0.0.1"),
        ("changeKey", f"/admin/keys/{made['key']['id']}", "127.0.0.1"),
    ]
    assert made["secret"] not in str(logged)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ADMIN_KEY},
        {"authorization": f"Bearer {ADMIN_KEY}x"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer \xff"},
        {"authorization": "", "x-api-key": ADMIN_KEY[:-1]},
        {"authorization": ""},
    ],
)
async def test_only_the_admin_key_opens_it(tmp_path: Path, headers: dict[str, str]) -> None:
    async with administered(tmp_path, server={"master_key": "master-key"}) as admin:
        for path in ("/users", "/openapi.json", "", "/nowhere", f"/users?key={ADMIN_KEY}"):
            told = await admin.ask("GET", path, headers=headers, status=401)
            assert told["title"] == "Unauthorized"
            assert told["mend"] in ("send the admin key", "send the key of accounts.admin_key")
        assert (await Admin(admin.running, "master-key").raw("GET", "/users")).status == 401
        assert (await admin.raw("GET", "/users", headers={"authorization": "", "x-api-key": ADMIN_KEY})).status == 200
