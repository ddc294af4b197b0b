"""What is wrong with a request to the admin API is told with the field, its value and what mends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tallygate.gateway.database import Database, DatabaseAway
from tallygate.gateway.settings import ConfigurationError, load
from tests.gateway.admin.asking import ADMIN_KEY, Admin, administered
from tests.gateway.raw import connected

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEEP = b"[" * 100_000
COUNT = "is not between 1 and 2147483647; use a number in these bounds"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Admin]:
    async with administered(tmp_path_factory.mktemp("admin"), limits={"body_seconds": 0.2}) as api:
        yield api


@pytest.mark.parametrize(
    ("given", "field", "value", "said"),
    [
        ({}, "name", "", "is missing; add it"),
        ({"nam": "x"}, "nam", "", "there is no such field; did you mean 'name'?"),
        ({"name": ""}, "name", '""', "is empty; give it a value"),
        ({"name": "  "}, "name", '"  "', "is empty; give it a value"),
        ({"name": 5}, "name", "5", "is no text; write it as text"),
        ({"name": None}, "name", "", "is no text; write it as text"),
        ({"name": "a\nb"}, "name", '"a\\nb"', "has characters that cannot be shown; use letters, digits and spaces"),
        ({"name": "x", "kind": "robot"}, "kind", '"robot"', "is none of user, team; known are user, team"),
        ({"name": "x", "plan": "Pro!"}, "plan", '"Pro!"', None),
        ({"name": "x", "prepaid": "yes"}, "prepaid", '"yes"', "is no truth value; use true or false"),
        ({"name": "x", "concurrency": 0}, "concurrency", "0", COUNT),
        ({"name": "x", "concurrency": 2**31}, "concurrency", "2147483648", COUNT),
        ({"name": "x", "concurrency": 1.5}, "concurrency", "1.5", "is no whole number; write one, or leave it out"),
        ({"name": "x", "concurrency": True}, "concurrency", "true", "is no whole number; write one, or leave it out"),
        ({"name": "x", "daily_budget": 12.5}, "daily_budget", "12.5", 'is no text; write USD in quotes, as in "12.50"'),
        (
            {"name": "x", "daily_budget": "lots"},
            "daily_budget",
            '"lots"',
            "is no amount; write USD with a decimal point, as in 12.50",
        ),
        (
            {"name": "x", "daily_budget": "1e400"},
            "daily_budget",
            '"1e400"',
            "is too much; use at most 10000000 USD at once",
        ),
        ({"name": "x", "daily_budget": "-1"}, "daily_budget", '"-1"', None),
        (
            {"name": "x", "daily_budget": "0.000000000001"},
            "daily_budget",
            '"0.000000000001"',
            "is too fine; use at most 11 digits after the point",
        ),
        ({"name": "x", "models": []}, "models", '"[]"', "names no model; leave it out to allow all"),
        ({"name": "x", "models": "m"}, "models", '"m"', "is no list of models; write their names as a list"),
        ({"name": "x", "models": ["m", 1]}, "models", "1", "is no text; write it as text"),
        (
            {"name": "x", "trial_ends_at": "soon"},
            "trial_ends_at",
            '"soon"',
            "is no time; write it as in 2027-01-31T00:00:00Z",
        ),
        (
            {"name": "x", "trial_ends_at": "2027-01-31T00:00:00"},
            "trial_ends_at",
            '"2027-01-31T00:00:00"',
            "is no time; write it as in 2027-01-31T00:00:00Z",
        ),
    ],
)
async def test_fields(admin: Admin, given: Any, field: str, value: str | None, said: str | None) -> None:
    told_field, told_value, detail = await admin.problem("POST", "/users", given)
    assert told_field == field
    if value is not None:
        assert told_value == value
    assert detail.startswith(f"{field}: ")
    if said is not None:
        assert detail == f"{field}: {value + ': ' if value else ''}{said}"
    assert (await admin.ask("GET", "/users"))["items"] == []


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is no JSON: Input data was truncated"),
        (b"{", "the body is no JSON: Input data was truncated"),
        (b"\xff", "the body is no JSON: JSON is malformed: invalid character (byte 0)"),
        (b"[]", "the body is no JSON object"),
        (b"5", "the body is no JSON object"),
        (DEEP + b"]" * 100_000, "the body is nested too deeply"),
        (DEEP, "the body is nested too deeply"),
        (b'{"name":1e9999}', "the body is no JSON: Number out of range - at `$[...]`"),
        (b'{"name":"\\ud800"}', "the body is no JSON: Input data was truncated"),
        (b'{"name":"\xff"}', None),
    ],
)
async def test_bodies(admin: Admin, body: bytes, detail: str | None) -> None:
    answer = await admin.raw("POST", "/users", body)
    assert answer.status == 400, answer
    told = json.loads(answer.body)
    assert detail is None or told["detail"] == detail
    assert told["title"] == "Bad Request"


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", 'limit: "0": is not between 1 and 1000; use a number in these bounds'),
        ("limit=many", 'limit: "many": is no whole number; write one, or leave it out'),
        ("limit=1&limit=2", "limit: is there twice; leave one"),
        ("size=5", "size: there is no such field; known are limit, after, kind, status, plan"),
        ("after=", 'after: "": is empty; give it a value'),
        ("after=%00", 'after: "\\u0000": has characters that cannot be shown; use letters, digits and spaces'),
        ("kind=%ff", None),
    ],
)
async def test_queries(admin: Admin, query: str, detail: str | None) -> None:
    told = await admin.problem("GET", f"/users?{query}")
    assert detail is None or told[2].replace(": 0:", ': "0":') == detail


@pytest.mark.parametrize("name", ["nobody", "%00", "%ff", "..", "%ed%a0%80", "x" * 5000])
async def test_nobody(admin: Admin, name: str) -> None:
    for method, path, body in (
        ("GET", f"/users/{name}", None),
        ("PATCH", f"/users/{name}", {}),
        ("POST", f"/users/{name}/credits", {"amount": "1"}),
        ("GET", f"/users/{name}/credits", None),
        ("GET", f"/keys/{name}", None),
        ("PATCH", f"/keys/{name}", {}),
        ("POST", f"/keys/{name}/rotate", {}),
    ):
        assert (await admin.problem(method, path, body, status=404))[0] in ("user", "key")
    assert (await admin.problem("POST", "/keys", {"user": "nobody", "name": "k"}, status=404))[0] == "user"


@pytest.mark.parametrize("key", ["", " ", "\xe9", "x" * 201, "a\tb"])
async def test_keys_of_grants(admin: Admin, key: str) -> None:
    answer = await admin.raw("POST", "/users/nobody/credits", b'{"amount":"1"}', {"idempotency-key": key})
    assert answer.status == 400
    assert json.loads(answer.body)["field"].lower().replace("-", "_") == "idempotency_key"


async def test_paths_and_methods(admin: Admin) -> None:
    for path in ("", "/", "/users/", "/users/a/b", "/keys/a/rotate/", "/openapi.jsonx"):
        assert (await admin.problem("GET", path, status=404))[2] == "the admin API has no such path"
    for path, allowed in (("/users", "GET, POST"), ("/users/x", "GET, PATCH"), ("/keys/x/rotate", "POST")):
        answer = await admin.raw("DELETE", path)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)
    head = await admin.raw("HEAD", "/users")
    assert (head.status, head.body) == (200, b"")


async def test_bodies_that_are_too_large_or_too_slow(admin: Admin) -> None:
    answer = await admin.raw("POST", "/users", b" " * (1024 * 1024 + 1))
    assert (answer.status, json.loads(answer.body)["detail"]) == (413, "the body is larger than 1048576 bytes")
    head = f"POST /admin/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Length: 9\r\n\r\n"
    async with connected(admin.running) as (reader, writer), asyncio.timeout(15):
        writer.write(head.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 408 ")


async def test_a_database_that_is_away(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise DatabaseAway("postgresql://u:********@h/d: connection refused")

    monkeypatch.setattr(Database, "reading", away)
    answer = await admin.raw("GET", "/users")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert json.loads(answer.body) == {
        "title": "Service Unavailable",
        "status": 503,
        "detail": "the database of the accounts cannot be reached",
        "mend": "try again",
    }


async def test_a_defect_is_a_500_that_tells_nothing(
    admin: Admin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Database, "reading", broken)
    answer = await admin.raw("GET", "/users")
    assert answer.status == 500
    assert json.loads(answer.body)["detail"] == "the gateway failed to serve this request"


async def test_without_an_admin_key_there_is_nothing(tmp_path: Path) -> None:
    async with administered(tmp_path, accounts={"enabled": True, "database_url": f"sqlite:///{tmp_path}/a.db"}) as off:
        answer = await off.raw("GET", "/users")
    assert answer.status in (401, 404)
    assert b"admin" not in answer.body


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[accounts]\nenabled = true\nadmin_key = "short"',
            "accounts.admin_key in FILE: is shorter than 20 characters, so it could be guessed; "
            "make one with `openssl rand -hex 32`",
        ),
        (
            f'[accounts]\nadmin_key = "{ADMIN_KEY}"',
            "accounts.admin_key in FILE: is set, but there are no accounts; set accounts.enabled = true, or remove it",
        ),
        (
            f'[server]\nmaster_key = "{ADMIN_KEY}"\n[accounts]\nenabled = true\nadmin_key = "{ADMIN_KEY}"',
            "accounts.admin_key in FILE: is the master key too, which callers know; make another for each",
        ),
    ],
)
async def test_keys_that_protect_nothing(tmp_path: Path, text: str, line: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(text + '\n[providers.local]\nbase_url = "http://127.0.0.1:8000/v1"\n')
    with pytest.raises(ConfigurationError) as error:
        load({}, file, {}, None)
    assert [str(problem).replace(str(file), "FILE") for problem in error.value.problems] == [line]
