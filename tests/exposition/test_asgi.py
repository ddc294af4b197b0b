"""The ASGI application, driven directly."""

import asyncio
import gzip
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallygate.exposition.asgi import PIECE, MetricsApp
from tests.exposition.sources import Source


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    pieces: int


async def request(
    app: MetricsApp, method: str = "GET", query: bytes = b"", headers: list[tuple[bytes, bytes]] | None = None
) -> Reply:
    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "method": method, "path": "/metrics", "query_string": query, "headers": headers or []}
    await app(scope, receive, send)
    start, *bodies = messages
    assert start["type"] == "http.response.start"
    assert [body.get("more_body", False) for body in bodies] == [True] * (len(bodies) - 1) + [False]
    body = b"".join(body["body"] for body in bodies)
    fields = {name.decode(): value.decode() for name, value in start["headers"]}
    assert len(fields) == len(start["headers"])
    assert method == "HEAD" or int(fields["content-length"]) == len(body)
    return Reply(start["status"], fields, body, len(bodies))


async def test_get() -> None:
    reply = await request(MetricsApp(Source()))
    assert reply.status == 200
    assert reply.headers == {
        "content-type": "text/plain; version=0.0.4; charset=utf-8",
        "content-length": "16",
        "vary": "Accept, Accept-Encoding",
    }
    assert reply.body == b"# default text \n"


async def test_head_is_get_without_body() -> None:
    source = Source()
    reply = await request(MetricsApp(source), "HEAD", b"dialect=aurora")
    assert (reply.status, reply.headers["content-length"], reply.body) == (200, "15", b"")
    assert source.asked == [(("aurora",), "text", frozenset())]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
async def test_other_methods(method: str) -> None:
    source = Source()
    reply = await request(MetricsApp(source), method)
    assert (reply.status, reply.headers["allow"], source.asked) == (405, "GET, HEAD", [])


async def test_openmetrics_and_gzip() -> None:
    headers = [
        (b"Accept", b"application/openmetrics-text;version=1.0.0;q=0.9,text/plain;q=0.1"),
        (b"accept-encoding", b"deflate"),
        (b"accept-encoding", b"gzip;q=0.5"),
    ]
    reply = await request(MetricsApp(Source()), headers=headers)
    assert reply.headers["content-type"] == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
    )
    assert reply.headers["content-encoding"] == "gzip"
    assert gzip.decompress(reply.body) == b"# default openmetrics \n"


@pytest.mark.parametrize(
    ("query", "dialects", "names"),
    [
        (b"", None, set()),
        (b"dialect=aurora", ("aurora",), set()),
        (b"dialect=aurora&dialect=tallygate", ("aurora", "tallygate"), set()),
        (b"dialect=aurora,%20tallygate,aurora,", ("aurora", "tallygate"), set()),
        (b"name[]=a_total&name%5B%5D=b&other=1", None, {"a_total", "b"}),
        (b"dialect=&name[]=", None, set()),
    ],
)
async def test_queries(query: bytes, dialects: tuple[str, ...] | None, names: set[str]) -> None:
    source = Source()
    assert (await request(MetricsApp(source), query=query)).status == 200
    assert source.asked == [(dialects, "text", frozenset(names))]


async def test_an_unknown_dialect() -> None:
    reply = await request(MetricsApp(Source()), query=b"dialect=aurora,nope")
    assert reply.status == 400
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.body == b"no dialect is called 'nope'; known are aurora, otel, tallygate\n"


async def test_too_many_parameters() -> None:
    source = Source()
    reply = await request(MetricsApp(source), query=b"&".join([b"name[]=a"] * 300))
    assert (reply.status, reply.body, source.asked) == (400, b"the query has too many parameters\n", [])


@settings(deadline=None)
@given(st.binary() | st.text("&=%;+[]dialectname").map(str.encode))
def test_garbage_never_breaks_it(query: bytes) -> None:
    reply = asyncio.run(request(MetricsApp(Source()), query=query, headers=[(b"accept", query), (b"x", query)]))
    assert reply.status in (200, 400)


@pytest.mark.parametrize(
    ("authorization", "status", "body"),
    [
        (None, 401, b'{"error": "Unauthorized: Bearer token required"}'),
        (b"Basic c2VjcmV0", 401, b'{"error": "Unauthorized: Bearer token required"}'),
        (b"Bearer wrong", 401, b'{"error": "Unauthorized: Invalid token"}'),
        (b"bearer wrong", 401, b'{"error": "Unauthorized: Invalid token"}'),
        (b"Bearer", 401, b'{"error": "Unauthorized: Invalid token"}'),
        (b"Bearer \xff\xfe", 401, b'{"error": "Unauthorized: Invalid token"}'),
        (b"Bearer secret", 200, b"# default text \n"),
    ],
)
async def test_authorization(authorization: bytes | None, status: int, body: bytes) -> None:
    source = Source()
    app = MetricsApp(source, authorize=lambda header: header == "Bearer secret")
    headers = [] if authorization is None else [(b"authorization", authorization)]
    reply = await request(app, headers=headers)
    assert (reply.status, reply.body) == (status, body)
    assert reply.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert len(source.asked) == (status == 200)


async def test_who_may_not_read_learns_nothing_else() -> None:
    app = MetricsApp(Source(), authorize=lambda header: False)
    assert (await request(app, "POST", b"dialect=nope")).status == 401


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 2 * PIECE, 5 * PIECE + 7])
async def test_large_pages_are_sent_in_pieces(size: int) -> None:
    reply = await request(MetricsApp(Source(b"x" * size)))
    assert reply.body == b"x" * size
    assert reply.pieces == max(1, -(-size // PIECE))


async def test_the_loop_runs_between_the_pieces() -> None:
    """Even when the server takes every piece at once."""
    turns = 0
    seen: list[int] = []

    async def send(message: Any) -> None:
        seen.append(turns)

    async def receive() -> Any:
        raise AssertionError("nothing to receive")

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    await MetricsApp(Source(b"x" * PIECE * 4))(scope, receive, send)
    task.cancel()
    assert len(seen) == 5
    assert seen[1] < seen[2] < seen[3] < seen[4]


async def test_concurrent_scrapes_share_a_run_and_one_may_leave() -> None:
    source = Source()
    source.go_on.clear()
    app = MetricsApp(source)
    first = asyncio.create_task(request(app))
    await asyncio.to_thread(source.entered.acquire)
    others = [asyncio.create_task(request(app)) for _ in range(8)]
    await asyncio.sleep(0)
    others[0].cancel()
    await asyncio.sleep(0)
    source.go_on.set()
    assert (await first).status == 200
    replies = await asyncio.gather(*others, return_exceptions=True)
    assert isinstance(replies[0], asyncio.CancelledError)
    assert [reply.body for reply in replies[1:] if isinstance(reply, Reply)] == [b"# default text \n"] * 7
    assert len(source.asked) == 2


async def test_lifespan() -> None:
    sent: list[str] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup" if not sent else "lifespan.shutdown"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await MetricsApp(Source())({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
