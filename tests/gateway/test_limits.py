"""Rate limits and concurrency, as callers of each API meet them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from tallygate.gateway.database import Database
from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.limiting import CHAT, MODEL, Limited, call, limited, limits_of, minute, simulator
from tests.gateway.provided import until
from tests.gateway.running import Gateway, ask, gateway
from tests.gateway.usage.served import Accounted, accounted

__all__ = ["limited", "minute", "simulator"]

MESSAGES: Any = [{"role": "user", "content": "x"}]


@pytest_asyncio.fixture
async def accounts(tmp_path: Path) -> AsyncIterator[Accounted]:
    """A gateway with accounts, and a limit of requests for every key that has none of its own."""
    url = f"sqlite:///{tmp_path}/accounts.db"
    database = Database(url)
    await database.start()
    async with accounted(database, url, tmp_path, MODEL, rates={"key": {"requests_per_minute": 3}}) as running:
        yield running
    await database.close()


# Headers and errors


async def test_openai_is_told_in_its_form(limited: Limited) -> None:
    running = await limited(models={MODEL: {"requests_per_minute": 2, "tokens_per_minute": 1000}})
    body = CHAT.body(MODEL, False)
    estimate = -(-len(body) // 4) + 12
    first = await call(running)
    assert first.status == 200
    used = json.loads(first.body)["usage"]["total_tokens"]
    assert limits_of(first) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "1m40s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": str(1000 - estimate),
        "x-ratelimit-reset-tokens": "1m40s",
    }
    await running.settled()
    second = await call(running)
    assert limits_of(second)["x-ratelimit-remaining-requests"] == "0"
    assert limits_of(second)["x-ratelimit-remaining-tokens"] == str(1000 - used - estimate)
    third = await call(running)
    assert third.status == 429
    assert limits_of(third) == {
        "retry-after": "41",
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m40s",
    }
    assert json.loads(third.body) == {
        "error": {
            "message": "rate limit of the model 'gpt-4o' reached: 2 requests per minute; try again in 41 s",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
        }
    }


async def test_anthropic_is_told_in_its_form(limited: Limited, simulator: Simulator) -> None:
    running = await limited(models={"claude-sonnet-4-5": {"requests_per_minute": 1}})
    api = next(api for api in APIS if api.name == "anthropic_messages")
    first = await call(running, api, "claude-sonnet-4-5")
    assert first.status == 200
    assert limits_of(first)["anthropic-ratelimit-requests-limit"] == "1"
    assert limits_of(first)["anthropic-ratelimit-requests-remaining"] == "0"
    refused = await call(running, api, "claude-sonnet-4-5")
    assert refused.status == 429
    told = limits_of(refused)
    reset = told.pop("anthropic-ratelimit-requests-reset")
    assert told == {
        "retry-after": "41",
        "anthropic-ratelimit-requests-limit": "1",
        "anthropic-ratelimit-requests-remaining": "0",
    }
    assert len(reset) == len("2026-11-21T16:09:44Z")
    assert reset.endswith("Z")
    assert json.loads(refused.body)["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_every_api_is_limited(limited: Limited, api: API) -> None:
    running = await limited(models={"m": {"requests_per_minute": 1}})
    assert (await call(running, api, "m")).status == 200
    assert (await call(running, api, "m", stream=api.streams)).status == 429
    await running.settled()
    page = running.page()
    assert page.total("tallygate_rate_limited_total", limit_type="model_requests") == 1
    assert page.total("tallygate_llm_errors_total", error_type="policy_rate_limit") == 1
    assert page.total("tallygate_rate_limit_remaining", limit_type="model_requests") == 0


async def test_the_sdks_know_the_errors(limited: Limited) -> None:
    running = await limited(models={MODEL: {"requests_per_minute": 1}, "claude": {"requests_per_minute": 1}})
    async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="x", max_retries=0) as client:
        await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        with pytest.raises(openai.RateLimitError) as of_openai:
            await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert of_openai.value.code == "rate_limit_exceeded"
    assert of_openai.value.response.headers["retry-after"] == "41"
    async with anthropic.AsyncAnthropic(base_url=running.url, api_key="x", max_retries=0) as anthropics:
        await anthropics.messages.create(model="claude", max_tokens=5, messages=MESSAGES)
        with pytest.raises(anthropic.RateLimitError):
            await anthropics.messages.create(model="claude", max_tokens=5, messages=MESSAGES)
    google = genai.Client(api_key="x", http_options=types.HttpOptions(base_url=running.url))
    with pytest.raises(genai_errors.ClientError) as of_google:
        await google.aio.models.generate_content(model=MODEL, contents="x")
    assert (of_google.value.code, of_google.value.status) == (429, "RESOURCE_EXHAUSTED")
    await google.aio.aclose()


# Who is limited by what


async def test_a_model_is_limited_by_whatever_name(limited: Limited) -> None:
    running = await limited(models={MODEL: {"requests_per_minute": 2}})
    assert [(await call(running, model=name)).status for name in ("best", f"openai/{MODEL}", MODEL, "best")] == [
        200,
        200,
        429,
        429,
    ]
    assert (await call(running, model="gpt-4o-mini")).status == 200


async def test_what_nothing_limits_is_not_touched(limited: Limited) -> None:
    running = await limited(models={MODEL: {"requests_per_minute": 1}}, providers={"gemini": {"concurrency": 1}})
    answer = await call(running, model="gpt-4o-mini")
    # The simulated provider tells limits of its own.
    assert limits_of(answer)["x-ratelimit-limit-requests"] == "10000"
    unlimited = await limited()
    assert unlimited.app._parts.gate is None


async def test_keys_and_users_have_limits_of_their_own(accounts: Accounted) -> None:
    general = await accounts.account("general")
    own = await accounts.account("own", requests_per_minute=4)
    own_key = await accounts.service.create_key(own.user_id, name="fast", requests_per_minute=5)

    async def statuses(secret: str, count: int) -> list[int]:
        headers = {"authorization": f"Bearer {secret}"}
        url = accounts.gateway.url + CHAT.path(MODEL, False)
        return [(await ask(url, CHAT.body(MODEL, False), headers)).status for _ in range(count)]

    # By the settings, 3 for every key without a limit of its own.
    assert await statuses(general.secret, 4) == [200, 200, 200, 429]
    # The user's 4 are for all his keys together.
    assert await statuses(own.secret, 2) == [200, 200]
    assert await statuses(own_key.secret, 3) == [200, 200, 429]
    assert await statuses(own.secret, 1) == [429]
    page = accounts.gateway.page()
    assert page.total("tallygate_rate_limited_total", limit_type="key_requests") == 1
    assert page.total("tallygate_rate_limited_total", limit_type="user_requests") == 2


async def test_the_message_names_whose_limit_it_is(accounts: Accounted) -> None:
    account = await accounts.account("u", requests_per_minute=1)
    await accounts.ask(account, CHAT, MODEL)
    answer = await accounts.ask(account, CHAT, MODEL)
    message = json.loads(answer.body)["error"]["message"]
    assert message == "rate limit of the account of this API key reached: 1 request per minute; try again in 41 s"


async def test_the_master_key_is_not_limited(accounts: Accounted) -> None:
    url = accounts.gateway.url + CHAT.path(MODEL, False)
    headers = {"authorization": "Bearer the-master-key"}
    assert [(await ask(url, CHAT.body(MODEL, False), headers)).status for _ in range(5)] == [200] * 5


async def test_requests_without_a_model_count_as_requests(accounts: Accounted) -> None:
    account = await accounts.account("u", tokens_per_minute=1, prepaid=True)
    url = f"{accounts.gateway.url}/v1/models"
    answers = [await ask(url, headers=account.headers, method="GET") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]


# Tokens


async def test_tokens_are_estimated_and_then_what_was_used(limited: Limited) -> None:
    model = f"{MODEL}+slow_headers:0.2"
    running = await limited(models={model: {"tokens_per_minute": 150}})
    url = f"{running.url}/v1/chat/completions"
    body = json.dumps({"model": model, "messages": MESSAGES, "max_tokens": 60}).encode()
    asked = -(-len(body) // 4) + 60
    slow = asyncio.create_task(ask(url, body))
    await until(lambda: running.total("tallygate_llm_calls_in_flight") == 1)
    refused = await ask(url, body)
    assert refused.status == 429
    message = json.loads(refused.body)["error"]["message"]
    assert f"150 tokens per minute ({150 - asked} left, {asked} asked for)" in message
    used = json.loads((await slow).body)["usage"]["total_tokens"]
    await running.settled()
    again = await ask(url, body)
    assert again.status == 200
    assert limits_of(again)["x-ratelimit-remaining-tokens"] == str(150 - used - asked)


async def test_what_the_request_does_not_say_is_assumed(limited: Limited) -> None:
    running = await limited(models={MODEL: {"tokens_per_minute": 10_000}}, assumed_output_tokens=77)
    body = json.dumps({"model": MODEL, "messages": MESSAGES}).encode()
    answer = await ask(f"{running.url}/v1/chat/completions", body)
    assert limits_of(answer)["x-ratelimit-remaining-tokens"] == str(10_000 - 77 - -(-len(body) // 4))


async def test_a_request_larger_than_the_limit_passes_when_the_minute_is_unused(limited: Limited) -> None:
    running = await limited(models={MODEL: {"tokens_per_minute": 50}})
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "word " * 200}]}).encode()
    answer = await ask(f"{running.url}/v1/chat/completions", body)
    assert (answer.status, limits_of(answer)["x-ratelimit-remaining-tokens"]) == (200, "0")
    await running.settled()
    refused = await ask(f"{running.url}/v1/chat/completions", body)
    assert refused.status == 429
    # What was used is more than the limit, so the next minute is used in part as well.
    assert 60 < int(limits_of(refused)["retry-after"]) <= 100


@pytest.mark.parametrize("model", [f"{MODEL}+500", f"{MODEL}+reset"])
async def test_what_failed_used_no_tokens(limited: Limited, model: str) -> None:
    running = await limited(models={model: {"tokens_per_minute": 1000}})
    for _ in range(2):
        answer = await call(running, model=model)
        assert answer.status >= 500
        await running.settled()
        estimate = 12 + -(-len(CHAT.body(model, False)) // 4)
        assert limits_of(answer)["x-ratelimit-remaining-tokens"] == str(1000 - estimate)


# Concurrency


@pytest.mark.parametrize("stream", [False, True])
async def test_so_many_at_the_same_time(limited: Limited, stream: bool) -> None:
    model = f"{MODEL}+stall"
    running = await limited(models={model: {"concurrency": 2}})
    waiting = [asyncio.create_task(call(running, model=model, stream=stream)) for _ in range(2)]
    await until(lambda: running.total("tallygate_http_requests_in_flight") == 2)
    refused = await call(running, model=model, stream=stream)
    assert refused.status == 429
    assert limits_of(refused) == {"retry-after": "1"}
    message = json.loads(refused.body)["error"]["message"]
    assert message == f"rate limit of the model '{model}' reached: 2 requests at the same time; try again in 1 s"
    for task in waiting:
        task.cancel()  # both callers leave
    await asyncio.gather(*waiting, return_exceptions=True)
    await until(lambda: running.total("tallygate_http_requests_in_flight") == 0)
    later = [asyncio.create_task(call(running, model=model)) for _ in range(2)]
    await until(lambda: running.total("tallygate_http_requests_in_flight") == 2)
    assert running.total("tallygate_rate_limited_total", limit_type="model_concurrency") == 1
    for task in later:
        task.cancel()
    await asyncio.gather(*later, return_exceptions=True)


# Providers


async def test_a_provider_that_is_full_is_left_for_another(simulator: Simulator, tmp_path: Path) -> None:
    def providers(limit: int) -> dict[str, Any]:
        return {
            "providers": {name: {"base_url": f"{simulator.url}/v1"} for name in ("first", "second")},
            "models": {
                "m": {"deployments": [{"provider": "first"}, {"provider": "second", "priority": 2}]},
            },
            "rates": {
                "providers": {"first": {"requests_per_minute": 2}, "second": {"requests_per_minute": limit}},
            },
            "shared": {"state_directory": str(tmp_path / "state")},
        }

    async with gateway(providers(1)) as running:
        answers = [await call(running, model="m") for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert "second" in json.loads(answers[3].body)["error"]["message"]
        assert limits_of(answers[3])["retry-after"] == "41"
        await running.settled()
        page = running.page()
        assert page.total("tallygate_llm_calls_total", provider="first", outcome="completed") == 2
        assert page.total("tallygate_llm_calls_total", provider="second", outcome="completed") == 1
        assert page.total("tallygate_rate_limited_total", limit_type="provider_requests") == 3


async def test_an_attempt_that_failed_gives_its_place_back(simulator: Simulator, tmp_path: Path) -> None:
    settings = {
        "providers": {"only": {"base_url": f"{simulator.url}/v1"}},
        "failover": {"attempts": 3, "backoff_seconds": 0.001},
        "rates": {"providers": {"only": {"concurrency": 1, "tokens_per_minute": 100_000}}},
        "shared": {"state_directory": str(tmp_path / "state")},
    }
    async with gateway(settings) as running:
        assert (await call(running, model=f"{MODEL}+500")).status == 500
        assert (await call(running)).status == 200
        await running.settled()
        assert running.total("tallygate_rate_limited_total") == 0


# Zeros


async def test_zeros_are_there_before_anything_is_refused(accounts: Accounted, limited: Limited) -> None:
    def shown(running: Gateway) -> dict[str, float]:
        samples = running.page().samples
        return {
            dict(labels)["limit_type"]: value
            for (name, labels), value in samples.items()
            if name == "tallygate_rate_limited_total"
        }

    kinds = ("requests", "tokens", "concurrency")
    assert shown(accounts.gateway) == {f"{owner}_{kind}": 0 for owner in ("key", "user") for kind in kinds}
    running = await limited(models={MODEL: {"concurrency": 1}}, providers={"openai": {"concurrency": 1}})
    assert shown(running) == {f"{owner}_{kind}": 0 for owner in ("model", "provider") for kind in kinds}
    assert running.page().values("tallygate_store_failures_total", store="limits") == {0}
