"""A provider that repeats the gateway's own key in an error tells it to the gateway, and to nobody else."""

import json
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.errors import ErrorType
from tallygate.gateway.concealing import Concealed, Concealer
from tallygate.gateway.upstream import Headers, UpstreamError
from tests.gateway.apis import API, APIS
from tests.gateway.running import ask, gateway
from tests.gateway.server.listening import Message, Receive, Send, listening

KEY, HEADER = "sk-of-the-gateway-itself", "extra-header-secret"
SECRETS = (KEY.encode(), HEADER.encode(), b"another-secret")


class Scripted:
    """A reply in these pieces, which may break off."""

    def __init__(self, pieces: list[bytes], breaks: bool = False) -> None:
        self.status = 401
        self.headers: Headers = [(b"x-told", b"you sent " + SECRETS[0])]
        self._pieces, self._breaks = pieces, breaks
        self.closed = False

    async def body(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._breaks:
            raise UpstreamError(ErrorType.PROVIDER_STREAM_CUT, "broke off")

    async def close(self) -> None:
        self.closed = True


TEXTS = st.lists(st.sampled_from([*SECRETS, b"text ", b"s", b"sk-", b"\xff\0"]) | st.binary(max_size=5)).map(b"".join)


@given(TEXTS, st.lists(st.integers(0, 200)), st.booleans())
async def test_however_a_body_is_split_no_secret_is_in_it(text: bytes, cuts: list[int], breaks: bool) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(places)]
    reply = Concealed(Scripted(pieces, breaks), Concealer(SECRETS))
    got = b""
    try:
        async for data in reply.body():
            got += data
        assert not breaks
    except UpstreamError:
        assert breaks
    assert len(got) == len(text)
    assert not any(secret in got for secret in SECRETS)
    expected = text
    for secret in sorted(SECRETS, key=len, reverse=True):
        expected = expected.replace(secret, b"*" * len(secret))
    assert got == expected
    assert list(reply.headers) == [(b"x-told", b"you sent " + b"*" * len(SECRETS[0]))]


async def test_the_reply_itself_is_let_go() -> None:
    scripted = Scripted([b"x"])
    await Concealed(scripted, Concealer([])).close()
    assert scripted.closed


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("api", [APIS[0], APIS[4]], ids=lambda api: api.name)
async def test_errors_without_the_gateways_key(status: int, chunked: bool, api: API) -> None:
    async def echo(scope: Message, receive: Receive, send: Send) -> None:
        told = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = json.dumps({"error": {"message": f"no: {told}"}}).encode()
        framing = [] if chunked else [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": framing})
        for start in range(0, len(body), 7 if chunked else len(body)):
            more = start + (7 if chunked else len(body)) < len(body)
            data = body[start : start + (7 if chunked else len(body))]
            await send({"type": "http.response.body", "body": data, "more_body": more})

    async with listening(echo) as provider:
        base = f"http://127.0.0.1:{provider.port}" + ("/v1" if api.provider == "openai" else "")
        one = {"kind": api.provider, "base_url": base, "api_key": KEY, "headers": {"X-More": HEADER}}
        async with gateway({"providers": {"one": one}, "server": {"master_key": "callers-own"}}) as running:
            answer = await ask(
                running.url + api.path("m", False),
                api.body("m", False),
                {"authorization": "Bearer callers-own", "x-own": "kept"},
            )
    assert answer.status == status
    told = json.loads(answer.body)["error"]["message"]
    assert "'x-own': 'kept'" in told
    assert f"'x-more': '{'*' * len(HEADER)}'" in told
    assert "*" * len(KEY) in told
    assert KEY not in told
