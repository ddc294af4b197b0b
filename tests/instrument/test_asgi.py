"""ASGI: FastAPI and Starlette in place, any application wrapped; on a real server where it matters."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from tallygate import instrument
from tallygate.exposition.asgi import Receive, Scope, Send
from tallygate.instrument import ASGIMiddleware
from tallygate.tally import Tally
from tests.instrument.http_page import dropped, in_flight, requests, samples, seconds, serving_asgi, sizes, timed

Headers = list[tuple[bytes, bytes]]


async def call(
    app: Callable[[Scope, Receive, Send], Awaitable[None]],
    path: str = "/",
    method: str = "GET",
    *,
    body: list[bytes] | None = None,
    headers: Headers | None = None,
    root_path: str = "",
    gone: asyncio.Event | None = None,
) -> tuple[int, bytes]:
    """Status and body of an answer; 0 when there is none.

    gone: when the client leaves. Without it that is never; with it the body is never whole, unless it is empty.
    """
    sent: list[Any] = []
    pieces = body or [b""]
    incoming = [
        {"type": "http.request", "body": piece, "more_body": at < len(pieces) or bool(body and gone)}
        for at, piece in enumerate(pieces, 1)
    ]
    leaves = gone or asyncio.Event()

    async def receive() -> Any:
        if incoming:
            return incoming.pop(0)
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"a=1", "root_path": root_path,
        "headers": headers or [(b"host", b"here")], "server": ("here", 80), "client": ("there", 1),
    }  # fmt: skip
    await app(scope, receive, send)
    status = next((message["status"] for message in sent if message["type"] == "http.response.start"), 0)
    return status, b"".join(message.get("body", b"") for message in sent)


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def echo(request: Request) -> Response:
    return Response(await request.body())


class Item:
    """An endpoint that is an ASGI application of its own."""

    __hash__ = None  # type: ignore[assignment]  # endpoints need have none

    def __eq__(self, other: object) -> bool:
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("item")(scope, receive, send)


def starlette(directory: Path) -> Starlette:
    (directory / "a.txt").write_text("static")
    inner = Router([Route("/", hello), Route("/deep/{more:path}", hello)])
    sub = Starlette(routes=[Route("/things/{thing:int}", hello), Mount("/inner", inner)])
    shared = Router([Route("/both/{x}", hello)])
    return Starlette(
        routes=[
            Route("/", hello),
            Route("/echo", echo, methods=["POST", "PUT"]),
            Route("/users/{id:int}", hello, methods=["GET"]),
            Route("/users/{id:int}/posts/{post}", hello),
            Route("/item/{x}", Item()),
            Mount("/tenants/{tenant}/v1", sub),
            Mount("/static", StaticFiles(directory=directory)),
            Mount("/left/{a}", shared),
            Mount("/right/{a}/{b:path}/end", shared),
            Host("api.here", Router([Route("/hosted/{y}", echo, methods=["GET"])])),
            WebSocketRoute("/ws", hello),
        ]
    )


@pytest.mark.parametrize(
    ("method", "path", "counted"),
    [
        ("GET", "/", "GET / 200"),
        ("GET", "/users/7", "GET /users/{id:int} 200"),
        ("GET", "/users/7/posts/my", "GET /users/{id:int}/posts/{post} 200"),
        ("GET", "/users/seven", "GET unmatched 404"),
        ("GET", "/users/7/", "GET unmatched 307"),
        ("POST", "/users/7", "POST /users/{id:int} 405"),
        ("BREW", "/nothing", "OTHER unmatched 404"),
        ("GET", "/item/1", "GET /item/{x} 200"),
        ("GET", "/tenants/me/v1/things/7", "GET /tenants/{tenant}/v1/things/{thing:int} 200"),
        ("GET", "/tenants/me/v1/things/no", "GET unmatched 404"),
        ("GET", "/tenants/me/v1/inner/", "GET /tenants/{tenant}/v1/inner/ 200"),
        ("GET", "/tenants/me/v1/inner/deep/a/b", "GET /tenants/{tenant}/v1/inner/deep/{more:path} 200"),
        ("GET", "/static/a.txt", "GET /static/{path:path} 200"),
        ("GET", "/static/b.txt", "GET /static/{path:path} 404"),
        ("GET", "/left/1/both/2", "GET /left/{a}/both/{x} 200"),
        ("GET", "/right/1/2/3/end/both/4", "GET /right/{a}/{b:path}/end/both/{x} 200"),
        ("GET", "/raw path\n{evil}", "GET unmatched 404"),
    ],
)
@pytest.mark.parametrize("root_path", ["", "/behind/{a}"])
async def test_starlette_templates(
    tmp_path: Path, tally: Tally, method: str, path: str, counted: str, root_path: str
) -> None:
    app = starlette(tmp_path)
    with instrument.asgi(app, tally=tally):
        await call(app, root_path + path, method, root_path=root_path)
    assert requests(tally) == {counted: 1}
    assert dropped(tally) == in_flight(tally) == 0


async def test_routes_of_a_host(tmp_path: Path, tally: Tally) -> None:
    app = starlette(tmp_path)
    with instrument.asgi(app, tally=tally):
        await call(app, "/hosted/1", headers=[(b"host", b"api.here")])
    assert requests(tally) == {"GET /hosted/{y} 200": 1}


async def test_routes_added_later(tally: Tally) -> None:
    app = Starlette(routes=[Route("/", hello)])
    with instrument.asgi(app, tally=tally):
        await call(app)
        app.router.routes.append(Route("/late/{x}", echo))
        await call(app, "/late/1")
    assert requests(tally) == {"GET / 200": 1, "GET /late/{x} 200": 1}


def fastapi_app() -> fastapi.FastAPI:
    items = fastapi.APIRouter(prefix="/items")

    @items.get("/{id}")
    async def item(id: int) -> int:
        return id

    @items.get("/")
    async def everything() -> list[int]:
        return []

    outer = fastapi.APIRouter()
    outer.include_router(items, prefix="/shop")
    outer.mount("/mounted/{m}", Router([Route("/{x}", hello)]))
    app, sub = fastapi.FastAPI(), fastapi.FastAPI()
    app.include_router(outer, prefix="/v1")
    app.include_router(outer, prefix="/v2/{tenant}")
    sub.include_router(items)
    app.mount("/sub", sub)

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("a defect")

    return app


@pytest.mark.parametrize(
    ("method", "path", "counted"),
    [
        ("GET", "/v1/shop/items/1", "GET /v1/shop/items/{id} 200"),
        ("GET", "/v2/me/shop/items/1", "GET /v2/{tenant}/shop/items/{id} 200"),
        ("GET", "/v2/me/shop/items/", "GET /v2/{tenant}/shop/items/ 200"),
        ("GET", "/v1/shop/items/one", "GET /v1/shop/items/{id} 422"),
        ("DELETE", "/v1/shop/items/1", "DELETE /v1/shop/items/{id} 405"),
        ("GET", "/v1/shop/none", "GET unmatched 404"),
        ("GET", "/v2/a/mounted/b/c", "GET /v2/{tenant}/mounted/{m}/{x} 200"),
        ("GET", "/sub/items/1", "GET /sub/items/{id} 200"),
        ("GET", "/sub/items/1/2", "GET unmatched 404"),
        ("GET", "/openapi.json", "GET /openapi.json 200"),
        ("GET", "/sub/docs", "GET /sub/docs 200"),
    ],
)
async def test_fastapi_templates(tally: Tally, method: str, path: str, counted: str) -> None:
    app = fastapi_app()
    with instrument.asgi(app, tally=tally):
        await call(app, path, method)
    assert requests(tally) == {counted: 1}
    assert dropped(tally) == in_flight(tally) == 0


async def test_a_defect_is_500_and_passes_unchanged(tally: Tally) -> None:
    app = fastapi_app()
    instrument.asgi(app, tally=tally)
    with pytest.raises(RuntimeError, match="a defect"):
        await call(app, "/fails")
    assert requests(tally) == {"GET /fails 500": 1}


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


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"four", "more_body": True})
    await send({"type": "http.response.body"})


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
