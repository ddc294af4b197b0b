"""Who may call and who may scrape, and that no key ends where it does not belong."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.provided import key_of, last_request, provided
from tests.gateway.raw import say
from tests.gateway.running import Gateway, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")

MASTER = "master-Key/of=the+gateway"
SCRAPER = "secret-of-the-scrapers"
IN_QUERY = "?key=master-Key%2Fof%3Dthe%2Bgateway"
Pair = tuple[Gateway, Simulator]

RIGHT = (
    {"Authorization": f"Bearer {MASTER}"},
    {"Authorization": f"bearer  {MASTER} "},
    {"X-Api-Key": MASTER},
    {"X-Goog-Api-Key": MASTER},
    {"Api-Key": MASTER},
)
WRONG: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": f"Bearer {MASTER}x"},
    {"Authorization": f"Basic {MASTER}"},
    {"Authorization": MASTER},
    {"Authorization": "Bearer "},
    {"X-Api-Key": MASTER[:-1]},
    {"X-Api-Key": ""},
    {"X-Api-Key": SCRAPER},
    {"X-Api-Key": "\u00fc"},
)

CHAT, MESSAGES, GEMINI = APIS[0], APIS[4], APIS[5]
TURNED_AWAY = [
    ("POST", "/v1/chat/completions", "openai"),
    ("POST", "/v1/completions", "openai"),
    ("POST", "/v1/responses", "openai"),
    ("POST", "/v1/embeddings", "openai"),
    ("GET", "/v1/models", "openai"),
    ("GET", "/v1/models/gpt-4o", "openai"),
    ("GET", "/v1/chat/completions", "openai"),
    ("GET", "/", "openai"),
    ("GET", "/nowhere", "openai"),
    ("GET", "/healthy", "openai"),
    ("GET", "/health/", "openai"),
    ("DELETE", "/v1/files/file-1", "openai"),
    ("POST", "/v1/messages", "anthropic"),
    ("POST", "/v1/messages/count_tokens", "anthropic"),
    ("POST", "/v1beta/models/gemini-2.5-pro:generateContent", "gemini"),
    ("POST", "/v1/models/gemini-2.5-pro:streamGenerateContent", "gemini"),
    ("POST", "/v1beta/models/gemini-2.5-pro:countTokens", "gemini"),
    ("GET", "/v1beta/models", "gemini"),
    ("GET", "/v1beta/models/gemini-2.5-pro", "gemini"),
    ("GET", "/v1beta/nowhere", "gemini"),
]
"""Paths, and whose clients call them."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[Pair]:
    async with provided({"server": {"master_key": MASTER}, "metrics": {"secret": SCRAPER}}) as both:
        yield both


@pytest.mark.parametrize("headers", RIGHT, ids=lambda headers: "-".join(headers))
@pytest.mark.parametrize("api", [CHAT, MESSAGES, GEMINI], ids=lambda api: api.name)
async def test_the_master_key_opens_every_api(pair: Pair, api: API, headers: dict[str, str]) -> None:
    answer = await ask(pair[0].url + api.path("some-model", False), api.body("some-model", False), headers)
    assert answer.status == 200, answer.body


async def test_gemini_clients_may_put_it_into_the_query(pair: Pair) -> None:
    answer = await ask(pair[0].url + GEMINI.path("gemini-x", False) + IN_QUERY, GEMINI.body("gemini-x", False))
    assert answer.status == 200
    request = await last_request(pair[1], "gemini_generate")
    assert request["path"] == "/v1beta/models/gemini-x:generateContent"


@pytest.mark.parametrize("headers", WRONG, ids=str)
@pytest.mark.parametrize(("method", "path", "kind"), TURNED_AWAY, ids=lambda part: str(part))
async def test_nothing_opens_without_it(pair: Pair, method: str, path: str, kind: str, headers: dict[str, str]) -> None:
    answer = await ask(pair[0].url + path, b"{}", headers, method=method)
    assert answer.status == 401
    error = json.loads(answer.body)
    assert MASTER[:-1].encode() not in answer.body
    if kind == "openai":
        assert list(error["error"]) == ["message", "type", "param", "code"]
        assert (error["error"]["type"], error["error"]["code"]) == ("authentication_error", "invalid_api_key")
    elif kind == "anthropic":
        assert error["type"] == "error"
        assert error["error"]["type"] == "authentication_error"
    else:
        assert (error["error"]["code"], error["error"]["status"]) == (401, "UNAUTHENTICATED")


async def test_model_lists_refuse_in_the_words_of_whose_client_asks(pair: Pair) -> None:
    asked = {"anthropic-version": "2023-06-01", "x-api-key": "wrong"}
    anthropic = json.loads((await ask(f"{pair[0].url}/v1/models", headers=asked, method="GET")).body)
    gemini = json.loads((await ask(f"{pair[0].url}/v1/models", headers={"x-goog-api-key": "no"}, method="GET")).body)
    assert anthropic["error"]["type"] == "authentication_error"
    assert gemini["error"]["status"] == "UNAUTHENTICATED"


async def test_the_messages_say_what_is_missing(pair: Pair) -> None:
    async def message(headers: dict[str, str]) -> str:
        return str(
            json.loads((await ask(pair[0].url + "/v1/models", headers=headers, method="GET")).body)["error"]["message"]
        )

    assert await message({}) == "missing API key: send 'Authorization: Bearer <key>' or 'x-api-key: <key>'"
    assert (
        await message({"Authorization": "Basic x"}) == "invalid authorization header format, expected 'Bearer <token>'"
    )
    assert await message({"Authorization": "Bearer x"}) == "invalid API key"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_health_is_open_to_all(pair: Pair, method: str) -> None:
    answer = await ask(f"{pair[0].url}/health", method=method)
    assert (answer.status, answer.headers["content-length"]) == (200, "15")
    assert answer.body == (b'{"status":"ok"}' if method == "GET" else b"")


async def test_health_takes_no_other_method(pair: Pair) -> None:
    answer = await ask(f"{pair[0].url}/health")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": f"Bearer {MASTER}"}, 200),
        ({"Authorization": f"Bearer {SCRAPER}"}, 200),
        ({"X-Api-Key": MASTER}, 200),
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {SCRAPER}"}, 401),
        ({"X-Api-Key": "wrong"}, 401),
    ],
    ids=str,
)
async def test_who_may_scrape(pair: Pair, headers: dict[str, str], status: int) -> None:
    answer = await ask(f"{pair[0].url}/metrics", headers=headers, method="GET")
    assert answer.status == status
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert json.loads(answer.body)["error"].startswith("Unauthorized: ")


async def test_the_scrapers_secret_opens_nothing_but_the_metrics(pair: Pair) -> None:
    answer = await ask(f"{pair[0].url}/v1/models", headers={"Authorization": f"Bearer {SCRAPER}"}, method="GET")
    assert answer.status == 401


async def test_without_a_master_key_the_secret_still_protects_the_metrics() -> None:
    async with provided({"metrics": {"secret": SCRAPER}}) as (running, _):
        assert (await ask(f"{running.url}/v1/models", method="GET")).status == 200
        assert (await ask(f"{running.url}/metrics", method="GET")).status == 401
        scraped = await ask(f"{running.url}/metrics", headers={"Authorization": f"Bearer {SCRAPER}"}, method="GET")
    assert scraped.status == 200


async def test_without_keys_everything_is_open() -> None:
    async with provided() as (running, _):
        assert (await ask(f"{running.url}/metrics", method="GET")).status == 200


@pytest.mark.parametrize("api", [CHAT, MESSAGES, GEMINI], ids=lambda api: api.name)
@pytest.mark.parametrize("keys", [True, False], ids=["own-key", "no-key"])
async def test_the_master_key_is_never_forwarded(api: API, keys: bool) -> None:
    headers = {name: value for right in RIGHT for name, value in right.items()} | {
        "Cookie": "session=of-the-caller",
        "Proxy-Authorization": "Basic cHJveHk=",
        "X-Kept": "as it is",
    }
    async with provided({"server": {"master_key": MASTER}}, keys=keys) as (running, simulator):
        path = api.path("some-model", False)
        answer = await ask(running.url + path + IN_QUERY + "&other=1", api.body("some-model", False), headers)
        request = await last_request(simulator, api.name)
    assert answer.status == 200
    assert MASTER not in json.dumps(request)
    assert request["path"].endswith("?other=1")
    got: dict[str, Any] = request["headers"]
    assert got["x-kept"] == "as it is"
    assert not {"cookie", "proxy-authorization", "host-of-the-gateway"} & got.keys()
    credentials = {
        name: got[name] for name in ("authorization", "x-api-key", "x-goog-api-key", "api-key") if name in got
    }
    own = {
        "openai": {"authorization": "Bearer key-of-openai"},
        "anthropic": {"x-api-key": "key-of-anthropic"},
        "gemini": {"x-goog-api-key": "key-of-gemini"},
    }
    assert credentials == (own[api.provider] if keys else {})


CALLERS_OWN = [
    (CHAT, {"authorization": "Bearer sk-caller"}, ""),
    (MESSAGES, {"x-api-key": "caller"}, ""),
    (MESSAGES, {"authorization": "Bearer caller"}, ""),
    (GEMINI, {"x-goog-api-key": "caller"}, ""),
    (GEMINI, {}, "?key=caller"),
]


@pytest.mark.parametrize(("api", "headers", "query"), CALLERS_OWN)
async def test_the_callers_own_key_goes_on_where_the_gateway_has_none(
    api: API, headers: dict[str, str], query: str
) -> None:
    async with provided(keys=False) as (running, simulator):
        path = api.path("some-model", False)
        await ask(running.url + path + query, api.body("some-model", False), headers | {"cookie": "a=b"})
        request = await last_request(simulator, api.name)
    assert {name: request["headers"].get(name) for name in headers} == headers
    assert request["path"] == path + query
    assert "cookie" not in request["headers"]


@pytest.mark.parametrize(("api", "headers", "query"), CALLERS_OWN)
async def test_the_gateways_key_replaces_the_callers(api: API, headers: dict[str, str], query: str) -> None:
    async with provided() as (running, simulator):
        path = api.path("some-model", False)
        await ask(running.url + path + query, api.body("some-model", False), headers)
        request = await last_request(simulator, api.name)
    assert request["path"] == path
    assert key_of(api.provider) in json.dumps(request["headers"])
    assert not any("caller" in value for value in request["headers"].values())


async def test_configured_headers_replace_the_callers() -> None:
    def settings(url: str) -> dict[str, Any]:
        headers = {"Authorization": "Basic b3du", "X-Org": "ours"}
        return {"providers": {"own": {"kind": "openai", "base_url": f"{url}/v1", "headers": headers}}}

    async with provided(settings) as (running, simulator):
        theirs = {"authorization": "Bearer caller", "x-org": "theirs"}
        await ask(running.url + CHAT.path("m", False), CHAT.body("m", False), theirs)
        request = await last_request(simulator, "openai_chat")
    assert (request["headers"]["authorization"], request["headers"]["x-org"]) == ("Basic b3du", "ours")


async def test_headers_that_end_at_the_gateway() -> None:
    sent = "Connection: X-Hop, close\r\nX-Hop: 1\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\nX-On: 2"
    async with provided() as (running, simulator):
        answer = await say(running, "POST /v1/chat/completions HTTP/1.1", sent, CHAT.body("m", False))
        request = await last_request(simulator, "openai_chat")
    assert answer.startswith(b"HTTP/1.1 200 ")
    got = request["headers"]
    assert got["host"] == simulator.url.removeprefix("http://")
    assert got["x-on"] == "2"
    assert not {"x-hop", "te", "keep-alive"} & got.keys()
