"""Which connection a request takes: reuse, the single retry, and when a connection must not be used again."""

import asyncio
import socket

import pytest

from tallygate.errors import ErrorType
from tallygate.gateway.upstream import Timeouts, Upstream, UpstreamError, open_upstream
from tallygate.gateway.upstream.connection import Connection

from .scripted import OK, Peer, provider, read

LIMITS = Timeouts(connect=5, first_byte=5, idle=5, total=20)


async def fetch(upstream: Upstream, url: str) -> bytes:
    return await read(await upstream.send("POST", url, [], b"{}", LIMITS))


async def forever(peer: Peer) -> None:
    while True:
        await peer.answer()


async def test_a_connection_is_used_again() -> None:
    upstream = open_upstream()
    async with provider(forever) as server:
        for _ in range(5):
            assert await fetch(upstream, server.url) == b"ok"
        assert server.connections == 1
        await upstream.close()


async def test_requests_at_the_same_time_have_their_own_connections_and_the_last_is_used_first() -> None:
    gate = asyncio.Event()
    answered: list[int] = []

    async def script(peer: Peer) -> None:
        number = server.connections
        while True:
            await peer.request()
            if not gate.is_set():
                await gate.wait()
            answered.append(number)
            await peer.say(OK)

    upstream = open_upstream()
    async with provider(script) as server:
        fetches = [asyncio.create_task(fetch(upstream, server.url)) for _ in range(3)]
        for _ in range(3):
            await server.arrivals.acquire()
        gate.set()
        await asyncio.gather(*fetches)
        answered.clear()
        for _ in range(4):
            await fetch(upstream, server.url)
        assert server.connections == 3
        assert len(set(answered)) == 1
        await upstream.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        OK + b"garbage",
    ],
)
async def test_not_used_again(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(answer)
        await peer.gone()

    upstream = open_upstream()
    async with provider(script) as server:
        assert await fetch(upstream, server.url) == b"ok"
        assert await fetch(upstream, server.url) == b"ok"
        assert server.connections == 2
        await upstream.close()


async def test_data_on_a_resting_connection_is_never_the_answer_to_the_next_request() -> None:
    dropped = asyncio.Event()

    async def unasked(peer: Peer) -> None:
        await peer.answer()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await peer.gone()
        dropped.set()

    upstream = open_upstream()
    async with provider(unasked, forever) as server:
        assert await fetch(upstream, server.url) == b"ok"
        await dropped.wait()
        assert await fetch(upstream, server.url) == b"ok"
        assert server.connections == 2
        await upstream.close()


async def test_a_reply_that_was_not_read_to_its_end_takes_its_connection_along() -> None:
    dropped = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf.")
        await peer.gone()
        dropped.set()

    upstream = open_upstream()
    async with provider(script, forever) as server:
        reply = await upstream.send("POST", server.url, [], b"", LIMITS)
        assert await anext(reply.body()) == b"half."
        await reply.close()
        await reply.close()
        await dropped.wait()
        assert await fetch(upstream, server.url) == b"ok"
        await upstream.close()


async def test_letting_go_twice_does_not_disturb_the_next_request() -> None:
    upstream = open_upstream()
    async with provider(forever) as server:
        first = await upstream.send("POST", server.url, [], b"", LIMITS)
        assert await read(first) == b"ok"
        second = await upstream.send("POST", server.url, [], b"", LIMITS)
        await first.close()
        assert await read(second) == b"ok"
        assert server.connections == 1
        await upstream.close()


async def test_a_kept_connection_that_the_provider_closed_is_replaced_once() -> None:
    """The close crosses the request: the client learns of it only after it has sent."""

    async def closes_on_second(peer: Peer) -> None:
        await peer.answer()
        await peer.request()

    upstream = open_upstream()
    async with provider(closes_on_second, forever) as server:
        assert await fetch(upstream, server.url) == b"ok"
        assert await fetch(upstream, server.url) == b"ok"
        assert server.connections == 2
        await upstream.close()


async def test_not_sent_again_after_a_reset() -> None:
    """The provider may have worked on the request before it broke the connection."""

    async def resets_on_second(peer: Peer) -> None:
        await peer.answer()
        await peer.request()
        peer.reset()

    upstream = open_upstream()
    async with provider(resets_on_second, forever) as server:
        assert await fetch(upstream, server.url) == b"ok"
        with pytest.raises(UpstreamError, match="broke the connection") as caught:
            await fetch(upstream, server.url)
        assert caught.value.error_type is ErrorType.PROVIDER_NETWORK
        assert server.connections == 1
        await upstream.close()


async def test_only_once_and_never_on_a_fresh_connection() -> None:
    async def answers_then_closes(peer: Peer) -> None:
        await peer.answer()
        await peer.request()

    async def closes(peer: Peer) -> None:
        await peer.request()

    upstream = open_upstream()
    async with provider(answers_then_closes, closes) as server:
        assert await fetch(upstream, server.url) == b"ok"
        with pytest.raises(UpstreamError, match="closed the connection before the head of its reply") as caught:
            await fetch(upstream, server.url)
        assert caught.value.error_type is ErrorType.PROVIDER_NETWORK
        assert server.connections == 2
        await upstream.close()


async def test_not_sent_again_once_a_byte_of_the_reply_came() -> None:
    async def begins_the_second(peer: Peer) -> None:
        await peer.answer()
        await peer.answer(b"H")

    upstream = open_upstream()
    async with provider(begins_the_second, forever) as server:
        assert await fetch(upstream, server.url) == b"ok"
        with pytest.raises(UpstreamError, match="before the head of its reply"):
            await fetch(upstream, server.url)
        assert server.connections == 1
        await upstream.close()


async def test_not_sent_again_when_the_close_came_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that closes long after it got the request may have worked on it."""
    monkeypatch.setattr("tallygate.gateway.upstream.connection.STALE_WITHIN", 0.0)

    async def closes_on_second(peer: Peer) -> None:
        await peer.answer()
        await peer.request()

    upstream = open_upstream()
    async with provider(closes_on_second, forever) as server:
        assert await fetch(upstream, server.url) == b"ok"
        with pytest.raises(UpstreamError, match="before the head of its reply"):
            await fetch(upstream, server.url)
        assert server.connections == 1
        await upstream.close()


async def test_a_connection_closed_while_it_rests_is_not_tried() -> None:
    lost = asyncio.Event()
    on_lost = Connection.eof_received

    def noted(self: Connection) -> None:
        on_lost(self)
        lost.set()

    async def once(peer: Peer) -> None:
        await peer.answer()

    upstream = open_upstream()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "eof_received", noted)
        async with provider(once, forever) as server:
            assert await fetch(upstream, server.url) == b"ok"
            await lost.wait()
            assert await fetch(upstream, server.url) == b"ok"
            assert server.connections == 2
            await upstream.close()


async def test_a_resting_connection_is_closed_after_its_time() -> None:
    dropped = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer()
        await peer.gone()
        dropped.set()

    upstream = open_upstream(keepalive=0.05)
    async with provider(script) as server:
        assert await fetch(upstream, server.url) == b"ok"
        await asyncio.wait_for(dropped.wait(), 5)
        await upstream.close()


async def test_requests_beyond_the_limit_wait_for_their_turn() -> None:
    gate = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await gate.wait()
            await peer.say(OK)

    upstream = open_upstream(max_connections=2)
    async with provider(script) as server:
        fetches = [asyncio.create_task(fetch(upstream, server.url)) for _ in range(6)]
        for _ in range(2):
            await server.arrivals.acquire()
        with pytest.raises(UpstreamError, match=r"all 2 connections to .* were in use for 0\.05 s") as caught:
            await upstream.send("POST", server.url, [], b"", Timeouts(connect=0.05))
        assert caught.value.error_type is ErrorType.PROVIDER_TIMEOUT
        gate.set()
        assert await asyncio.gather(*fetches) == [b"ok"] * 6
        assert server.connections == 2
        await upstream.close()


async def test_failures_give_their_turn_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    upstream = open_upstream(max_connections=1)
    for _ in range(3):
        with pytest.raises(UpstreamError, match=f"cannot connect to 127.0.0.1:{port}: ") as caught:
            await fetch(upstream, f"http://127.0.0.1:{port}/")
        assert caught.value.error_type is ErrorType.PROVIDER_NETWORK

    async def cuts(peer: Peer) -> None:
        await peer.request()

    async with provider(cuts, cuts, forever) as server:
        for _ in range(2):
            with pytest.raises(UpstreamError):
                await fetch(upstream, server.url)
        assert await fetch(upstream, server.url) == b"ok"
        await upstream.close()


async def test_a_host_that_does_not_exist() -> None:
    upstream = open_upstream()
    with pytest.raises(UpstreamError, match="the host name cannot be resolved") as caught:
        await fetch(upstream, "http://does-not-exist.invalid/")
    assert caught.value.error_type is ErrorType.PROVIDER_NETWORK
    await upstream.close()


async def test_ipv6() -> None:
    upstream = open_upstream()
    async with provider(forever, host="::1") as server:
        assert await fetch(upstream, server.url) == b"ok"
        await upstream.close()


async def test_closing_ends_everything() -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await peer.gone()
        gone.set()

    upstream = open_upstream()
    async with provider(script) as server:
        reply = await upstream.send("POST", server.url, [], b"", LIMITS)
        pieces = reply.body()
        assert await anext(pieces) == b"half"
        await upstream.close()
        with pytest.raises(UpstreamError, match="the gateway gave up its connection") as caught:
            await anext(pieces)
        assert caught.value.error_type is ErrorType.GATEWAY_INTERNAL
        await gone.wait()
        with pytest.raises(RuntimeError, match="this upstream client is closed"):
            await fetch(upstream, server.url)
