"""What the server takes from clients and how it refuses the rest."""

import asyncio
import logging

import pytest

from tallygate.gateway.server import CutConnection, Limits, read_body

from .listening import Message, Receive, Send, answer, listening

GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    body = await read_body(scope, receive, 1_000_000, 5)
    await answer(send, b"%s %d" % (scope["path"].encode(), len(body)))


async def never(scope: Message, receive: Receive, send: Send) -> None:
    raise AssertionError("a refused request reached the application")


async def test_requests_follow_each_other_on_a_connection() -> None:
    async with listening(echo) as server, server.client() as client:
        for path in (b"/a", b"/b%20c", b"/d?q=1"):
            await client.say(b"POST " + path + b" HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc")
            assert (await client.answer()).status == 200
        await client.say(GET + LAST)
        first, second = await client.answer(), await client.answer()
        assert (first.body, second.body) == (b"/ 0", b"/ 0")
        assert second.headers == {"content-length": "3", "connection": "close"}
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "raw",
    [
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5, 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length : 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: identity\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nx: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nx\0y: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nx: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\nhost: h\n\n",
        b"GET /\xff HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET http://[bad HTTP/1.1\r\nhost: h\r\n\r\n",
        b"CONNECT h:443 HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: h\r\n\r\n",
        b"HELLO\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_bad_requests_are_refused_and_the_connection_ends(raw: bytes) -> None:
    async with listening(never) as server:
        refused = await server.ask(raw)
    assert refused.status == 400
    assert refused.message.startswith("invalid HTTP request: ")
    assert refused.headers["connection"] == "close"
    assert refused.headers["content-type"] == "application/json"


async def test_a_smuggled_request_is_not_served() -> None:
    """What follows a refused head on the same connection is thrown away."""
    asked: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        await answer(send, b"")

    raw = b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    async with listening(app) as server:
        assert (await server.ask(raw + b"GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n")).status == 400
    assert asked == []


async def test_a_chunk_that_is_broken_ends_the_request() -> None:
    ended = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await read_body(scope, receive, 100, 5)
        finally:
            ended.set()

    async with listening(app) as server, server.client() as client:
        await client.say(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await asyncio.sleep(0.01)
        await client.say(b"zz\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()
        await ended.wait()


@pytest.mark.parametrize("size", [3_000, 1_000_000])
@pytest.mark.parametrize("where", ["value", "count", "url"])
async def test_a_head_that_is_too_large(size: int, where: str) -> None:
    raw = {
        "value": b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"a" * size + b"\r\n\r\n",
        "count": b"GET / HTTP/1.1\r\nhost: h\r\n" + b"x: y\r\n" * (size // 6) + b"\r\n",
        "url": b"GET /" + b"a" * size + b" HTTP/1.1\r\nhost: h\r\n\r\n",
    }[where]
    async with listening(never, Limits(head_bytes=2_000)) as server:
        refused = await server.ask(raw)
    assert (refused.status, refused.message) == (431, "the head of the request is larger than 2000 bytes")


async def test_a_large_body_does_not_count_as_head() -> None:
    body = b"x" * 500_000
    async with listening(echo, Limits(head_bytes=2_000)) as server:
        raw = b"POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        assert (await server.ask(raw + body)).body == b"/ 500000"


async def test_a_head_may_grow_no_further_while_another_request_is_served() -> None:
    """A second request may be sent early; its head is limited as any other's."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with listening(app, Limits(head_bytes=2_000)) as server, server.client() as client:
        await client.say(GET)
        await began.wait()
        await client.say(b"GET / HTTP/1.1\r\nx: " + b"a" * 3_000)
        await ended.wait()


async def test_trailers_do_not_reach_the_application() -> None:
    seen: list[list[tuple[bytes, bytes]]] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await read_body(scope, receive, 100, 5)
        seen.append(list(scope["headers"]))
        await answer(send, b"")

    async with listening(app) as server:
        head = b"POST / HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        await server.ask(head + b"1\r\n.\r\n0\r\nauthorization: x\r\n\r\n")
    assert seen == [[(b"connection", b"close"), (b"transfer-encoding", b"chunked")]]


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\nhost:", b"G", b"\r\n"])
async def test_a_slow_head(raw: bytes) -> None:
    async with listening(never, Limits(head_seconds=0.05)) as server:
        refused = await server.ask(raw)
    assert (refused.status, refused.message) == (408, "the head of the request did not arrive within 0.05 s")


async def test_a_slow_head_on_a_kept_connection() -> None:
    async with listening(echo, Limits(head_seconds=0.05)) as server, server.client() as client:
        await client.say(GET)
        assert (await client.answer()).status == 200
        # At rest the connection may stay longer than a head may take.
        await asyncio.sleep(0.15)
        await client.say(b"GET / HT")
        assert (await client.answer()).status == 408


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with listening(never, Limits(head_seconds=0.05)) as server, server.client() as client:
        assert await client.rest() == b""


async def test_a_connection_at_rest_is_closed_after_its_time() -> None:
    async with listening(echo, Limits(keepalive_seconds=0.05)) as server, server.client() as client:
        await client.say(GET)
        assert (await client.answer()).status == 200
        assert await client.rest() == b""


async def test_connections_beyond_the_limit_are_told_so() -> None:
    async with listening(echo, Limits(connections=2)) as server:
        async with server.client() as one, server.client() as two:
            for client in (one, two):
                await client.say(GET)
                assert (await client.answer()).status == 200
            refused = await server.ask(GET)
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert refused.message == "this gateway serves 2 connections at once and all are taken"
            await one.say(GET)
            assert (await one.answer()).status == 200
            await one.say(LAST)
            await one.answer()
            assert await one.rest() == b""
        assert (await server.ask(LAST)).status == 200


async def test_a_client_that_leaves_cancels_its_request() -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with listening(app) as server:
        async with server.client() as client:
            await client.say(GET)
            await began.wait()
        await asyncio.wait_for(cancelled.wait(), 5)


async def test_a_client_that_leaves_after_its_answer_cancels_nothing() -> None:
    left, finished = asyncio.Event(), asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, b"done")
        await left.wait()
        await asyncio.sleep(0.02)
        finished.set()

    async with listening(app) as server:
        async with server.client() as client:
            await client.say(GET)
            assert (await client.answer()).body == b"done"
        left.set()
        await asyncio.wait_for(finished.wait(), 5)


async def test_an_answer_that_cannot_be_finished_looks_so(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise CutConnection

    async with listening(app) as server, server.client() as client:
        await client.say(GET)
        raw = await client.rest()
        assert raw == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_defect_of_the_application_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        raise ValueError("a defect")

    async with listening(app) as server:
        assert (await server.ask(GET)).status == 500
    assert "a defect" in caplog.text


async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    ended = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        finally:
            ended.set()

    async with listening(app, Limits(send_seconds=0.1)) as server, server.client() as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
        await client.say(GET)
        await asyncio.wait_for(ended.wait(), 10)


async def test_the_rest_of_a_refused_body_is_not_taken_for_ever() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, b"too large", 413)

    async with listening(app, Limits(linger_seconds=0.1)) as server, server.client() as client:
        await client.say(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000000\r\n\r\n" + b"x" * 100_000)
        assert (await client.answer()).status == 413
        assert await client.rest() == b""


async def test_the_rest_of_a_refused_body_may_still_come_and_the_connection_serves_on() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, scope["path"].encode())

    async with listening(app) as server, server.client() as client:
        await client.say(b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 200000\r\n\r\n" + b"x" * 100_000)
        assert (await client.answer()).body == b"/a"
        await client.say(b"x" * 100_000 + b"GET /b HTTP/1.1\r\nhost: h\r\n\r\n")
        assert (await client.answer()).body == b"/b"


async def test_an_offered_upgrade_is_ignored() -> None:
    async with listening(echo) as server, server.client() as client:
        for path, connection in ((b"/one", b"Upgrade, HTTP2-Settings"), (b"/two", b"upgrade, close")):
            offer = b"connection: " + connection + b"\r\nupgrade: h2c\r\n"
            await client.say(b"POST " + path + b" HTTP/1.1\r\nhost: h\r\n" + offer + b"content-length: 3\r\n\r\na")
            await client.say(b"bc")
            upgraded = await client.answer()
            assert (upgraded.status, upgraded.body) == (200, path + b" 3")
        assert await client.rest() == b""


async def test_continue_is_sent_when_the_body_is_wanted() -> None:
    async with listening(echo) as server, server.client() as client:
        await client.say(b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.say(b"abc")
        assert (await client.answer()).body == b"/ 3"
