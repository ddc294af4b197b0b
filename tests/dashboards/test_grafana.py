"""The client of Grafana's HTTP API: what it says when Grafana is not there, not Grafana, or not willing."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from tallygate.dashboards.grafana import Grafana as Client
from tallygate.dashboards.grafana import GrafanaError, basic, bearer
from tests.dashboards.grafana import Grafana, serving

MODEL = {"uid": "one", "title": "One", "panels": []}


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with serving(Grafana()) as running:
        yield running


def client(grafana: Grafana) -> Client:
    return Client(grafana.url, bearer("glsa_editor"))


def test_credentials_are_not_shown() -> None:
    assert "pass:word" not in repr(Client("http://grafana", basic("admin", "pass:word")))
    assert "cGFzczp3b3Jk" not in repr(Client("http://grafana", basic("admin", "pass:word")))


def test_versions_are_counted_as_grafana_does(grafana: Grafana) -> None:
    """The server itself: what the client overwrites would otherwise be a conflict."""
    body = {"dashboard": MODEL, "overwrite": False}
    asking = ("POST", "/api/dashboards/db", "Bearer glsa_editor", "application/json")
    assert grafana.answer(*asking, json.dumps(body).encode())[0] == 200
    assert grafana.answer(*asking, json.dumps(body).encode()) == (
        412,
        {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"},
    )
    body["dashboard"] = {**MODEL, "version": 1}
    assert grafana.answer(*asking, json.dumps(body).encode())[1]["version"] == 2
    assert grafana.answer(*asking[:3], "text/plain", b"{}") == (400, {"message": "bad request data"})


def test_a_conflict_says_what_is_in_the_way(grafana: Grafana) -> None:
    class Careful(Client):
        def _ask(self, method: str, path: str, body: Any = None, *, authorized: bool = True) -> Any:
            return super()._ask(method, path, body and {**body, "overwrite": False}, authorized=authorized)

    grafana.unique_titles = True
    grafana.folders["tallygate"] = "Tallygate"
    grafana.dashboards["theirs"] = {**MODEL, "uid": "theirs", "id": 7, "version": 3}
    grafana.places["theirs"] = "tallygate"
    with pytest.raises(GrafanaError) as refused:
        Careful(grafana.url, bearer("glsa_editor")).save(MODEL, "tallygate", "")
    assert str(refused.value) == (
        "412 A dashboard with the same name in the folder already exists (name-exists): rename or remove what is in"
        " the way"
    )


def refusal(url: str, ca_file: Path | None = None) -> str:
    with pytest.raises(GrafanaError) as refused:
        Client(url, bearer("t"), ca_file).version()
    return str(refused.value)


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    assert refusal(url) == f"{url}: nothing listens there (connection refused); is Grafana running?"


def test_a_name_nobody_knows() -> None:
    assert refusal("http://grafana.invalid").startswith("http://grafana.invalid: the name is not known (")


def test_what_does_not_speak_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert refusal(url) == f"{url}: does not answer in HTTP (RemoteDisconnected); is it https:// ?"
        thread.join()


def test_not_grafana(grafana: Grafana) -> None:
    def told(url: str, what: str) -> str:
        return f"{url}: this is not Grafana ({what}); give its address, with the path it is served under"

    # A page of Grafana's own user interface, and what stands beside it on the same host.
    url = f"{grafana.url}/d"
    assert refusal(url) == told(url, "200 for /api/health")
    grafana.path = "/grafana"
    assert refusal(grafana.url) == told(grafana.url, "404 for /api/health")
    assert Client(f"{grafana.url}/grafana", bearer("t")).version() == "11.6.0"


@pytest.mark.parametrize(
    ("status", "document", "said"),
    [
        (200, {"message": "hello"}, "this is not Grafana (a dashboard without its model); give its address"),
        (200, [], "this is not Grafana (200 for /api/dashboards/uid/one); give its address"),
        (500, {"message": "Dashboard data is missing\n or corrupt"}, "500 Dashboard data is missing or corrupt"),
        (500, {}, "500 no reason given"),
    ],
)
def test_answers_that_are_none(grafana: Grafana, status: int, document: Any, said: str) -> None:
    grafana.answer = lambda *_: (status, document)  # type: ignore[method-assign]  # as something else might
    with pytest.raises(GrafanaError) as refused:
        client(grafana).dashboard("one")
    assert said in str(refused.value)


def test_a_grafana_without_the_api(grafana: Grafana) -> None:
    grafana.answer = lambda *_: (404, {"message": "Not found"})  # type: ignore[method-assign]
    with pytest.raises(GrafanaError) as refused:
        client(grafana).save(MODEL, "", "")
    assert str(refused.value) == (
        f"404 Not found: {grafana.url} has no such API; give Grafana's address, with the path it is served under"
    )


def test_a_grafana_without_its_database(grafana: Grafana) -> None:
    grafana.answer = lambda *_: (503, {"database": "failing"})  # type: ignore[method-assign]
    assert refusal(grafana.url) == f"{grafana.url}: Grafana's own database is failing; see Grafana's log"


class Elsewhere(BaseHTTPRequestHandler):
    """As a proxy that sends everybody to another host."""

    def do_GET(self) -> None:
        self.send_response(301)
        self.send_header("Location", f"https://grafana.example.com{self.path}")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def test_a_redirect_is_told_and_not_followed() -> None:
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        assert refusal(url) == (
            f"{url}: redirects to https://grafana.example.com (301); give that address if it is Grafana's"
        )
        thread.join()


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file, empty = tmp_path / "ca.pem", tmp_path / "empty.pem"
    authority.cert_pem.write_to_path(ca_file)
    empty.write_text("")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(Grafana(), context) as grafana:
        assert Client(grafana.url, bearer("t"), ca_file).version() == "11.6.0"
        assert refusal(grafana.url).startswith(f"{grafana.url}: its certificate is not trusted (")
        assert refusal(grafana.url).endswith("); name its authority with --ca-file")
        assert refusal(grafana.url, empty) == (
            f"--ca-file {empty}: holds no certificate; name a PEM file of authorities"
        )
        assert refusal(grafana.url, tmp_path / "none").startswith(f"--ca-file {tmp_path / 'none'}: No such file")
        plain = grafana.url.replace("https", "http")
        assert refusal(plain) == f"{plain}: does not answer in HTTP (RemoteDisconnected); is it https:// ?"
    with serving(Grafana()) as grafana:
        secure = grafana.url.replace("http", "https")
        assert refusal(secure).endswith("is it http:// ?")
