"""What an ASGI application is given to receive and send with is to be had in every way a server's own is."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Generator, Iterator
from types import coroutine
from typing import Any

import pytest

from tallygate.exposition.asgi import Message, Receive, Scope, Send
from tallygate.instrument import ASGIMiddleware
from tallygate.tally import Tally
from tests.instrument.http_page import in_flight, requests, sizes

SCOPE: Any = {"type": "http", "method": "POST", "path": "/", "headers": []}
START: Any = {"type": "http.response.start", "status": 201, "headers": []}
BODY: Any = {"type": "http.response.body", "body": b"hello"}


@pytest.fixture(params=["native", "python"])
def tally(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tally]:
    """Over the compiled core, and over the ledger in pure Python."""
    monkeypatch.setenv("TALLYGATE_LEDGER", request.param)
    tally = Tally(capacity_bytes=16 << 20)
    yield tally
    tally.close()


async def serve(tally: Tally, app: Any, receive: Receive, send: Send) -> None:
    await ASGIMiddleware(app, tally)(dict(SCOPE), receive, send)


async def piece() -> Message:
    await asyncio.sleep(0)
    return {"type": "http.request", "body": b"abc", "more_body": False}


async def sink(message: Message) -> None:
    await asyncio.sleep(0)


async def test_as_tasks(tally: Tally) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        first: Any = receive()
        message = await asyncio.create_task(first)
        assert message == {"type": "http.request", "body": b"abc", "more_body": False}
        assert asyncio.iscoroutine(second := receive())
        assert await asyncio.wait_for(second, 30) == message
        await asyncio.gather(send(START))
        last: Any = send(BODY)
        await asyncio.create_task(last)
        assert (requests(tally), in_flight(tally)) == ({"POST unmatched 201": 1}, 0)

    await serve(tally, app, piece, sink)
    assert requests(tally) == {"POST unmatched 201": 1}
    assert sizes(tally) == {"unmatched": (6, 5)}


@coroutine
def by_generator() -> Generator[Any, Any, Message]:
    yield
    return {"type": "http.request", "body": b"ab"}


async def test_other_awaitables(tally: Tally) -> None:
    loop = asyncio.get_running_loop()
    given: list[Any] = [loop.create_future(), by_generator(), loop.create_future()]
    loop.call_soon(given[0].set_result, {"type": "http.request", "body": b"cde", "more_body": True})
    loop.call_soon(given[2].set_exception, OSError("gone"))
    sent: list[Message] = []

    def send(message: Message) -> Any:
        sent.append(message)
        done = loop.create_future()
        loop.call_soon(done.set_result, None)
        return done

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["body"] == b"cde"
        assert (await receive())["body"] == b"ab"
        with pytest.raises(OSError, match=r"^gone$"):
            await receive()
        await send(START)
        await send(BODY)

    await serve(tally, app, lambda: given.pop(0), send)
    assert sent == [START, BODY]
    assert sizes(tally) == {"unmatched": (5, 5)}


async def test_given_up_and_thrown_into(tally: Tally) -> None:
    ends: list[str] = []

    async def forever() -> Message:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            return {"type": "http.disconnect"}
        except GeneratorExit:
            ends.append("closed")
            raise
        raise AssertionError

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pending: Any = receive()
        task = asyncio.create_task(pending)
        await asyncio.sleep(0)
        task.cancel()
        assert await task == {"type": "http.disconnect"}
        left: Any = receive()
        left.send(None)
        left.close()
        await send(START)

    await serve(tally, app, forever, sink)
    assert ends == ["cancelled", "closed"]
    assert requests(tally) == {"POST unmatched 499": 1}


async def test_the_last_message_counts_when_it_is_out(tally: Tally) -> None:
    async def fail(message: Message) -> None:
        if message is BODY:
            raise OSError("gone")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        with pytest.raises(OSError, match=r"^gone$"):
            await send(BODY)
        assert (requests(tally), in_flight(tally)) == ({}, 1)

    await serve(tally, app, piece, fail)
    assert (requests(tally), in_flight(tally)) == ({"POST unmatched 201": 1}, 0)


async def test_messages_that_are_no_messages(tally: Tally) -> None:
    odd: list[Any] = [{}, {"type": 5}, {"type": "http.request", "body": None}, {"type": "http.request"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return odd.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while odd:
            await receive()
        await send({})
        await send({"type": "http.response.start"})
        await send({"type": "http.response.body"})

    await serve(tally, app, receive, send)
    assert sent == [{}, {"type": "http.response.start"}, {"type": "http.response.body"}]
    assert requests(tally) == {"POST unmatched 500": 1}


async def test_nothing_keeps_a_request(tally: Tally) -> None:
    class Marked(dict[str, Any]):
        pass

    scope, kept = Marked(SCOPE), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["cycle"] = receive, send  # as frameworks do that keep their request in the scope
        kept.append(receive())

    await ASGIMiddleware(app, tally)(scope, piece, sink)
    unread: Any = kept.pop()
    unread.close()
    del unread
    gone = weakref.ref(scope)
    del scope
    gc.collect()
    assert gone() is None
    assert in_flight(tally) == 0
