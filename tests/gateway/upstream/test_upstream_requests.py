"""What a request looks like on the wire, and what is refused before anything is sent."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.gateway.upstream import Timeouts, open_upstream
from tallygate.gateway.upstream.request import request_head
from tallygate.gateway.upstream.target import target_of

from .scripted import Asked, Peer, provider, read

LIMITS = Timeouts()


def head(url: str, headers: list[tuple[bytes, bytes]], body: bytes = b"", method: str = "POST") -> bytes:
    return request_head(method, target_of(url), headers, body)


async def test_a_request_arrives_as_it_was_given() -> None:
    asked: list[Asked] = []

    async def script(peer: Peer) -> None:
        asked.append(await peer.answer())

    upstream = open_upstream()
    async with provider(script) as server:
        url = server.url + "/v1/chat?x=%20y"
        reply = await upstream.send("POST", url, [(b"X-Mixed", b"One"), (b"x-two", b"\xe9")], b'{"a":1}', LIMITS)
        assert reply.status == 200
        assert await read(reply) == b"ok"
    (one,) = asked
    assert one.line == "POST /v1/chat?x=%20y HTTP/1.1"
    host = server.url.removeprefix("http://")
    assert one.headers == [("host", host), ("X-Mixed", "One"), ("x-two", "\xe9"), ("content-length", "7")]
    assert one.body == b'{"a":1}'
    await upstream.close()


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 40_000
    asked: list[Asked] = []

    async def script(peer: Peer) -> None:
        asked.append(await peer.answer())

    upstream = open_upstream()
    async with provider(script) as server:
        assert await read(await upstream.send("POST", server.url, [], body, LIMITS)) == b"ok"
    assert asked[0].body == body
    await upstream.close()


def test_the_default_port_is_not_named() -> None:
    assert head("https://api.example.com:443/v1", []).split(b"\r\n")[1] == b"host: api.example.com"
    assert head("http://api.example.com:80", []).split(b"\r\n")[:2] == [b"POST / HTTP/1.1", b"host: api.example.com"]
    assert head("https://[2001:db8::1]:8443/", []).split(b"\r\n")[1] == b"host: [2001:db8::1]:8443"
    assert target_of("https://[2001:db8::1]/").address == (True, "2001:db8::1", 443)


def test_headers_of_one_connection_stay_there() -> None:
    dropped = [
        (b"Connection", b"keep-alive, x-private"), (b"Keep-Alive", b"5"), (b"TE", b"trailers"), (b"X-Private", b"1"),
        (b"Transfer-Encoding", b"chunked"), (b"Upgrade", b"h2c"), (b"Expect", b"100-continue"), (b"Host", b"evil"),
        (b"Content-Length", b"99"), (b"Proxy-Authorization", b"Basic x"), (b"Trailer", b"x"),
    ]  # fmt: skip
    sent = head("http://h/p", [*dropped, (b"accept", b"*/*")], b"abc")
    assert sent == b"POST /p HTTP/1.1\r\nhost: h\r\naccept: */*\r\ncontent-length: 3\r\n\r\n"


def test_a_get_without_body_announces_none() -> None:
    assert head("http://h/p", [], method="GET") == b"GET /p HTTP/1.1\r\nhost: h\r\n\r\n"
    assert head("http://h/p", [], method="POST") == b"POST /p HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb", b"a\0b", b"\r\n"])
def test_a_value_cannot_forge_a_header(value: bytes) -> None:
    with pytest.raises(ValueError, match="contains a line break or a NUL byte"):
        head("http://h/p", [(b"x-a", value)])


@pytest.mark.parametrize("name", [b"", b"x y", b"x:", b"x\r\ny", b"x\0", b"\xe9", b"x\n"])
def test_a_name_must_be_a_token(name: bytes) -> None:
    with pytest.raises(ValueError, match="is no header name"):
        head("http://h/p", [(name, b"1")])


@pytest.mark.parametrize("method", ["GET /x", "G\r\nX", "", "GET\t"])
def test_a_method_must_be_a_token(method: str) -> None:
    with pytest.raises(ValueError, match="method"):
        head("http://h/p", [], method=method)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://h/", "must begin with http:// or https://, not 'ftp'"),
        ("http:///p", "names no host"),
        ("http://user:secret@h/", "must not carry a user name"),
        ("http://h/a b", "printable ASCII without spaces"),
        ("http://h/\r\nx: y", "printable ASCII without spaces"),
        ("http://h/\xe9", "printable ASCII without spaces"),
        ("http://h:99999/", "Port out of range"),
    ],
)
def test_urls_that_cannot_be_called(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        target_of(url)
    assert "secret" not in str(caught.value)


@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=5))
def test_whatever_the_headers_are_no_line_is_added(headers: list[tuple[bytes, bytes]]) -> None:
    try:
        sent = head("http://h/p", headers, b"x")
    except ValueError:
        return
    first, host, *rest, end, after = sent.split(b"\r\n")
    assert (first, host, end, after) == (b"POST /p HTTP/1.1", b"host: h", b"", b"")
    assert len(rest) <= len(headers) + 1
    for line, pair in zip(rest, [pair for pair in headers if line_of(pair) in rest], strict=False):
        assert line == line_of(pair)
    assert b"\n" not in b"".join(rest)


def line_of(pair: tuple[bytes, bytes]) -> bytes:
    return pair[0] + b": " + pair[1]


async def test_nothing_is_sent_when_the_request_is_refused() -> None:
    async def script(peer: Peer) -> None:
        raise AssertionError("connected")

    upstream = open_upstream()
    async with provider(script) as server:
        with pytest.raises(ValueError, match="header name"):
            await upstream.send("POST", server.url, [(b"a b", b"c")], b"", LIMITS)
        await asyncio.sleep(0)
        assert server.connections == 0
    await upstream.close()
