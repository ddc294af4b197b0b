"""Keys made through the admin API call models; what they use is reported, and a key turned off works no more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.gateway.admin.asking import Admin, administered
from tests.gateway.apis import APIS
from tests.gateway.provided import until
from tests.gateway.running import Answer, ask

CHAT = APIS[0]
PRICE = {"m": {"input": "1000", "output": "2000"}}


@pytest_asyncio.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with administered(tmp_path, prices=PRICE, usage={"flush_seconds": 0.02}) as api:
        yield api


async def call(admin: Admin, secret: str, stream: bool = False) -> Answer:
    return await ask(
        admin.running.url + CHAT.path("m", stream), CHAT.body("m", stream), {"authorization": f"Bearer {secret}"}
    )


async def made(admin: Admin, user: str, key: str) -> tuple[str, str]:
    """Id and secret of a new key."""
    new = await admin.ask("POST", "/keys", {"user": user, "name": key}, status=201)
    return new["key"]["id"], new["secret"]


async def written(admin: Admin) -> dict[str, Any]:
    """The report once nothing waits for the database any more."""
    while (report := await admin.ask("GET", "/usage?by=key"))["waiting"]:
        continue
    return dict(report)


async def test_what_keys_use_is_reported(admin: Admin) -> None:
    user = await admin.ask("POST", "/users", {"name": "research"}, status=201)
    other = await admin.ask("POST", "/users", {"name": "support"}, status=201)
    one, secret_one = await made(admin, "research", "ci")
    two, secret_two = await made(admin, "support", "bot")
    usages = [json.loads((await call(admin, secret_one)).body)["usage"] for _ in range(2)]
    usages.append(json.loads((await call(admin, secret_two)).body)["usage"])
    await until(lambda: admin.running.total("tallygate_llm_calls_total") == 3)
    report = await written(admin)
    total = report["total"]
    assert (total["calls"], total["failed"], total["unpriced"]) == (3, 0, 0)
    assert total["input_tokens"] == sum(usage["prompt_tokens"] for usage in usages)
    assert total["output_tokens"] == sum(usage["completion_tokens"] for usage in usages)
    cost = (total["input_tokens"] * 1000 + total["output_tokens"] * 2000) / 1_000_000
    assert total["cost"] == total["charged"] == f"{cost:.3f}".rstrip("0").ljust(4, "0")
    assert {(line["group"], line["name"]): line["totals"]["calls"] for line in report["lines"]} == {
        (one, "ci"): 2,
        (two, "bot"): 1,
    }
    by_user = await admin.ask("GET", "/usage")
    assert {(line["group"], line["name"]): line["totals"]["calls"] for line in by_user["lines"]} == {
        (user["id"], "research"): 2,
        (other["id"], "support"): 1,
    }
    by_model = await admin.ask("GET", "/usage?by=model&user=research&since=2020-01-01&until=2999-12-31")
    assert [(line["group"], line["totals"]["calls"]) for line in by_model["lines"]] == [("m", 2)]
    assert (await admin.ask("GET", "/usage?by=day&until=2020-01-01"))["lines"] == []
    first = await admin.ask("GET", "/usage/calls?limit=2")
    rest = await admin.ask("GET", f"/usage/calls?limit=2&before={first['next']}")
    told = first["items"] + rest["items"]
    assert [(one["key_id"], one["outcome"], one["stream"]) for one in told] == [
        (two, "completed", False),
        (one, "completed", False),
        (one, "completed", False),
    ]
    assert rest["next"] is None
    assert len((await admin.ask("GET", f"/usage/calls?key={two}&since=2020-01-01T00:00:00Z"))["items"]) == 1


async def test_a_change_is_felt_at_once(admin: Admin) -> None:
    await admin.ask("POST", "/users", {"name": "research"}, status=201)
    key, secret = await made(admin, "research", "ci")
    assert (await call(admin, secret)).status == 200
    await admin.ask("PATCH", f"/keys/{key}", {"status": "inactive"})
    assert (await call(admin, secret)).status == 401
    await admin.ask("PATCH", f"/keys/{key}", {"status": "active"})
    assert (await call(admin, secret)).status == 200
    rotated = await admin.ask("POST", f"/keys/{key}/rotate")
    assert (await call(admin, secret)).status == 401
    assert (await call(admin, rotated["secret"])).status == 200
    await admin.ask("PATCH", "/users/research", {"status": "inactive"})
    assert (await call(admin, rotated["secret"])).status == 403


async def test_wrong_questions(admin: Admin) -> None:
    assert await admin.problem("GET", "/usage?by=colour") == (
        "by",
        '"colour"',
        'by: "colour": is none of key, user, provider, model, day; known are key, user, provider, model, day',
    )
    assert (await admin.problem("GET", "/usage?since=yesterday"))[:2] == ("since", '"yesterday"')
    assert (await admin.problem("GET", "/usage?key=nobody", status=404))[:2] == ("key", '"nobody"')
    assert (await admin.problem("GET", "/usage/calls?user=nobody", status=404))[:2] == ("user", '"nobody"')
    for moment in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        assert (await admin.ask("GET", f"/usage/calls?since={moment}&until={moment}"))["items"] == []
