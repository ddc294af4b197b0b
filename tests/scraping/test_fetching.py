"""How a page is asked for, and what comes of servers that misbehave."""

import gzip
import socket
import ssl
from pathlib import Path

import pytest

from tallygate.scraping import fetching
from tallygate.scraping.address import address
from tallygate.scraping.fetching import ACCEPT, Client, FetchError
from tests.gateway.certificates import Authority
from tests.scraping.servers import always, reply, serving

PAGE = b"# HELP a_total A.\n# TYPE a_total counter\na_total 1\n"


def failure(url: str, client: Client | None = None) -> tuple[str, str]:
    """At which stage, and why."""
    with pytest.raises(FetchError) as told:
        (client or Client(timeout=5)).get(address(url))
    return told.value.stage, told.value.reason


def test_it_is_asked_as_prometheus_does() -> None:
    with serving(always(PAGE, packed=True)) as server:
        answer = Client(key="the-key", timeout=7.5).get(address(f"{server.url}/metrics?dialect=otel"))
    (asked,) = server.asked
    assert (asked.target, asked.headers) == (
        "/metrics?dialect=otel",
        {
            "host": f"127.0.0.1:{server.port}",
            "user-agent": "Prometheus/3.7.0 (tallygate)",
            "accept": ACCEPT,
            "accept-encoding": "gzip",
            "x-prometheus-scrape-timeout-seconds": "7.5",
            "connection": "close",
            "authorization": "Bearer the-key",
        },
    )
    assert (answer.status, answer.body, answer.sent_bytes) == (200, PAGE, len(gzip.compress(PAGE)))


def test_without_a_key_none_is_sent() -> None:
    with serving(always(PAGE)) as server:
        assert Client().get(address(server.url)).body == PAGE
    assert "authorization" not in server.asked[0].headers


def test_redirects_are_not_followed() -> None:
    with serving(always(status="302 Found", location="/x")) as server:
        answer = Client().get(address(server.url))
    assert (answer.status, answer.headers["location"], len(server.asked)) == (302, "/x", 1)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert failure(f"127.0.0.1:{port}") == ("connection", "Connection refused")
    assert failure("http://no-such-host.invalid/")[0] == "name"


def test_a_server_that_says_nothing() -> None:
    def hold(connection: socket.socket) -> None:
        connection.recv(1)

    with serving(lambda asked: hold) as server:
        assert failure(server.url, Client(timeout=0.2)) == ("time", "no whole answer within 0.2 s")


def test_a_server_that_never_ends() -> None:
    """Each byte comes in time, and the whole never would."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        while True:
            connection.sendall(b"#")

    with serving(lambda asked: drip) as server:
        stage, _ = failure(server.url, Client(timeout=0.3))
    assert stage in ("time", "size")


def test_headers_that_never_end() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
        connection.recv(1)

    with serving(lambda asked: drip) as server:
        assert failure(server.url, Client(timeout=0.2)) == ("time", "no whole answer within 0.2 s")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "Remote end closed connection without response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2\r\n"),
        (reply(PAGE, length=100), "the answer ended 49 bytes before its end"),
        (reply(PAGE, content_encoding="br"), "it answered with Content-Encoding: br, which was not asked for"),
        (
            reply(PAGE, content_encoding="gzip"),
            "what it sent is not gzip, though it says so: Error -3 while decompressing data: incorrect header check",
        ),
        (
            reply(gzip.compress(PAGE)[:-4], content_encoding="gzip"),
            "the gzipped answer ended before its end",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n",
            "IncompleteRead(0 bytes read)",
        ),
    ],
)
def test_broken_answers(answer: bytes, reason: str) -> None:
    with serving(lambda asked: answer) as server:
        assert failure(server.url) == ("protocol", reason)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAGE_LIMIT", 1 << 20)
    with serving(always(b"#" * (20 << 20), packed=True)) as server:
        assert failure(server.url) == ("size", "the page has more than 1 MiB")


def test_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1"))
    with serving(always(PAGE), context) as server:
        assert Client(tls=authority.client()).get(address(server.url)).body == PAGE
        assert failure(server.url) == ("tls", "unable to get local issuer certificate")
        assert failure(server.url.replace("https", "http"))[0] == "protocol"
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.load_cert_chain(*authority.issue("elsewhere.example", stem="other"))
    with serving(always(PAGE), other) as server:
        reason = "IP address mismatch, certificate is not valid for '127.0.0.1'."
        assert failure(server.url, Client(tls=authority.client())) == ("tls", reason)
    with serving(always(PAGE)) as server:
        stage, reason = failure(server.url.replace("http", "https"))
        assert (stage, "WRONG_VERSION_NUMBER" in reason) == ("tls", True)
