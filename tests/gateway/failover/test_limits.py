"""Limits of our own per provider: an attempt that they forbid is made elsewhere; and clients that leave meanwhile."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from tallygate.errors import ErrorType
from tallygate.gateway.exchange import Exchange
from tallygate.gateway.refusal import Refusal
from tests.gateway.failover.pools import Pool, message_of, place, pool, served_by
from tests.gateway.provided import until


class Limited:
    """A gate that keeps requests from some providers."""

    def __init__(self, *providers: str) -> None:
        self.closed = set(providers)
        self.tried: list[str] = []

    async def admit(self, exchange: Exchange) -> None:
        return None

    async def try_provider(self, exchange: Exchange, provider: str) -> Refusal | None:
        self.tried.append(provider)
        if provider in self.closed:
            retry = (b"retry-after", b"17")
            return Refusal(429, ErrorType.POLICY_RATE_LIMIT, f"the provider '{provider}' has had enough", [retry])
        return None

    def settle(self, exchange: Exchange, tokens: int, cost: int, transaction: object = None) -> None:
        return None


def behind(pools: Pool, *providers: str) -> Limited:
    gate = pools.parts.gate = Limited(*providers)
    return gate


THREE: Mapping[str, object] = {"m": served_by(place("a", "x"), place("b", "y"), place("a", "z"), place("b", "w"))}


async def test_every_attempt_asks_the_limits_first() -> None:
    async with pool({"m": served_by(place("a", "x+500"), place("b", "y+500"), place("a", "z"))}) as pools:
        gate = behind(pools)
        assert (await pools.ask("m")).status == 200
        assert gate.tried == ["a", "b", "a"]
        await pools.check_attempts()


async def test_one_that_is_used_up_is_left_for_another() -> None:
    async with pool(THREE) as pools:
        gate = behind(pools, "a")
        answer = await pools.ask("m")
        assert gate.tried == ["a", "b"]
        page = await pools.check_attempts()
    assert (answer.status, answer.headers["x-tallygate-provider"]) == (200, "b")
    assert answer.headers["x-tallygate-attempts"] == "1"
    assert page.total("tallygate_upstream_retries_total") == 0
    assert page.total("tallygate_llm_calls_total", provider="b", outcome="completed") == 1
    assert page.total("tallygate_llm_calls_total") == 1


async def test_when_all_are_used_up_the_client_is_told() -> None:
    async with pool(THREE) as pools:
        gate = behind(pools, "a", "b")
        answer = await pools.ask("m")
        assert gate.tried == ["a", "b", "a", "b"]
        assert pools.all_requests == 0
        page = pools.page()
    assert (answer.status, answer.headers["retry-after"]) == (429, "17")
    assert message_of(answer) == "the provider 'b' has had enough"
    assert page.total("tallygate_llm_errors_total", error_type="policy_rate_limit") == 1
    assert page.total("tallygate_llm_calls_total") == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0


async def test_an_answer_of_a_provider_is_worth_more_than_a_limit() -> None:
    async with pool({"m": served_by(place("a", "x+503"), place("b", "y"))}) as pools:
        behind(pools, "b")
        answer = await pools.ask("m")
        assert answer.body == await pools.sent("a", "x+503")
        await pools.check_attempts()
    assert answer.status == 503


async def test_a_limit_is_told_when_no_provider_answered() -> None:
    async with pool({"m": served_by(place("a", "x+reset"), place("b", "y"))}) as pools:
        behind(pools, "b")
        answer = await pools.ask("m")
        page = await pools.check_attempts()
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (429, "rate_limit_exceeded")
    assert page.total("tallygate_upstream_attempts_total", error_type="provider_network") == 1


async def test_a_limit_does_not_use_up_the_trial_of_a_breaker() -> None:
    bad = "x+500+first:1"
    async with pool({"m": served_by(place("a", bad))}, breaker_failures=1) as pools:
        assert (await pools.ask("m")).status == 500
        pools.time.now += 30
        gate = behind(pools, "a")
        assert (await pools.ask("m")).status == 429
        gate.closed.clear()
        assert (await pools.ask("m")).status == 200


async def test_who_leaves_during_a_pause_ends_it() -> None:
    async with pool({"m": served_by(place("a", "x+500"))}, retries=3, attempts=9) as pools:
        pausing, paused = asyncio.Event(), []

        async def sleep(seconds: float) -> None:
            paused.append(seconds)
            pausing.set()
            await asyncio.Event().wait()

        pools.policy.sleep = sleep
        leaving = asyncio.create_task(pools.ask("m"))
        await pausing.wait()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await pools.gateway.settled()
        assert paused == [0.5]
        assert pools.requests("a") == 1
        page = pools.page()
    assert page.total("tallygate_upstream_attempts_total", status_code="500") == 1
    assert page.total("tallygate_upstream_attempts_total") == 1
    assert page.total("tallygate_llm_calls_total", provider="a", outcome="cancelled") == 1
    assert page.total("tallygate_llm_calls_total") == 1
    assert page.total("tallygate_upstream_retries_total") == 0
    assert page.total("tallygate_llm_calls_in_flight") == 0


async def test_who_leaves_during_the_second_attempt_ends_it() -> None:
    models = {"m": served_by(place("a", "x+500"), place("b", "y+slow_headers:60"), place("a", "z"))}
    async with pool(models, breaker_failures=2) as pools:
        leaving = asyncio.create_task(pools.ask("m"))
        await until(lambda: pools.page().total("tallygate_upstream_retries_total") == 1)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await pools.gateway.settled()
        page = await pools.check_attempts()
        deployment = pools.parts.router.target("m", "openai", "").places[1].deployment
        assert deployment.breaker is not None
        assert deployment.breaker.failures == 0
    assert page.total("tallygate_upstream_attempts_total", provider="b", status_code="499", error_type="") == 1
    assert page.total("tallygate_llm_calls_total", provider="b", outcome="cancelled", status_code="499") == 1
    assert page.total("tallygate_llm_calls_total") == 1


async def test_a_provider_at_its_configured_limit_is_left_for_another(tmp_path: Path) -> None:
    more = {
        "rates": {"providers": {"a": {"requests_per_minute": 2}}},
        "shared": {"state_directory": str(tmp_path)},
    }
    models = {"m": served_by(place("a", "x"), place("b", "y")), "n": served_by(place("a", "x"))}
    async with pool(models, more=more) as pools:
        assert await pools.order("m", 5) == "aabbb"
        alone = await pools.ask("n")
        page = pools.page()
        assert page.total("tallygate_upstream_attempts_total") == pools.all_requests == 5
    assert alone.status == 429
    assert int(alone.headers["retry-after"]) > 0
    assert page.total("tallygate_upstream_retries_total") == 0
    assert page.total("tallygate_llm_errors_total", error_type="policy_rate_limit") == 1
