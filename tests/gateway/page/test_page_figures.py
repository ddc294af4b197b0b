"""The figures of known traffic, to the last digit."""

import asyncio
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from tallygate.gateway.page.figures import RANGES, STEPS, Failure, Figures, Provider
from tallygate.gateway.page.opening import open_page
from tallygate.gateway.settings import Settings
from tallygate.simulator import Simulator
from tests.gateway.admin.asking import ADMIN_KEY
from tests.gateway.apis import APIS
from tests.gateway.page.looking import QUICK, TICK, Browser
from tests.gateway.provided import provided, providers
from tests.gateway.running import Gateway, ask, gateway

CHAT, MESSAGES = APIS[0], APIS[4]
PRICE = {"input": "1.5", "output": "6", "cache_read": "0.15", "cache_write": "1.875"}
MODELS = ("m", "m+cached", "m+429", "m+500", "m+400", "m+no_usage")
FREE = "no-price"


def settings(url: str, **more: Any) -> dict[str, Any]:
    listed = [{"name": model, "price": PRICE} for model in MODELS]
    openai = {"base_url": f"{url}/v1", "api_key": "k", "models": [*listed, FREE]}
    claude = {"kind": "anthropic", "base_url": url, "api_key": "k", "models": [{"name": "claude", "price": PRICE}]}
    return {
        **QUICK,
        "providers": {"openai": openai, "claude": claude},
        "dimensions": {"route": {"values": ["search", "support"]}},
        "failover": {"breaker_failures": 0},
        **more,
    }


async def call(running: Gateway, model: str, *, stream: bool = False, route: str = "", key: str = "") -> int:
    api = MESSAGES if model == "claude" else CHAT
    headers = {"x-tallygate-route": route} if route else {}
    headers |= {"authorization": f"Bearer {key}"} if key else {}
    return (await ask(running.url + api.path(model, stream), api.body(model, stream), headers)).status


async def totals(simulator: Simulator) -> dict[str, int]:
    answer = await ask(f"{simulator.url}/served", method="GET")
    document: dict[str, int] = json.loads(answer.body)["totals"]
    return document


async def test_known_traffic_is_shown_exactly() -> None:
    async with Simulator() as simulator, gateway(settings(simulator.url)) as running:
        browser = Browser(running.url)
        for model, stream, route in [
            *[("m", False, "search")] * 3,
            *[("m", True, "support")] * 2,
            ("m+cached", False, "search"),
            ("claude", True, ""),
            (FREE, False, ""),
            ("m+no_usage", False, ""),
            ("m+429", False, "search"),
            *[("m+500", False, "")] * 2,
            ("m+400", False, "nobody-knows-this-one"),
        ]:
            await call(running, model, stream=stream, route=route)
        await running.settled()
        figures = await browser.shows(lambda totals: totals["requests"] == 13)
        truth = await totals(simulator)

    shown = figures.totals
    assert (shown.requests, shown.errors, shown.active_requests) == (13, 4, 0)
    assert (shown.unpriced, shown.unmetered) == (1, 1)
    assert shown.input_tokens == truth["input_tokens"]
    assert shown.output_tokens == truth["output_tokens"]
    assert shown.cached_tokens == truth["cache_read_tokens"] > 0
    by_model = {one.name: one for one in figures.models}
    assert {name: one.requests for name, one in by_model.items()} == {
        "m": 5, "m+cached": 1, "claude": 1, FREE: 1, "m+no_usage": 1, "m+429": 1, "m+500": 2, "m+400": 1,
    }  # fmt: skip
    read, written = truth["cache_read_tokens"], truth["cache_write_tokens"]
    priced = Decimal(PRICE["input"]) * (truth["input_tokens"] - read - written)
    priced += Decimal(PRICE["cache_read"]) * read + Decimal(PRICE["cache_write"]) * written
    priced += Decimal(PRICE["output"]) * truth["output_tokens"]
    free = by_model[FREE].tokens
    # One call of 10 tokens of input and 12 of output has no price.
    assert free == 22
    priced -= Decimal(PRICE["input"]) * 10 + Decimal(PRICE["output"]) * 12
    assert shown.cost_usd == float(priced / 1_000_000)
    assert [one.name for one in figures.models[:1]] == ["m"]
    assert sum(Decimal(str(one.cost_usd)) for one in figures.models) == priced / 1_000_000

    assert {one.name: (one.requests, one.errors) for one in figures.routes} == {
        "search": (5, 1), "support": (2, 0), "": (5, 2), "other": (1, 1),
    }  # fmt: skip
    assert figures.keys == []
    openai, claude = figures.providers
    assert (openai.provider, openai.requests, openai.errors, openai.state) == ("openai", 12, 4, "degraded")
    assert openai.error_ratio == 4 / 12
    assert (claude.provider, claude.requests, claude.errors, claude.state) == ("claude", 1, 0, "up")
    assert claude.ttft_p95 is not None
    assert claude.latency_p95 is not None

    def kind(one: Failure) -> tuple[str, ...]:
        return (one.provider, one.model, one.route, one.error_type, one.status_code)

    counted = {
        kind(one): sum(other.count for other in figures.errors if kind(other) == kind(one)) for one in figures.errors
    }
    assert counted == {
        ("openai", "m+429", "search", "provider_rate_limit", "429"): 1,
        ("openai", "m+500", "", "provider_server_error", "500"): 2,
        ("openai", "m+400", "other", "caller_invalid_request", "400"): 1,
    }
    assert [one.time for one in figures.errors] == sorted((one.time for one in figures.errors), reverse=True)
    assert all(figures.started < one.time <= figures.now for one in figures.errors)


async def test_every_range_is_there_at_once() -> None:
    async with provided(QUICK) as (running, _):
        browser = Browser(running.url)
        await call(running, "gpt-4o")
        await browser.shows(lambda totals: totals["requests"] == 1)
        for name, seconds in RANGES.items():
            figures = await browser.figures(name)
            assert (figures.range, figures.step, figures.source) == (name, STEPS[name], "history")
            assert len(figures.times) == seconds // STEPS[name]
            assert {after - before for before, after in zip(figures.times, figures.times[1:], strict=False)} == {
                STEPS[name]
            }
            assert figures.times[-1] % STEPS[name] == 0
            assert figures.times[-1] <= figures.now
            assert abs(figures.now - time.time()) < 60
            for values in msgspec.structs.asdict(figures.series).values():
                assert len(values) == len(figures.times)
            assert figures.series.requests[0] is None, "nothing was watched then"
            assert sum(value or 0 for value in figures.series.requests) > 0
            assert figures.totals.requests == 1
            assert (figures.tick, figures.keys_told, figures.empty, figures.problem) == (TICK, False, False, "")
        for wrong in ("", "2h", "15m%00", "15m&range=1y", "&".join(["a=b"] * 20)):
            answer = await browser.get(f"/figures?range={wrong}")
            assert (answer.status, answer.body) == (400, b'{"error":"range: is none of 15m, 1h, 6h, 24h"}')


async def test_nothing_was_called_yet() -> None:
    async with provided(QUICK) as (running, _):
        figures = await Browser(running.url).figures()
        assert figures.empty
        assert figures.problem == ""
        assert figures.totals.requests == 0
        assert figures.totals.latency_p95 is None
        assert [(one.provider, one.state) for one in figures.providers] == [
            (name, "idle") for name in ("openai", "anthropic", "gemini")
        ]


async def test_a_gateway_that_counts_nothing_says_so() -> None:
    async with provided({**QUICK, "metrics": {"enabled": False}}) as (running, _):
        browser = Browser(running.url)
        await call(running, "gpt-4o")
        figures = await browser.figures()
        assert figures.problem == "metrics.enabled is off: nothing is counted, so there is nothing to show"
        assert figures.empty
        assert set(figures.series.requests) == {None}
        assert (await browser.get()).status == 200


async def test_what_was_counted_before_is_of_no_range() -> None:
    async with Simulator() as simulator:
        before = settings(simulator.url)
        async with gateway(before) as first:
            await call(first, "m")
            await first.settled()
            # As another worker of the same gateway, that comes later.
            page = open_page(Settings.model_validate(before), first.app.tally)
            assert page is not None
            await page.start()
            try:
                late = msgspec.json.decode(await page._events.figures("15m"), type=Figures)
            finally:
                await page.close()
        assert (late.totals.requests, late.empty) == (0, False)


async def test_calls_that_go_on_are_active() -> None:
    async with provided(QUICK) as (running, _):
        browser = Browser(running.url)
        asking = asyncio.create_task(call(running, "m+slow_headers:1"))
        figures = await browser.shows(lambda totals: totals["active_requests"] == 1)
        assert max(value or 0 for value in figures.series.active_requests) == 1
        await asking
        figures = await browser.shows(lambda totals: totals["active_requests"] == 0 and totals["requests"] == 1)
        # It lasted a second: in the bucket up to 2.5 s at most, as in the metrics.
        assert figures.totals.latency_p50 is not None
        assert 0.5 < figures.totals.latency_p50 <= 2.5
        assert max(value or 0 for value in figures.series.active_requests) == 1


async def test_the_gateways_cache_is_told() -> None:
    async with provided(QUICK) as (running, _):
        browser = Browser(running.url)
        await browser.shows(lambda totals: True)
        for hit in (True, True, True, False):
            running.app.tally.cache_lookup("responses", hit=hit)
            running.app.tally.cache_lookup("another", hit=False)
        figures = await browser.shows(lambda totals: totals["cache_lookups"] == 4)
        assert figures.totals.cache_hits == 3


async def test_providers_are_up_or_not() -> None:
    more = {**QUICK, "failover": {"breaker_failures": 2, "breaker_seconds": 60}}

    def broken(url: str) -> dict[str, Any]:
        return {
            **more,
            "providers": {
                "good": {"base_url": f"{url}/v1", "models": ["a"]},
                "bad": {"base_url": f"{url}/v1", "models": ["b+500"]},
            },
        }

    async with provided(broken) as (running, _):
        browser = Browser(running.url)
        await call(running, "a")
        for _ in range(2):
            await call(running, "b+500")

        figures = await browser.shows(lambda totals: totals["requests"] == 3)
        states: dict[str, Provider] = {one.provider: one for one in figures.providers}
    assert states["good"].state == "up"
    assert states["bad"].state == "down"
    assert [(one.model, one.state) for one in states["bad"].breakers] == [("b+500", "open")]
    assert states["bad"].error_ratio == 1


async def test_keys_are_shown_by_their_names_and_ids(tmp_path: Path) -> None:
    def more(url: str) -> dict[str, Any]:
        accounts = {"enabled": True, "admin_key": ADMIN_KEY, "database_url": f"sqlite:///{tmp_path / 'accounts.db'}"}
        return {
            **QUICK,
            "accounts": accounts,
            "shared": {"state_directory": str(tmp_path / "state")},
            "metrics": {"identities": {"api_key_id": "raw"}},
            "providers": providers(url),
        }

    async with provided(more) as (running, _):
        admin = {"authorization": f"Bearer {ADMIN_KEY}"}
        await ask(f"{running.url}/admin/users", b'{"name": "research"}', admin)
        made = json.loads((await ask(f"{running.url}/admin/keys", b'{"user": "research", "name": "one"}', admin)).body)
        for _ in range(2):
            assert await call(running, "gpt-4o", key=made["secret"]) == 200
        browser = Browser(running.url)
        await browser.sign_in(ADMIN_KEY)
        async with browser.events() as told:
            first = (await anext(told)).figures
            assert first.keys_told
            key = made["key"]["id"]
            async for event in told:
                names = [(one.name, one.requests) for one in event.update.keys]
                # The name comes from the database, for which the figures do not wait.
                assert names in ([], [(key, 2)], [(f"one ({key})", 2)], [(key, 1)], [(f"one ({key})", 1)])
                if names == [(f"one ({key})", 2)]:
                    break
        body = (await browser.get("/figures")).body
        assert made["secret"].encode() not in body
