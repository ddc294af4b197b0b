"""After which failures another deployment is asked, what the client gets, and that every attempt is counted."""

import json
from typing import Any

import pytest

from tallygate.gateway.failover import replies
from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.failover.pools import CHAT, message_of, place, pool, served_by
from tests.gateway.provided import last_request, without_usage
from tests.gateway.raw import say
from tests.gateway.running import ask, gateway

WHOLE_OR_STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

FAILS_OVER = {
    "401": ("401", "provider_authentication"),
    "403": ("403", "provider_authentication"),
    "429": ("429", "provider_rate_limit"),
    "500": ("500", "provider_server_error"),
    "503": ("503", "provider_overloaded"),
    "529": ("529", "provider_overloaded"),
    "html_error": ("502", "provider_server_error"),
    "reset": ("network_error", "provider_network"),
    "slow_headers:60": ("network_error", "provider_timeout"),
}
"""Behaviours after which another is asked, and as what the failed attempt is counted: status and error type."""

PASSES = {
    "400": (400, "caller_invalid_request"),
    "404": (404, "provider_model_unavailable"),
    "context_length": (400, "caller_context_length"),
    "content_filter": (400, "policy_content_filter"),
}
"""Behaviours that the caller hears of as they are."""


@WHOLE_OR_STREAM
async def test_another_deployment_is_asked(stream: bool) -> None:
    models = {name: served_by(place("a", f"bad+{name}"), place("b", f"good-{name}")) for name in FAILS_OVER}
    async with pool(models, more={"limits": {"upstream_first_byte_seconds": 0.2}}) as pools:
        for name in FAILS_OVER:
            answer = await pools.ask(name, stream=stream)
            assert (answer.status, answer.broken) == (200, False), name
            sent = await pools.sent("b", f"good-{name}")
            # The usage of a stream was asked for on the caller's behalf.
            assert answer.body == (without_usage(sent) if stream else sent)
            assert {header: value for header, value in answer.headers.items() if header.startswith("x-tallygate-")} == {
                "x-tallygate-provider": "b",
                "x-tallygate-model": f"good-{name}",
                "x-tallygate-attempts": "2",
            }
        page = await pools.check_attempts()
    for name, (status, error_type) in FAILS_OVER.items():
        failed = {"provider": "a", "model": f"bad+{name}"}
        served = {"provider": "b", "model": f"good-{name}"}
        attempts = "tallygate_upstream_attempts_total"
        assert page.total(attempts, **failed, status_code=status, error_type=error_type) == 1
        assert page.total(attempts, **served, status_code="200", error_type="") == 1
        assert page.total("tallygate_upstream_retries_total", **failed, reason=error_type, step="elsewhere") == 1
        # One call, and it was the second's.
        assert page.total("tallygate_llm_calls_total", **served, outcome="completed") == 1
        assert page.total("tallygate_llm_calls_total", **failed) == 0
        assert page.total("tallygate_llm_tokens_total", **served, type="output") == 12
        limited = error_type == "provider_rate_limit"
        assert page.total("tallygate_llm_rate_limit_events_total", **served) == limited
    assert page.total("tallygate_upstream_attempts_total") == 2 * len(FAILS_OVER)
    assert page.total("tallygate_upstream_retries_total") == len(FAILS_OVER)
    assert page.total("tallygate_llm_errors_total") == 0
    assert page.total("tallygate_http_requests_total", status_code="200") == len(FAILS_OVER)


@WHOLE_OR_STREAM
async def test_what_is_the_callers_making_is_told_at_once(stream: bool) -> None:
    models = {name: served_by(place("a", f"bad+{name}"), place("b", "good")) for name in PASSES}
    async with pool(models, retries=2) as pools:
        for name, (status, _) in PASSES.items():
            answer = await pools.ask(name, stream=stream)
            assert answer.body == await pools.sent("a", f"bad+{name}")
            assert answer.status == status
            assert (answer.headers["x-tallygate-provider"], answer.headers["x-tallygate-attempts"]) == ("a", "1")
        assert (pools.requests("a"), pools.requests("b")) == (len(PASSES), 0)
        page = await pools.check_attempts()
    for name, (_, error_type) in PASSES.items():
        assert page.total("tallygate_llm_errors_total", model=f"bad+{name}", error_type=error_type) == 1
    assert page.total("tallygate_upstream_retries_total") == 0


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_every_api_falls_over(api: API) -> None:
    kinds = {"openai": "/v1", "anthropic": "", "gemini": ""}

    def providers(urls: dict[str, str]) -> dict[str, Any]:
        return {
            name: {"kind": api.provider, "base_url": url + kinds[api.provider], "api_key": f"key-of-{name}"}
            for name, url in urls.items()
        }

    async with Simulator() as a, Simulator() as b:
        settings = {
            "providers": providers({"a": a.url, "b": b.url}),
            "models": {"m": served_by(place("a", "bad+500"), place("b", "good"))},
        }
        async with gateway(settings) as running:
            answer = await ask(running.url + api.path("m", False), api.body("m", False))
            await running.settled()
            page = running.page()
        asked = await last_request(b, api.name)
        first = await last_request(a, api.name)
    assert answer.status == 200, answer.body
    # The same request, to another provider, with that one's key, for its name of the model.
    assert "key-of-b" in json.dumps(asked["headers"])
    assert "key-of-a" not in json.dumps(asked["headers"])
    if api.name == "gemini_generate":
        assert (first["path"], asked["path"]) == (
            "/v1beta/models/bad+500:generateContent",
            "/v1beta/models/good:generateContent",
        )
        assert first["body"] == asked["body"] == api.body("m", False).decode()
    else:
        assert json.loads(asked["body"]) == json.loads(api.body("m", False)) | {"model": "good"}
        assert json.loads(first["body"]) == json.loads(api.body("m", False)) | {"model": "bad+500"}
    assert page.total("tallygate_upstream_attempts_total") == 2
    assert page.total("tallygate_llm_calls_total", operation=api.operation, provider="b") == 1


async def test_when_all_fail_the_last_answer_is_the_clients() -> None:
    models = {"m": served_by(place("a", "x+529"), place("b", "y+500"), place("a", "z+503"))}
    async with pool(models, attempts=5) as pools:
        answer = await pools.ask("m")
        assert answer.body == await pools.sent("a", "z+503")
        page = await pools.check_attempts()
    assert (answer.status, answer.headers["x-tallygate-attempts"]) == (503, "3")
    assert answer.headers["x-tallygate-model"] == "z+503"
    ended = {"provider": "a", "model": "z+503", "status_code": "503", "outcome": "failed"}
    assert page.total("tallygate_llm_calls_total", **ended) == 1
    assert page.total("tallygate_llm_errors_total", error_type="provider_overloaded") == 1
    assert page.total("tallygate_llm_errors_total") == 1


async def test_an_answer_is_worth_more_than_none() -> None:
    """The last one could not be reached: what a provider did say is passed on, byte for byte."""
    models = {"m": served_by(place("a", "x+429:30"), place("b", "y+reset"))}
    async with pool(models) as pools:
        answer = await pools.ask("m")
        assert answer.body == await pools.sent("a", "x+429:30")
        page = await pools.check_attempts()
    assert (answer.status, answer.headers["retry-after"]) == (429, "30")
    assert (answer.headers["x-tallygate-provider"], answer.headers["x-tallygate-attempts"]) == ("a", "2")
    assert page.total("tallygate_llm_calls_total", provider="a", status_code="429", outcome="failed") == 1
    assert page.total("tallygate_llm_rate_limit_events_total", provider="a") == 1
    for provider, error_type in (("a", "provider_rate_limit"), ("b", "provider_network")):
        failed = {"provider": provider, "error_type": error_type}
        assert page.total("tallygate_upstream_attempts_total", **failed) == 1
    assert page.total("tallygate_upstream_attempts_total") == 2


async def test_without_any_answer_it_is_a_502_or_a_504() -> None:
    models = {
        "reset": served_by(place("a", "x+slow_headers:60"), place("b", "y+reset")),
        "slow": served_by(place("a", "x+reset"), place("b", "y+slow_headers:60")),
    }
    async with pool(models, more={"limits": {"upstream_first_byte_seconds": 0.2}}) as pools:
        reset, slow = await pools.ask("reset"), await pools.ask("slow")
        page = await pools.check_attempts()
    assert (reset.status, slow.status) == (502, 504)
    assert message_of(slow).endswith("did not begin its reply within 0.2 s")
    assert (reset.headers["x-tallygate-provider"], reset.headers["x-tallygate-attempts"]) == ("b", "2")
    assert page.total("tallygate_llm_calls_total", provider="b", status_code="network_error") == 2
    assert page.total("tallygate_llm_errors_total", provider="b", error_type="provider_network") == 1
    assert page.total("tallygate_llm_errors_total", provider="b", error_type="provider_timeout") == 1


async def test_attempts_have_an_end() -> None:
    places = [place("ab"[index % 2], f"x{index}+500") for index in range(6)]
    async with pool({"m": served_by(*places)}, attempts=4) as pools:
        answer = await pools.ask("m")
        assert answer.body == await pools.sent("b", "x3+500")
        assert pools.all_requests == 4
        await pools.check_attempts()
    assert answer.headers["x-tallygate-attempts"] == "4"


async def test_one_attempt_is_no_failover() -> None:
    async with pool({"m": served_by(place("a", "x+500"), place("b", "y"))}, attempts=1) as pools:
        assert (await pools.ask("m")).status == 500
        assert (pools.requests("a"), pools.requests("b")) == (1, 0)


async def test_statuses_are_configured() -> None:
    models = {name: served_by(place("a", f"x+{name}"), place("b", "y")) for name in ("400", "404", "429", "500", "503")}
    async with pool(models, statuses=[404, "503"]) as pools:
        answers = {name: (await pools.ask(name)).status for name in models}
    assert answers == {"400": 400, "404": 200, "429": 429, "500": 500, "503": 200}


async def test_the_time_of_a_request_ends_for_all_its_attempts_together() -> None:
    models = {"m": served_by(*(place("ab"[index % 2], f"x{index}+slow_headers:60") for index in range(9)))}
    limits = {"limits": {"upstream_first_byte_seconds": 0.2, "upstream_total_seconds": 0.3}}
    async with pool(models, attempts=9, more=limits) as pools:
        answer = await pools.ask("m")
        page = await pools.check_attempts()
    assert (answer.status, message_of(answer)) == (504, "2 attempts did not succeed within 0.3 s")
    assert page.total("tallygate_upstream_attempts_total") == 2


async def test_a_provider_may_have_limits_of_its_own() -> None:
    async with pool({"m": served_by(place("a", "x+slow_headers:60"), place("b", "y"))}) as pools:
        url = pools.simulators["a"].url
    providers = {
        "a": {"base_url": f"{url}/v1", "timeouts": {"first_byte_seconds": 0.1, "idle_seconds": 7}},
        "b": {"base_url": f"{url}/v1"},
    }
    async with pool({}, more={"providers": providers}) as pools:
        a, b = (provider.timeouts for provider in pools.parts.router._by_name.values())
    assert (a.first_byte, a.idle, a.connect, a.total) == (0.1, 7, 10, 3600)
    assert (b.first_byte, b.idle, b.connect, b.total) == (600, 300, 10, 3600)


async def test_headers_can_be_turned_off() -> None:
    async with pool({"m": served_by(place("a", "x+500"), place("b", "y"))}, headers=False) as pools:
        answer = await pools.ask("m")
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("x-tallygate-")]


async def test_where_there_was_no_choice_nothing_is_told() -> None:
    async with pool({"m": served_by(place("a", "x")), "n": served_by(place("a", "x+500"))}) as pools:
        answers = [await pools.ask("m"), await pools.ask("n"), await pools.ask("a/x")]
    assert [answer.status for answer in answers] == [200, 500, 200]
    assert not [name for answer in answers for name in answer.headers if name.startswith("x-tallygate-")]


async def test_an_error_too_large_to_keep_is_let_go() -> None:
    """The answer of the first is no longer there when the second cannot be reached."""
    models = {"m": served_by(place("a", "x+500"), place("b", "y+reset"))}
    async with pool(models) as pools:
        before, replies.KEPT_BYTES = replies.KEPT_BYTES, 10  # type: ignore[misc]  # a constant, but for this test
        try:
            answer = await pools.ask("m")
        finally:
            replies.KEPT_BYTES = before  # type: ignore[misc]  # as above
        page = await pools.check_attempts()
    assert (answer.status, answer.headers["x-tallygate-provider"]) == (502, "b")
    assert page.total("tallygate_upstream_attempts_total", provider="a", error_type="provider_server_error") == 1


async def test_names_on_headers_are_harmless() -> None:
    name = "modèle é\t{x}"
    async with pool({"m": served_by(place("a", "x+500"), place("b", name))}) as pools:
        body = CHAT.body("m", False)
        answer = await say(pools.gateway, f"POST {CHAT.path('m', False)} HTTP/1.1", "Connection: close", body)
    head = answer.partition(b"\r\n\r\n")[0]
    assert b"x-tallygate-model: mod%C3%A8le%20%C3%A9%09{x}\r\n" in head + b"\r\n"


async def test_a_callers_own_key_goes_to_one_provider_only() -> None:
    models = {"m": served_by(place("a", "x+500"), place("b", "y"))}
    async with pool(models, keys=False) as pools:
        answer = await pools.ask("m", headers={"authorization": "Bearer key-of-the-caller"})
        first = await last_request(pools.simulators["a"], "openai_chat")
        second = await last_request(pools.simulators["b"], "openai_chat")
    assert answer.status == 200
    assert first["headers"]["authorization"] == "Bearer key-of-the-caller"
    assert "key-of-the-caller" not in json.dumps(second)


@pytest.mark.parametrize("behaviour", ["401", "403"])
async def test_a_callers_own_key_that_is_refused_is_his_affair(behaviour: str) -> None:
    models = {"m": served_by(place("a", f"x+{behaviour}"), place("b", "y"))}
    async with pool(models, keys=False, breaker_failures=1) as pools:
        answer = await pools.ask("m", headers={"authorization": "Bearer wrong"})
        assert answer.body == await pools.sent("a", f"x+{behaviour}")
        assert (pools.requests("a"), pools.requests("b")) == (1, 0)
        again = await pools.ask("m", headers={"authorization": "Bearer wrong"})
    assert answer.status == again.status == int(behaviour)
