"""The program's metrics over HTTP, set up before there is a tally."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

import tallygate
from tallygate import default
from tallygate.record import default as recorders
from tests.instrument.http_page import serving_asgi, serving_wsgi

COUNTED = 'tallygate_http_requests_total{method="GET",route="/x",status_code="200"} 1'


@pytest.fixture(autouse=True)
def _no_tally_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(recorders.default, "recorder", recorders.default.nowhere)
    monkeypatch.setattr(default, "_settings", None)
    yield
    if isinstance(recorders.default.recorder, tallygate.Tally):
        recorders.default.recorder.close()


def read(url: str, token: str = "") -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def check(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing before init, everything after it, and only for who may read."""
    assert read(url)[0] == 401
    assert read(url, "secret") == (500, "the metrics could not be rendered; the log says why\n")
    assert "nothing is recorded yet: call tallygate.init() first" in caplog.text
    tallygate.init()
    with tallygate.track_http_request("GET", "/x"):
        pass
    status, page = read(url + "?name[]=tallygate_http_requests_total", "secret")
    assert (status, page.splitlines()[-1]) == (200, COUNTED)
    assert read(url + "?dialect=nope", "secret")[0] == 400


def allowed(header: str | None) -> bool:
    return header == "Bearer secret"


def test_a_port_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    server = tallygate.start_metrics_server(port=0, path="/m", authorize=allowed)
    try:
        assert server.url == f"http://127.0.0.1:{server.port}/m"
        check(server.url, caplog)
    finally:
        server.close()


def test_in_an_asgi_application(caplog: pytest.LogCaptureFixture) -> None:
    from starlette.applications import Starlette

    app = Starlette()
    app.add_route("/metrics", tallygate.asgi_app(authorize=allowed))  # type: ignore[arg-type]  # an ASGI application is an endpoint as well
    with serving_asgi(app) as url:
        check(url + "/metrics", caplog)


def test_in_a_wsgi_application(caplog: pytest.LogCaptureFixture) -> None:
    metrics = tallygate.wsgi_app(authorize=allowed)

    def app(environ: Any, start_response: Any) -> Any:
        assert environ["PATH_INFO"] == "/metrics"
        return metrics(environ, start_response)

    with serving_wsgi(app) as url:
        check(url + "/metrics", caplog)
    metrics.close()


def test_importing_tallygate_loads_no_server() -> None:
    code = "import sys, tallygate; print({'http.server', 'asyncio', 'socketserver'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
