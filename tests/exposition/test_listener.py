"""The listener for programs without a web server."""

import gzip
import http.client
import socket
import urllib.request
from collections.abc import Iterator

import pytest

from tallygate.exposition.listener import CONNECTIONS, ListenerError, MetricsServer, start_metrics_server
from tests.exposition.sources import Source


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def server(source: Source) -> Iterator[MetricsServer]:
    server = start_metrics_server(source, port=0)
    yield server
    server.close()


@pytest.fixture
def connection(server: MetricsServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    yield connection
    connection.close()


def get(connection: http.client.HTTPConnection, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    return response, response.read()


def test_a_scrape(server: MetricsServer) -> None:
    assert server.url == f"http://127.0.0.1:{server.port}/metrics"
    with urllib.request.urlopen(server.url + "?dialect=aurora&name[]=b", timeout=30) as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert response.headers["Vary"] == "Accept, Accept-Encoding"
        assert response.read() == b"# aurora text b\n"


def test_one_connection_serves_many(connection: http.client.HTTPConnection) -> None:
    for number in range(3):
        response, body = get(connection, "/metrics", **{"Accept-Encoding": "gzip", "X-Number": str(number)})
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(body) == b"# default text \n"
        assert not response.will_close


def test_head(connection: http.client.HTTPConnection) -> None:
    connection.request("HEAD", "/metrics")
    response = connection.getresponse()
    assert (response.status, response.headers["Content-Length"], response.read()) == (200, "16", b"")
    assert get(connection, "/metrics")[1] == b"# default text \n"


def test_other_paths_and_methods(connection: http.client.HTTPConnection, source: Source) -> None:
    response, body = get(connection, "/other")
    assert (response.status, body) == (404, b"the metrics are at /metrics\n")
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        connection.request(method, "/metrics", body=b"something")
        response = connection.getresponse()
        assert (response.status, response.headers["Allow"], response.read()) == (
            405,
            "GET, HEAD",
            b"metrics are read with GET\n",
        )
    assert source.asked == []


def test_authorization(source: Source) -> None:
    server = start_metrics_server(source, port=0, path="/m", authorize=lambda header: header == "Bearer secret")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    response, body = get(connection, "/m")
    assert (response.status, body) == (401, b'{"error": "Unauthorized: Bearer token required"}')
    assert get(connection, "/m", Authorization="Bearer secret")[1] == b"# default text \n"
    connection.close()
    server.close()


def test_an_unknown_dialect(connection: http.client.HTTPConnection) -> None:
    response, body = get(connection, "/metrics?dialect=nope")
    assert response.status == 400
    assert body == b"no dialect is called 'nope'; known are aurora, otel, tallygate\n"


def test_a_port_in_use_is_an_error_that_says_so(server: MetricsServer, source: Source) -> None:
    expected = (
        f"cannot serve metrics on 127.0.0.1:{server.port}: Address already in use; "
        "choose another port, or 0 for any free one"
    )
    with pytest.raises(ListenerError) as caught:
        start_metrics_server(source, port=server.port)
    assert str(caught.value) == expected


def test_a_wrong_host_or_port_is_an_error_that_says_so(source: Source) -> None:
    with pytest.raises(
        ListenerError, match=r"cannot serve metrics on 127\.0\.0\.1:70000: .*; choose a port from 0 to 65535"
    ):
        start_metrics_server(source, port=70_000)
    with pytest.raises(ListenerError, match=r"203\.0\.113\.7:0: .*; choose an address of this machine"):
        start_metrics_server(source, "203.0.113.7", port=0)


def test_ipv6(source: Source) -> None:
    server = start_metrics_server(source, "::1", 0)
    assert server.url == f"http://[::1]:{server.port}/metrics"
    with urllib.request.urlopen(server.url, timeout=30) as response:
        assert response.status == 200
    server.close()


def test_close_hangs_up_and_frees_the_port(source: Source) -> None:
    server = start_metrics_server(source, port=0)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as silent:
        silent.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert silent.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        server.close()
        server.close()
        while silent.recv(4096):
            continue  # what was under way, then the end
    again = start_metrics_server(source, port=server.port)
    again.close()


@pytest.mark.parametrize(
    "request_text", [b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"\r\n\r\n"]
)
def test_garbage_is_survived(server: MetricsServer, request_text: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as stranger:
        stranger.sendall(request_text)
        stranger.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: stranger.recv(4096), b""))
    assert answer == b"" or b" 400 " in answer or b" 505 " in answer
    with urllib.request.urlopen(server.url, timeout=30) as response:
        assert response.status == 200


def test_too_many_connections_are_closed(server: MetricsServer) -> None:
    def connected() -> socket.socket:
        return socket.create_connection(("127.0.0.1", server.port), timeout=30)

    held = [connected() for _ in range(CONNECTIONS)]
    with connected() as one_more:
        assert one_more.recv(1) == b""
    for each in held:
        each.close()
