"""Credits and budgets: what they do not cover is refused, and what was spent is what the ledger says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio

from tallygate.gateway.admission.limits import Limits
from tallygate.gateway.admission.subjects import ends
from tallygate.gateway.admission.telling import usd as shown_usd
from tallygate.gateway.database import Database
from tallygate.gateway.state.holds import unpack
from tallygate.gateway.state.interface import Purse
from tallygate.gateway.state.local import LocalStore
from tests.gateway.apis import API, APIS, LIMIT
from tests.gateway.provided import until
from tests.gateway.raw import connected, request
from tests.gateway.running import Gateway, ask
from tests.gateway.usage.served import Account, Accounted, accounted, cost_of, usd

CHAT = APIS[0]
MODEL = "gpt-4o"
NOON = 1_795_262_400.0
"""2026-11-21, 12:00 UTC."""
MESSAGES: Any = [{"role": "user", "content": "x"}]


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/accounts.db")
    await database.start()
    yield database
    await database.close()


Run = Callable[..., Any]


@pytest_asyncio.fixture
async def run(database: Database, tmp_path: Path) -> AsyncIterator[Run]:
    """Starts gateways that share a database and the machine's state."""
    async with AsyncExitStack() as stack:

        async def start(*models: str, **more: Any) -> Accounted:
            url = f"sqlite:///{tmp_path}/accounts.db"
            return await stack.enter_async_context(accounted(database, url, tmp_path, *(models or (MODEL,)), **more))

        yield start


async def prepaid(running: Accounted, name: str, amount: int, **given: Any) -> Account:
    """A user with so many credits."""
    account = await running.account(name, prepaid=True, **given)
    if amount:
        await running.service.grant(account.user_id, amount)
    return account


def reservation(api: API, model: str, stream: bool = False) -> int:
    """What is held for a call of ``api.body``."""
    return cost_of(-(-len(api.body(model, stream)) // 4), LIMIT)


def spent_by(answer_body: bytes) -> int:
    """What a reply of chat completions cost."""
    usage = json.loads(answer_body)["usage"]
    return cost_of(usage["prompt_tokens"], usage["completion_tokens"])


async def purse(running: Gateway, purse: Purse) -> tuple[int, int]:
    """What the machine's state says was spent, and is held."""
    gate = running.app._parts.gate
    assert isinstance(gate, Limits)
    store = gate._store
    assert isinstance(store, LocalStore)
    with store._environment.read() as transaction:
        record = transaction.get(purse.key, db=store._holds)
    assert record is not None
    values = unpack(record)
    return values[0], sum(values[2::2])


# Credits


@pytest.mark.parametrize("api", [api for api in APIS if api.name != "openai_embeddings"], ids=lambda api: api.name)
async def test_without_credits_every_api_says_so(run: Run, api: API) -> None:
    running = await run()
    account = await prepaid(running, "u", 0)
    answer = await running.ask(account, api, MODEL)
    assert answer.status == 402
    error = json.loads(answer.body)["error"]
    needed = shown_usd(reservation(api, MODEL))
    message = f"the credits of this account do not cover the request: 0 USD left, up to {needed} USD needed"
    if api.provider == "openai":
        assert error == {
            "message": message,
            "type": "insufficient_quota",
            "param": None,
            "code": "insufficient_quota",
        }
    elif api.provider == "anthropic":
        assert error == {"type": "billing_error", "message": message}
    else:
        assert error == {"code": 402, "message": message, "status": "FAILED_PRECONDITION"}
    await running.gateway.settled()
    assert running.gateway.total("tallygate_llm_errors_total", error_type="policy_budget") == 1
    # A grant is enough for the next call.
    await running.service.grant(account.user_id, usd(1))
    running.gateway.app._parts.accounts.tell(1 << 40)
    async with asyncio.timeout(10):
        while (await running.ask(account, api, MODEL)).status != 200:
            pass


async def test_the_sdks_know_the_errors(run: Run) -> None:
    running = await run()
    account = await prepaid(running, "u", 0)
    async with openai.AsyncOpenAI(
        base_url=f"{running.gateway.url}/v1", api_key=account.secret, max_retries=0
    ) as client:
        with pytest.raises(openai.APIStatusError) as of_openai:
            await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert (of_openai.value.status_code, of_openai.value.code) == (402, "insufficient_quota")
    async with anthropic.AsyncAnthropic(
        base_url=running.gateway.url, api_key=account.secret, max_retries=0
    ) as anthropics:
        with pytest.raises(anthropic.APIStatusError) as of_anthropic:
            await anthropics.messages.create(model=MODEL, max_tokens=5, messages=MESSAGES)
    assert of_anthropic.value.status_code == 402
    assert of_anthropic.value.body == json.loads(of_anthropic.value.response.content)


async def test_a_balance_is_used_to_the_last_call_that_it_covers(run: Run) -> None:
    running = await run()
    amount = 3 * reservation(CHAT, MODEL)
    account = await prepaid(running, "u", amount)
    spent = 0
    while (answer := await running.ask(account, CHAT, MODEL)).status == 200:
        spent += spent_by(answer.body)
        assert spent < amount
    assert answer.status == 402
    left = shown_usd(amount - spent)
    assert f"{left} USD left" in json.loads(answer.body)["error"]["message"]
    assert amount - spent < reservation(CHAT, MODEL)
    entries = await running.written()
    assert sum(entry.charged for entry in entries) == spent
    assert await purse(running.gateway, Purse("user", account.user_id)) == (spent, 0)


async def test_calls_at_the_same_time_cannot_overspend(run: Run) -> None:
    """Two gateways, fifty calls at once, credits for four of them."""
    running = [await run(), await run()]
    account = await prepaid(running[0], "u", 4 * reservation(CHAT, MODEL) + 1)
    answers = await asyncio.gather(*[running[number % 2].ask(account, CHAT, MODEL) for number in range(50)])
    paid = [answer for answer in answers if answer.status == 200]
    assert {answer.status for answer in answers} == {200, 402}
    spent = sum(spent_by(answer.body) for answer in paid)
    assert spent <= 4 * reservation(CHAT, MODEL) + 1
    assert len(paid) >= 4
    for one in running:
        await one.gateway.settled()
        assert await purse(one.gateway, Purse("user", account.user_id)) == (spent, 0)


async def test_streams_settle_at_their_end_and_hold_until_then(run: Run) -> None:
    model = f"{MODEL}+stall:2"
    running = await run(MODEL, model, limits={"stream_idle_seconds": 60, "upstream_first_byte_seconds": 60})
    account = await prepaid(running, "u", usd(1))
    whose = Purse("user", account.user_id)
    line = f"POST {CHAT.path(model, True)} HTTP/1.1"
    async with connected(running.gateway) as (reader, writer):
        writer.write(request(line, f"Authorization: Bearer {account.secret}", CHAT.body(model, True)))
        for _ in range(3):  # the role, and two pieces of text
            await reader.readuntil(b"data: ")
        assert await purse(running.gateway, whose) == (0, reservation(CHAT, model, True))
    await until(lambda: running.gateway.total("tallygate_llm_calls_in_flight") == 0)
    (entry,) = await running.written()
    assert (entry.outcome, entry.estimated_output_tokens) == ("cancelled", 2)
    assert await purse(running.gateway, whose) == (entry.charged, 0)
    assert entry.charged == cost_of(-(-len(CHAT.body(model, True)) // 4), 2)
    whole = await running.ask(account, CHAT, MODEL, True, usage=True)
    assert whole.status == 200
    entries = await running.written()
    assert await purse(running.gateway, whose) == (sum(entry.charged for entry in entries), 0)


async def test_what_the_dearest_deployment_would_take_is_held(run: Run) -> None:
    listed = [{"name": MODEL, "price": {"input": "1.5", "output": "6"}}]
    listed.append({"name": "dear", "price": {"input": "15", "output": "60"}})
    running = await run(models={MODEL: {"deployments": [{"provider": "openai"}], "fallbacks": ["dear"]}}, listed=listed)
    dearest = 10 * reservation(CHAT, MODEL)
    poorer = await prepaid(running, "poorer", dearest - 1)
    assert (await running.ask(poorer, CHAT, MODEL)).status == 402
    account = await prepaid(running, "u", dearest)
    answer = await running.ask(account, CHAT, MODEL)
    assert answer.status == 200
    await running.gateway.settled()
    assert await purse(running.gateway, Purse("user", account.user_id)) == (spent_by(answer.body), 0)


async def test_what_costs_nothing_is_not_charged(run: Run) -> None:
    running = await run()
    account = await prepaid(running, "u", 1)
    answer = await running.ask(account, CHAT, "unpriced-model")
    assert answer.status == 200
    failing = await running.ask(account, CHAT, MODEL)
    assert failing.status == 402
    assert await purse(running.gateway, Purse("user", account.user_id)) == (0, 0)


async def test_a_state_that_was_lost_knows_from_the_database(run: Run, tmp_path: Path) -> None:
    first = await run()
    amount = 3 * reservation(CHAT, MODEL)
    account = await prepaid(first, "u", amount)
    spent = spent_by((await first.ask(account, CHAT, MODEL)).body)
    await first.written()
    second = await run(shared={"state_directory": str(tmp_path / "another")})
    assert (await second.ask(account, CHAT, MODEL)).status == 200
    await second.gateway.settled()
    assert await purse(second.gateway, Purse("user", account.user_id)) == (2 * spent, 0)


# Budgets


def set_clock(running: Accounted, now: float) -> None:
    gate = running.gateway.app._parts.gate
    assert isinstance(gate, Limits)
    gate._clock = lambda: now


@pytest.mark.parametrize(
    ("owner", "period", "whose", "next_one"),
    [
        ("user", "daily", "the account of this API key", "2026-11-22"),
        ("user", "monthly", "the account of this API key", "2026-12-01"),
        ("key", "daily", "this API key", "2026-11-22"),
        ("key", "monthly", "this API key", "2026-12-01"),
    ],
)
async def test_budgets(run: Run, owner: str, period: str, whose: str, next_one: str) -> None:
    running = await run()
    set_clock(running, NOON)
    needed = reservation(CHAT, MODEL)
    budget = {f"{period}_budget": needed + 1}
    account = await running.account("u", **(budget if owner == "user" else {}))
    secret = (await running.service.create_key(account.user_id, name="k", **(budget if owner == "key" else {}))).secret
    headers = {"authorization": f"Bearer {secret}"}
    url, body = running.gateway.url + CHAT.path(MODEL, False), CHAT.body(MODEL, False)
    first = await ask(url, body, headers)
    assert first.status == 200
    await running.gateway.settled()
    second = await ask(url, body, headers)
    assert second.status == 402
    left = needed + 1 - spent_by(first.body)
    assert json.loads(second.body)["error"]["message"] == (
        f"the {period} budget of {whose} ({shown_usd(needed + 1)} USD) does not cover the request: "
        f"{shown_usd(left)} USD left, up to {shown_usd(needed)} USD needed; the next one begins on {next_one} (UTC)"
    )
    # The other key of the user has the user's budget, and not this key's.
    other = await running.ask(account, CHAT, MODEL)
    assert other.status == (402 if owner == "user" else 200)
    set_clock(running, NOON + 86400 * (1 if period == "daily" else 10))
    assert (await ask(url, body, headers)).status == 200


async def test_a_call_counts_on_the_day_on_which_it_ends(run: Run) -> None:
    model = f"{MODEL}+slow_headers:0.2"
    running = await run(MODEL, model)
    account = await running.account("u", daily_budget=usd(1), monthly_budget=usd(1))
    before, after = Purse("user", account.user_id, "2026-11-30"), Purse("user", account.user_id, "2026-12-01")
    month = Purse("user", account.user_id, "2026-12")
    set_clock(running, NOON + 9 * 86400)
    slow = asyncio.create_task(running.ask(account, CHAT, model))
    await until(lambda: running.gateway.total("tallygate_llm_calls_in_flight") == 1)
    set_clock(running, NOON + 10 * 86400)
    first = spent_by((await running.ask(account, CHAT, MODEL)).body)
    second = spent_by((await slow).body)
    await running.gateway.settled()
    assert await purse(running.gateway, before) == (0, 0)
    assert await purse(running.gateway, after) == (first + second, 0)
    assert await purse(running.gateway, month) == (first + second, 0)


def test_when_periods_end() -> None:
    day = int(NOON // 86400)
    assert ends("daily", day).isoformat() == "2026-11-22T00:00:00+00:00"
    assert ends("monthly", day).isoformat() == "2026-12-01T00:00:00+00:00"
    assert ends("monthly", day + 9).isoformat() == "2026-12-01T00:00:00+00:00"
    assert ends("monthly", day + 10).isoformat() == "2027-01-01T00:00:00+00:00"
    assert ends("daily", day + 40).isoformat() == "2027-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("units", "text"), [(0, "0"), (1, "0.00000000001"), (10**11, "1"), (25 * 10**10, "2.5"), (10**13, "100")]
)
def test_sums_in_messages(units: int, text: str) -> None:
    assert shown_usd(units) == text
