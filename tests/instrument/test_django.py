"""Django: routes of the resolver, over WSGI and ASGI, synchronous views and others."""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIHandler

from tallygate import instrument
from tallygate.tally import Tally
from tests.instrument import django_project
from tests.instrument.asgi_calls import call as call_asgi
from tests.instrument.http_page import dropped, in_flight, requests, serving_asgi, serving_wsgi, sizes
from tests.instrument.test_wsgi import begin
from tests.instrument.test_wsgi import call as call_wsgi

CASES = [
    ("GET", "/", "GET / 200", 5),
    ("GET", "/users/7/", "GET /users/<int:id>/ 200", 5),
    ("GET", "/awake/x", "GET /awake/<slug:s> 200", 5),
    ("GET", "/api/me/old/1999/", "GET /api/<tenant>/old/(?P<year>[0-9]{4})/$ 200", 5),
    ("GET", "/fails", "GET /fails 500", None),
    ("GET", "/streams", "GET /streams 200", 5),
    ("GET", "/users/7", "GET unmatched 301", None),
    ("GET", "/nothing/7", "GET unmatched 404", None),
]


@pytest.mark.parametrize(("method", "path", "counted", "size"), CASES)
def test_over_wsgi(tally: Tally, method: str, path: str, counted: str, size: int | None) -> None:
    with instrument.django(tally=tally):
        call_wsgi(WSGIHandler(), path, method)
    assert requests(tally) == {counted: 1}
    if size is not None:
        assert sizes(tally) == {counted.split()[1]: (0, size)}
    assert (in_flight(tally), dropped(tally)) == (0, 0)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
@pytest.mark.parametrize(
    ("method", "path", "counted", "size"), [*CASES, ("GET", "/streams-async", "GET /streams-async 200", 5)]
)
async def test_over_asgi(tally: Tally, method: str, path: str, counted: str, size: int | None) -> None:
    with instrument.django(tally=tally):
        await call_asgi(ASGIHandler(), path, method)
    assert requests(tally) == {counted: 1}
    if size is not None:
        assert sizes(tally) == {counted.split()[1]: (0, size)}
    assert (in_flight(tally), dropped(tally)) == (0, 0)


async def test_request_sizes(tally: Tally) -> None:
    with instrument.django(tally=tally):
        body = b"abc"
        assert await call_asgi(ASGIHandler(), "/echo", "POST", body=[body]) == (202, body)
    assert requests(tally) == {"POST /echo 202": 1}
    assert sizes(tally) == {"/echo": (3, 3)}


async def test_the_client_left_before_its_request_was_whole(tally: Tally) -> None:
    gone = asyncio.Event()
    gone.set()
    with instrument.django(tally=tally):
        assert await call_asgi(ASGIHandler(), "/echo", "POST", body=[b"abc"], gone=gone) == (0, b"")
    assert requests(tally) == {"POST unmatched 499": 1}


async def test_the_client_left_while_the_view_was_at_work(tally: Tally) -> None:
    django_project.waiting.clear()
    gone = asyncio.Event()
    with instrument.django(tally=tally):
        task = asyncio.create_task(call_asgi(ASGIHandler(), "/waits", gone=gone))
        await django_project.waiting.wait()
        assert in_flight(tally) == 1
        gone.set()
        assert await task == (0, b"")
    assert (requests(tally), in_flight(tally)) == ({"GET /waits 499": 1}, 0)


def test_a_stream_that_is_given_up(tally: Tally) -> None:
    with instrument.django(tally=tally):
        begin(WSGIHandler(), "/streams")[0].close()
    assert requests(tally) == {"GET /streams 499": 1}


def test_excluded_and_removed(tally: Tally) -> None:
    wrapped = ((WSGIHandler, "__call__"), (ASGIHandler, "__call__"), (BaseHandler, "resolve_request"))
    before = [vars(owner)[name] for owner, name in wrapped]
    handler = WSGIHandler()
    handle = instrument.django(exclude=["/echo"], tally=tally)
    call_wsgi(handler, "/users/7/")
    call_wsgi(handler, "/echo")
    handle.remove()
    call_wsgi(handler, "/users/7/")
    assert requests(tally) == {"GET /users/<int:id>/ 200": 1}
    assert before == [vars(owner)[name] for owner, name in wrapped]


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous iterators")
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
def test_on_a_real_server(tally: Tally, kind: str) -> None:
    whole = Path(django_project.__file__).read_bytes()
    serving = serving_wsgi(WSGIHandler()) if kind == "wsgi" else serving_asgi(ASGIHandler())
    with instrument.django(tally=tally), serving as url:
        for path, expected in [("/users/7/", b"hello"), ("/streams", b"abcde"), ("/file", whole)]:
            client = HTTPConnection(urlsplit(url).netloc, timeout=30)
            client.request("GET", path)
            assert client.getresponse().read() == expected
            client.close()
    assert requests(tally) == {"GET /users/<int:id>/ 200": 1, "GET /streams 200": 1, "GET /file 200": 1}
    assert sizes(tally) == {"/users/<int:id>/": (0, 5), "/streams": (0, 5), "/file": (0, len(whole))}
    assert (in_flight(tally), dropped(tally)) == (0, 0)
