"""The WSGI application: driven directly under wsgiref's own validator, and on its server."""

from __future__ import annotations

import gzip
import http.client
import threading
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from tallygate.exposition.wsgi import MetricsWSGIApp
from tests.exposition.sources import Source


class Reply(NamedTuple):
    status: str
    headers: dict[str, str]
    body: bytes


def request(app: MetricsWSGIApp, method: str = "GET", query: str = "", **headers: str) -> Reply:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "QUERY_STRING": query, **headers}
    setup_testing_defaults(environ)
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        begun.append((status, headers))
        return lambda data: None

    answer = validator(app)(environ, start_response)
    try:
        body = b"".join(answer)
    finally:
        answer.close()  # type: ignore[attr-defined]  # the validator's has one
    ((status, fields),) = begun
    assert method == "HEAD" or int(dict(fields)["Content-Length"]) == len(body)
    assert len(dict(fields)) == len(fields)
    return Reply(status, dict(fields), body)


def test_get() -> None:
    source = Source()
    assert request(MetricsWSGIApp(source)) == Reply(
        "200 OK",
        {
            "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
            "Content-Length": "16",
            "Vary": "Accept, Accept-Encoding",
        },
        b"# default text \n",
    )


def test_head_is_get_without_body() -> None:
    source = Source()
    reply = request(MetricsWSGIApp(source), "HEAD", "dialect=aurora&name[]=b")
    assert (reply.status, reply.headers["Content-Length"], reply.body) == ("200 OK", "16", b"")
    assert source.asked == [(("aurora",), "text", frozenset("b"))]


def test_openmetrics_and_gzip() -> None:
    reply = request(
        MetricsWSGIApp(Source()),
        HTTP_ACCEPT="application/openmetrics-text;version=1.0.0;q=0.9,text/plain;q=0.1",
        HTTP_ACCEPT_ENCODING="deflate, gzip;q=0.5",
    )
    assert reply.headers["Content-Type"] == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
    )
    assert reply.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(reply.body) == b"# default openmetrics \n"


@pytest.mark.parametrize(
    ("method", "query", "status", "body"),
    [
        ("POST", "", "405 Method Not Allowed", b"metrics are read with GET\n"),
        ("GET", "dialect=nope", "400 Bad Request", b"no dialect is called 'nope'; known are aurora, otel, tallygate\n"),
        (
            "GET",
            "dialect=otel",
            "500 Internal Server Error",
            b"the metrics could not be rendered; the log says why\n",
        ),
        ("GET", "&".join(["name[]=a"] * 300), "400 Bad Request", b"the query has too many parameters\n"),
    ],
)
def test_what_cannot_be_answered(method: str, query: str, status: str, body: bytes) -> None:
    reply = request(MetricsWSGIApp(Source()), method, query)
    assert (reply.status, reply.body) == (status, body)


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        ({}, "401 Unauthorized", b'{"error": "Unauthorized: Bearer token required"}'),
        ({"HTTP_AUTHORIZATION": "Bearer wrong"}, "401 Unauthorized", b'{"error": "Unauthorized: Invalid token"}'),
        ({"HTTP_AUTHORIZATION": "Bearer secret"}, "200 OK", b"# default text \n"),
    ],
)
def test_authorization(headers: dict[str, str], status: str, body: bytes) -> None:
    source = Source()
    app = MetricsWSGIApp(source, authorize=lambda header: header == "Bearer secret")
    reply = request(app, **headers)
    assert (reply.status, reply.body) == (status, body)
    assert len(source.asked) == (status == "200 OK")


def test_a_server_without_a_query() -> None:
    """QUERY_STRING may be absent."""
    begun: list[str] = []
    app = MetricsWSGIApp(Source())
    body = app({"REQUEST_METHOD": "GET"}, lambda status, headers, problem=None: begun.append(status))  # type: ignore[arg-type]  # write() is not used
    assert (begun, list(body)) == (["200 OK"], [b"# default text \n"])


def test_on_a_server() -> None:
    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            return None

    app = MetricsWSGIApp(Source())
    with make_server("127.0.0.1", 0, validator(app), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        connection.request("GET", "/any/path?dialect=aurora,tallygate&name[]=a")
        assert connection.getresponse().read() == b"# aurora+tallygate text a\n"
        connection.close()
        server.shutdown()
        thread.join()
    app.close()
