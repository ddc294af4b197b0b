"""ASGI: what is recorded of a request, however it ends; on a real server where it matters."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from tallygate import instrument
from tallygate.exposition.asgi import Receive, Scope, Send
from tallygate.instrument import ASGIMiddleware
from tallygate.record.default import default
from tallygate.tally import Tally
from tests.instrument.asgi_calls import Headers, call, echo, hello, plain
from tests.instrument.http_page import dropped, in_flight, requests, samples, seconds, serving_asgi, sizes, timed


@pytest.fixture(params=["native", "python"])
def tally(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tally]:
    """Over the compiled core, and over the ledger in pure Python."""
    monkeypatch.setenv("TALLYGATE_LEDGER", request.param)
    tally = Tally(capacity_bytes=16 << 20)
    yield tally
    tally.close()


async def test_before_init_and_with_another_tally_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "recorder", default.nowhere)
    app = Starlette(routes=[Route("/", hello)])
    with instrument.asgi(app):
        await call(app)
        for tally in (Tally(implementation="python"), Tally(capacity_bytes=16 << 20)):
            monkeypatch.setattr(default, "recorder", tally)
            await call(app)
            assert (requests(tally), sizes(tally), in_flight(tally)) == ({"GET / 200": 1}, {"/": (0, 5)}, 0)
            tally.close()


async def test_the_status_is_that_of_the_outermost_answer(tally: Tally) -> None:
    """What the handler of exceptions made of it."""

    async def sorry(request: Request, problem: Exception) -> Response:
        return JSONResponse({}, 503)

    app = Starlette(routes=[Route("/", lambda request: 1 / 0)], exception_handlers={Exception: sorry})
    instrument.asgi(app, tally=tally)
    with pytest.raises(ZeroDivisionError):
        await call(app)
    assert requests(tally) == {"GET / 503": 1}


# Any application


async def test_any_application(tally: Tally) -> None:
    app = ASGIMiddleware(plain, tally)
    assert await call(app, "/raw/7") == (201, b"four")
    assert requests(tally) == {"GET unmatched 201": 1}
    assert sizes(tally) == {"unmatched": (0, 4)}
    assert timed(tally) == {"GET unmatched": 1}


async def test_routes_as_told(tally: Tally) -> None:
    app = ASGIMiddleware(
        plain, tally, route=lambda scope: scope["path"].rpartition("/")[0] + "/{id}", exclude=["/b/{id}"]
    )
    await call(app, "/a/7")
    await call(app, "/b/7")
    assert requests(tally) == {"GET /a/{id} 201": 1}
    assert in_flight(tally) == 0


async def test_a_route_that_cannot_be_told_is_a_dropped_observation(tally: Tally) -> None:
    app = ASGIMiddleware(plain, tally, route=lambda scope: scope["no such key"])
    assert await call(app) == (201, b"four")
    assert (requests(tally), dropped(tally), in_flight(tally)) == ({}, 1, 0)


async def test_the_route_other_frameworks_leave_in_the_scope(tally: Tally) -> None:
    class Chosen:
        path = "/chosen/{x}"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Chosen
        await plain(scope, receive, send)

    await call(ASGIMiddleware(app, tally), "/chosen/1")
    assert requests(tally) == {"GET /chosen/{x} 201": 1}


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_websockets_and_lifespan_pass_untouched(tally: Tally, kind: str) -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([scope, receive, send])

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        raise AssertionError

    scope = {"type": kind}
    await ASGIMiddleware(app, tally)(scope, receive, send)
    assert scope == {"type": kind}
    assert [id(one) for one in seen] == [id(scope), id(receive), id(send)]
    assert requests(tally) == {}


async def test_once_whoever_counts_first(tally: Tally) -> None:
    sub = Starlette(routes=[Route("/x", hello)])
    app = Starlette(routes=[Mount("/sub", sub)])
    for each in (sub, app, app):
        instrument.asgi(each, tally=tally)
    await call(ASGIMiddleware(app, tally), "/sub/x")
    assert requests(tally) == {"GET /sub/x 200": 1}


async def test_head_has_no_body(tally: Tally) -> None:
    app = Starlette(routes=[Route("/", hello)])
    instrument.asgi(app, tally=tally)
    assert (await call(app, method="HEAD"))[0] == 200
    assert (requests(tally), sizes(tally)) == ({"HEAD / 200": 1}, {"/": (0, 0)})


# Sizes


@pytest.mark.parametrize(
    ("headers", "path", "size"),
    [
        ([(b"content-length", b"5")], "/echo", 5),
        ([(b"transfer-encoding", b"chunked")], "/echo", 5),
        ([(b"content-length", b"five")], "/echo", 5),
        ([(b"content-length", b"5")], "/never-read", 5),
        ([], "/never-read", 0),
    ],
)
async def test_request_size_is_told_or_counted(tally: Tally, headers: Headers, path: str, size: int) -> None:
    app = Starlette(routes=[Route("/echo", echo, methods=["POST"]), Route("/never-read", hello, methods=["POST"])])
    instrument.asgi(app, tally=tally)
    await call(app, path, "POST", body=[b"abc", b"de"], headers=headers)
    assert sizes(tally) == {path: (size, 5)}


async def test_the_size_of_a_file_that_the_server_sends_is_unknown(tally: Tally) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/some/file"})

    await call(ASGIMiddleware(app, tally))
    assert requests(tally) == {"GET unmatched 200": 1}
    assert [one.value for one in samples(tally, "tallygate_http_response_size_bytes_count")] == [0]


# Endings


async def test_raised_after_the_head_keeps_the_status_sent(tally: Tally) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("too late")

    with pytest.raises(ValueError, match="too late"):
        await call(ASGIMiddleware(app, tally))
    assert requests(tally) == {"GET unmatched 200": 1}


async def test_an_application_without_an_answer_is_500(tally: Tally) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        return None

    assert await call(ASGIMiddleware(app, tally)) == (0, b"")
    assert requests(tally) == {"GET unmatched 500": 1}


async def test_cancelled_before_the_answer_is_499(tally: Tally) -> None:
    entered = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        entered.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(call(ASGIMiddleware(app, tally)))
    await entered.wait()
    assert in_flight(tally) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (requests(tally), in_flight(tally)) == ({"GET unmatched 499": 1}, 0)


async def test_the_client_left_before_the_answer(tally: Tally) -> None:
    """Starlette raises, and answers 500 to nobody."""
    app = Starlette(routes=[Route("/echo", echo, methods=["POST"])])
    instrument.asgi(app, tally=tally)
    gone = asyncio.Event()
    gone.set()
    with pytest.raises(ClientDisconnect):
        await call(app, "/echo", "POST", body=[b"abc"], gone=gone)
    assert requests(tally) == {"POST /echo 499": 1}


async def test_what_runs_after_the_last_byte_is_not_timed(tally: Tally) -> None:
    counted: list[dict[str, float]] = []
    done = BackgroundTask(lambda: counted.append(requests(tally)))
    app = Starlette(routes=[Route("/", lambda request: Response(b"x", background=done))])
    instrument.asgi(app, tally=tally)
    await call(app)
    assert counted == [{"GET / 200": 1}]
    assert requests(tally) == {"GET / 200": 1}


# Setting up and taking down


@pytest.mark.parametrize("started", [False, True])
async def test_removed_it_is_as_it_was(tally: Tally, started: bool) -> None:
    app = Starlette(routes=[Route("/", hello)])
    if started:
        await call(app)
    stack = app.middleware_stack
    handle = instrument.asgi(app, tally=tally)
    await call(app)
    handle.remove()
    handle.remove()
    assert "build_middleware_stack" not in vars(app)
    assert stack is None or app.middleware_stack is stack
    assert not isinstance(app.middleware_stack, ASGIMiddleware)
    await call(app)
    assert requests(tally) == {"GET / 200": 1}


async def test_removed_under_another_one_it_only_falls_silent(tally: Tally) -> None:
    app = Starlette(routes=[Route("/", hello)])
    handle = instrument.asgi(app, tally=tally)
    await call(app)
    inner = app.middleware_stack
    assert inner is not None

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)

    app.middleware_stack = outer
    handle.remove()
    assert await call(app) == (200, b"hello")
    assert app.middleware_stack is outer
    assert requests(tally) == {"GET / 200": 1}


def test_what_is_no_starlette_application() -> None:
    with pytest.raises(instrument.NotInstrumentable) as caught:
        instrument.asgi(plain)
    assert str(caught.value) == (
        "instrument.asgi() takes a FastAPI or Starlette application, not function; "
        "wrap any other ASGI application: app = ASGIMiddleware(app)"
    )


async def test_switched_off_passes_the_request_as_it_is() -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([scope, receive, send])

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        raise AssertionError

    scope = {"type": "http"}
    await ASGIMiddleware(app, Tally(enabled=False))(scope, receive, send)
    assert scope == {"type": "http"}
    assert [id(one) for one in seen] == [id(scope), id(receive), id(send)]


# On a real server


def test_streams_on_a_real_server(tally: Tally) -> None:
    release, aborted, entered = threading.Event(), threading.Event(), threading.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * 1000
        await asyncio.to_thread(release.wait, 30)
        yield b"b" * 500

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"c" * 1000
                await asyncio.sleep(0)
        finally:
            aborted.set()

    async def never(request: Request) -> Response:
        entered.set()
        while (await request.receive())["type"] != "http.disconnect":
            pass
        return PlainTextResponse("for nobody")

    app = Starlette(
        routes=[
            Route("/stream", lambda request: StreamingResponse(pieces())),
            Route("/endless", lambda request: StreamingResponse(endless())),
            Route("/never", never),
            Route("/file", lambda request: FileResponse(__file__)),
            Route("/echo", echo, methods=["POST"]),
        ]
    )
    instrument.asgi(app, tally=tally)
    with serving_asgi(app) as url:
        address = urlsplit(url).netloc
        client = HTTPConnection(address, timeout=30)
        client.request("GET", "/stream")
        reply = client.getresponse()
        assert reply.read(1000) == b"a" * 1000
        assert (requests(tally), in_flight(tally)) == ({}, 1)
        release.set()
        assert reply.read() == b"b" * 500
        client.request(
            "POST", "/echo", body=iter([b"abc", b"defg"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        assert client.getresponse().read() == b"abcdefg"
        client.request("GET", "/file")
        whole = Path(__file__).read_bytes()
        assert client.getresponse().read() == whole
        client.close()

        host, _, port = address.partition(":")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(b"GET /endless HTTP/1.1\r\nhost: here\r\n\r\n")
            assert raw.recv(10)
        assert aborted.wait(30)
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(b"GET /never HTTP/1.1\r\nhost: here\r\n\r\n")
            assert entered.wait(30)
    # The server is down: every request has ended.
    assert requests(tally) == {
        "GET /stream 200": 1,
        "POST /echo 200": 1,
        "GET /file 200": 1,
        "GET /endless 200": 1,
        "GET /never 499": 1,
    }
    found = sizes(tally)
    assert found["/stream"] == (0, 1500)
    assert found["/echo"] == (7, 7)
    assert found["/file"] == (0, len(whole))
    assert found["/endless"][1] >= 1000
    assert (in_flight(tally), dropped(tally)) == (0, 0)
    assert seconds(tally) > 0
