"""Hits with accounts: whose they are, and that they cost nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tallygate.gateway.accounts.directory import Directory
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.usage.ledger import Ledger
from tests.gateway.cache.asking import USE, Cached, cached, parts_of
from tests.gateway.running import Answer, ask
from tests.gateway.usage.entries import written

ADMIN_KEY = "admin-key-of-this-gateway-0123456789"
PRICE = {"input": "1.5", "output": "6"}
COST = (10 * 150 + 12 * 600) * 1000
"""Of a call with 10 tokens in and 12 out, in units of 10^-11 USD; as many are reserved for its output, more for its
input."""
ENOUGH_FOR_TWO = 3 * COST


def accounted(directory: Path, **more: Any) -> dict[str, Any]:
    """Settings of a gateway with accounts."""
    return {
        "accounts": {"enabled": True, "database_url": f"sqlite:///{directory / 'accounts.db'}"},
        "shared": {"state_directory": str(directory / "state"), **more},
        "prices": {"gpt-4o": PRICE, "gpt-4.1": PRICE},
        "usage": {"flush_seconds": 0.01},
    }


def service_of(running: Cached) -> AccountService:
    parts = parts_of(running.gateway.app)
    assert parts.database is not None
    assert isinstance(parts.accounts, Directory)
    return AccountService(parts.database, changed=parts.accounts.tell)


def bearer(secret: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}", **more}


async def test_a_hit_costs_no_credits_and_is_no_call_in_the_ledger(tmp_path: Path, store: dict[str, Any]) -> None:
    settings = accounted(tmp_path, **store.pop("settings", {}).get("shared", {}))
    async with cached(settings, **store) as running:
        service, parts = service_of(running), parts_of(running.gateway.app)
        await service.create_user(name="Ada", prepaid=True, concurrency=1)
        await service.grant("Ada", ENOUGH_FOR_TWO)
        secret = (await service.create_key("Ada", name="k")).secret
        answers = [await running.ask(headers=USE | bearer(secret)) for _ in range(6)]
        refused = [(await running.ask(model="gpt-4.1", headers=USE | bearer(secret))).status for _ in range(2)]
        assert isinstance(parts.usage, Ledger)
        await parts.usage._flusher.drain()
        assert parts.database is not None
        entries = await written(parts.database)
        served = running.served
        page = await running.page()
    assert [one.status for one in answers] == [200] * 6
    assert [one.headers["x-tallygate-cache"] for one in answers] == ["miss", "hit", "hit", "hit", "hit", "hit"]
    assert refused == [200, 402]  # one more that is no hit, and nothing is left
    assert served == len(entries) == page.total("tallygate_llm_calls_total", outcome="completed") == 2
    assert [entry.charged for entry in entries] == [COST, COST]


async def test_a_keys_own_setting(tmp_path: Path) -> None:
    async with cached(accounted(tmp_path)) as running:
        service = service_of(running)
        await service.create_user(name="Ada")
        await service.create_user(name="Bob")
        keys = [
            (await service.create_key(user, name=name, caches=caches)).secret
            for user, name, caches in (("Ada", "a", True), ("Ada", "b", False), ("Ada", "c", True), ("Bob", "d", True))
        ]
        said = [await running.says(headers=bearer(secret)) for secret in keys]
        none = await running.says(headers=bearer(keys[0], **{"x-tallygate-cache": "off"}))
    assert said == ["miss", None, "hit", "miss"]
    assert none is None


@pytest.mark.parametrize("scope", ["user", "all"])
async def test_a_key_gets_no_answer_of_a_model_that_it_may_not_ask_for(tmp_path: Path, scope: str) -> None:
    async with cached(accounted(tmp_path), scope=scope) as running:
        service = service_of(running)
        await service.create_user(name="Ada")
        one = (await service.create_key("Ada", name="one")).secret
        other = (await service.create_key("Ada", name="other", models=["gpt-4o-mini"])).secret
        statuses = [(await running.ask(headers=USE | bearer(secret))).status for secret in (one, one, other)]
        unknown = await running.ask(headers=USE | bearer("tg-wrong"))
        assert running.served == 1
    assert statuses == [200, 200, 403]
    assert unknown.status == 401


@pytest.fixture
def purgeable(tmp_path: Path, store: dict[str, Any]) -> dict[str, Any]:
    """A cache with either store, and an admin who may purge it."""
    settings = accounted(tmp_path, **store.pop("settings", {}).get("shared", {}))
    settings["accounts"]["admin_key"] = ADMIN_KEY
    settings["server"] = {"master_key": "the-master"}
    return {"settings": settings, **store}


async def purge(running: Cached, key: str = ADMIN_KEY) -> Answer:
    url = f"{running.gateway.url}/admin/cache/purge"
    return await ask(url, headers={"authorization": f"Bearer {key}"})


async def test_an_admin_purges_the_cache(purgeable: dict[str, Any]) -> None:
    async with cached(**purgeable) as running:
        said = [await running.says(headers=USE | bearer("the-master")) for _ in range(2)]
        refused = await purge(running, "the-master")
        said.append(await running.says(headers=USE | bearer("the-master")))
        done = await purge(running)
        page = await running.page()
        said.append(await running.says(headers=USE | bearer("the-master")))
    assert said == ["miss", "hit", "hit", "miss"]
    assert refused.status == 401
    assert (done.status, done.body) == (200, b'{"purged":true}')
    assert page.total("tallygate_cache_entries") == page.total("tallygate_cache_used_bytes") == 0


async def test_a_purge_of_a_store_that_is_away(tmp_path: Path) -> None:
    settings = accounted(tmp_path, url=f"unix://{tmp_path}/nobody", when_away="open")
    settings["accounts"]["admin_key"] = ADMIN_KEY
    async with cached(settings, store="shared") as running:
        away = await purge(running)
    assert away.status == 503
    assert away.headers["retry-after"] == "5"
    assert json.loads(away.body)["detail"] == "the response cache cannot be reached"
