"""Streams: never another try after the first byte; what fails before it fails over."""

import pytest

from tests.gateway.failover.pools import place, pool, served_by
from tests.gateway.provided import until, without_usage
from tests.gateway.upstream.scripted import Peer, Script, provider

AFTER = {
    "reset_body:3": "provider_stream_cut",
    "cut_stream:3": "provider_stream_cut",
    "cut_chunks:3": "provider_stream_cut",
    "error_event:3": "provider_server_error",
    "stall:3": "provider_timeout",
}


async def test_nothing_is_tried_again_after_the_first_byte() -> None:
    models = {name: served_by(place("a", f"x+{name}+unbuffered"), place("b", "y")) for name in AFTER}
    limits = {"limits": {"stream_idle_seconds": 0.2}}
    async with pool(models, retries=3, more=limits) as pools:
        for name in AFTER:
            answer = await pools.ask(name, stream=True)
            assert (answer.status, answer.headers["x-tallygate-provider"]) == (200, "a")
            assert b'"content"' in answer.body
            assert answer.broken == (name.split(":")[0] in ("reset_body", "cut_chunks", "stall"))
        await until(lambda: pools.requests("a") == len(AFTER))
        assert pools.requests("b") == 0
        page = await pools.check_attempts()
    for name, error_type in AFTER.items():
        failed = {"provider": "a", "model": f"x+{name}+unbuffered", "error_type": error_type}
        assert page.total("tallygate_llm_errors_total", **failed) == 1
        assert page.total("tallygate_upstream_attempts_total", **failed) == 1
    assert page.total("tallygate_upstream_retries_total") == 0


async def test_a_whole_reply_that_breaks_off_is_no_stream() -> None:
    """Its head has not been sent, but the model has been at work: it is told as it is."""
    async with pool({"m": served_by(place("a", "x+reset_body"), place("b", "y"))}) as pools:
        answer = await pools.ask("m")
        assert (pools.requests("a"), pools.requests("b")) == (1, 0)
        page = await pools.check_attempts()
    assert answer.status == 502
    assert page.total("tallygate_llm_errors_total", error_type="provider_stream_cut") == 1


async def test_an_error_at_the_beginning_of_a_stream_is_none_of_the_clients() -> None:
    models = {"m": served_by(place("a", "x+error_event:0"), place("b", "y"))}
    async with pool(models) as pools:
        answer = await pools.ask("m", stream=True)
        assert answer.body == without_usage(await pools.sent("b", "y"))
        page = await pools.check_attempts()
    assert (answer.status, answer.headers["x-tallygate-attempts"]) == (200, "2")
    failed = {"provider": "a", "status_code": "200", "error_type": "provider_server_error"}
    assert page.total("tallygate_upstream_attempts_total", **failed) == 1
    assert page.total("tallygate_llm_calls_total", provider="b", outcome="completed") == 1
    assert page.total("tallygate_llm_calls_total") == 1
    assert page.total("tallygate_llm_time_to_first_token_seconds_count", model="y") == 1
    assert page.total("tallygate_llm_time_to_first_token_seconds_count") == 1


async def test_when_every_stream_begins_with_an_error_the_last_is_the_clients() -> None:
    models = {"m": served_by(place("a", "x+error_event:0"), place("b", "y+error_event:0"))}
    async with pool(models) as pools:
        answer = await pools.ask("m", stream=True)
        assert answer.body == await pools.sent("b", "y+error_event:0")
        page = await pools.check_attempts()
    assert answer.status == 200
    assert page.total("tallygate_llm_calls_total", provider="b", outcome="failed") == 1
    assert page.total("tallygate_llm_errors_total", provider="b", error_type="provider_server_error") == 1


async def test_a_stream_alone_goes_on_as_it_comes() -> None:
    async with pool({"m": served_by(place("a", "x+error_event:0"))}) as pools:
        answer = await pools.ask("m", stream=True)
        assert answer.body == await pools.sent("a", "x+error_event:0")
    assert answer.status == 200


@pytest.mark.parametrize("behaviour", ["cached", "crlf", "split_frames", "unbuffered", "pings", "reasoning", "tools"])
async def test_a_stream_with_a_choice_is_the_same_to_the_byte(behaviour: str) -> None:
    async with pool({"m": served_by(place("a", f"x+{behaviour}"), place("b", "y"))}) as pools:
        answer = await pools.ask("m", stream=True)
        newline = b"\r\n" if behaviour == "crlf" else b"\n"
        assert answer.body == without_usage(await pools.sent("a", f"x+{behaviour}"), newline)
        page = await pools.check_attempts()
    assert page.total("tallygate_llm_tokens_total", provider="a", type="output") == 12


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


async def only_a_head(peer: Peer) -> None:
    await peer.answer(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    peer.reset()


async def nothing_at_all(peer: Peer) -> None:
    await peer.answer(HEAD + b"content-length: 0\r\n\r\n")
    await peer.gone()


async def silence(peer: Peer) -> None:
    await peer.answer(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    await peer.gone()


@pytest.mark.parametrize(
    ("script", "error_type"),
    [
        (only_a_head, "provider_stream_cut"),
        (nothing_at_all, "provider_stream_cut"),
        (silence, "provider_timeout"),
    ],
)
async def test_a_stream_without_a_first_byte_fails_over(script: Script, error_type: str) -> None:
    async with provider(script) as scripted:
        providers = {"s": {"base_url": f"{scripted.url}/v1"}}
        models = {"m": served_by(place("s", "x"), place("a", "y"))}
        limits = {"stream_idle_seconds": 0.1}
        async with pool(models, providers=("a",), beside=providers, more={"limits": limits}) as pools:
            answer = await pools.ask("m", stream=True)
            assert answer.body == without_usage(await pools.sent("a", "y"))
            page = pools.page()
    assert (answer.status, answer.headers["x-tallygate-provider"]) == (200, "a")
    failed = {"provider": "s", "status_code": "200", "error_type": error_type}
    assert page.total("tallygate_upstream_attempts_total", **failed) == 1
    assert page.total("tallygate_llm_calls_total", provider="a", outcome="completed") == 1
    assert page.total("tallygate_llm_calls_total") == 1
