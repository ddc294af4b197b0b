"""Time limits, cancellation and back-pressure."""

import asyncio
import socket
from typing import cast

import pytest

from tallygate.errors import ErrorType
from tallygate.gateway.upstream import Timeouts, UpstreamError, open_upstream
from tallygate.gateway.upstream.connection import UNREAD_LIMIT

from .scripted import OK, Peer, provider, read

PATIENT = Timeouts(connect=10, first_byte=10, idle=10, total=20)
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def silence(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def stalls(peer: Peer) -> None:
    await peer.answer(CHUNKED + b"5\r\nhello\r\n")
    await peer.gone()


async def drips(peer: Peer) -> None:
    await peer.answer(CHUNKED)
    while True:
        await peer.say(b"1\r\n.\r\n")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "limits", "message"),
    [
        (silence, Timeouts(first_byte=0.05), "did not begin its reply within 0.05 s"),
        (silence, Timeouts(total=0.05), "did not finish its reply within 0.05 s"),
        (stalls, Timeouts(idle=0.05), "sent nothing more of its reply for 0.05 s"),
        (stalls, Timeouts(total=0.05), "did not finish its reply within 0.05 s"),
        (drips, Timeouts(idle=5, total=0.1), "did not finish its reply within 0.1 s"),
    ],
)
async def test_time_limits(script: object, limits: Timeouts, message: str) -> None:
    upstream = open_upstream()
    async with provider(script) as server:  # type: ignore[arg-type]  # parametrize loses the type
        with pytest.raises(UpstreamError, match=message) as caught:
            await read(await upstream.send("POST", server.url, [], b"", limits))
        assert caught.value.error_type is ErrorType.PROVIDER_TIMEOUT
        await upstream.close()


async def test_connecting_takes_too_long() -> None:
    # A listener whose backlog is full answers no further connection.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            upstream = open_upstream()
            with pytest.raises(
                UpstreamError, match=f"connecting to 127.0.0.1:{port} took longer than 0.05 s"
            ) as caught:
                await upstream.send("POST", f"http://127.0.0.1:{port}", [], b"", Timeouts(connect=0.05))
            assert caught.value.error_type is ErrorType.PROVIDER_TIMEOUT
            await upstream.close()
        finally:
            for filler in fillers:
                filler.close()


async def test_a_short_limit_holds_on_a_connection_that_served_a_long_one() -> None:
    """The timer of a kept connection stands far in the future and must come nearer."""

    async def script(peer: Peer) -> None:
        await peer.answer()
        await silence(peer)

    upstream = open_upstream()
    async with provider(script) as server:
        assert await read(await upstream.send("POST", server.url, [], b"", PATIENT)) == b"ok"
        with pytest.raises(UpstreamError, match=r"did not begin its reply within 0\.05 s"):
            await upstream.send("POST", server.url, [], b"", Timeouts(first_byte=0.05))
        assert server.connections == 1
        await upstream.close()


async def test_a_long_limit_holds_on_a_connection_that_served_a_short_one() -> None:
    """The timer of a kept connection stands near and must move on."""
    proceed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer()
        await peer.request()
        await proceed.wait()
        await peer.say(OK)

    upstream = open_upstream()
    async with provider(script) as server:
        short = Timeouts(first_byte=0.05, idle=0.05, total=0.05)
        assert await read(await upstream.send("POST", server.url, [], b"", short)) == b"ok"
        asyncio.get_running_loop().call_later(0.15, proceed.set)
        assert await read(await upstream.send("POST", server.url, [], b"", PATIENT)) == b"ok"
        assert server.connections == 1
        await upstream.close()


async def test_a_slow_consumer_is_not_the_providers_fault() -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(CHUNKED + b"3\r\none\r\n")
        await later.wait()
        await peer.say(b"3\r\ntwo\r\n0\r\n\r\n")
        await peer.gone()

    later = asyncio.Event()
    upstream = open_upstream()
    async with provider(script) as server:
        reply = await upstream.send("POST", server.url, [], b"", Timeouts(idle=0.1))
        pieces = reply.body()
        assert await anext(pieces) == b"one"
        await asyncio.sleep(0.25)
        later.set()
        assert await anext(pieces) == b"two"
        await reply.close()
        await upstream.close()


async def test_a_provider_that_takes_the_request_slowly_is_not_late() -> None:
    """The clock for the reply's head begins when the request is sent, and an upload that moves on is no silence."""
    body = b"x" * 40_000_000

    async def script(peer: Peer) -> None:
        transport = cast(asyncio.Transport, peer.writer.transport)
        await peer.reader.readuntil(b"\r\n\r\n")
        for _ in range(8):
            transport.resume_reading()
            await peer.reader.readexactly(len(body) // 8)
            transport.pause_reading()
            await asyncio.sleep(0.2)
        await peer.say(OK)

    upstream = open_upstream()
    async with provider(script) as server:
        reply = await upstream.send("POST", server.url, [], body, Timeouts(first_byte=1.0))
        assert await read(reply) == b"ok"
        await upstream.close()


async def test_a_provider_that_takes_no_more_of_the_request_is_late() -> None:
    async def script(peer: Peer) -> None:
        cast(asyncio.Transport, peer.writer.transport).pause_reading()
        await asyncio.Event().wait()

    upstream = open_upstream()
    async with provider(script) as server:
        with pytest.raises(UpstreamError, match=r"did not begin its reply within 0\.1 s"):
            await upstream.send("POST", server.url, [], b"x" * 40_000_000, Timeouts(first_byte=0.1))
        await upstream.close()


async def test_cancelling_while_waiting_for_the_head_is_seen_by_the_provider() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        gone.set()

    upstream = open_upstream()
    async with provider(script) as server:
        sending = asyncio.create_task(upstream.send("POST", server.url, [], b"", PATIENT))
        await asked.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(gone.wait(), 5)
        await upstream.close()


async def test_cancelling_a_read_of_the_body_is_seen_by_the_provider() -> None:
    began, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(CHUNKED + b"5\r\nhello\r\n")
        await peer.gone()
        gone.set()

    async def consume() -> None:
        reply = await upstream.send("POST", server.url, [], b"", PATIENT)
        async for _ in reply.body():
            began.set()

    upstream = open_upstream()
    async with provider(script) as server:
        consuming = asyncio.create_task(consume())
        await began.wait()
        consuming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consuming
        await asyncio.wait_for(gone.wait(), 5)
        await upstream.close()


async def test_cancelling_while_connecting_leaves_nothing_behind() -> None:
    upstream = open_upstream(max_connections=1)

    async def script(peer: Peer) -> None:
        await peer.answer()

    async with provider(script) as server:
        for _ in range(20):
            sending = asyncio.create_task(upstream.send("POST", server.url, [], b"", PATIENT))
            for _ in range(3):
                await asyncio.sleep(0)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        # The only connection that is allowed is free again.
        assert await read(await upstream.send("POST", server.url, [], b"", PATIENT)) == b"ok"
        await upstream.close()


async def test_a_consumer_that_stops_stops_the_provider() -> None:
    """50 MB are on offer; what the client holds stays within its limit and one read of the event loop."""
    total = 50_000_000
    sent = 0
    stuck = asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal sent
        peer.writer.transport.set_write_buffer_limits(0)
        await peer.answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        block = b"x" * 100_000
        while sent < total:
            peer.writer.write(block)
            sent += len(block)
            if peer.writer.transport.get_write_buffer_size():
                stuck.set()
            await peer.writer.drain()

    upstream = open_upstream()
    async with provider(script) as server:
        reply = await upstream.send("POST", server.url, [], b"", PATIENT)
        await stuck.wait()
        before = -1
        while before != sent:
            # Until the provider could not move for a good while.
            before = sent
            await asyncio.sleep(0.1)
        assert sent < total / 2
        assert reply.unread <= UNREAD_LIMIT + 256 * 1024  # type: ignore[attr-defined]  # not part of the seam
        received, largest = 0, 0
        async for data in reply.body():
            received += len(data)
            largest = max(largest, len(data))
        assert received == total
        assert largest <= UNREAD_LIMIT + 256 * 1024
        await upstream.close()


async def test_a_connection_that_was_held_back_is_used_again() -> None:
    body = b"x" * (UNREAD_LIMIT + 50_000)

    async def script(peer: Peer) -> None:
        while True:
            await peer.answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    upstream = open_upstream()
    async with provider(script) as server:
        for _ in range(4):
            reply = await upstream.send("POST", server.url, [], b"", PATIENT)
            await asyncio.sleep(0.02)
            assert await read(reply) == body
        assert server.connections == 1
        await upstream.close()
