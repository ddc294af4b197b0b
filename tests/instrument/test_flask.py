"""Flask: rules of the URL map as routes; on werkzeug's server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import flask
import pytest
from werkzeug.serving import make_server

from tallygate import instrument
from tallygate.tally import Tally
from tests.instrument.http_page import dropped, in_flight, requests, sizes


def make_app() -> flask.Flask:
    app = flask.Flask("shop")
    items = flask.Blueprint("items", __name__, url_prefix="/items")

    @app.get("/")
    def home() -> str:
        return "home"

    @app.get("/users/<int:id>/<path:rest>")
    def user(id: int, rest: str) -> str:
        return rest

    @items.post("/<name>/")
    def item(name: str) -> bytes:
        return flask.request.get_data()

    @app.get("/fails")
    def fails() -> str:
        raise ValueError("a defect")

    @app.get("/refuses")
    def refuses() -> str:
        flask.abort(418)

    @app.get("/stream")
    def stream() -> flask.Response:
        def pieces() -> Iterator[str]:
            yield "a" * 10
            yield flask.request.args["last"]

        return flask.Response(flask.stream_with_context(pieces()))

    @app.get("/sleeps")
    async def sleeps() -> str:
        return "awake"

    app.register_blueprint(items, url_prefix="/v1")
    return app


@pytest.mark.parametrize(
    ("method", "path", "counted", "size"),
    [
        ("GET", "/", "GET / 200", 4),
        ("HEAD", "/", "HEAD / 200", 0),
        ("GET", "/users/7/a/b", "GET /users/<int:id>/<path:rest> 200", 3),
        ("GET", "/refuses", "GET /refuses 418", None),
        ("GET", "/fails", "GET /fails 500", None),
        ("GET", "/stream?last=bcd", "GET /stream 200", 13),
        ("GET", "/users/seven/a", "GET unmatched 404", None),
        ("DELETE", "/", "DELETE unmatched 405", None),
        ("GET", "/v1/hat/", "GET unmatched 405", None),
        ("POST", "/v1/hat", "POST unmatched 308", None),
    ],
)
def test_rules(tally: Tally, method: str, path: str, counted: str, size: int | None) -> None:
    app = make_app()
    with instrument.flask(app, tally=tally):
        app.test_client().open(path, method=method, buffered=True).close()
    assert requests(tally) == {counted: 1}
    if size is not None:
        assert sizes(tally) == {counted.split()[1]: (0, size)}
    assert (in_flight(tally), dropped(tally)) == (0, 0)


def test_request_and_answer_sizes(tally: Tally) -> None:
    app = make_app()
    with instrument.flask(app, tally=tally):
        assert app.test_client().post("/v1/hat/", data=b"abcde").data == b"abcde"
    assert requests(tally) == {"POST /v1/<name>/ 200": 1}
    assert sizes(tally) == {"/v1/<name>/": (5, 5)}


def test_exceptions_pass_unchanged(tally: Tally) -> None:
    app = make_app()
    app.testing = True
    with instrument.flask(app, tally=tally), pytest.raises(ValueError, match="a defect"):
        app.test_client().get("/fails")
    assert requests(tally) == {"GET /fails 500": 1}


def test_excluded_and_removed(tally: Tally) -> None:
    app = make_app()
    before = app.wsgi_app
    handle = instrument.flask(app, exclude=["/"], tally=tally)
    client = app.test_client()
    client.get("/")
    client.get("/users/7/x")
    handle.remove()
    client.get("/users/7/x")
    assert app.wsgi_app == before
    assert "wsgi_app" not in vars(app)
    assert requests(tally) == {"GET /users/<int:id>/<path:rest> 200": 1}


def test_what_is_no_flask_application() -> None:
    app: Any = test_rules
    with pytest.raises(
        instrument.NotInstrumentable, match=r"instrument\.flask\(\) takes a Flask application, not function"
    ):
        instrument.flask(app)


def test_on_a_real_server(tally: Tally) -> None:
    app = make_app()
    instrument.flask(app, tally=tally)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = False  # type: ignore[attr-defined]  # of the threaded server: closing it waits for them
    server.log = lambda *message: None  # type: ignore[method-assign]  # says nothing
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        for method, path, body, expected in [
            ("GET", "/stream?last=z", None, b"a" * 10 + b"z"),
            ("POST", "/v1/hat/", b"abc", b"abc"),
        ]:
            client = HTTPConnection("127.0.0.1", server.port, timeout=30)
            client.request(method, path, body)
            assert client.getresponse().read() == expected
            client.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert requests(tally) == {"GET /stream 200": 1, "POST /v1/<name>/ 200": 1}
    assert sizes(tally) == {"/stream": (0, 11), "/v1/<name>/": (3, 3)}
    assert (in_flight(tally), dropped(tally)) == (0, 0)
