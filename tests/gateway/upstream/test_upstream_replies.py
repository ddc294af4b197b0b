"""Replies: every framing, whatever way the bytes are cut, and every way a provider can break one."""

import asyncio
import re
from itertools import pairwise

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from tallygate.errors import ErrorType
from tallygate.gateway.upstream import Headers, Timeouts, UpstreamError, open_upstream

from .scripted import OK, Peer, provider, read

LIMITS = Timeouts(connect=5, first_byte=5, idle=5, total=20)


async def fetch(*pieces: bytes, method: str = "POST", reset: bool = False) -> tuple[int, Headers, bytes]:
    """What the client makes of a provider that sends these pieces and then closes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        for piece in pieces:
            await peer.say(piece)
        if reset:
            await taken.wait()
            peer.reset()

    taken = asyncio.Event()
    upstream = open_upstream()
    async with provider(script) as server:
        try:
            reply = await upstream.send(method, server.url, [], b"", LIMITS)
            taken.set()
            return reply.status, reply.headers, await read(reply)
        finally:
            await upstream.close()


async def failure(*pieces: bytes, reset: bool = False) -> tuple[ErrorType, str]:
    with pytest.raises(UpstreamError) as caught:
        await fetch(*pieces, reset=reset)
    return caught.value.error_type, re.sub(r"127\.0\.0\.1:\d+", "HOST", str(caught.value))


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "status", "headers", "body"),
    [
        (
            HEAD + b"Content-Length: 5\r\nX-A:  b \r\n\r\nhello",
            200,
            [(b"content-length", b"5"), (b"x-a", b"b")],
            b"hello",
        ),
        (HEAD + b"content-length: 0\r\n\r\n", 200, [(b"content-length", b"0")], b""),
        (CHUNKED + b"5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\nx-trailer: 1\r\n\r\n", 200, [], b"hello!"),
        (HEAD + b"x: 1\r\n\r\nuntil the end", 200, [(b"x", b"1")], b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", 200, [], b"old"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, [], b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, [(b"content-length", b"5")], b""),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + OK,
            200,
            [(b"content-length", b"2")],
            b"ok",
        ),
        (b"HTTP/1.1 429\r\ncontent-length: 1\r\n\r\n.", 429, [(b"content-length", b"1")], b"."),
        (
            HEAD
            + b"connection: close, x-hop\r\nx-hop: 1\r\nkeep-alive: 5\r\nupgrade: h2\r\ncontent-length: 1\r\n\r\n.",
            200,
            [(b"content-length", b"1")],
            b".",
        ),
        (
            HEAD + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 1\r\n\r\n.",
            200,
            [(b"content-length", b"1")],
            b".",
        ),
        (HEAD + b"set-cookie: a\r\nset-cookie: b\r\n\r\n", 200, [(b"set-cookie", b"a"), (b"set-cookie", b"b")], b""),
        (
            HEAD + b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08",
            200,
            [(b"content-encoding", b"gzip"), (b"content-length", b"3")],
            b"\x1f\x8b\x08",
        ),
    ],
)
async def test_framings(raw: bytes, status: int, headers: Headers, body: bytes) -> None:
    assert await fetch(raw) == (status, headers, body)


async def test_a_reply_to_head_has_no_body() -> None:
    assert await fetch(HEAD + b"content-length: 5\r\n\r\n", method="HEAD") == (200, [(b"content-length", b"5")], b"")


@pytest.mark.parametrize(
    ("raw", "error_type", "message"),
    [
        (b"", "provider_network", "HOST closed the connection before the head of its reply"),
        (HEAD + b"x-a: ", "provider_network", "HOST closed the connection before the head of its reply"),
        (
            HEAD + b"content-length: 9\r\n\r\nhello",
            "provider_stream_cut",
            "HOST closed the connection in the middle of its reply, after 5 bytes of body",
        ),
        (
            CHUNKED + b"5\r\nhello\r\n",
            "provider_stream_cut",
            "HOST closed the connection in the middle of its reply, after 5 bytes of body",
        ),
        (
            CHUNKED + b"5\r\nhello\r\n0\r\n",
            "provider_stream_cut",
            "HOST closed the connection in the middle of its reply, after 5 bytes of body",
        ),
        (
            CHUNKED + b"5\r\nhel",
            "provider_stream_cut",
            "HOST closed the connection in the middle of its reply, after 3 bytes of body",
        ),
        (
            b"\x15\x03\x01garbage",
            "provider_invalid_response",
            "HOST sent an invalid HTTP message: Expected HTTP/, RTSP/ or ICE/",
        ),
        (
            CHUNKED + b"5\r\nhelloXX",
            "provider_invalid_response",
            "HOST sent an invalid HTTP message: Expected LF after chunk data",
        ),
        (
            CHUNKED + b"zz\r\n",
            "provider_invalid_response",
            "HOST sent an invalid HTTP message: Invalid character in chunk size",
        ),
        (
            HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n..",
            "provider_invalid_response",
            "HOST sent an invalid HTTP message: Duplicate Content-Length",
        ),
        (
            HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "provider_invalid_response",
            "HOST sent an invalid HTTP message: Transfer-Encoding can't be present with Content-Length",
        ),
        (
            HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "provider_invalid_response",
            "HOST sent its reply in a transfer coding nobody asked for: b'gzip, chunked'",
        ),
        (
            b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "provider_invalid_response",
            "HOST switched to another protocol",
        ),
        (
            b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
            "provider_invalid_response",
            "HOST answered with the impossible status 999",
        ),
        (
            HEAD + b"x: " + b"a" * 70_000 + b"\r\n\r\n",
            "provider_invalid_response",
            "HOST sent more than 65536 bytes of the head of its reply",
        ),
        (
            HEAD + b"x: " + b"a" * 1_000_000,
            "provider_invalid_response",
            "HOST sent more than 65536 bytes of the head of its reply",
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
            "provider_invalid_response",
            "HOST sent more than 65536 bytes of the head of its reply",
        ),
        (
            CHUNKED + b"0\r\n" + b"x-trailer: 1\r\n" * 100_000,
            "provider_invalid_response",
            "HOST sent more than 65536 bytes of framing around the body",
        ),
    ],
)
async def test_broken_replies(raw: bytes, error_type: str, message: str) -> None:
    assert await failure(raw) == (error_type, message)


async def test_a_reset_before_the_head() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    upstream = open_upstream()
    async with provider(script) as server:
        with pytest.raises(UpstreamError, match=r"broke the connection .* before the head of its reply") as caught:
            await upstream.send("POST", server.url, [], b"", LIMITS)
    assert caught.value.error_type is ErrorType.PROVIDER_NETWORK
    await upstream.close()


@pytest.mark.parametrize(
    "raw", [HEAD + b"content-length: 9\r\n\r\nhello", CHUNKED + b"5\r\nhello\r\n", HEAD + b"\r\nhello"]
)
async def test_a_reset_in_the_body_is_a_cut_whatever_the_framing(raw: bytes) -> None:
    error_type, message = await failure(raw, reset=True)
    assert error_type is ErrorType.PROVIDER_STREAM_CUT
    assert re.search("HOST broke the connection .* in the middle of its reply, after [05] bytes of body", message)


async def test_what_came_before_a_cut_is_delivered_first() -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(CHUNKED + b"5\r\nhello\r\n")

    upstream = open_upstream()
    async with provider(script) as server:
        reply = await upstream.send("POST", server.url, [], b"", LIMITS)
        pieces = reply.body()
        assert await anext(pieces) == b"hello"
        with pytest.raises(UpstreamError) as caught:
            await anext(pieces)
        assert caught.value.error_type is ErrorType.PROVIDER_STREAM_CUT
        await reply.close()
    await upstream.close()


async def test_pieces_come_as_they_arrive() -> None:
    more = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(CHUNKED + b"3\r\none\r\n")
        await more.wait()
        await peer.say(b"3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")

    upstream = open_upstream()
    async with provider(script) as server:
        reply = await upstream.send("POST", server.url, [], b"", LIMITS)
        pieces = reply.body()
        assert await anext(pieces) == b"one"
        more.set()
        assert await anext(pieces) == b"twothree"
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)
    await upstream.close()


SAMPLES = [
    (HEAD + b"content-type: text/plain\r\ncontent-length: 11\r\n\r\nhello world", b"hello world"),
    (CHUNKED + b"6\r\nhello \r\n5;a=b\r\nworld\r\n0\r\nt: 1\r\n\r\n", b"hello world"),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"\r\nhello world", b"hello world"),
]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SAMPLES), st.lists(st.integers(1, 120), max_size=6))
def test_however_a_reply_is_split_it_reads_the_same(sample: tuple[bytes, bytes], cuts: list[int]) -> None:
    raw, body = sample
    edges = [0, *sorted(cut for cut in set(cuts) if cut < len(raw)), len(raw)]
    pieces = [raw[start:end] for start, end in pairwise(edges)]

    async def main() -> tuple[int, bytes]:
        async def script(peer: Peer) -> None:
            await peer.request()
            for piece in pieces:
                await peer.say(piece)
                await asyncio.sleep(0)

        upstream = open_upstream()
        async with provider(script) as server:
            reply = await upstream.send("POST", server.url, [], b"{}", LIMITS)
            found = reply.status, await read(reply)
            await upstream.close()
        return found

    assert uvloop.run(main()) == (200, body)
