"""Streams whose client did not ask for usage: metered to the last token, and the client sees no chunk of it."""

import json

import pytest

from tests.gateway.apis import API, APIS
from tests.gateway.provided import last_reply, last_request, provided, recorded, without_usage
from tests.gateway.running import ask

CHAT, COMPLETIONS, RESPONSES = APIS[0], APIS[1], APIS[2]
BEHAVIOURS = (
    "", "crlf", "split_frames", "unbuffered", "crlf+split_frames", "gzip", "cached+reasoning", "tools", "long:40kB",
    "byte_chunks", "pings",
)  # fmt: skip


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("usage", [None, False], ids=["absent", "declined"])
@pytest.mark.parametrize("api", [CHAT, COMPLETIONS], ids=["chat", "completions"])
async def test_usage_is_counted_and_not_shown(api: API, usage: bool | None, behaviour: str) -> None:
    model = f"gpt-4o+{behaviour}" if behaviour else "gpt-4o"
    async with provided() as (running, simulator):
        headers = {"accept-encoding": "gzip, deflate"}
        answer = await ask(running.url + api.path(model, True), api.body(model, True, usage=usage), headers)
        await recorded(running)
        sent, request = await last_reply(simulator, model), await last_request(simulator, api.name)
        totals = simulator.served()["totals"]
        page = running.page()
    assert request["headers"]["accept-encoding"] == "identity"
    assert json.loads(request["body"])["stream_options"] == {"include_usage": True}
    assert answer.status == 200
    for kind in ("input", "output", "cache_read", "cache_write", "reasoning"):
        assert page.total("tallygate_llm_tokens_total", type=kind) == totals[f"{kind}_tokens"], kind
    assert totals["reported_usage"] == 1
    assert page.total("tallygate_llm_unmetered_calls_total") == 0
    assert page.total("tallygate_llm_calls_total", outcome="completed") == 1
    if "gzip" in behaviour:
        return  # a provider that compresses against what was asked: nothing can be cut out of it
    assert not answer.broken
    assert answer.body == without_usage(sent, b"\r\n" if "crlf" in behaviour else b"\n")
    assert "content-length" not in answer.headers


@pytest.mark.parametrize("api", [CHAT, COMPLETIONS], ids=["chat", "completions"])
async def test_who_asks_for_usage_sees_it(api: API) -> None:
    async with provided() as (running, simulator):
        answer = await ask(running.url + api.path("gpt-4o", True), api.body("gpt-4o", True, usage=True))
        request = await last_request(simulator, api.name)
        assert answer.body == await last_reply(simulator, "gpt-4o")
    assert request["body"].encode() == api.body("gpt-4o", True, usage=True)


async def test_nothing_is_asked_for_where_usage_comes_by_itself() -> None:
    async with provided() as (running, simulator):
        for api, stream in ((CHAT, False), (RESPONSES, True), (APIS[4], True), (APIS[5], True)):
            body = api.body("some-model", stream)
            await ask(running.url + api.path("some-model", stream), body)
            assert (await last_request(simulator, api.name))["body"].encode() == body


@pytest.mark.parametrize(("behaviour", "complete"), [("cut_stream", False), ("error_event", False), ("no_usage", True)])
async def test_a_stream_without_a_usage_chunk_is_not_cut(behaviour: str, complete: bool) -> None:
    model = f"gpt-4o+{behaviour}"
    async with provided() as (running, simulator):
        answer = await ask(running.url + CHAT.path(model, True), CHAT.body(model, True))
        await recorded(running)
        assert answer.body == await last_reply(simulator, model)
        assert running.total("tallygate_llm_calls_total", outcome="completed") == complete
        assert running.total("tallygate_llm_unmetered_calls_total") == complete


async def test_an_error_instead_of_the_stream_is_shown() -> None:
    async with provided() as (running, simulator):
        answer = await ask(running.url + CHAT.path("gpt-4o+429", True), CHAT.body("gpt-4o+429", True))
        assert answer.status == 429
        assert answer.body == await last_reply(simulator, "gpt-4o+429")
