"""A gateway whose callers have keys of their own, end to end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallygate.gateway.accounts.directory import Directory
from tallygate.gateway.accounts.observing import Observer
from tallygate.gateway.accounts.secrets import new_secret
from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.logs import Redaction
from tallygate.pricing import UNITS_PER_USD
from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.provided import key_of, last_request, provided
from tests.gateway.running import Answer, Gateway, ask

CHAT, MESSAGES, GEMINI = (
    next(api for api in APIS if api.provider == kind) for kind in ("openai", "anthropic", "gemini")
)
KINDS = [CHAT, MESSAGES, GEMINI]
CALLS, ERRORS = "tallygate_llm_calls_total", "tallygate_llm_errors_total"


@dataclass
class Running:
    """A gateway with accounts, its provider, and its accounts."""

    gateway: Gateway
    simulator: Simulator
    accounts: AccountService

    async def call(self, secret: str, api: API = CHAT, model: str = "gpt-4o", stream: bool = False) -> Answer:
        """One call with this key, as the API's own clients show it."""
        header = {"anthropic": "X-Api-Key", "gemini": "X-Goog-Api-Key"}.get(api.provider)
        headers = {header: secret} if header else {"Authorization": f"Bearer {secret}"}
        return await ask(self.gateway.url + api.path(model, stream), api.body(model, stream), headers)

    @property
    def parts(self) -> Any:
        return self.gateway.app._parts


@asynccontextmanager
async def running(directory: Path, url: str | None = None, **settings: Any) -> AsyncIterator[Running]:
    """url: of the database; None: a new file."""
    accounts = {"enabled": True, "database_url": url or f"sqlite:///{directory / 'accounts.db'}"}
    shared = {"state_directory": directory / "state"}
    async with provided({"accounts": accounts, "shared": shared, **settings}) as (gateway, simulator):
        parts = gateway.app._parts
        assert parts.database is not None
        assert isinstance(parts.accounts, Directory)
        yield Running(gateway, simulator, AccountService(parts.database, changed=parts.accounts.tell))


def message(answer: Answer) -> tuple[int, str, str]:
    """Status, the word that the API's clients go by, and the message."""
    error = json.loads(answer.body)["error"]
    return (
        answer.status,
        error.get("code") if isinstance(error.get("code"), str) else (error.get("status") or error["type"]),
        error["message"],
    )


async def test_a_key_opens_every_api_and_stays_at_the_gateway(database_url: str, tmp_path: Path) -> None:
    async with running(tmp_path, database_url) as on:
        await on.accounts.create_user(name="Ada")
        secret = (await on.accounts.create_key("Ada", name="k")).secret
        for api in KINDS:
            answer = await on.call(secret, api)
            assert answer.status == 200, answer.body
            request = await last_request(on.simulator, api.name)
            assert secret not in json.dumps(request)
            assert key_of(api.provider) in json.dumps(request)
        await on.gateway.settled()
        assert on.gateway.total("tallygate_api_key_uses_total", status="success") == 3
        assert on.gateway.total("tallygate_api_key_uses_total") == 3


WORDS: Mapping[str, tuple[str, str]] = {
    "openai": ("invalid_api_key", "permission_denied"),
    "anthropic": ("authentication_error", "permission_error"),
    "gemini": ("UNAUTHENTICATED", "PERMISSION_DENIED"),
}


@pytest.mark.parametrize("api", KINDS, ids=lambda api: api.name)
async def test_refusals_are_in_the_shape_of_the_api(tmp_path: Path, api: API) -> None:
    unauthenticated, forbidden = WORDS[api.provider]
    async with running(tmp_path) as on:
        await on.accounts.create_user(name="Ada")
        made = await on.accounts.create_key("Ada", name="k", models=["gpt-4o"])
        assert message(await on.call("tg-wrong", api)) == (401, unauthenticated, "invalid API key")
        assert message(await on.call(made.secret, api, "gpt-4o-mini")) == (
            403,
            forbidden,
            "this API key may not ask for the model 'gpt-4o-mini'",
        )
        await on.accounts.change_user("Ada", trial_ends_at=datetime.now(UTC) - timedelta(seconds=1))
        assert message(await on.call(made.secret, api)) == (
            403,
            forbidden,
            "the trial of this API key's account has ended",
        )
        await on.accounts.change_key(made.key.id, status="inactive")
        assert message(await on.call(made.secret, api)) == (401, unauthenticated, "this API key is not active")
        await on.gateway.settled()
        assert on.simulator.served()["totals"]["requests"] == 0
        assert on.gateway.total(ERRORS, error_type="caller_authentication") == 2
        assert on.gateway.total(ERRORS, error_type="caller_permission") == 2
        assert on.gateway.total(CALLS) == 4


async def test_the_model_in_a_refusal_is_safe_text(tmp_path: Path) -> None:
    async with running(tmp_path) as on:
        await on.accounts.create_user(name="Ada")
        secret = (await on.accounts.create_key("Ada", name="k", models=["gpt-4o"])).secret
        odd = '\u00fc"}<b>' + "y" * 300
        answer = await on.call(secret, CHAT, odd)
        assert message(answer)[2] == f"this API key may not ask for the model '{odd[:200]}'"
        lone = await ask(
            on.gateway.url + "/v1/chat/completions",
            b'{"model":"\\ud800","messages":[]}',
            {"Authorization": f"Bearer {secret}"},
        )
        assert lone.status in (400, 403)


async def test_the_master_key_goes_on_working_and_unknown_paths_need_a_key(tmp_path: Path) -> None:
    async with running(tmp_path, server={"master_key": "the-master"}) as on:
        await on.accounts.create_user(name="Ada")
        secret = (await on.accounts.create_key("Ada", name="k")).secret
        assert (await on.call("the-master")).status == 200
        assert (await on.call(secret)).status == 200
        for key, status in (("the-master", 404), (secret, 404), ("tg-wrong", 401)):
            answer = await ask(f"{on.gateway.url}/nowhere", headers={"x-api-key": key}, method="GET")
            assert answer.status == status


@pytest.mark.parametrize("key", ["master", "scraper", "admin"])
async def test_who_may_read_the_metrics(tmp_path: Path, key: str) -> None:
    settings: dict[str, Any] = {
        "master": {"server": {"master_key": "the-master"}},
        "scraper": {"metrics": {"secret": "the-scraper"}},
        "admin": {},
    }[key]
    accounts = {"enabled": True, "database_url": f"sqlite:///{tmp_path / 'a.db'}", "admin_key": "the-admin"}
    shared = {"state_directory": tmp_path}
    async with provided({"accounts": accounts, "shared": shared, **settings}) as (gateway, _):
        for shown, status in (({"x-api-key": f"the-{key}"}, 200), ({}, 401), ({"x-api-key": "tg-1"}, 401)):
            assert (await ask(f"{gateway.url}/metrics", headers=shown, method="GET")).status == status


async def test_metrics_without_a_key_of_their_own_are_for_nobody(tmp_path: Path) -> None:
    accounts = {"enabled": True, "database_url": f"sqlite:///{tmp_path / 'a.db'}"}
    shared = {"state_directory": tmp_path}
    async with provided({"accounts": accounts, "shared": shared}) as (gateway, _):
        for shown in ({}, {"x-api-key": "tg-1"}, {"Authorization": "Bearer "}):
            assert (await ask(f"{gateway.url}/metrics", headers=shown, method="GET")).status == 401


async def test_identities_are_on_every_fact_of_a_call(tmp_path: Path) -> None:
    async with running(tmp_path, metrics={"identities": {"user_id": "raw", "api_key_id": "raw"}}) as on:
        ids = []
        for name in ("Ada", "Bob"):
            user = await on.accounts.create_user(name=name)
            made = await on.accounts.create_key(name, name="k")
            ids.append({"user_id": user.id, "api_key_id": made.key.id})
            for stream in (False, True, True):
                assert (await on.call(made.secret, CHAT, "gpt-4o", stream)).status == 200
            assert (await on.call(made.secret, CHAT, "gpt-4o+500")).status == 500
        await on.accounts.change_user("Bob", models=["o3"])
        assert (await on.call(made.secret)).status == 403
        await on.gateway.settled()
        page = on.gateway.page()
        for of in ids:
            assert page.total(CALLS, **of, outcome="completed", stream="false") == 1
            assert page.total(CALLS, **of, outcome="completed", stream="true") == 2
            assert page.total(CALLS, **of, outcome="failed", status_code="500") == 1
            assert page.total("tallygate_llm_call_duration_seconds_count", **of) == 4
        assert page.total(CALLS, **ids[1], outcome="failed", status_code="403") == 1
        assert page.total(CALLS) == 9
        assert page.total("tallygate_api_key_uses_total", status="success", api_key_id=ids[0]["api_key_id"]) == 4
        tokens = sum(one["output_tokens"] for one in on.simulator.served()["calls"] if one["outcome"] == "completed")
        assert page.total("tallygate_llm_tokens_total", type="output") == tokens


async def test_without_identities_nobody_is_named(tmp_path: Path) -> None:
    async with running(tmp_path) as on:
        user = await on.accounts.create_user(name="Ada")
        made = await on.accounts.create_key("Ada", name="k")
        await on.call(made.secret)
        await on.gateway.settled()
        text = on.gateway.app.tally.render().decode()
        for told in (user.id, made.key.id, made.key.prefix, "Ada"):
            assert told not in text


async def test_the_gauges_are_those_of_the_accounts(database_url: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with running(tmp_path, database_url, metrics={"identities": {"user_id": "raw"}}) as on:
        ada = await on.accounts.create_user(
            name="Ada", trial_ends_at=now + timedelta(days=1), plan="trial", prepaid=True
        )
        await on.accounts.create_user(name="Bob", trial_ends_at=now - timedelta(days=1), plan="trial", prepaid=True)
        await on.accounts.create_user(name="Eve", billing_cycle="monthly", plan="pro")
        await on.accounts.create_user(name="Zoe", billing_cycle="monthly", plan="pro", status="inactive")
        for name in ("a", "b", "c", "d"):
            made = await on.accounts.create_key("Ada", name=name)
        await on.accounts.change_key(made.key.id, status="inactive")
        await on.accounts.create_key("Eve", name="old", expires_at=now + timedelta(seconds=60))
        await on.accounts.change_key((await on.accounts.keys(user="Eve")).items[0].id, expires_at=now)
        await on.accounts.grant("Ada", 25 * UNITS_PER_USD)
        await on.accounts.grant("Bob", UNITS_PER_USD // 2)
        await on.accounts.grant("Eve", 7)
        observer = Observer(on.parts.database, tmp_path / "elsewhere", on.gateway.app.tally)
        await observer.count()
        page = on.gateway.page()
        for status, count in (("active", 3), ("inactive", 1), ("expired", 1)):
            assert page.total("tallygate_api_keys", status=status) == count
        assert page.total("tallygate_trials", status="active") == 1
        assert page.total("tallygate_trials", status="expired") == 1
        assert page.total("tallygate_subscriptions", plan_type="pro", billing_cycle="monthly") == 1
        assert page.total("tallygate_credit_balance", plan_type="trial", user_id="") == 25.5
        assert page.total("tallygate_credit_balance", plan_type="trial", user_id=ada.id) == 25
        assert page.values("tallygate_credit_balance", plan_type="pro") == set()
        told = on.gateway.page("gatewayz")
        assert told.total("active_api_keys", status="active") == 3
        assert told.total("trial_active", status="expired") == 1
        assert told.total("subscription_count", plan_type="pro", billing_cycle="monthly") == 1
        assert told.total("user_credit_balance", plan_type="trial", user_id="") == 25.5
        assert told.total("database_query_duration_seconds_count", table="users") > 0
        # What is gone goes back to 0, and does not stay as it was.
        await on.accounts.change_user("Eve", billing_cycle=None, plan="free")
        await observer.count()
        page = on.gateway.page()
        assert page.values("tallygate_subscriptions", plan_type="pro", billing_cycle="monthly") == {0}


async def test_one_worker_of_a_machine_counts_and_another_goes_on_when_it_is_gone(tmp_path: Path) -> None:
    async with running(tmp_path) as on:
        counted: list[str] = []

        class Noting(Observer):
            def __init__(self, name: str) -> None:
                super().__init__(on.parts.database, tmp_path / "observers", on.gateway.app.tally)
                self._name = name

            async def count(self) -> None:
                counted.append(self._name)

        first, second = Noting("first"), Noting("second")
        await first.start()
        await first.turn()
        await second.start()
        await second.turn()
        assert set(counted) == {"first"}
        await first.close()
        counted.clear()
        await second.turn()
        assert set(counted) == {"second"}
        await second.close()


def test_a_key_in_a_log_line_is_masked() -> None:
    secret = new_secret()
    assert Redaction(()).text(f"sent {secret}, and again {secret}.") == "sent ********, and again ********."
    assert Redaction(()).text(f"known as {secret[:9]}") == f"known as {secret[:9]}"
