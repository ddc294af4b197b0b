"""Reading a body within its limits."""

import asyncio

import pytest

from tallygate.gateway.server import BodyTimeout, BodyTooLarge, ClientGone, disconnected, read_body

from .listening import Message, Receive, Send, answer, listening


def scripted(*messages: Message) -> Receive:
    """A receive() that hands out these messages, then waits for ever."""
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def piece(data: bytes, more: bool) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


NO_LENGTH: Message = {"headers": []}


async def test_pieces_are_joined() -> None:
    receive = scripted(piece(b"ab", True), piece(b"", True), piece(b"c", False))
    assert await read_body(NO_LENGTH, receive, 3, 5) == b"abc"


async def test_one_byte_too_many() -> None:
    with pytest.raises(BodyTooLarge):
        await read_body(NO_LENGTH, scripted(piece(b"ab", True), piece(b"cd", False)), 3, 5)


async def test_an_announced_length_is_refused_unread() -> None:
    with pytest.raises(BodyTooLarge):
        await read_body({"headers": [(b"content-length", b"4")]}, scripted(), 3, 5)


async def test_too_slow() -> None:
    with pytest.raises(BodyTimeout):
        await read_body(NO_LENGTH, scripted(piece(b"ab", True)), 3, 0.02)


async def test_the_client_left() -> None:
    with pytest.raises(ClientGone):
        await read_body(NO_LENGTH, scripted(piece(b"ab", True), {"type": "http.disconnect"}), 3, 5)


async def test_waiting_for_the_client_to_leave() -> None:
    await disconnected(scripted(piece(b"", False), {"type": "http.disconnect"}))


async def test_a_slow_body_behind_a_real_server() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await answer(send, await read_body(scope, receive, 10, 0.05))
        except BodyTimeout:
            await answer(send, b"too slow", 408)
        except BodyTooLarge:
            await answer(send, b"too large", 413)

    async with listening(app) as server:
        async with server.client() as client:
            await client.say(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nab")
            assert (await client.answer()).status == 408
        async with server.client() as client:
            await client.say(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc")
            assert (await client.answer()).body == b"abc"
            await client.say(
                b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n"
            )
            assert (await client.answer()).status == 413
            await client.say(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 11\r\n\r\n12345678901")
            assert (await client.answer()).status == 413
