"""Deployments that fail too often in a row are left alone, and come back by one call that tries them."""

import asyncio
import json

from tallygate.gateway.exchange import Exchange, Message
from tallygate.gateway.routes import match
from tests.gateway.apis import APIS
from tests.gateway.failover.pools import CHAT, Pool, message_of, place, pool, served_by
from tests.gateway.provided import until


def state_of(pools: Pool, provider: str, model: str) -> str:
    """The state that the page shows, which must be one."""
    page = pools.page()
    shown = {
        state: page.total("tallygate_breaker_state", provider=provider, model=model, tallygate_breaker_state=state)
        for state in ("closed", "open", "half_open")
    }
    assert sorted(shown.values()) == [0, 0, 1]
    return max(shown, key=lambda state: shown[state])


async def test_failures_in_a_row_take_a_deployment_out_of_service() -> None:
    bad = "x+500+first:3"
    models = {"m": {"deployments": [place("a", bad), place("b", "y", priority=2)]}}
    async with pool(models, breaker_failures=3, breaker_seconds=30) as pools:
        assert await pools.order("m", 2) == "bb"
        assert state_of(pools, "a", bad) == "closed"
        assert await pools.order("m", 3) == "bbb"
        # The third failure in a row opened it: it was asked no more.
        assert state_of(pools, "a", bad) == "open"
        assert (pools.requests("a"), pools.requests("b")) == (3, 5)
        pools.time.now += 29.9
        assert await pools.order("m", 1) == "b"
        assert pools.requests("a") == 3
        pools.time.now += 0.1
        assert await pools.order("m", 2) == "aa"
        assert state_of(pools, "a", bad) == "closed"
        page = await pools.check_attempts()
    changes = {"provider": "a", "model": bad}
    for state in ("open", "half_open", "closed"):
        assert page.total("tallygate_breaker_changes_total", **changes, state=state) == 1
    assert page.total("tallygate_breaker_changes_total") == 3


async def test_a_trial_that_fails_keeps_it_out() -> None:
    models = {"m": {"deployments": [place("a", "x+reset"), place("b", "y", priority=2)]}}
    async with pool(models, breaker_failures=1, breaker_seconds=30) as pools:
        assert await pools.order("m", 2) == "bb"
        for tries in (2, 3):
            pools.time.now += 30
            assert await pools.order("m", 3) == "bbb"
            assert pools.requests("a") == tries
        page = await pools.check_attempts()
    assert page.total("tallygate_breaker_changes_total", provider="a", state="open") == 3
    assert page.total("tallygate_breaker_changes_total", provider="a", state="half_open") == 2
    assert page.total("tallygate_breaker_changes_total", provider="a", state="closed") == 0


async def test_only_one_call_tries_it() -> None:
    bad = "x+500+first:1"
    models = {"m": {"deployments": [place("a", bad), place("b", "y", priority=2)]}}
    simulated = {"a": {"latency": 0.3}}
    async with pool(models, breaker_failures=1, simulated=simulated) as pools:
        assert await pools.order("m", 1) == "b"
        pools.time.now += 30
        answers = await asyncio.gather(*(pools.ask("m") for _ in range(6)))
        served = sorted(answer.headers["x-tallygate-provider"] for answer in answers)
        assert served == ["a", "b", "b", "b", "b", "b"]
        assert state_of(pools, "a", bad) == "closed"
        await pools.check_attempts()


async def test_without_another_deployment_the_gateway_says_no() -> None:
    async with pool({"m": served_by(place("a", "x+500"))}, breaker_failures=2, breaker_seconds=30) as pools:
        assert [(await pools.ask("m")).status for _ in range(2)] == [500, 500]
        pools.time.now += 10.5
        answer = await pools.ask("m")
        assert pools.requests("a") == 2
        page = pools.page()
        pools.time.now += 19.5
        assert (await pools.ask("m")).status == 500
        assert pools.requests("a") == 3
    assert (answer.status, answer.headers["retry-after"]) == (503, "20")
    assert message_of(answer) == (
        "no deployment of 'm' is in service: provider 'a' failed too often in a row (provider_server_error); "
        "it is tried again in 20 s"
    )
    assert json.loads(answer.body)["error"]["code"] == "provider_server_error"
    # No provider was asked: a call that failed, and no attempt.
    failed = {"provider": "a", "model": "x+500", "outcome": "failed"}
    assert page.total("tallygate_llm_calls_total", **failed, status_code="network_error") == 1
    assert page.total("tallygate_llm_calls_total", **failed) == 3
    assert page.total("tallygate_upstream_attempts_total") == 2
    assert page.total("tallygate_http_requests_total", status_code="503") == 1


async def test_a_fallback_serves_while_all_are_out() -> None:
    models = {"m": served_by(place("a", "x+reset"), fallbacks=["n"]), "n": served_by(place("b", "y"))}
    async with pool(models, breaker_failures=1) as pools:
        assert await pools.order("m", 3) == "bbb"
        assert pools.requests("a") == 1
        page = pools.page()
    assert page.total("tallygate_model_fallbacks_total", from_model="m", to_model="n") == 3
    assert page.total("tallygate_upstream_retries_total") == 1
    assert page.total("tallygate_upstream_attempts_total") == 4
    assert page.total("tallygate_llm_calls_total", provider="b", outcome="completed") == 3


async def test_every_fault_of_a_provider_counts() -> None:
    faults = ("500", "529", "401", "reset", "reset_body", "truncated_json")
    models = {name: served_by(place("a", f"x+{name}"), place("b", "y")) for name in faults}
    async with pool(models, breaker_failures=1) as pools:
        for name in faults:
            await pools.ask(name)
            assert state_of(pools, "a", f"x+{name}") == "open", name


async def test_what_is_no_fault_of_a_provider_does_not_count() -> None:
    names = ("400", "404", "429:1", "context_length", "content_filter")
    models = {name: served_by(place("a", f"x+{name}")) for name in names}
    async with pool(models, breaker_failures=1) as pools:
        for name in names:
            for _ in range(3):
                await pools.ask(name)
            assert state_of(pools, "a", f"x+{name}") == "closed", name
        page = pools.page()
    assert page.total("tallygate_breaker_changes_total") == 0


async def test_an_answer_in_between_begins_anew() -> None:
    """Failures count in a row, whichever name led to the deployment."""
    models = {"m": served_by(place("a", "x")), "n": served_by(place("a", "x"))}
    async with pool(models, breaker_failures=3) as pools:
        for _ in range(3):
            for name in ("m", "n"):
                assert (await pools.ask(name)).status == 200
        deployment = pools.parts.router.target("m", "openai", "").places[0].deployment
        assert deployment is pools.parts.router.target("n", "openai", "").places[0].deployment
        assert deployment.breaker is not None
        policy, exchange = pools.policy, _exchange()
        policy.failed(exchange, deployment, "provider_network")
        policy.failed(exchange, deployment, "provider_network")
        assert deployment.breaker.failures == 2
        await pools.ask("m")
        assert deployment.breaker.failures == 0


def _exchange() -> Exchange:
    route = match("/v1/chat/completions", {})
    assert route is not None

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        return None

    return Exchange({}, receive, send, route, {})


async def test_streams_that_break_off_count() -> None:
    bad = "x+cut_stream"
    async with pool({"m": served_by(place("a", bad))}, breaker_failures=2) as pools:
        for _ in range(2):
            assert (await pools.ask("m", stream=True)).status == 200
        assert state_of(pools, "a", bad) == "open"
        assert (await pools.ask("m", stream=True)).status == 503


async def test_a_client_that_leaves_makes_room_for_another_trial() -> None:
    bad = "x+500+first:1"
    models = {"m": served_by(place("a", bad))}
    async with pool(models, breaker_failures=1, simulated={"a": {"latency": 0.2}}) as pools:
        assert (await pools.ask("m")).status == 500
        pools.time.now += 30
        deployment = pools.parts.router.target("m", "openai", "").places[0].deployment
        assert deployment.breaker is not None
        leaving = asyncio.create_task(pools.ask("m"))
        await until(lambda: deployment.breaker is not None and deployment.breaker.trial is not None)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await pools.gateway.settled()
        assert (deployment.breaker.state, deployment.breaker.trial) == ("half_open", None)
        assert (await pools.ask("m")).status == 200
        assert state_of(pools, "a", bad) == "closed"


async def test_what_was_slow_before_it_opened_does_not_close_it() -> None:
    models = {
        "m": served_by(place("a", "x")),
    }
    async with pool(models, breaker_failures=1, simulated={"a": {"latency": 0.3}}) as pools:
        deployment = pools.parts.router.target("m", "openai", "").places[0].deployment
        assert deployment.breaker is not None
        slow = asyncio.create_task(pools.ask("m"))
        await until(lambda: pools.page().total("tallygate_llm_calls_in_flight") == 1)
        pools.policy.failed(_exchange(), deployment, "provider_network")
        assert (await slow).status == 200
        assert state_of(pools, "a", "x") == "open"
        assert (await pools.ask("m")).status == 503


async def test_breakers_can_be_off() -> None:
    async with pool({"m": served_by(place("a", "x+500"))}, breaker_failures=0) as pools:
        assert [(await pools.ask("m")).status for _ in range(12)] == [500] * 12
        assert state_of(pools, "a", "x+500") == "closed"


async def test_models_nobody_configured_have_no_breaker() -> None:
    """A client cannot take a provider out of service with names it makes up."""
    async with pool({}, providers=("a",), breaker_failures=1) as pools:
        answers = [await pools.ask(f"made-up-{index}+500") for index in range(4)]
        page = pools.page()
    assert [answer.status for answer in answers] == [500] * 4
    assert page.total("tallygate_upstream_attempts_total", model="other") == 4
    assert not [name for name, _ in page.samples if name.startswith("tallygate_breaker_state")]


async def test_embeddings_and_chat_share_a_breaker() -> None:
    embeddings = APIS[3]
    async with pool({"m": served_by(place("a", "x+500"))}, breaker_failures=2) as pools:
        assert (await pools.ask("m", api=CHAT)).status == 500
        assert (await pools.ask("m", api=embeddings)).status == 500
        assert (await pools.ask("m", api=embeddings)).status == 503
