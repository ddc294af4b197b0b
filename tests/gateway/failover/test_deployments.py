"""Which deployments a name leads to, and in which turns; and that it works for SDKs, with labels, without metrics."""

from typing import Any

import anthropic
import openai
import pytest

from tallygate.gateway.parts import put_together
from tallygate.gateway.routing import Router
from tallygate.gateway.settings import Settings
from tallygate.gateway.tallying import open_tally
from tallygate.simulator import Simulator
from tests.gateway.failover.pools import place, pool, served_by
from tests.gateway.running import gateway

CHAT = "/v1/chat/completions"


def router(**settings: object) -> Router:
    checked = Settings.model_validate(settings)
    tally = open_tally(checked)
    try:
        return put_together(checked, tally).router
    finally:
        tally.close()


def provider(*models: object, kind: str = "openai") -> dict[str, object]:
    return {"kind": kind, "base_url": "http://127.0.0.1:1/v1", "models": models}


def where(router: Router, model: str, kind: str = "openai") -> list[tuple[str, str, int]]:
    target = router.target(model, kind, CHAT)
    return [(one.deployment.provider.name, one.deployment.model, one.priority) for one in target.places]


async def test_turns_over_sockets_are_exact() -> None:
    models = {"m": {"deployments": [place("a", "x", weight=5), place("b", "y"), place("b", "z")]}}
    async with pool(models) as pools:
        assert await pools.order("m", 14) == "aababaa" * 2
        page = await pools.check_attempts()
    assert page.total("tallygate_llm_calls_total", model="x") == 10
    assert page.total("tallygate_llm_calls_total", model="y") == 2
    assert page.total("tallygate_llm_calls_total", model="z") == 2


def test_a_model_that_several_list() -> None:
    """The first serves it, the others stand in; an alias of one is a name of that one."""
    made = router(
        providers={
            "one": provider("gpt", {"name": "gpt-long", "aliases": ["both"]}),
            "two": provider({"name": "gpt-two", "aliases": ["gpt"]}, "both"),
            "three": provider("gpt", kind="anthropic"),
        }
    )
    assert where(made, "gpt") == [("one", "gpt", 1), ("two", "gpt-two", 2)]
    assert where(made, "both") == [("one", "gpt-long", 1), ("two", "both", 2)]
    assert where(made, "gpt", "anthropic") == [("three", "gpt", 3)]
    assert where(made, "two/gpt") == [("two", "gpt-two", 1)]


def test_what_is_configured_goes_before_what_is_listed() -> None:
    made = router(
        providers={"one": provider("gpt"), "two": provider()},
        models={"gpt": {"deployments": [{"provider": "two"}]}},
        aliases={"best": "gpt", "direct": "one/gpt"},
    )
    assert where(made, "gpt") == where(made, "best") == [("two", "gpt", 1)]
    assert where(made, "one/gpt") == where(made, "direct") == [("one", "gpt", 1)]
    assert made.target("best", "openai", CHAT) is made.target("gpt", "openai", CHAT)


def test_a_deployment_is_one_whatever_name_leads_to_it() -> None:
    made = router(
        providers={"one": provider({"name": "gpt-4o", "aliases": ["gpt"]})},
        models={
            "m": {"deployments": [{"provider": "one", "model": "gpt"}]},
            "n": {"deployments": [{"provider": "one", "model": "gpt-4o"}], "fallbacks": ["one/gpt"]},
        },
    )
    names = ("m", "n", "gpt", "gpt-4o", "one/gpt", "one/gpt-4o")
    assert len({made.target(name, "openai", CHAT).places[0].deployment for name in names}) == 1
    (fallback,) = made.target("n", "openai", CHAT).fallbacks
    assert fallback.places[0].deployment is made.target("m", "openai", CHAT).places[0].deployment
    assert len(made.deployments) == 1


def test_circles_that_were_not_checked_end() -> None:
    """Settings made in a program pass no check; a circle of fallbacks is walked once."""
    deployments = {"deployments": [{"provider": "one"}]}
    made = router(
        providers={"one": provider()},
        models={"a": {**deployments, "fallbacks": ["b"]}, "b": {**deployments, "fallbacks": ["a", "b"]}},
    )
    assert [target.name for target in made.target("a", "openai", CHAT).fallbacks] == ["b"]
    assert [target.name for target in made.target("b", "openai", CHAT).fallbacks] == ["a"]


async def test_listed_models_stand_in_for_each_other() -> None:
    async with Simulator() as a, Simulator() as b:
        providers = {
            "a": {"base_url": f"{a.url}/v1", "models": [{"name": "x+503", "aliases": ["m"]}]},
            "b": {"base_url": f"{b.url}/v1", "models": ["m"]},
        }
        async with pool({}, more={"providers": providers}) as pools:
            answer = await pools.ask("m")
            assert (a.served()["totals"]["requests"], b.served()["totals"]["requests"]) == (1, 1)
    assert (answer.status, answer.headers["x-tallygate-provider"]) == (200, "b")


async def test_sdks_do_not_notice() -> None:
    async with Simulator() as a, Simulator() as b:
        settings = {
            "providers": {
                "a": {"base_url": f"{a.url}/v1", "api_key": "key-of-a"},
                "b": {"base_url": f"{b.url}/v1", "api_key": "key-of-b"},
                "c": {"kind": "anthropic", "base_url": a.url, "api_key": "key-of-c"},
                "d": {"kind": "anthropic", "base_url": b.url, "api_key": "key-of-d"},
            },
            "models": {
                "gpt": served_by(place("a", "x+429:60"), place("b", "y")),
                "claude": served_by(place("c", "x+529"), place("d", "y")),
                "down": served_by(place("a", "z+503"), place("b", "z+500")),
            },
        }
        async with gateway(settings) as running:
            message: Any = {"role": "user", "content": "Say something."}
            async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="k", max_retries=0) as client:
                whole = await client.chat.completions.create(model="gpt", messages=[message], max_tokens=5)
                assert whole.usage is not None
                assert whole.usage.completion_tokens == 5
                stream: Any = await client.chat.completions.create(
                    model="gpt",
                    messages=[message],
                    max_tokens=5,
                    stream=True,
                )
                assert len([chunk async for chunk in stream if chunk.choices and chunk.choices[0].delta.content]) == 5
                with pytest.raises(openai.InternalServerError) as caught:
                    await client.chat.completions.create(model="down", messages=[message])
                assert caught.value.response.headers["x-tallygate-attempts"] == "2"
            async with anthropic.AsyncAnthropic(base_url=running.url, api_key="k", max_retries=0) as claude:
                answer = await claude.messages.create(model="claude", max_tokens=5, messages=[message])
                assert answer.usage.output_tokens == 5
            await running.settled()
            page = running.page()
            requests = a.served()["totals"]["requests"] + b.served()["totals"]["requests"]
    # The first call of gpt found a limited; the second went to b at once.
    assert page.total("tallygate_upstream_attempts_total") == requests == 7
    assert page.total("tallygate_llm_calls_total", outcome="completed") == 3
    assert page.total("tallygate_llm_calls_total", outcome="failed", provider="b", model="z+500") == 1


async def test_labels_of_callers_stay_with_a_call() -> None:
    more = {
        "dimensions": {"agent_name": {"values": ["helper"]}, "team": {"values": ["red"]}},
        "metrics": {"labels": ["team"]},
    }
    models = {"m": served_by(place("a", "x+500"), place("b", "y"))}
    async with pool(models, more=more) as pools:
        headers = {"X-Tallygate-Agent-Name": "helper", "X-Tallygate-Team": "red"}
        assert (await pools.ask("m", headers=headers)).status == 200
        page = await pools.check_attempts()
    labels = {"provider": "b", "model": "y", "agent_name": "helper", "team": "red"}
    assert page.total("tallygate_llm_calls_total", **labels) == page.total("tallygate_llm_calls_total") == 1
    assert page.total("tallygate_llm_tokens_total", **labels, type="output") == 12


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_without_metrics_it_works_as_well(stream: bool) -> None:
    models = {
        "m": served_by(place("a", "x+500"), place("b", "y")),
        "n": served_by(place("a", "x+429:9"), place("b", "y+reset")),
    }
    async with pool(models, breaker_failures=1, probes=True, more={"metrics": {"enabled": False}}) as pools:
        assert [(await pools.ask("m", stream=stream)).status for _ in range(3)] == [200] * 3
        assert (pools.requests("a"), pools.requests("b")) == (1, 3)
        assert (await pools.ask("n", stream=stream)).status == 429


async def test_the_price_is_that_of_who_served() -> None:
    prices = {"a/x+500": {"input": "100", "output": "100"}, "b/y": {"input": "1", "output": "2"}}
    async with pool({"m": served_by(place("a", "x+500"), place("b", "y"))}, more={"prices": prices}) as pools:
        assert (await pools.ask("m")).status == 200
        page = await pools.check_attempts()
        totals = pools.simulators["b"].served()["totals"]
    cost = (totals["input_tokens"] * 1 + totals["output_tokens"] * 2) / 1_000_000
    assert page.total("tallygate_llm_cost_usd_total", provider="b", model="y") == cost
    assert page.total("tallygate_llm_cost_usd_total") == cost
    assert page.total("tallygate_llm_unpriced_calls_total") == 0
