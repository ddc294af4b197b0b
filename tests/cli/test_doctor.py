"""`tallygate doctor` where there is no page to be had: what it finds, and its exit status."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from tallygate.cli.doctor import examine
from tests.cli.examined import CALLS, GOOD, TEXT, examined, good, openmetrics
from tests.cli.looked import looking_at
from tests.gateway.certificates import Authority
from tests.gateway.provided import provided
from tests.gateway.test_metrics_endpoint import metrics_listener
from tests.scraping.servers import always, at, reply, serving


def test_a_healthy_page() -> None:
    with serving(good()) as server:
        told, status = examine(looking_at(server.url), strict=True, as_json=False)
        lines = told.splitlines()
        size = lines.pop(3)
    assert status == 0
    assert size.startswith(f"  size     {len(GOOD)} B, {len(GOOD)} B sent, in 0.")
    assert lines == [
        f"{server.url}/metrics",
        "  format   OpenMetrics",
        "  dialect  tallygate",
        "  series   1 in 1 families; 1 exemplars",
        f"  largest  tallygate_llm_calls 1 series, {len(CALLS.splitlines()[2]) + 1} B",
        "  labels   values: model 1, provider 1",
        "",
        "healthy: nothing was found",
    ]
    assert [asked.headers["user-agent"] for asked in server.asked] == ["Prometheus/3.7.0 (tallygate)"] * 2


def test_a_problem_in_words() -> None:
    with serving(always(status="401 Unauthorized")) as server:
        told, status = examine(looking_at(server.url), strict=False, as_json=False)
    assert status == 1
    assert told == (
        f"{server.url}/metrics\n"
        "\n"
        "problem: no-key\n"
        "  found  /metrics answers 401, and no key was shown\n"
        "  means  The metrics are for those who have metrics.secret, or the master key.\n"
        "  do     Give the key: --key-file FILE here, authorization.credentials_file in\n"
        "         Prometheus' configuration.\n"
        "\n"
        "not healthy: 1 problem\n"
    )


def test_warnings_break_only_where_they_are_asked_to() -> None:
    with serving(always(TEXT)) as server:
        target = looking_at(server.url)
        assert [examine(target, strict=strict, as_json=False)[1] for strict in (False, True)] == [0, 1]
        assert examine(target, strict=True, as_json=False)[0].endswith("\nnot healthy: 1 warning\n")


# No answer


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
    assert examined(place) == ([("problem", "no-connection", f"{place}: Connection refused")], 1)


def test_an_unknown_name() -> None:
    ((severity, name, found),), status = examined("no-such-host.invalid")
    assert (severity, name, status) == ("problem", "unknown-host", 1)
    assert found.startswith("the name no-such-host.invalid has no address: ")


def test_no_answer_in_time() -> None:
    def hold(connection: socket.socket) -> None:
        connection.recv(1)

    with serving(lambda asked: hold) as server:
        found = [("problem", "timeout", f"127.0.0.1:{server.port}: no whole answer within 0.2 s")]
        assert examined(server.url, timeout=0.2) == (found, 1)


def test_no_http() -> None:
    with serving(lambda asked: b"SSH-2.0-OpenSSH_9.2\r\n") as server:
        found = f"127.0.0.1:{server.port}: SSH-2.0-OpenSSH_9.2\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
        assert examined(server.url) == ([("problem", "no-http", found)], 1)


def test_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1"))
    with serving(good(), context) as server:
        problem = f"127.0.0.1:{server.port}: unable to get local issuer certificate"
        assert examined(server.url) == ([("problem", "tls", problem)], 1)
        assert examined(server.url, ca_file=authority.file) == ([], 0)
        assert examine(looking_at(server.url, insecure=True), strict=True, as_json=False)[1] == 0


# An answer that is none


def test_wrong_keys() -> None:
    with serving(always(status="401 Unauthorized")) as server:
        found = [("problem", "wrong-key", "/metrics answers 401 to the key that was shown")]
        assert examined(server.url, key="hunter2") == (found, 1)
    with serving(always(status="403 Forbidden")) as server:
        assert examined(server.url)[0] == [("problem", "no-key", "/metrics answers 403, and no key was shown")]


def test_a_wrong_path() -> None:
    with serving(at({"/metrics": openmetrics()})) as server:
        found = [("problem", "wrong-path", "/metrix answers 404, and the metrics are at /metrics")]
        assert examined(f"{server.url}/metrix") == (found, 1)


def test_a_path_that_the_server_tells() -> None:
    elsewhere = reply('{"error":"the metrics are at /internal/m"}', "404 Not Found", content_type="application/json")
    with serving(lambda asked: openmetrics() if asked.path == "/internal/m" else elsewhere) as server:
        found = [("problem", "wrong-path", "/metrics answers 404, and the metrics are at /internal/m")]
        assert examined(server.url) == (found, 1)


def test_a_path_that_the_configuration_tells(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[metrics]\nendpoint = "/internal/m"\nsecret = "the-configured-key"\n')
    with serving(at({"/internal/m": openmetrics()})) as server:
        told, status = examine(looking_at(server.url, config=file), strict=False, as_json=False)
    assert status == 1
    assert "  found  /metrics answers 404, and the metrics are at /internal/m\n" in told
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, None]


def test_switched_off() -> None:
    with serving(at({"/health": reply('{"status":"ok"}', content_type="application/json")})) as server:
        found = [("problem", "disabled", "/metrics answers 404, and this is a gateway: /health answers")]
        assert examined(server.url, key="secret") == (found, 1)
    health = server.asked[-1]
    assert (health.path, health.headers.get("authorization")) == ("/health", None)


def test_not_found() -> None:
    with serving(at({})) as server:
        assert examined(server.url) == ([("problem", "not-found", "/metrics answers 404")], 1)


@pytest.mark.parametrize("status", ["405 Method Not Allowed", "503 Service Unavailable"])
def test_another_status(status: str) -> None:
    with serving(always(status=status)) as server:
        assert examined(server.url) == ([("problem", "status", f"/metrics answers {status[:3]}")], 1)


def test_a_redirect_within_the_server() -> None:
    paths = {"/metrics": reply(status="308 Permanent Redirect", location="/m/"), "/m/": openmetrics()}
    with serving(at(paths)) as server:
        assert examined(server.url) == ([("warning", "redirect", "status 308 sends on to /m/")], 0)
    assert [asked.path for asked in server.asked] == ["/metrics", "/m/", "/m/"]


def test_a_redirect_to_another_server_is_not_followed() -> None:
    with serving(good()) as other, serving(always(status="302 Found", location=other.url)) as server:
        found = [("problem", "redirect", f"status 302 sends on to {other.url}")]
        assert examined(server.url, key="secret") == (found, 1)
    assert other.asked == []


def test_redirects_without_end() -> None:
    with serving(always(status="302 Found", location="/metrics")) as server:
        found, status = examined(server.url)
    assert (found[-1], status) == (("problem", "redirect-loop", "5 redirects, and no page"), 1)


def test_a_web_page() -> None:
    with serving(always("<!doctype html><title>Sign in</title>", content_type="text/html")) as server:
        found = [("problem", "not-metrics", "it is a web page: Content-Type text/html")]
        assert examined(server.url) == (found, 1)


@pytest.mark.parametrize(("content_type", "told"), [("", "not told"), ("application/x-y", "application/x-y")])
def test_an_unknown_content_type(content_type: str, told: str) -> None:
    with serving(always(TEXT, content_type=content_type)) as server:
        found, status = examined(server.url)
    assert (found[0], status) == (("problem", "content-type", f"Content-Type is {told}"), 1)


# Gateways themselves


async def test_a_protected_gateway() -> None:
    """It answers 401 to a stranger whatever the path, and to a scraper at a wrong one."""
    async with provided({"server": {"master_key": "master-key"}, "metrics": {"secret": "scrape-key"}}) as (running, _):
        for path, key, found in (
            ("/metrics", None, [("problem", "no-key", "/metrics answers 401, and no key was shown")]),
            ("/metrics", "wrong-one", [("problem", "wrong-key", "/metrics answers 401 to the key that was shown")]),
            ("/other", None, [("problem", "no-key", "/other answers 401, and no key was shown")]),
            (
                "/other",
                "scrape-key",
                [("problem", "wrong-path", "/other answers 401, and the metrics are at /metrics")],
            ),
            ("/metrics", "scrape-key", [("note", "no-traffic", "no LLM call was counted yet")]),
        ):
            told = await asyncio.to_thread(examined, running.url + path, key=key)
            assert told == (found, 0 if key == "scrape-key" and path == "/metrics" else 1)


@pytest.mark.parametrize("metrics", [{"enabled": False}, {"listener": {"port": 0}}, {"endpoint": "/elsewhere"}])
async def test_a_gateway_without_metrics_there(metrics: dict[str, object]) -> None:
    async with provided({"metrics": metrics}) as (running, _):
        found = [("problem", "disabled", "/metrics answers 404, and this is a gateway: /health answers")]
        assert await asyncio.to_thread(examined, running.url) == (found, 1)


async def test_metrics_on_a_listener_of_their_own_tell_their_path() -> None:
    async with (
        provided({"metrics": {"listener": {}, "endpoint": "/m"}}) as (running, _),
        metrics_listener(running) as url,
    ):
        found = [("problem", "wrong-path", "/metrics answers 404, and the metrics are at /m")]
        assert await asyncio.to_thread(examined, url) == (found, 1)
