"""Which provider serves which model name, and what it is asked for."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.provided import key_of, last_request, provided, providers, recorded
from tests.gateway.raw import say
from tests.gateway.running import Gateway, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT, MESSAGES, GEMINI = APIS[0], APIS[4], APIS[5]
Pair = tuple[Gateway, Simulator]


def settings(url: str) -> dict[str, Any]:
    """Two OpenAI-shaped providers, and one of each other kind."""
    named = providers(url)
    named["openai"]["models"] = [{"name": "gpt-4o-2024-08-06", "aliases": ["gpt-4o"]}, "both"]
    named["anthropic"]["models"] = ["claude-sonnet-4-5", "both"]
    local = {"kind": "openai", "base_url": f"{url}/v1", "api_key": "key-of-local", "models": ["llama", "org/model:7b"]}
    aliases = {
        "fast": "llama",
        "quick": "fast",
        "smart": "anthropic/claude-sonnet-4-5",
        "tiny": "gemini/gemini-2.5-flash-lite",
        "far": "local/org/model:7b",
    }
    return {"providers": {**named, "local": local}, "aliases": aliases}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[Pair]:
    async with provided(settings) as both:
        yield both


ROUTED = [
    (CHAT, "gpt-4o-2024-08-06", "openai", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
    (CHAT, "gpt-4o", "openai", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
    (CHAT, "llama", "local", "llama", "llama"),
    (CHAT, "local/llama", "local", "llama", "llama"),
    (CHAT, "org/model:7b", "local", "org/model:7b", "org/model:7b"),
    (CHAT, "fast", "local", "llama", "llama"),
    (CHAT, "quick", "local", "llama", "llama"),
    (CHAT, "far", "local", "org/model:7b", "org/model:7b"),
    (CHAT, "openai/gpt-4o", "openai", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
    (CHAT, "local/gpt-4o", "local", "gpt-4o", "other"),
    (CHAT, "openai/gpt-4o-mini", "openai", "gpt-4o-mini", "gpt-4o-mini"),
    (CHAT, "gpt-4o-mini", "openai", "gpt-4o-mini", "gpt-4o-mini"),
    (CHAT, "never-heard-of-it", "openai", "never-heard-of-it", "other"),
    (CHAT, "nobody/never-heard-of-it", "openai", "nobody/never-heard-of-it", "other"),
    (CHAT, "/models/llama.gguf", "openai", "/models/llama.gguf", "other"),
    (CHAT, "both", "openai", "both", "both"),
    (MESSAGES, "both", "anthropic", "both", "both"),
    (MESSAGES, "smart", "anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5"),
    (MESSAGES, "anthropic/claude-x", "anthropic", "claude-x", "other"),
    (GEMINI, "tiny", "gemini", "gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
    (GEMINI, "gemini/tiny", "gemini", "tiny", "other"),
]
"""API, the name asked for, and: which provider is asked, for which model, counted under which label."""


@pytest.mark.parametrize(("api", "name", "provider", "model", "label"), ROUTED)
async def test_a_name_leads_to_a_model(pair: Pair, api: API, name: str, provider: str, model: str, label: str) -> None:
    before = pair[0].page().total("tallygate_llm_calls_total", provider=provider, model=label)
    requests = int(pair[0].total("tallygate_http_requests_total"))
    answer = await ask(pair[0].url + api.path(name, False), api.body(name, False))
    await recorded(pair[0], requests + 1)
    assert answer.status == 200, answer.body
    request = await last_request(pair[1], api.name)
    assert key_of(provider) in json.dumps(request["headers"])
    assert pair[0].page().total("tallygate_llm_calls_total", provider=provider, model=label) == before + 1
    if api is GEMINI:
        assert request["path"] == f"/v1beta/models/{model}:generateContent"
        assert request["body"].encode() == api.body(name, False)
    else:
        assert json.loads(request["body"]) == json.loads(api.body(name, False)) | {"model": model}


ODD_BODY = (
    '{"top_p":1.0,"seed" : 12345678901234567890,"x":1e300,\n'
    '"messages":[{"role":"user","content":"\\u00e9\\ud83d\\ude00 '
    '"}],"model":"%s", "logit_bias":{"1":-0.0, "1":2}, "ünknown":[1,  2] }'
)


@pytest.mark.parametrize("name", ["llama", "fast"])
async def test_an_alias_changes_the_model_and_nothing_else(pair: Pair, name: str) -> None:
    body = (ODD_BODY % name).encode()
    assert (await ask(pair[0].url + CHAT.path("", False), body)).status == 200
    sent = (await last_request(pair[1], "openai_chat"))["body"].encode()
    if name == "llama":
        assert sent == body
        return
    for kept in (b"1.0", b"12345678901234567890", b"1e300", b"\\u00e9\\ud83d\\ude00", b'{"1":-0.0, "1":2}', b"[1,  2]"):
        assert kept in sent
    assert b'"model":"llama"' in sent
    assert b"fast" not in sent


async def test_a_stream_with_an_alias_asks_for_usage_too(pair: Pair) -> None:
    body = b'{"model":"fast","stream":true,"stream_options":{"include_obfuscation":false},"prompt":[]}'
    await ask(pair[0].url + CHAT.path("", False), body)
    sent = json.loads((await last_request(pair[1], "openai_chat"))["body"])
    assert sent == {
        "model": "llama",
        "stream": True,
        "stream_options": {"include_obfuscation": False, "include_usage": True},
        "prompt": [],
    }


@pytest.mark.parametrize(
    ("api", "name", "message"),
    [
        (
            CHAT,
            "claude-sonnet-4-5",
            "model 'claude-sonnet-4-5' is served by provider 'anthropic', which does not speak /v1/chat/completions; "
            "call it through its own API (/v1/messages)",
        ),
        (
            CHAT,
            "smart",
            "model 'smart' is served by provider 'anthropic', which does not speak /v1/chat/completions; "
            "call it through its own API (/v1/messages)",
        ),
        (
            MESSAGES,
            "gemini/gemini-2.5-pro",
            "model 'gemini/gemini-2.5-pro' is served by provider 'gemini', which does not speak /v1/messages; "
            "call it through its own API (/v1beta/models/{model}:generateContent)",
        ),
        (
            GEMINI,
            "gpt-4o",
            "model 'gpt-4o' is served by provider 'openai', which does not speak "
            "/v1beta/models/{model}:generateContent; call it through its own API (/v1/chat/completions)",
        ),
    ],
)
async def test_the_wrong_api_is_told_the_right_one(pair: Pair, api: API, name: str, message: str) -> None:
    answer = await ask(pair[0].url + api.path(name, False), api.body(name, False))
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["message"] == message


async def test_an_api_that_no_provider_speaks() -> None:
    def only_openai(url: str) -> dict[str, Any]:
        return {"providers": {"one": {"kind": "openai", "base_url": f"{url}/v1"}}}

    async with provided(only_openai) as (running, simulator):
        answer = await ask(running.url + MESSAGES.path("claude", False), MESSAGES.body("claude", False))
        listed = await ask(f"{running.url}/v1beta/models", method="GET")
        await recorded(running, 2)
        page = running.page()
        assert simulator.served()["totals"]["requests"] == 0
    assert (answer.status, listed.status) == (404, 404)
    assert json.loads(answer.body) == {
        "type": "error",
        "error": {
            "type": "not_found_error",
            "message": "no configured provider serves /v1/messages; configured are: one",
        },
    }
    assert json.loads(listed.body)["error"]["status"] == "NOT_FOUND"
    assert page.total("tallygate_llm_errors_total", error_type="caller_unknown_model") == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0


WAYS_UP = ["..", ".", "../..", "a/../../v1/files", "openai/..", "./x"]


@pytest.mark.parametrize("name", WAYS_UP)
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("GET /v1/models/%s HTTP/1.1", "model_not_found"),
        ("GET /v1beta/models/%s HTTP/1.1", 404),
        ("POST /v1beta/models/%s:generateContent HTTP/1.1", 404),
    ],
)
async def test_a_name_in_a_path_is_no_way_up(pair: Pair, name: str, line: str, code: str | int) -> None:
    for written in (name, name.replace("/", "%2F").replace(".", "%2e")):
        answer = await say(pair[0], line % written, "Connection: close", b"{}")
        assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] in (code, 400, "caller_invalid_request")


@pytest.mark.parametrize("name", WAYS_UP)
async def test_a_deployment_of_azure_is_no_way_up(name: str) -> None:
    def azure(url: str) -> dict[str, Any]:
        return {"providers": {"azure": {"kind": "azure", "base_url": url, "api_version": "2024-10-21"}}}

    async with provided(azure) as (running, simulator):
        answer = await ask(running.url + CHAT.path("", False), CHAT.body(name, False))
        assert simulator.served()["totals"]["requests"] == 0
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (404, "model_not_found")


async def test_a_name_in_a_body_may_be_a_file(pair: Pair) -> None:
    body = CHAT.body("../models/llama.gguf", False)
    assert (await ask(pair[0].url + CHAT.path("", False), body)).status == 200
    assert (await last_request(pair[1], "openai_chat"))["body"].encode() == body


async def test_a_models_name_cannot_add_to_the_path_or_the_query(pair: Pair) -> None:
    path = "/v1beta/models/gem%3Fkey=x%23%2F%0D%0AX-Evil:1%20:generateContent"
    answer = await say(pair[0], f"POST {path} HTTP/1.1", "Connection: close", GEMINI.body("", False))
    assert answer.startswith(b"HTTP/1.1 "), answer
    if answer.startswith(b"HTTP/1.1 200"):
        request = await last_request(pair[1], "gemini_generate")
        assert request["path"] == "/v1beta/models/gem%3Fkey%3Dx%23%2F%0D%0AX-Evil:1%20:generateContent"
        assert "x-evil" not in request["headers"]
    else:
        assert answer.startswith(b"HTTP/1.1 400 ")


async def test_a_query_goes_on_as_it_is(pair: Pair) -> None:
    path = "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse&%24x=a%2Fb&flag&key=secret"
    assert (await ask(pair[0].url + path, GEMINI.body("", True))).status == 200
    request = await last_request(pair[1], "gemini_generate")
    assert request["path"] == "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse&%24x=a%2Fb&flag"


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_geminis_versions_stay_what_they_are(pair: Pair, version: str) -> None:
    path = f"/{version}/models/gemini-2.5-pro:generateContent"
    assert (await ask(pair[0].url + path, GEMINI.body("", False))).status == 200
    assert (await last_request(pair[1], "gemini_generate"))["path"] == path


MODELS = [
    ("/v1/models", {}, "object", "list"),
    ("/v1/models/any%2Fname:7b", {}, "id", "any/name:7b"),
    ("/v1/models", {"anthropic-version": "2023-06-01"}, "last_id", "gemini-2.5-pro"),
    ("/v1/models/claude-x", {"anthropic-version": "2023-06-01"}, "display_name", "claude-x"),
    ("/v1beta/models/gemini-x", {}, "name", "models/gemini-x"),
    ("/v1/models/gemini-x", {"x-goog-api-key": "k"}, "name", "models/gemini-x"),
]


@pytest.mark.parametrize(("path", "headers", "member", "value"), MODELS)
async def test_lists_of_models_come_from_whom_was_asked(
    pair: Pair, path: str, headers: dict[str, str], member: str, value: str
) -> None:
    answer = await ask(pair[0].url + path, headers=headers, method="GET")
    assert answer.status == 200
    assert json.loads(answer.body)[member] == value


async def test_geminis_list_and_its_pages(pair: Pair) -> None:
    answer = await ask(f"{pair[0].url}/v1beta/models?pageSize=2", method="GET")
    assert json.loads(answer.body)["models"][0]["name"] == "models/gpt-4o"
