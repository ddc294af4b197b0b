"""Clients cannot mint series: what they choose freely becomes ``other`` on labels."""

import asyncio
import random
import string
from typing import Any

from tallygate.gateway.upstream import open_upstream
from tests.gateway.apis import APIS
from tests.gateway.provided import provided, providers, recorded
from tests.gateway.running import PATIENT, Page, ask

CHAT = APIS[0]
NAMES = 10_000
RANDOM = random.Random(4)


def some_name() -> str:
    return "".join(RANDOM.choices(string.ascii_letters + string.digits + "-_./:@ é模", k=RANDOM.randint(1, 40)))


def series(page: Page) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """The series that calls make, whatever their values."""
    return {
        (name, tuple(sorted(labels)))
        for name, labels in page.samples
        if name.startswith(("tallygate_llm_", "tallygate_upstream_", "tallygate_http_", "tallygate_gateway_"))
    }


async def test_ten_thousand_model_names_are_one_series() -> None:
    async with provided() as (running, simulator):
        await ask(running.url + CHAT.path("", False), CHAT.body("unheard-of", False))
        await recorded(running)
        before, rows = series(running.page()), running.total("tallygate_ledger_rows")
        client = open_upstream()

        async def some(names: list[str]) -> None:
            for name in names:
                reply = await client.send(
                    "POST", running.url + CHAT.path("", False), [], CHAT.body(name, False), PATIENT
                )
                assert [piece async for piece in reply.body()]
                assert reply.status == 200
                await reply.close()

        names = [f"{number}-{some_name()}" for number in range(NAMES)]
        await asyncio.gather(*(some(names[start::8]) for start in range(8)))
        await client.close()
        await recorded(running, NAMES + 1)
        page = running.page()
        assert simulator.served()["totals"]["requests"] == NAMES + 1
    assert series(page) == before
    assert page.total("tallygate_llm_calls_total", model="other") == NAMES + 1
    assert page.total("tallygate_llm_calls_total") == NAMES + 1
    assert page.total("tallygate_ledger_rows") - rows <= 2


async def test_headers_set_only_the_values_that_are_configured() -> None:
    def settings(url: str) -> dict[str, Any]:
        return {
            "metrics": {"labels": ["my-team", "cost_centre"]},
            "dimensions": {
                "route": {"values": ["search", "chat"]},
                "agent-id": {"values": ["a1"]},
                "my-team": {"header": "X-Team", "values": ["red", "grün"]},
            },
            "providers": {"openai": providers(url)["openai"] | {"models": ["m"]}},
        }

    async with provided(settings) as (running, _):

        async def call(**headers: str) -> None:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            await ask(running.url + CHAT.path("m", False), CHAT.body("m", False), named)

        await call()
        await call(X_Tallygate_Route="search", X_Team="red", X_Tallygate_Agent_Id="a1")
        for _ in range(20):
            await call(X_Tallygate_Route=some_name().encode().hex(), X_Team=some_name().encode().hex())
        await recorded(running, 22)
        page = running.page()

    def calls(**labels: str) -> float:
        return page.total("tallygate_llm_calls_total", **labels)

    assert calls(route="", my_team="", cost_centre="") == 1
    assert calls(route="search", my_team="red") == 1
    assert calls(route="other", my_team="other") == 20
    assert {dict(labels)["my_team"] for name, labels in page.samples if name == "tallygate_llm_calls_total"} == {
        "", "red", "other",
    }  # fmt: skip
    for family in ("tallygate_llm_tokens_total", "tallygate_llm_call_duration_seconds_count"):
        assert page.total(family, my_team="red", cost_centre="") > 0


async def test_paths_and_methods_are_bounded_too() -> None:
    async with provided() as (running, _):
        for number in range(5):
            await ask(f"{running.url}/nowhere/{number}", method="DELETE")
            await ask(f"{running.url}/v1/models/name-{number}", method="GET")
            await ask(f"{running.url}/v1/chat/completions", method="PURGE" if number else "GET")
        page = running.page()
    counted = {
        tuple(dict(labels).values()): value
        for (name, labels), value in page.samples.items()
        if name == "tallygate_http_requests_total"
    }
    by = {
        (dict(labels)["method"], dict(labels)["route"], dict(labels)["status_code"]): value
        for (name, labels), value in page.samples.items()
        if name == "tallygate_http_requests_total" and value
    }
    assert len(counted) >= len(by)
    assert by == {
        ("DELETE", "unmatched", "404"): 5,
        ("GET", "/v1/models/{model}", "200"): 5,
        ("GET", "/v1/chat/completions", "405"): 1,
        ("OTHER", "/v1/chat/completions", "405"): 4,
    }
