"""Answers from the cache: the bytes of the first one, no call of a provider, and every number true."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tallygate.simulator import Simulator
from tests.gateway.apis import API
from tests.gateway.cache.asking import CHAT, GEMINI, MESSAGES, USE, WAYS, cached
from tests.gateway.provided import last_reply, last_request
from tests.gateway.raw import say
from tests.gateway.running import Answer, Page, ask

Store = dict[str, Any]


@pytest.mark.parametrize(("api", "stream"), WAYS)
async def test_a_hit_gives_the_bytes_of_the_miss_and_costs_no_call(api: API, stream: bool, store: Store) -> None:
    async with cached(**store) as running:
        miss = await running.ask(api, stream=stream)
        hit = await running.ask(api, stream=stream)
        totals = running.simulator.served()["totals"]
        page = await running.page()
    assert (miss.status, hit.status) == (200, 200)
    assert hit.body == miss.body
    assert miss.body
    assert (miss.headers["x-tallygate-cache"], hit.headers["x-tallygate-cache"]) == ("miss", "hit")
    assert "age" not in miss.headers
    assert hit.headers["age"] == "0"
    assert totals["requests"] == 1
    check_counted_once(page, api, stream, totals)


def check_counted_once(page: Page, api: API, stream: bool, totals: dict[str, int]) -> None:
    """A hit is a request and no call."""
    assert page.total("tallygate_llm_calls_total") == 1
    assert page.total("tallygate_upstream_attempts_total") == 1
    assert page.total("tallygate_llm_tokens_total", type="input") == totals["input_tokens"]
    assert page.total("tallygate_llm_tokens_total", type="output") == totals["output_tokens"]
    assert page.total("tallygate_http_requests_total", status_code="200") == 2
    assert page.total("tallygate_http_requests_in_flight") == 0
    assert page.total("tallygate_cache_lookups_total", cache="responses", route="", result="miss") == 1
    assert page.total("tallygate_cache_lookups_total", cache="responses", route="", result="hit") == 1
    phases = "tallygate_gateway_phase_duration_seconds_count"
    for phase, times in (("decode", 2), ("prepare", 2), ("provider_dispatch", 1), ("total", 2)):
        assert page.total(phases, phase=phase) == page.total(phases, phase=phase, status="success") == times, phase
    assert page.total(phases, phase="response_write") == (0 if stream else 1)
    assert page.total("tallygate_llm_errors_total") == page.total("tallygate_store_failures_total") == 0


async def test_headers_of_a_hit(store: Store) -> None:
    async with cached(**store) as running:
        miss = await running.ask()
        hit = await running.ask()
    assert miss.headers["x-request-id"]
    assert miss.headers["x-ratelimit-limit-requests"]
    assert hit.headers == {
        "content-type": miss.headers["content-type"],
        "content-length": miss.headers["content-length"],
        "openai-version": miss.headers["openai-version"],
        "x-tallygate-cache": "hit",
        "age": "0",
    }


@pytest.mark.parametrize("model", ["gpt+unbuffered", "gpt+byte_chunks", "gpt+crlf+unbuffered", "gpt+long:40kB"])
async def test_a_stream_is_replayed_in_its_chunks(model: str, store: Store) -> None:
    async with cached(**store) as running:
        said = []
        for _ in range(2):
            line = "POST /v1/chat/completions HTTP/1.1"
            headers = "x-tallygate-cache: use\r\nconnection: close"
            said.append(await say(running.gateway, line, headers, CHAT.body(model, True)))
        served = running.served
    (_, first), (head, second) = (one.split(b"\r\n\r\n", 1) for one in said)
    assert b"x-tallygate-cache: hit" in head
    assert second == first
    assert second.count(b"\r\n0\r\n\r\n") == 1
    assert served == 1


async def test_usage_that_the_client_did_not_ask_for_is_not_shown_by_a_hit_either(store: Store) -> None:
    async with cached(**store) as running:
        shown = [
            (await running.ask(stream=True, body=CHAT.body("gpt-4o", True, usage=usage))).body
            for usage in (None, True, None, True)
        ]
        sent = await last_reply(running.simulator, "gpt-4o")
        served = running.served
    assert served == 2
    assert shown[0] == shown[2] != shown[1] == shown[3] == sent
    assert b'"choices":[]' not in shown[0]


async def test_a_compressed_answer_is_for_those_who_take_it(store: Store) -> None:
    gzip, plain = USE | {"accept-encoding": "gzip"}, USE
    async with cached(**store) as running:
        answers = [await running.ask(model="gpt-4o+gzip", headers=headers) for headers in (gzip, plain, gzip, plain)]
        same = await running.ask(model="gpt-4o+gzip", headers=USE | {"accept-encoding": "br, gzip, zstd"})
        served = running.served
    assert [one.headers["x-tallygate-cache"] for one in answers] == ["miss", "miss", "hit", "hit"]
    assert answers[0].headers["content-encoding"] == answers[2].headers["content-encoding"] == "gzip"
    assert answers[0].body == answers[2].body == same.body
    assert same.headers["x-tallygate-cache"] == "hit"
    assert served == 2


async def test_at_the_same_time_each_gets_its_answer(store: Store) -> None:
    async with cached(**store) as running:
        answers = await asyncio.gather(*[running.ask(model="gpt-4o+slow_headers:0.05") for _ in range(8)])
        later = await running.ask(model="gpt-4o+slow_headers:0.05")
        page = await running.page()
        served = running.served
    assert {one.body for one in answers} == {later.body}
    said = [one.headers["x-tallygate-cache"] for one in answers]
    assert said.count("miss") == served == page.total("tallygate_llm_calls_total")
    assert later.headers["x-tallygate-cache"] == "hit"
    assert page.total("tallygate_cache_entries") == 1


async def test_under_random_load_everybody_gets_the_answer_to_the_own_request(store: Store) -> None:
    dice = random.Random(2)
    ways = [
        (api, f"model-{number}+{how}", stream)
        for api, stream in WAYS
        for number in range(3)
        for how in ("unbuffered", "long:3kB")
    ]
    capacity = 60_000
    async with cached(capacity=capacity, **store) as running:

        async def call(api: API, model: str, stream: bool, headers: dict[str, str]) -> Answer:
            return await ask(running.gateway.url + api.path(model, stream), api.body(model, stream), headers)

        true = {way: (await call(*way, headers={})).body for way in ways}
        asked_apart = running.served
        room = asyncio.Semaphore(16)

        async def one() -> str:
            way = dice.choice(ways[: dice.randrange(1, len(ways))])
            async with room:
                answer = await call(*way, headers=USE)
            assert answer.status == 200
            assert answer.body == true[way], way
            return answer.headers["x-tallygate-cache"]

        said = await asyncio.gather(*[one() for _ in range(400)])
        await running.gateway.settled()
        page = await running.page()
        served = running.served - asked_apart
    assert said.count("miss") == served == page.total("tallygate_cache_lookups_total", result="miss")
    assert said.count("hit") == 400 - served == page.total("tallygate_cache_lookups_total", result="hit") > 50
    assert 0 < page.total("tallygate_cache_used_bytes") <= capacity
    assert 0 < page.total("tallygate_cache_entries") < len(ways)


async def test_another_gateway_finds_what_is_shared_and_a_restart_empties_memory(store: Store) -> None:
    async with cached(**store) as first:
        await first.ask()
        url = first.simulator.url
        providers = {"openai": {"kind": "openai", "base_url": f"{url}/v1", "api_key": "k"}}
        again = dict(store) | {"settings": {**store.get("settings", {}), "providers": providers}}
        async with cached(**again) as second:
            answer = await second.ask()
        served = first.served
    shared = bool(store)
    assert answer.headers["x-tallygate-cache"] == ("hit" if shared else "miss")
    assert served == (1 if shared else 2)


# What is kept at all


@pytest.mark.parametrize(
    ("model", "stream"),
    [
        ("gpt-4o+429", False),
        ("gpt-4o+500", True),
        ("gpt-4o+context_length", False),
        ("gpt-4o+content_filter_stop+no_usage", False),
        ("gpt-4o+truncated_json", False),
        ("gpt-4o+reset_body", True),
        ("gpt-4o+cut_stream", True),
        ("gpt-4o+cut_chunks", True),
        ("gpt-4o+cut_chunks", False),
        ("gpt-4o+error_event", True),
        ("gpt-4o+no_usage", False),
        ("gpt-4o+no_usage", True),
        ("gpt-4o+reset", False),
    ],
)
async def test_only_whole_and_good_answers_are_kept(model: str, stream: bool, store: Store) -> None:
    async with cached({"failover": {"attempts": 1}} | store.pop("settings", {}), **store) as running:
        said = [await running.says(model=model, stream=stream) for _ in range(2)]
        page = await running.page()
        assert running.served == 2
    assert said == ["miss", "miss"]
    assert page.total("tallygate_cache_entries") == page.total("tallygate_cache_used_bytes") == 0
    assert page.total("tallygate_cache_lookups_total", result="miss") == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_is_too_large_is_not_kept(stream: bool) -> None:
    async with cached(largest_answer=20_000) as running:
        assert [await running.says(model="gpt-4o+long:40kB", stream=stream) for _ in range(2)] == ["miss", "miss"]
        assert [await running.says(model="gpt-4o", stream=stream) for _ in range(2)] == ["miss", "hit"]


async def test_an_answer_whose_client_left_is_not_kept(store: Store) -> None:
    async with cached(**store) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(running.gateway.url.rpartition(":")[2]))
        body = CHAT.body("gpt-4o+stall", True)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-tallygate-cache: use\r\ncontent-length: {len(body)}"
        writer.write(head.encode() + b"\r\n\r\n" + body)
        await reader.readuntil(b"data: ")
        writer.transport.abort()
        await running.simulator.until(lambda served: served.count(outcome="client_gone") == 1)
        await running.gateway.settled()
        page = await running.page()
    assert page.total("tallygate_cache_entries") == 0
    assert page.total("tallygate_llm_calls_total", outcome="cancelled") == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[],"temperature":1,"temperature":2}',
        b'{"model":"m","messages":[],"seed":1e400}',
        b'{"model":"m","messages":[{"role":"user","content":"x","content":"y"}]}',
        b'{"model":"m","messages":[],"conversation":"conv_1"}',
        b'{"model":"m","messages":[],"container":{"id":"c"}}',
        b'{"model":"m","messages":[],"background":true}',
        b'{"model":"m","messages":[],"x":"' + b"x" * 300_000 + b'"}',
    ],
)
async def test_a_request_without_a_form_goes_past_the_cache(body: bytes) -> None:
    async with cached() as running:
        answers = [await running.ask(body=body) for _ in range(2)]
        page = await running.page()
        assert running.served == 2
    assert [one.headers["x-tallygate-cache"] for one in answers] == ["bypass", "bypass"]
    assert page.total("tallygate_cache_lookups_total") == 0


async def test_lists_of_models_are_not_kept() -> None:
    async with cached() as running:
        answer = await ask(f"{running.gateway.url}/v1/models", headers=USE, method="GET")
    assert answer.status == 200
    assert "x-tallygate-cache" not in answer.headers


async def test_the_provider_does_not_see_the_caches_header() -> None:
    async with cached() as running:
        await running.ask(MESSAGES, model="claude")
        request = await last_request(running.simulator, "anthropic_messages")
    assert "x-tallygate-cache" not in request["headers"]


# Several deployments


MODEL = {"deployments": [{"provider": "one", "model": "gpt-4o"}, {"provider": "two", "model": "gpt-4.1"}]}


async def test_any_deployment_of_a_model_may_have_given_the_answer(store: Store) -> None:
    async with Simulator() as simulator:
        address = {"kind": "openai", "base_url": f"{simulator.url}/v1", "api_key": "k"}
        settings = {"providers": {"one": address, "two": address}, "models": {"best": MODEL}}
        async with cached(settings | store.pop("settings", {}), **store) as running:
            answers = [await running.ask(model="best") for _ in range(4)]
        assert simulator.served()["totals"]["requests"] == 1
    assert [one.headers["x-tallygate-cache"] for one in answers] == ["miss", "hit", "hit", "hit"]


async def test_what_a_fallback_said_is_not_kept() -> None:
    async with Simulator() as simulator:
        address = {"kind": "openai", "base_url": f"{simulator.url}/v1", "api_key": "k"}
        models = {
            "best": {"deployments": [{"provider": "one", "model": "gpt-4o+500"}], "fallbacks": ["good"]},
            "good": {"deployments": [{"provider": "one", "model": "gpt-4o"}]},
        }
        async with cached({"providers": {"one": address}, "models": models}) as running:
            answers = [await running.ask(model="best") for _ in range(2)]
            page = await running.page()
    assert [one.status for one in answers] == [200, 200]
    assert [one.headers["x-tallygate-cache"] for one in answers] == ["miss", "miss"]
    assert page.total("tallygate_cache_entries") == 0


async def test_a_hit_counts_as_a_request_where_requests_are_limited(store: Store) -> None:
    rates = {"rates": {"models": {"gpt-4o": {"requests_per_minute": 2}}}}
    async with cached(rates | store.pop("settings", {}), **store) as running:
        answers = [await running.ask() for _ in range(3)]
        assert running.served == 1
    assert [one.status for one in answers] == [200, 200, 429]
    assert answers[1].headers["x-tallygate-cache"] == "hit"


async def test_gemini_by_query(store: Store) -> None:
    """The form of a stream, but not the key, is part of what was asked."""
    async with cached(**store) as running:
        said = [
            (await running.ask(GEMINI, stream=True, query=query)).headers["x-tallygate-cache"]
            for query in ("", "key=a", "key=b", "alt=json", "prettyPrint=false")
        ]
    assert said == ["miss", "hit", "hit", "miss", "miss"]
