"""Whatever clients send: an answer in the shape of the API called, never a 500, never a hang, never a secret."""

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallygate.gateway.logs import configure_logging
from tallygate.gateway.settings import Settings
from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.provided import PATIENCE, last_request, provided, recorded
from tests.gateway.raw import connected, request, say, say_bytes
from tests.gateway.running import Gateway, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[Gateway, Simulator]
CHAT = APIS[0]
BODY_LIMIT = 200_000
CLOSE = "Connection: close"
ids = pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[Pair]:
    limits = {"body_bytes": BODY_LIMIT, "body_seconds": 0.3}
    async with provided({"limits": limits, "aliases": {"short": "openai/some-model"}}) as both:
        yield both


def error_of(api: API, body: bytes) -> tuple[str, str]:
    """Kind and message of an error body, which must be one of this API's."""
    document = json.loads(body)
    error = document["error"]
    if api.provider == "anthropic":
        assert document["type"] == "error"
        return error["type"], error["message"]
    if api.provider == "gemini":
        assert set(error) == {"code", "message", "status"}
        return error["status"], error["message"]
    assert set(error) == {"message", "type", "param", "code"}
    return error["type"], error["message"]


def parts_of(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer as it came over the wire."""
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    return int(line.split(" ")[1]), {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}, body


# Sizes and times


@ids
async def test_a_body_that_announces_too_much(pair: Pair, api: API) -> None:
    answer = await say(pair[0], f"POST {api.path('m', False)} HTTP/1.1", CLOSE, b"{", length=BODY_LIMIT + 1)
    status, _, body = parts_of(answer)
    assert status == 413
    kind, message = error_of(api, body)
    assert kind in ("invalid_request_error", "request_too_large", "INVALID_ARGUMENT")
    assert message == f"the request body is larger than {BODY_LIMIT} bytes, the limit limits.body_bytes of this gateway"


@ids
async def test_a_body_that_grows_too_large_in_chunks(pair: Pair, api: API) -> None:
    async with connected(pair[0]) as (reader, writer):
        head = f"POST {api.path('m', False)} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        for _ in range(BODY_LIMIT // 65536 + 1):
            writer.write(piece)
        async with asyncio.timeout(PATIENCE):
            answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_as_large_as_allowed(pair: Pair) -> None:
    start, end = b'{"model":"some-model","messages":[{"role":"user","content":"', b'"}]}'
    body = start + b"x" * (BODY_LIMIT - len(start) - len(end)) + end
    assert (await ask(pair[0].url + CHAT.path("", False), body)).status == 200
    assert (await ask(pair[0].url + CHAT.path("", False), body + b" ")).status == 413


@ids
async def test_a_body_that_does_not_come(pair: Pair, api: API) -> None:
    async with connected(pair[0]) as (reader, writer):
        writer.write(request(f"POST {api.path('m', False)} HTTP/1.1", "", b"{", length=100))
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(parts_of(head)[1]["content-length"]))
    assert head.startswith(b"HTTP/1.1 408 ")
    assert error_of(api, body)[1] == "the request body did not arrive within 0.3 s"


async def test_refused_bodies_are_counted_as_the_callers_fault() -> None:
    async with provided({"limits": {"body_bytes": 100}}) as (running, _):
        await ask(running.url + CHAT.path("", False), b" " * 101)
        await ask(running.url + CHAT.path("", False), b"no json")
        await recorded(running, 2)
        page = running.page()
    assert page.total("tallygate_llm_errors_total", error_type="caller_invalid_request", domain="caller") == 2
    assert page.total("tallygate_llm_calls_total", status_code="413") == 1
    assert page.total("tallygate_llm_calls_total", status_code="400") == 1
    assert page.total("tallygate_llm_call_duration_seconds_count") <= 2
    assert page.total("tallygate_upstream_attempts_total") == 0


# Bodies

BAD_BODIES = [
    b"",
    b"no json",
    b"{",
    b'{"model": "m", }',
    b"[]",
    b'"m"',
    b"null",
    b"1",
    b"\xff\xfe",
    b'{"model": "m\xff"}',
    b'{"model": "m"}}',
    b'{"model": NaN}',
    b"[" * 100_000,
    b'{"model": "m", "x": ' + b"[" * 60_000 + b"]" * 60_000 + b"}",
    b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
]
BAD_MODELS: list[bytes] = [
    b"{}",
    b'{"model": null}',
    b'{"model": ""}',
    b'{"model": 1}',
    b'{"model": ["m"]}',
    b'{"model": "a\\nX-Evil: 1"}',
    b'{"model": "a\\u0000"}',
    b'{"model": "\\ud800"}',
    b'{"model": "m", "model": "other"}',
    b'{"model": "m", "stream": "yes"}',
    b'{"model": "m", "stream": 1}',
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:20]))
@ids
async def test_what_is_no_json_object_is_a_bad_request(pair: Pair, api: API, body: bytes) -> None:
    answer = await ask(pair[0].url + api.path("some-model", False), body)
    assert answer.status == 400, answer.body
    kind, message = error_of(api, answer.body)
    assert kind in ("invalid_request_error", "INVALID_ARGUMENT")
    assert message


@pytest.mark.parametrize("body", BAD_MODELS, ids=repr)
@pytest.mark.parametrize("api", APIS[:5], ids=lambda api: api.name)
async def test_a_model_must_be_named_once_and_properly(pair: Pair, api: API, body: bytes) -> None:
    served = pair[1].served()["totals"]["requests"]
    answer = await ask(pair[0].url + api.path("", False), body)
    if api.name == "openai_embeddings" and b"stream" in body:
        return
    assert answer.status == 400, answer.body
    assert error_of(api, answer.body)[1].startswith(("model: ", "stream: ", "the body is not valid JSON"))
    assert pair[1].served()["totals"]["requests"] == served


# Methods and paths

METHODS = ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "PROPFIND")


@pytest.mark.parametrize("method", METHODS)
@ids
async def test_wrong_methods(pair: Pair, api: API, method: str) -> None:
    answer = await ask(pair[0].url + api.path("m", False), method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        assert error_of(api, answer.body)[1].endswith("takes POST")


async def test_lists_are_only_read(pair: Pair) -> None:
    answer = await ask(f"{pair[0].url}/v1/models", b"{}")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "target",
    [
        "/", "//", "/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "//v1/chat/completions", "/V1/models",
        "/v1/../v1/nowhere", "/v1beta", "/v1beta/models/",
        "/v1beta/models/:generateContent", "/v1beta/models/m:", "/metrics/x",
        "/v1beta/models/m:countTokens", "/v1/models/", "/%00", "/%ff%fe", "/v1/%0d%0aX:1", "/?key=x", "/*",
        "/v1alpha/models", "/é",
    ],
)  # fmt: skip
async def test_paths_that_nobody_serves(pair: Pair, target: str) -> None:
    answer = await say_bytes(pair[0], request(f"GET {target} HTTP/1.1", CLOSE))
    status, headers, body = parts_of(answer)
    assert status == 404 or (status == 400 and "é" in target), answer
    assert headers["content-type"] == "application/json"
    assert "error" in json.loads(body)


# Anything at all

FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = (
    "model",
    "stream",
    "stream_options",
    "messages",
    "input",
    "prompt",
    "contents",
    "max_tokens",
    "include_usage",
)
BODIES = st.one_of(
    st.binary(max_size=300),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(MEMBERS), VALUES | st.just("some-model"), max_size=6).map(
        lambda value: json.dumps(value).encode()
    ),
    st.builds(
        lambda value, stream: json.dumps({"model": "short", "stream": stream, **value}).encode(),
        st.dictionaries(st.sampled_from(MEMBERS[3:]), VALUES, max_size=4),
        st.booleans(),
    ),
    st.builds(
        lambda value, cut, junk: json.dumps(value).encode()[:cut] + junk,
        VALUES,
        st.integers(0, 40),
        st.binary(max_size=5),
    ),
)


@ids
@pytest.mark.parametrize("stream", [False, True])
async def test_any_body_is_answered(pair: Pair, api: API, stream: bool) -> None:
    seen: list[bytes] = []
    given(body=BODIES)(FEW(lambda body: seen.append(body)))()
    assert len(seen) >= 50
    async with asyncio.timeout(60):
        for body in seen:
            answer = await ask(pair[0].url + api.path("some-model", stream), body)
            assert answer.status in (200, 400, 404), (body, answer)
            if answer.status >= 400:
                assert "error" in json.loads(answer.body), (body, answer)
    assert pair[0].total("tallygate_llm_errors_total", domain="gateway") == 0
    assert pair[0].total("tallygate_dropped_observations_total") == 0


TARGETS = st.one_of(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40).map(lambda text: "/" + text),
    st.builds(
        lambda prefix, rest: prefix + rest,
        st.sampled_from(
            ("/v1/models/", "/v1beta/models/", "/v1/", "/v1beta/", "/metrics", "/health?", "/metrics?dialect=")
        ),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
    ),
    st.builds(
        lambda raw: "/v1beta/models/" + "".join(f"%{byte:02x}" for byte in raw) + ":generateContent",
        st.binary(max_size=20),
    ),
)


async def test_any_target_is_answered(pair: Pair) -> None:
    seen: list[tuple[str, str]] = []
    targets = st.tuples(st.sampled_from(("GET", "POST", "HEAD", "DELETE")), TARGETS)
    given(asked=targets)(settings(FEW, max_examples=250)(lambda asked: seen.append(asked)))()
    assert len(seen) >= 200
    async with asyncio.timeout(60):
        for method, target in seen:
            body = APIS[5].body("", False) if method == "POST" else b""
            answer = await say(pair[0], f"{method} {target} HTTP/1.1", CLOSE, body)
            status = int(answer[9:12])
            assert status in (200, 400, 404, 405), (method, target, answer)


@pytest.mark.parametrize("seed", range(3))
async def test_any_bytes_are_answered_or_refused(pair: Pair, seed: int) -> None:
    seen: list[bytes] = []
    valid = request("POST /v1/chat/completions HTTP/1.1", "Accept: a", CHAT.body("m", True))
    noise = st.binary(max_size=200) | st.builds(
        lambda at, junk: valid[:at] + junk + valid[at + len(junk) :], st.integers(0, len(valid)), st.binary(max_size=8)
    )
    given(data=noise)(FEW(lambda data: seen.append(data)))()

    async def throw(data: bytes) -> None:
        async with connected(pair[0]) as (reader, writer):
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                try:
                    answer = await reader.read()
                except ConnectionError:
                    return
        assert answer == b"" or re.match(rb"HTTP/1\.1 (200|4\d\d|505) ", answer), (data, answer)

    assert len(seen) >= 50
    await asyncio.gather(*(throw(data) for data in seen))
    assert (await ask(f"{pair[0].url}/health", method="GET")).status == 200


@pytest.mark.parametrize("value", [b"\xfc\xe9", b"a\tb", b"\x80", b'"quoted"', b"x" * 10_000])
async def test_odd_header_values_go_on_as_they_are(pair: Pair, value: bytes) -> None:
    data = request("POST /v1/chat/completions HTTP/1.1", f"{CLOSE}\r\nX-Odd: ?", CHAT.body("m", False))
    answer = await say_bytes(pair[0], data.replace(b"X-Odd: ?", b"X-Odd: " + value))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    request_ = await last_request(pair[1], "openai_chat")
    assert request_["headers"]["x-odd"].encode("latin-1") == value


@pytest.mark.parametrize("value", [b"a\rb", b"a\nb", b"a\x00b", b"a\x01b", b"a\x7fb", b"a\r\n b"])
async def test_forbidden_header_values_are_the_callers_fault(pair: Pair, value: bytes) -> None:
    data = request("POST /v1/chat/completions HTTP/1.1", f"{CLOSE}\r\nX-Odd: ?", CHAT.body("m", False))
    answer = await say_bytes(pair[0], data.replace(b"X-Odd: ?", b"X-Odd: " + value))
    assert answer == b"" or re.match(rb"HTTP/1\.1 (200|400) ", answer), answer


# Secrets

SECRETS = (
    "master-key-of-this-gateway",
    "secret-of-the-scrapers",
    "key-of-openai",
    "sk-own-of-the-caller",
    "extra-header-secret",
)


@contextmanager
def all_logs(secretive: dict[str, Any]) -> Iterator[io.StringIO]:
    """Everything that is logged, as the gateway writes it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    try:
        with redirect_stderr(written):
            configure_logging(Settings.model_validate(secretive | {"log": {"level": "debug"}}))
            yield written
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


async def test_no_secret_is_ever_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def secretive(url: str) -> dict[str, Any]:
        openai = {"kind": "openai", "base_url": f"{url}/v1", "api_key": SECRETS[2], "headers": {"X-More": SECRETS[4]}}
        gone = {"kind": "anthropic", "base_url": "http://127.0.0.1:9", "api_key": SECRETS[2]}
        return {
            "providers": {"openai": openai, "gone": gone},
            "server": {"master_key": SECRETS[0]},
            "metrics": {"secret": SECRETS[1]},
            "limits": {"upstream_first_byte_seconds": 0.2, "stream_idle_seconds": 0.2, "body_bytes": 500},
        }

    told: list[bytes] = []
    async with provided(secretive) as (running, simulator):
        with all_logs(secretive(simulator.url)) as written:
            right = {"authorization": f"Bearer {SECRETS[0]}", "x-own": SECRETS[3]}
            for model in (
                "m",
                "m+401",
                "m+500",
                "m+reset",
                "m+stall",
                "m+slow_headers",
                "m+cut_chunks",
                "m+truncated_json",
            ):
                for stream in (False, True):
                    answer = await ask(running.url + CHAT.path(model, stream), CHAT.body(model, stream), right)
                    told.append(answer.body)
            for headers in (
                {"authorization": f"Bearer {SECRETS[3]}"},
                {"authorization": SECRETS[0]},
                {"x-api-key": SECRETS[3]},
            ):
                told.append((await ask(running.url + CHAT.path("m", False), b"{}", headers)).body)
                told.append((await ask(f"{running.url}/metrics?key={SECRETS[3]}", headers=headers, method="GET")).body)
            told.append((await ask(f"{running.url}/v1/messages", b'{"model":"m","messages":[]}', right)).body)
            told.append((await ask(f"{running.url}/v1/messages?key={SECRETS[0]}", b"x" * 501, right)).body)

            def broken(*_: object, **__: object) -> None:
                raise RuntimeError(f"went wrong with {SECRETS[2]} and {SECRETS[0]}, Authorization: Bearer {SECRETS[3]}")

            monkeypatch.setattr(running.app._parts.upstream, "send", broken)
            failed = await ask(running.url + CHAT.path("m", False), CHAT.body("m", False), right)
            logged = written.getvalue()
        page = running.app.tally.render(None, "openmetrics")
    assert failed.status == 500
    assert json.loads(failed.body)["error"]["message"] == "the gateway failed to serve this request"
    assert "request failed" in logged
    assert "RuntimeError" in logged
    for secret in SECRETS:
        assert secret not in logged
        assert secret.encode() not in page
        assert not any(secret.encode() in body for body in (*told, failed.body))
