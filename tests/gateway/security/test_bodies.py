"""Bodies made to exhaust or to confuse whoever reads them: a clear answer, at once, and nobody is asked."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.provided import last_request, provided
from tests.gateway.running import Gateway, ask
from tests.gateway.test_robustness import error_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[Gateway, Simulator]
PATIENCE = 20.0
DEEP = 100_000
NAMED, GEMINI = APIS[:5], APIS[5]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[Pair]:
    async with provided() as both:
        yield both


def member(value: bytes, name: str = "x") -> bytes:
    """A request with one more member."""
    return b'{"model":"m","' + name.encode() + b'":' + value + b"}"


TOO_DEEP = {
    "arrays": member(b"[" * DEEP + b"]" * DEEP),
    "objects": member(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "both": member(b'[{"a":' * DEEP + b"1" + b"}]" * DEEP),
    "where it is read": member(b'{"a":' * DEEP + b"1" + b"}" * DEEP, "stream_options"),
}


@pytest.mark.parametrize("name", TOO_DEEP)
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_a_body_that_is_nested_too_deeply(pair: Pair, api: API, name: str) -> None:
    served = pair[1].served()["totals"]["requests"]
    async with asyncio.timeout(PATIENCE):
        answer = await ask(pair[0].url + api.path("m", False), TOO_DEEP[name])
    assert answer.status == 400
    assert error_of(api, answer.body)[1] == "the body is nested too deeply"
    assert pair[1].served()["totals"]["requests"] == served


NOT_JSON = {
    "open arrays": (b"[" * DEEP, "the body must be a JSON object"),
    "open objects": (b'{"a":' * DEEP, "the body is nested too deeply"),
    "a control character": (member(b'"\x01"'), "the body is not valid JSON: JSON is malformed: invalid character"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "the body is not valid JSON: JSON is malformed: invalid character"),
    "UTF-16": ('{"model":"m"}'.encode("utf-16-le"), "the body is not valid JSON: JSON is malformed"),
    "a stray byte": (member(b'"\xff"'), "the body is not valid UTF-8"),
    "an overlong slash": (member(b'"\xc0\xaf"'), "the body is not valid UTF-8"),
    "a surrogate in UTF-8": (member(b'"\xed\xa0\x80"'), "the body is not valid UTF-8"),
    "beyond Unicode": (member(b'"\xf4\x90\x80\x80"'), "the body is not valid UTF-8"),
    "half a character": (member(b'"\xe2\x82"'), "the body is not valid UTF-8"),
    "two documents": (b'{"model":"m"}{"model":"n"}', "the body is not valid JSON: JSON is malformed: trailing"),
    "a comment": (b'/**/{"model":"m"}', "the body is not valid JSON: JSON is malformed: invalid character"),
    "infinity": (member(b"Infinity"), "the body is not valid JSON: JSON is malformed: invalid character"),
    "a leading zero": (member(b"00"), "the body is not valid JSON: JSON is malformed"),
    "a NUL byte behind it": (b'{"model":"m"}\0', "the body is not valid JSON: JSON is malformed: trailing characters"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_JSON)
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_what_is_no_json(pair: Pair, api: API, name: str) -> None:
    body, message = NOT_JSON[name]
    async with asyncio.timeout(PATIENCE):
        answer = await ask(pair[0].url + api.path("m", False), body)
    assert answer.status == 400
    assert error_of(api, answer.body)[1].startswith(message)


CONFUSING = {
    "two models": (b'{"model":"a","model":"b"}', "model: must not be there more than once"),
    "two models, one escaped": (b'{"mod\\u0065l":"a","model":"b"}', "model: must not be there more than once"),
    "half a surrogate pair": (b'{"model":"\\ud800"}', "model: contains characters that no model name has"),
    "a NUL": (b'{"model":"m\\u0000"}', "model: contains characters that no model name has"),
    "a line break": (b'{"model":"m\\r\\nx-evil: 1"}', "model: contains characters that no model name has"),
}


@pytest.mark.parametrize("name", CONFUSING)
@pytest.mark.parametrize("api", NAMED, ids=lambda api: api.name)
async def test_a_model_that_two_readers_would_read_differently(pair: Pair, api: API, name: str) -> None:
    body, message = CONFUSING[name]
    answer = await ask(pair[0].url + api.path("", False), body)
    assert (answer.status, error_of(api, answer.body)[1]) == (400, message)


HUGE = {
    "1e9999": b"1e9999",
    "a million digits": b"9" * 1_000_000,
    "a million decimals": b"0." + b"9" * 1_000_000,
    "a long text": b'"' + b"a" * 5_000_000 + b'"',
    "a lone surrogate": b'"\\ud800"',
    "many members": b"{" + b",".join(b'"k%d":1' % index for index in range(50_000)) + b"}",
    "a long name": b'{"' + b"k" * 1_000_000 + b'":1}',
}


@pytest.mark.parametrize("name", HUGE)
async def test_what_the_gateway_need_not_read_is_the_providers_to_judge(pair: Pair, name: str) -> None:
    body = APIS[0].body("m", False)[:-1] + b',"metadata":' + HUGE[name] + b"}"
    async with asyncio.timeout(PATIENCE):
        answer = await ask(pair[0].url + APIS[0].path("m", False), body)
    assert answer.status in (200, 400)
    document = await last_request(pair[1], "openai_chat")
    assert document["body"].encode() == body


@pytest.mark.parametrize("name", [name for name in HUGE if not name.startswith("a l")])
async def test_numbers_where_the_gateway_reads(pair: Pair, name: str) -> None:
    """``stream`` and ``model`` must be what they are in every API; a number is neither, however large."""
    for field in ("stream", "model"):
        body = b'{"%s":%s,"messages":[]%s}' % (
            field.encode(), HUGE[name], b',"model":"m"' if field == "stream" else b"",
        )  # fmt: skip
        answer = await ask(pair[0].url + APIS[0].path("m", False), body)
        assert answer.status == 400
        assert error_of(APIS[0], answer.body)[1].startswith((f"{field}: ", "the body is not valid JSON"))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "x" * 3000])
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_a_compressed_body_is_not_unpacked(pair: Pair, api: API, coding: str) -> None:
    """A few kilobytes would become gigabytes."""
    text = api.body("m", False)
    body = gzip.compress(text) if coding == "gzip" else zlib.compress(text)
    answer = await ask(pair[0].url + api.path("m", False), body, {"content-encoding": coding})
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")
    assert error_of(api, answer.body)[1] == (
        f"the request body is coded as '{coding[:50]}'; send it without a content-encoding"
    )


async def test_a_coding_that_is_none(pair: Pair) -> None:
    api = APIS[0]
    answer = await ask(pair[0].url + api.path("m", False), api.body("m", False), {"content-encoding": "identity"})
    assert answer.status == 200
    assert json.loads(answer.body)["model"] == "m"
