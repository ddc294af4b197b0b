"""Route templates of FastAPI and Starlette applications, and of any other one."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from tallygate import instrument
from tallygate.exposition.asgi import Receive, Scope, Send
from tallygate.instrument import ASGIMiddleware
from tallygate.instrument.support import route_templates
from tallygate.tally import Tally
from tests.instrument.asgi_calls import call, echo, hello, plain
from tests.instrument.http_page import dropped, in_flight, requests


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


async def test_one_endpoint_behind_several_routes(tally: Tally) -> None:
    routes = [Route("/a/{x}", hello), Route("/b/{x:path}", hello), Mount("/c", routes=[Route("/a/{x}", hello)])]
    app = Starlette(routes=routes)
    with instrument.asgi(app, tally=tally):
        for path in ("/a/1", "/b/1/2", "/c/a/1", "/c/b/1"):
            await call(app, path)
    assert requests(tally) == {
        "GET /a/{x} 200": 1,
        "GET /b/{x:path} 200": 1,
        "GET /c/a/{x} 200": 1,
        "GET unmatched 404": 1,
    }


async def test_endpoints_made_on_the_fly_are_not_held_for_ever(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_templates, "MOST", 3)
    held: list[weakref.ref[Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def endpoint() -> None:
            raise AssertionError

        held.append(weakref.ref(endpoint))
        router = Router([Route("/made/{x}", endpoint)])
        scope.update(endpoint=endpoint, router=router)
        await plain(scope, receive, send)

    wrapped = ASGIMiddleware(app, tally)
    for number in range(10):
        await call(wrapped, f"/made/{number}")
    gc.collect()
    assert requests(tally) == {"GET /made/{x} 201": 10}
    assert sum(reference() is not None for reference in held) <= 4


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
