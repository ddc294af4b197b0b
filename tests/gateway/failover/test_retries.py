"""Asking again after a pause, and falling back to other models: in which order, after how long, until when."""

import pytest

from tests.gateway.failover.pools import message_of, place, pool, served_by


async def test_by_default_nobody_is_asked_twice() -> None:
    async with pool({"m": served_by(place("a", "x+500"))}) as pools:
        answer = await pools.ask("m")
        assert answer.body == await pools.sent("a", "x+500")
        assert pools.requests("a") == 1
        assert pools.time.pauses == []


async def test_a_deployment_is_asked_again_after_growing_pauses() -> None:
    models = {"m": served_by(place("a", "x+500+first:3"))}
    async with pool(models, attempts=9, retries=5, backoff_seconds=0.5, longest_backoff_seconds=1.5) as pools:
        answer = await pools.ask("m")
        assert pools.time.pauses == [0.5, 1, 1.5]
        page = await pools.check_attempts()
    assert (answer.status, answer.headers["x-tallygate-attempts"]) == (200, "4")
    failed = {"provider": "a", "model": "x+500+first:3", "reason": "provider_server_error", "step": "again"}
    assert page.total("tallygate_upstream_retries_total", **failed) == 3
    assert page.total("tallygate_upstream_retries_total") == 3
    assert page.total("tallygate_upstream_retry_pause_seconds_count", provider="a", step="again") == 3


async def test_pauses_are_made_shorter_by_chance() -> None:
    async with pool({"m": served_by(place("a", "x+500"))}, attempts=9, retries=3, chance=1.0) as pools:
        assert (await pools.ask("m")).status == 500
        assert pools.time.pauses == [0.25, 0.5, 1]
        assert pools.requests("a") == 4


async def test_an_unknown_model_is_asked_again_too() -> None:
    async with pool({}, providers=("a",), attempts=3, retries=5, backoff_seconds=0) as pools:
        answer = await pools.ask("nobody-knows+503+first:2")
        page = await pools.check_attempts()
    assert (answer.status, answer.headers["x-tallygate-attempts"]) == (200, "3")
    assert answer.headers["x-tallygate-model"] == "other"
    assert page.total("tallygate_upstream_retries_total", model="other", step="again") == 2
    assert page.total("tallygate_llm_calls_total", model="other", outcome="completed") == 1


async def test_first_all_others_then_again() -> None:
    models = {"m": served_by(place("a", "x+500+first:1"), place("b", "y+503"))}
    async with pool(models, attempts=9, retries=2) as pools:
        answer = await pools.ask("m")
        assert pools.time.pauses == [0.5]
        assert (pools.requests("a"), pools.requests("b")) == (2, 1)
        page = await pools.check_attempts()
    assert (answer.status, answer.headers["x-tallygate-provider"]) == (200, "a")
    retries = "tallygate_upstream_retries_total"
    assert page.total(retries, provider="a", reason="provider_server_error", step="elsewhere") == 1
    assert page.total(retries, provider="b", reason="provider_overloaded", step="elsewhere") == 1
    assert page.total(retries) == 2


async def test_a_refused_key_is_not_shown_again() -> None:
    models = {"m": served_by(place("a", "x+401"), place("b", "y+500"))}
    async with pool(models, attempts=9, retries=2) as pools:
        assert (await pools.ask("m")).status == 500
        assert (pools.requests("a"), pools.requests("b")) == (1, 3)
        await pools.check_attempts()


ASKED = [("429:3", 3.0), ("429:0", 0.5), ("429:8", 8.0)]


@pytest.mark.parametrize(("behaviour", "pause"), ASKED)
async def test_what_a_provider_asks_for_is_honoured(behaviour: str, pause: float) -> None:
    async with pool({"m": served_by(place("a", f"x+{behaviour}+first:1"))}, retries=1) as pools:
        answer = await pools.ask("m")
        assert pools.time.pauses == [pause]
        await pools.check_attempts()
    assert answer.status == 200


async def test_it_is_honoured_whatever_is_remembered_of_it() -> None:
    """Nothing of a caller's own key; and of others no more than the longest cool-down."""
    models = {"m": served_by(place("a", "x+429:3+first:1"))}
    async with pool(models, retries=1, keys=False) as pools:
        assert (await pools.ask("m", headers={"authorization": "Bearer mine"})).status == 200
        assert pools.time.pauses == [3]
        assert pools.page().total("tallygate_upstream_cooldowns_total") == 0
    async with pool(models, retries=1, longest_cooldown_seconds=1) as pools:
        assert (await pools.ask("m")).status == 200
        assert pools.time.pauses == [3]
        assert pools.page().total("tallygate_upstream_cooldown_seconds_total") == 1
    async with pool(models, retries=1, longest_cooldown_seconds=1, longest_backoff_seconds=2) as pools:
        assert (await pools.ask("m")).status == 429
        assert pools.time.pauses == []


async def test_what_a_provider_asks_for_and_a_tenth() -> None:
    async with pool({"m": served_by(place("a", "x+429:4+first:1"))}, retries=1, chance=1.0) as pools:
        assert (await pools.ask("m")).status == 200
        assert pools.time.pauses == [pytest.approx(4.4)]


async def test_a_longer_wait_is_the_clients() -> None:
    async with pool({"m": served_by(place("a", "x+429:9"))}, retries=5, attempts=9) as pools:
        answer = await pools.ask("m")
        assert answer.body == await pools.sent("a", "x+429:9")
        assert pools.time.pauses == []
        page = await pools.check_attempts()
    assert (answer.status, answer.headers["retry-after"]) == (429, "9")
    assert page.total("tallygate_upstream_cooldowns_total", provider="a", model="x+429:9") == 1
    assert page.total("tallygate_upstream_cooldown_seconds_total", provider="a") == 9


async def test_one_that_asks_for_long_is_left_for_another_at_once() -> None:
    models = {"m": {"deployments": [place("a", "x+429:60"), place("b", "y")]}}
    async with pool(models, longest_cooldown_seconds=40) as pools:
        assert await pools.order("m", 4) == "bbbb"
        assert (pools.requests("a"), pools.requests("b")) == (1, 4)
        pools.time.now += 39.9
        assert await pools.order("m", 2) == "bb"
        assert pools.requests("a") == 1
        pools.time.now += 0.1
        # Both may be asked again: it is asked once more, and rests once more.
        assert await pools.order("m", 3) == "bbb"
        assert pools.requests("a") == 2
        page = await pools.check_attempts()
    assert page.total("tallygate_upstream_cooldown_seconds_total", provider="a") == 80


async def test_when_all_rest_the_provider_says_so_itself() -> None:
    """No 429 is of the gateway's making: the one that rests the shortest is asked."""
    models = {"m": served_by(place("a", "x+429:60"), place("b", "y+429:20"))}
    async with pool(models) as pools:
        first, second = await pools.ask("m"), await pools.ask("m")
        assert (pools.requests("a"), pools.requests("b")) == (1, 2)
        assert first.body == second.body == await pools.sent("b", "y+429:20")
        await pools.check_attempts()
    assert (second.status, second.headers["retry-after"]) == (429, "20")
    assert (first.headers["x-tallygate-attempts"], second.headers["x-tallygate-attempts"]) == ("2", "1")


async def test_no_pause_goes_beyond_the_time_of_a_request() -> None:
    limits = {"limits": {"upstream_total_seconds": 3}}
    async with pool({"m": served_by(place("a", "x+429:5"))}, retries=5, attempts=9, more=limits) as pools:
        assert (await pools.ask("m")).status == 429
        assert pools.time.pauses == []
        assert pools.requests("a") == 1


async def test_other_models_are_asked_in_their_order() -> None:
    models = {
        "m": served_by(place("a", "x+500"), fallbacks=["n", "p/q"]),
        "n": served_by(place("b", "y+503"), fallbacks=["alias"]),
        "o": served_by(place("a", "z")),
    }
    async with pool(models, attempts=9, more={"aliases": {"alias": "o"}}) as pools:
        answer = await pools.ask("m")
        page = await pools.check_attempts()
    assert answer.status == 200
    assert (answer.headers["x-tallygate-model"], answer.headers["x-tallygate-attempts"]) == ("z", "3")
    fallbacks = "tallygate_model_fallbacks_total"
    assert page.total(fallbacks, from_model="m", to_model="n") == 1
    assert page.total(fallbacks, from_model="n", to_model="o") == 1
    assert page.total(fallbacks) == 2
    assert page.total("tallygate_upstream_retries_total", step="fallback") == 2
    assert page.total("tallygate_llm_calls_total", provider="a", model="z", outcome="completed") == 1
    assert page.total("tallygate_llm_calls_total") == 1


async def test_a_model_is_asked_again_before_another_is() -> None:
    models = {"m": served_by(place("a", "x+500+first:1"), fallbacks=["n"]), "n": served_by(place("b", "y"))}
    async with pool(models, retries=1) as pools:
        answer = await pools.ask("m")
        assert (pools.requests("a"), pools.requests("b")) == (2, 0)
    assert answer.status == 200


async def test_a_fallback_may_be_a_model_of_a_provider() -> None:
    models = {"m": served_by(place("a", "x+reset"), fallbacks=["b/y"])}
    async with pool(models) as pools:
        answer = await pools.ask("m")
        page = await pools.check_attempts()
    assert (answer.status, answer.headers["x-tallygate-provider"]) == (200, "b")
    assert page.total("tallygate_model_fallbacks_total", from_model="m", to_model="b/y") == 1


async def test_a_fallback_must_speak_the_api_that_was_called() -> None:
    """The same name may be had in two APIs; the callers of each fall back to what speaks theirs."""
    nowhere = "http://127.0.0.1:1"
    providers = {"a": {"base_url": f"{nowhere}/v1"}, "c": {"kind": "anthropic", "base_url": nowhere}}
    models = {"m": served_by(place("a", "x"), place("c", "claude"), fallbacks=["c/haiku", "a/mini"])}
    async with pool(models, more={"providers": providers}) as pools:
        router = pools.parts.router
        chat = router.target("m", "openai", "/v1/chat/completions")
        messages = router.target("m", "anthropic", "/v1/messages")
    assert [place.deployment.model for place in chat.places] == ["x"]
    assert [target.name for target in chat.fallbacks] == ["a/mini"]
    assert [place.deployment.model for place in messages.places] == ["claude"]
    assert [target.name for target in messages.fallbacks] == ["c/haiku"]


async def test_all_that_fail_leave_the_last_answer() -> None:
    models = {"m": served_by(place("a", "x+503"), fallbacks=["n"]), "n": served_by(place("b", "y+reset"))}
    async with pool(models) as pools:
        answer = await pools.ask("m")
        assert answer.body == await pools.sent("a", "x+503")
        page = await pools.check_attempts()
    assert (answer.status, message_of(answer) != "") == (503, True)
    assert page.total("tallygate_llm_calls_total", provider="a", model="x+503", outcome="failed") == 1
    assert page.total("tallygate_model_fallbacks_total", from_model="m", to_model="n") == 1


async def test_everything_configured_shows_at_zero() -> None:
    models = {"m": served_by(place("a", "x"), place("b", "y"), fallbacks=["n"]), "n": served_by(place("a", "z"))}
    async with pool(models) as pools:
        page = pools.page()
    for provider, model in (("a", "x"), ("b", "y"), ("a", "z")):
        labels = {"provider": provider, "model": model}
        for reason in ("provider_rate_limit", "provider_server_error", "provider_network", "provider_timeout"):
            retried = {"reason": reason, "step": "elsewhere"}
            assert page.values("tallygate_upstream_retries_total", **labels, **retried) == {0}
        assert page.values("tallygate_upstream_cooldowns_total", **labels) == {0}
        assert page.values("tallygate_breaker_state", **labels, tallygate_breaker_state="closed") == {1}
        assert page.values("tallygate_breaker_state", **labels, tallygate_breaker_state="open") == {0}
        assert page.values("tallygate_breaker_state", **labels, tallygate_breaker_state="half_open") == {0}
        assert page.values("tallygate_breaker_changes_total", **labels) == {0}
        assert page.values("tallygate_llm_calls_total", **labels) == {0}
        assert page.values("tallygate_provider_info", **labels) == {1}
    assert page.values("tallygate_model_fallbacks_total", from_model="m", to_model="n") == {0}
    assert page.values("tallygate_provider_available", provider="a") == {1}
    assert page.values("tallygate_provider_error_ratio", provider="b") == {0}
    assert page.values("tallygate_connections_open", connection_type="provider") == {0}
