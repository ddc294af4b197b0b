"""WSGI: any application wrapped, under wsgiref's validator and on its server."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

from tallygate import instrument
from tallygate.instrument import WSGIMiddleware
from tallygate.tally import Tally
from tests.instrument.http_page import dropped, in_flight, requests, samples, serving_wsgi, sizes, timed

PLAIN = [("Content-Type", "text/plain")]


def hello(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("201 Created", PLAIN)
    return [b"hello"]


def route_of(environ: Any) -> str:
    return "/" + str(environ["PATH_INFO"]).split("/")[1] + "/{id}"


def begin(app: Any, path: str = "/", method: str = "GET", **environ: str) -> tuple[Any, list[str]]:
    """The answer of the application as it is given to the server, and the statuses that it said."""
    given: dict[str, Any] = {
        "PATH_INFO": path,
        "REQUEST_METHOD": method,
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
        **environ,
    }
    setup_testing_defaults(given)
    statuses: list[str] = []

    def start_response(status: str, headers: Any, problem: Any = None) -> Any:
        statuses.append(status)
        return lambda data: None

    return app(given, start_response), statuses


def call(app: Any, path: str = "/", method: str = "GET", **environ: str) -> tuple[str, bytes]:
    """Status and body of an answer, taken as servers do."""
    answer, statuses = begin(app, path, method, **environ)
    try:
        body = b"".join(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()
    return statuses[-1], body


def test_a_request_by_the_standard(tally: Tally) -> None:
    app = validator(WSGIMiddleware(validator(hello), tally, route=route_of))
    assert call(app, "/users/7") == ("201 Created", b"hello")
    assert requests(tally) == {"GET /users/{id} 201": 1}
    assert timed(tally) == {"GET /users/{id}": 1}
    assert sizes(tally) == {"/users/{id}": (0, 5)}
    assert (in_flight(tally), dropped(tally)) == (0, 0)


def test_without_a_route_it_is_unmatched(tally: Tally) -> None:
    call(WSGIMiddleware(hello, tally), "/users/7", "BREW")
    assert requests(tally) == {"OTHER unmatched 201": 1}


def test_excluded(tally: Tally) -> None:
    app = WSGIMiddleware(hello, tally, route=route_of, exclude=["/health/{id}"])
    call(app, "/health/7")
    call(app, "/users/7")
    assert (requests(tally), in_flight(tally)) == ({"GET /users/{id} 201": 1}, 0)


def test_a_route_that_cannot_be_told_is_a_dropped_observation(tally: Tally) -> None:
    app = WSGIMiddleware(hello, tally, route=lambda environ: environ["no such key"])
    assert call(app) == ("201 Created", b"hello")
    assert (requests(tally), dropped(tally), in_flight(tally)) == ({}, 1, 0)


def test_once_whoever_counts_first(tally: Tally) -> None:
    call(WSGIMiddleware(WSGIMiddleware(hello, tally), tally, route=route_of), "/a")
    assert requests(tally) == {"GET /a/{id} 201": 1}


@pytest.mark.parametrize(
    ("environ", "count", "size"),
    [
        ({}, 1, 0),
        ({"CONTENT_LENGTH": ""}, 1, 0),
        ({"CONTENT_LENGTH": "12"}, 1, 12),
        ({"CONTENT_LENGTH": "-12"}, 1, 0),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 0, 0),
    ],
)
def test_request_size(tally: Tally, environ: dict[str, str], count: int, size: int) -> None:
    call(WSGIMiddleware(hello, tally), method="POST", **environ)
    assert [one.value for one in samples(tally, "tallygate_http_request_size_bytes_count")] == [count]
    assert [one.value for one in samples(tally, "tallygate_http_request_size_bytes_sum")] == [size]


# Answers


def test_the_answer_keeps_its_length(tally: Tally) -> None:
    """Servers tell the content's length when it has one piece."""
    answer, _ = begin(WSGIMiddleware(hello, tally))
    assert len(answer) == 1
    answer, _ = begin(WSGIMiddleware(lambda environ, start_response: iter([b"a"]), tally))
    assert not hasattr(answer, "__len__")


def test_a_stream_is_timed_until_it_is_closed(tally: Tally) -> None:
    closed: list[bool] = []

    def stream(environ: Any, start_response: Any) -> Iterator[bytes]:
        try:
            start_response("200 OK", PLAIN)
            yield b"abc"
            yield b""
            yield b"de"
        finally:
            closed.append(True)

    answer, statuses = begin(WSGIMiddleware(stream, tally))
    assert (statuses, in_flight(tally)) == ([], 1)
    assert list(answer) == [b"abc", b"", b"de"]
    assert (statuses, requests(tally), in_flight(tally)) == (["200 OK"], {}, 1)
    answer.close()
    answer.close()
    assert closed == [True]
    assert (requests(tally), sizes(tally), in_flight(tally)) == ({"GET unmatched 200": 1}, {"unmatched": (0, 5)}, 0)


def stream(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"abc"
    yield b"def"


@pytest.mark.parametrize("how", ["close", "throw away"])
@pytest.mark.parametrize(("taken", "status", "size"), [(0, 499, 0), (1, 200, 3)])
def test_a_stream_that_is_given_up(tally: Tally, how: str, taken: int, status: int, size: int) -> None:
    answer, _ = begin(WSGIMiddleware(stream, tally))
    for _ in range(taken):
        next(answer)
    if how == "close":
        answer.close()
    del answer
    gc.collect()
    assert requests(tally) == {f"GET unmatched {status}": 1}
    assert (sizes(tally), in_flight(tally)) == ({"unmatched": (0, size)}, 0)


def test_head_may_be_closed_without_a_look_at_the_body(tally: Tally) -> None:
    answer, _ = begin(WSGIMiddleware(hello, tally), method="HEAD")
    answer.close()
    assert (requests(tally), sizes(tally)) == ({"HEAD unmatched 201": 1}, {"unmatched": (0, 0)})


def test_what_is_written_by_hand_counts(tally: Tally) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"ab")
        write(b"c")
        return [b"de"]

    call(WSGIMiddleware(app, tally))
    assert sizes(tally) == {"unmatched": (0, 5)}


def test_files_stay_in_the_servers_wrapper(tally: Tally, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 1000)
    opened = file.open("rb")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, ("content-length", "1000")])
        return environ["wsgi.file_wrapper"](opened)  # type: ignore[no-any-return]  # environments hold anything

    answer, _ = begin(WSGIMiddleware(app, tally), **{"wsgi.file_wrapper": FileWrapper})  # type: ignore[arg-type]  # no text
    assert type(answer) is FileWrapper
    assert in_flight(tally) == 1
    answer.close()
    assert opened.closed
    assert (requests(tally), sizes(tally)) == ({"GET unmatched 200": 1}, {"unmatched": (0, 1000)})


# What goes wrong


def raising(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise ValueError("before")


def raising_after_the_start(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    raise ValueError("before")


def raising_before_the_first_piece(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b""
    raise ValueError("before")


def raising_after_a_piece(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"abc"
    raise ValueError("after")


def interrupted(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("app", "status"),
    [
        (raising, "500"),
        (raising_after_the_start, "500"),
        (raising_before_the_first_piece, "500"),
        (raising_after_a_piece, "200"),
        (interrupted, "499"),
    ],
)
def test_exceptions_pass_unchanged(tally: Tally, app: Any, status: str) -> None:
    with pytest.raises(KeyboardInterrupt if status == "499" else ValueError):
        call(WSGIMiddleware(app, tally))
    assert (requests(tally), in_flight(tally)) == ({f"GET unmatched {status}": 1}, 0)


def test_a_second_head_replaces_the_first(tally: Tally) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        start_response("503 Service Unavailable", PLAIN, (ValueError, ValueError(), None))
        return [b"sorry"]

    assert call(WSGIMiddleware(app, tally))[0] == "503 Service Unavailable"
    assert requests(tally) == {"GET unmatched 503": 1}


# In place


def test_in_place_and_back(tally: Tally) -> None:
    module = SimpleNamespace(application=hello)
    with instrument.wsgi(module, "application", route=route_of, tally=tally) as handle:
        assert isinstance(module.application, WSGIMiddleware)
        held = module.application
        call(held, "/a/1")
    assert module.application is hello
    assert handle.removed
    call(held, "/a/1")
    assert requests(tally) == {"GET /a/{id} 201": 1}


def test_nothing_to_be_put_in_place() -> None:
    with pytest.raises(instrument.NotInstrumentable) as caught:
        instrument.wsgi(3)
    assert str(caught.value) == (
        "3 has no WSGI application called 'wsgi_app'; name the attribute, "
        "or wrap the application: application = WSGIMiddleware(application)"
    )


def test_switched_off_it_is_the_application_alone() -> None:
    answer, _ = begin(WSGIMiddleware(hello, Tally(enabled=False)))
    assert answer == [b"hello"]


# On a real server


def test_on_a_real_server(tally: Tally, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    closed = threading.Event()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/file":
                start_response("200 OK", [*PLAIN, ("Content-Length", "100000")])
                return environ["wsgi.file_wrapper"](file.open("rb"))  # type: ignore[no-any-return]  # as above
            case "/echo":
                start_response("200 OK", PLAIN)
                return [environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]
            case "/fails":
                raise ValueError("a defect")
            case _:
                start_response("200 OK", PLAIN)
                return endless()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"c" * 1000
        finally:
            closed.set()

    with serving_wsgi(WSGIMiddleware(app, tally, route=lambda environ: environ["PATH_INFO"])) as url:
        address = urlsplit(url).netloc
        for method, path, body, status, answer in [
            ("GET", "/file", None, 200, b"x" * 100_000),
            ("POST", "/echo", b"abc", 200, b"abc"),
            ("GET", "/fails", None, 500, b"A server error occurred.  Please contact the administrator."),
        ]:
            client = HTTPConnection(address, timeout=30)
            client.request(method, path, body)
            reply = client.getresponse()
            assert (reply.status, reply.read()) == (status, answer)
            assert reply.headers["Content-Length"] == str(len(answer))
            client.close()
        host, _, port = address.partition(":")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(b"GET /endless HTTP/1.1\r\nhost: here\r\n\r\n")
            assert raw.recv(10)
        assert closed.wait(30)
    found = sizes(tally)
    assert found.pop("/endless")[1] >= 1000
    assert found == {"/file": (0, 100_000), "/echo": (3, 3), "/fails": (0, 0)}
    assert requests(tally) == {"GET /file 200": 1, "POST /echo 200": 1, "GET /fails 500": 1, "GET /endless 200": 1}
    assert (in_flight(tally), dropped(tally)) == (0, 0)
