"""Who asks for the cache, whose an answer is, and what makes another one of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tallygate.gateway.app import App
from tallygate.gateway.caller import Allowance, Caller
from tallygate.gateway.settings import Settings
from tallygate.simulator import Simulator
from tests.gateway.cache.asking import CHAT, EMBEDDINGS, GEMINI, MESSAGES, USE, Cached, cached, parts_of
from tests.gateway.provided import provided, providers
from tests.gateway.raw import say

NONE: Mapping[str, str] = {}


def caller(user: str, caches: bool = False) -> Caller:
    return Caller(f"key-of-{user}", user, "free", False, 0, None, caches, Allowance(), Allowance())


class Known:
    """Accounts by the key, which is the user's name; with a + behind it the key uses the cache."""

    async def caller(self, headers: dict[bytes, bytes], query: bytes) -> Caller | None:
        key = headers[b"authorization"].decode().removeprefix("Bearer ")
        return None if key == "master" else caller(key.rstrip("+"), key.endswith("+"))


def key(name: str, **more: str) -> dict[str, str]:
    """Headers of a request with this key."""
    return {"authorization": f"Bearer {name}", **{name.replace("_", "-"): value for name, value in more.items()}}


# Who asks


async def test_nobody_asks() -> None:
    async with cached() as running:
        said = [await running.says(headers=NONE) for _ in range(2)]
        page = await running.page()
        assert running.served == 2
    assert said == [None, None]
    assert page.total("tallygate_cache_lookups_total") == 0
    assert page.total("tallygate_cache_used_bytes") == 0


async def test_a_route_asks_for_all_who_do_not_say_no() -> None:
    async with cached(routes=["/v1/embeddings", "/v1beta/models/{model}:generateContent"]) as running:
        embeddings = [await running.says(api=EMBEDDINGS, headers=NONE) for _ in range(2)]
        gemini = [await running.says(api=GEMINI, headers=NONE) for _ in range(2)]
        chat = [await running.says(headers=NONE) for _ in range(2)]
        off = await running.says(api=EMBEDDINGS, headers={"x-tallygate-cache": "off"})
        assert running.served == 5
    assert (embeddings, gemini) == (["miss", "hit"], ["miss", "hit"])
    assert chat == [None, None]
    assert off is None


async def test_a_key_asks_for_itself() -> None:
    async with cached() as running:
        parts_of(running.gateway.app).accounts = Known()
        said = [await running.says(headers=key(one)) for one in ("ann", "ann+", "ann", "ann+")]
        off = await running.says(headers=key("ann+", x_tallygate_cache="off"))
    assert said == [None, "miss", None, "hit"]
    assert off is None


@pytest.mark.parametrize("value", ["use", "USE", " use ", "use; max-age=60", "Use;Max-Age = 60"])
async def test_a_header_asks(value: str) -> None:
    async with cached() as running:
        said = [await running.says(headers={"x-tallygate-cache": value}) for _ in range(2)]
    assert said == ["miss", "hit"]


async def test_refresh_fetches_anew_and_keeps_that() -> None:
    async with cached() as running:
        said = [await running.says(headers={"x-tallygate-cache": one}) for one in ("refresh", "use", "refresh", "use")]
        page = await running.page()
        assert running.served == 2
    assert said == ["refresh", "hit", "refresh", "hit"]
    assert page.total("tallygate_cache_lookups_total") == page.total("tallygate_cache_lookups_total", result="hit") == 2
    assert page.total("tallygate_cache_entries") == 1


async def test_an_answer_may_be_too_old() -> None:
    async with cached() as running:
        said = [await running.says(headers={"x-tallygate-cache": f"use; max-age={age}"}) for age in (0, 60, 0)]
    assert said[:2] == ["miss", "hit"]
    assert said[2] == "miss"  # older than nothing, if only by a moment


@pytest.mark.parametrize(
    "value", ["yes", "", "use; max-age=-1", "use; max-age=", "use max-age=5", "off; max-age=1", "no"]
)
async def test_a_header_that_says_nothing_known(value: str) -> None:
    async with cached() as running:
        answer = await running.ask(headers={"x-tallygate-cache": value})
        anthropic = await running.ask(MESSAGES, model="claude", headers={"x-tallygate-cache": value})
        assert running.served == 0
    assert (answer.status, anthropic.status) == (400, 400)
    message = f"X-Tallygate-Cache: {value!r} is not known; write use, use; max-age=SECONDS, refresh or off"
    assert json.loads(answer.body)["error"]["message"] == message
    assert json.loads(anthropic.body)["error"]["message"] == message


async def test_what_a_header_says_is_shown_in_part_only() -> None:
    async with cached() as running:
        answer = await running.ask(headers={"x-tallygate-cache": "x" * 4000})
    assert b"'" + b"x" * 40 + b"'" in answer.body
    assert b"x" * 41 not in answer.body


async def test_headers_may_not_ask() -> None:
    async with cached(by_header=False, routes=["/v1/embeddings"]) as running:
        chat = [await running.says(headers={"x-tallygate-cache": one}) for one in ("use", "use", "refresh", "off")]
        embeddings = [
            await running.says(api=EMBEDDINGS, headers={"x-tallygate-cache": one}) for one in ("use", "use", "refresh")
        ]
        assert running.served == 4 + 2
    assert chat == ["bypass", "bypass", "bypass", None]
    assert embeddings == ["miss", "hit", "refresh"]


async def test_without_anybody_to_ask_there_is_no_cache() -> None:
    async with cached() as running:
        assert parts_of(running.gateway.app).cache is not None
    settings = {"providers": providers("http://127.0.0.1:1"), "cache": {"by_header": False}}
    assert parts_of(App(Settings.model_validate(settings))).cache is None


# Whose an answer is


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("user", ["miss", "hit", "miss", "hit", "miss", "hit"]),
        ("all", ["miss", "hit", "hit", "hit", "hit", "hit"]),
    ],
)
async def test_users_share_their_answers_only_where_that_is_set(
    scope: str, said: list[str], store: dict[str, Any]
) -> None:
    async with cached(scope=scope, **store) as running:
        parts_of(running.gateway.app).accounts = Known()
        users = ("ann", "ann+", "bob", "bob", "master", "master")
        assert [await running.says(headers=key(user, x_tallygate_cache="use")) for user in users] == said


async def test_a_key_that_is_meant_for_the_provider_shares_with_nobody() -> None:
    """The gateway has no key of its own: the provider decides who may have an answer."""

    async def says(running: Cached, headers: dict[str, str], query: str = "", **asked: Any) -> str | None:
        return await running.says(headers=headers | USE, query=query, **asked)

    async with provided({"cache": {"scope": "all"}}, keys=False) as (gateway, simulator):
        running = Cached(gateway, simulator)
        bearer = [await says(running, key(one)) for one in ("sk-a", "sk-a", "sk-b", "sk-a")]
        none = [await says(running, {}) for _ in range(2)]
        anthropic = [await says(running, {"x-api-key": one}, api=MESSAGES, model="claude") for one in ("a", "b", "a")]
        gemini = [await says(running, {"x-goog-api-key": one}, api=GEMINI) for one in ("a", "b", "a")]
        in_query = [await says(running, {}, f"key={one}", api=GEMINI) for one in ("a", "b", "a")]
    assert bearer == ["miss", "hit", "miss", "hit"]
    assert none == ["miss", "hit"]
    assert anthropic == gemini == in_query == ["miss", "miss", "hit"]


async def test_the_master_key_is_no_part_of_a_request() -> None:
    settings = {"server": {"master_key": "master-of-the-gateway"}}
    async with cached(settings) as running:
        first = await running.says(headers=USE | {"authorization": "Bearer master-of-the-gateway"})
        second = await running.says(headers=USE | {"x-api-key": "master-of-the-gateway"})
        wrong = await running.ask(headers=USE | {"x-api-key": "wrong"})
    assert (first, second) == ("miss", "hit")
    assert wrong.status == 401
    assert "x-tallygate-cache" not in wrong.headers


# What makes another answer


OTHER = [
    {"openai-beta": "assistants=v2"},
    {"openai-organization": "org-1"},
    {"openai-project": "proj-1"},
    {"anthropic-version": "2023-06-01"},
    {"anthropic-beta": "context-1m-2025-08-07"},
    {"x-goog-user-project": "p"},
    {"x-ms-region": "eu"},
    {"accept": "text/event-stream"},
    {"x-project": "blue"},
]
SAME = [
    {"user-agent": "other/1.0"},
    {"x-stainless-retry-count": "1"},
    {"x-request-id": "2"},
    {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    {"x-goog-api-client": "gl-python/3.11"},
    {"x-goog-api-key": "unused"},
    {"authorization": "Bearer unused"},
    {"content-type": "application/json; charset=utf-8"},
    {"idempotency-key": "1"},
    {"cookie": "a=b"},
]


async def test_headers_that_make_another_answer_and_headers_that_do_not() -> None:
    async with cached(headers=["X-Project"]) as running:
        await running.ask()
        other = [await running.says(headers=USE | one) for one in OTHER]
        same = [await running.says(headers=USE | one) for one in SAME]
    assert other == ["miss"] * len(OTHER)
    assert same == ["hit"] * len(SAME)


async def test_a_header_that_is_there_twice_is_not_as_if_it_were_there_once() -> None:
    async with cached() as running:
        answers = []
        for headers in ("openai-beta: a", "openai-beta: a\r\nopenai-beta: b", "openai-beta: b"):
            line, more = "POST /v1/chat/completions HTTP/1.1", "\r\nx-tallygate-cache: use\r\nconnection: close"
            answers.append(await say(running.gateway, line, headers + more, CHAT.body("gpt-4o", False)))
    assert [b"x-tallygate-cache: miss" in answer for answer in answers] == [True, True, True]


async def test_the_same_body_at_another_path_or_model_is_another_request() -> None:
    async with cached() as running:
        said = [
            await running.says(api=api, model=model, stream=stream)
            for api, model in ((GEMINI, "gemini-a"), (GEMINI, "gemini-b"), (GEMINI, "not-configured/a"))
            for stream in (False, True)
        ]
    assert said == ["miss"] * 6


async def test_settings_that_lead_elsewhere_make_another_answer(store: dict[str, Any]) -> None:
    """A store outlives the settings with which it was filled."""
    more = store.pop("settings", {})
    said = []
    async with Simulator() as one, Simulator() as two:
        for simulator, target in ((one, "gpt-4o"), (one, "gpt-4o"), (one, "gpt-4.1"), (two, "gpt-4o"), (one, "gpt-4o")):
            settings = {"aliases": {"fast": target}, "providers": providers(simulator.url)}
            async with cached(settings | more, **store) as running:
                said.append(await running.says(model="fast"))
    assert said == (["miss", "hit", "miss", "miss", "hit"] if store else ["miss"] * 5)
