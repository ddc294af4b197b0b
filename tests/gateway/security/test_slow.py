"""Clients that take their time (slow loris): each is sent away after the configured seconds, others are served."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.provided import provided, until
from tests.gateway.raw import connected
from tests.gateway.running import Gateway, ask
from tests.gateway.test_robustness import error_of, parts_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[Gateway, Simulator]
SECONDS = 0.15
PATIENCE = 15.0
CROWD = 40


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[Pair]:
    async with provided({"limits": {"head_seconds": SECONDS, "body_seconds": SECONDS}}) as both:
        yield both


async def whole_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(int(parts_of(head)[1]["content-length"]))


async def dribble(running: Gateway, first: bytes, endless: bytes) -> bytes:
    """Send the first bytes at once and the others one by one, over and over, until the gateway answers."""
    async with connected(running) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(first)
        answer = asyncio.ensure_future(whole_answer(reader))
        sent = 0
        while not answer.done():
            if not writer.is_closing():
                writer.write(endless[sent % len(endless) :][:1])
            sent += 1
            await asyncio.wait([answer], timeout=0.01)
        return answer.result()


@pytest.mark.parametrize(
    ("first", "endless"),
    [
        (b"", b"\r\n"),
        (b"", b"GET"),
        (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n", b"X-Slow: yes\r\n"),
        (b"POST /v1/chat/completions HTTP/1.1\r\nHost: ", b"x"),
        (b"GET /", b"a"),
    ],
    ids=["empty lines", "method", "headers", "value", "target"],
)
async def test_heads_that_never_end(pair: Pair, first: bytes, endless: bytes) -> None:
    status, _, body = parts_of(await dribble(pair[0], first, endless))
    said = json.loads(body)["error"]["message"]
    # A method of many letters is no method before its time is up.
    if endless == b"GET":
        assert (status, said.partition(":")[0]) == (400, "invalid HTTP request")
    else:
        assert (status, said) == (408, f"the head of the request did not arrive within {SECONDS:g} s")


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_bodies_that_never_end(pair: Pair, api: API, framing: str) -> None:
    head = f"POST {api.path('m', False)} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode()
    endless = b"1\r\n \r\n" if "chunked" in framing else b" "
    status, _, body = parts_of(await dribble(pair[0], head, endless))
    assert status == 408
    assert error_of(api, body)[1] == f"the request body did not arrive within {SECONDS:g} s"


async def test_a_crowd_of_them_keeps_nobody_waiting(pair: Pair) -> None:
    """They hold connections, not the gateway: meanwhile others are served, and afterwards nothing is left of them."""
    async with AsyncExitStack() as stack:
        for number in range(CROWD):
            _, writer = await stack.enter_async_context(connected(pair[0]))
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
            writer.write(head if number % 2 else head + b"Content-Length: 10\r\n\r\n")
        for api in APIS:
            assert (await ask(pair[0].url + api.path("m", False), api.body("m", False))).status == 200
        await until(lambda: not pair[0].server.server_state.connections)
    await pair[0].settled()
    assert pair[0].total("tallygate_http_requests_in_flight") == 0
