"""What clients write stays what it is: it forges no header, no path and no query towards a provider."""

import json
import posixpath
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote, unquote, urlsplit

import pytest
import pytest_asyncio
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tallygate.gateway.providers import Provider
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.routes import Route, match
from tallygate.gateway.routing import Router
from tallygate.gateway.settings import ProviderSettings
from tallygate.gateway.upstream.target import target_of
from tallygate.simulator import Simulator
from tests.gateway.apis import APIS
from tests.gateway.provided import last_request, provided
from tests.gateway.raw import request, say_bytes
from tests.gateway.running import Gateway, ask, gateway
from tests.gateway.server.listening import Message, Receive, Send, listening

Pair = tuple[Gateway, Simulator]
GEMINI = APIS[5]
UP = ("..", "../../admin", "a/../../b", "/..", "./", ".", "a/./b")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[Pair]:
    async with provided() as both:
        yield both


def encoded_twice(text: str) -> str:
    return quote(quote(text, safe=""), safe="")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("model", UP)
@pytest.mark.parametrize("encode", [lambda text: quote(text, safe=""), lambda text: text.replace(".", "%2e")])
@pytest.mark.parametrize("shape", ["/v1beta/models/{}:generateContent", "/v1beta/models/{}", "/v1/models/{}"])
async def test_no_way_up_in_a_path(pair: Pair, model: str, encode: Callable[[str], str], shape: str) -> None:
    before = pair[1].served()["totals"]["requests"]
    target = shape.format(encode(model))
    method, body = ("POST", GEMINI.body("", False)) if "generate" in target else ("GET", b"")
    answer = await say_bytes(pair[0], request(f"{method} {target} HTTP/1.1", "Connection: close", body))
    assert answer.startswith(b"HTTP/1.1 404 "), answer
    assert pair[1].served()["totals"]["requests"] == before


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("model", ["a b", "a?key=1", "a#b", "a%b", "é", "a;b=c", "a\\..\\b"])
async def test_a_model_in_a_path_stays_one_segment(pair: Pair, model: str) -> None:
    answer = await ask(pair[0].url + GEMINI.path(quote(model, safe=""), False), GEMINI.body("", False))
    assert answer.status == 200
    seen = await last_request(pair[1], "gemini_generate")
    assert seen["path"] == f"/v1beta/models/{quote(model, safe='+:@')}:generateContent"
    assert "x-evil" not in seen["headers"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("model", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
async def test_a_model_in_a_path_has_no_control_characters(pair: Pair, model: str) -> None:
    answer = await ask(pair[0].url + GEMINI.path(quote(model, safe=""), False), GEMINI.body("", False))
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["message"] == "model: contains characters that no model name has"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_model_that_was_encoded_twice_is_not_decoded_twice(pair: Pair) -> None:
    answer = await ask(pair[0].url + GEMINI.path(encoded_twice("../x"), False), GEMINI.body("", False))
    assert answer.status == 200
    assert (await last_request(pair[1], "gemini_generate"))["path"] == "/v1beta/models/..%252Fx:generateContent"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_name_in_an_error_is_text_in_json(pair: Pair) -> None:
    model = 'openai/<script>"\u2028</script>'
    body = json.dumps({"model": model, "messages": [], "max_tokens": 1}).encode()
    answer = await ask(f"{pair[0].url}/v1/messages", body)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert f"model '{model}' is served by provider 'openai'" in json.loads(answer.body)["error"]["message"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_redirect_is_passed_on_and_not_followed() -> None:
    elsewhere: list[str] = []

    async def other(scope: Message, receive: Receive, send: Send) -> None:
        elsewhere.append(scope["path"])

    async def provider(scope: Message, receive: Receive, send: Send) -> None:
        headers = [(b"location", target.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with listening(other) as unasked, listening(provider) as asked:
        target = f"http://127.0.0.1:{unasked.port}/v1/chat/completions"
        one = {"base_url": f"http://127.0.0.1:{asked.port}/v1", "api_key": "key-of-one"}
        async with gateway({"providers": {"one": one}}) as running:
            answer = await ask(running.url + APIS[0].path("m", False), APIS[0].body("m", False))
    assert (answer.status, answer.headers["location"]) == (307, target)
    assert elsewhere == []


BASES = {
    "openai": "https://one.example/v1",
    "anthropic": "https://two.example/team",
    "gemini": "https://three.example",
    "azure": "https://four.example",
}
KINDS = [
    Provider(kind, ProviderSettings.model_validate({"kind": kind, "base_url": base, "api_version": version}))
    for kind, base in BASES.items()
    for version in ((None, "2024-10-21") if kind == "azure" else (None,))
]
ROUTES = [
    "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings", "/v1/models", "/v1beta/models",
    "/v1/models/{}", "/v1beta/models/{}", "/v1beta/models/{}:generateContent", "/v1/models/{}:streamGenerateContent",
]  # fmt: skip
NAMES = st.text(min_size=1, max_size=30) | st.lists(
    st.sampled_from([".", "..", "/", "%2e", "%2F", "\\", "a", ";", "?", "#", "@", ":", "//"]), min_size=1, max_size=6
).map("".join)
QUERIES = st.binary(max_size=40).map(lambda raw: bytes(33 + byte % 94 for byte in raw))


def router(provider: Provider) -> Router:
    return Router([provider], {}, lambda *_: None)


@given(st.sampled_from(KINDS), st.sampled_from(ROUTES), NAMES, QUERIES, st.booleans())
@example(KINDS[2], "/v1beta/models/{}:generateContent", "../../x", b"", False)
@example(KINDS[4], "/v1/chat/completions", "../../../x?y#z", b"?#@/..//", True)
def test_whatever_is_asked_the_provider_is_asked_below_its_address(
    provider: Provider, shape: str, model: str, query: bytes, keep: bool
) -> None:
    """For any model's name and any query: the URL can be called, on the provider's host, below its path."""
    route = match(shape.format(model), {})
    assume(route is not None)
    assert isinstance(route, Route)
    assume(provider.speaks(route.kind))
    try:
        if route.wire is None:
            name = router(provider).passthrough(route.kind, route.model, route.template).model
        else:
            name = router(provider).choose(route.model or model, route.kind, route.template).model
    except Refusal:
        assume(False)
    url = provider.url(route, name, query, keep_credentials=keep)
    target = target_of(url)
    base = urlsplit(BASES[provider.kind])
    parts = urlsplit(url)
    assert target.address.host == base.hostname
    assert target.opening.count(b"\r\n") == 2
    assert target.opening.count(b" ") == 3
    # However often a server decodes: the way leads nowhere else.
    decoded = unquote(parts.path) if "/" not in name and "\\" not in name else parts.path
    resolved = posixpath.normpath(decoded)
    assert resolved.startswith(f"{base.path.removesuffix('/v1')}/")
    assert posixpath.normpath(parts.path).count("/") == parts.path.rstrip("/").count("/")
