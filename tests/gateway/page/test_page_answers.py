"""What every answer of the live page is like: headers, methods, assets, defects."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from tallygate.gateway.page.app import POLICY
from tallygate.gateway.page.assets import assets, takes_gzip
from tests.gateway.page.looking import QUICK, Browser
from tests.gateway.provided import provided
from tests.gateway.running import Answer, Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "the-master-key"
PLACES = {
    "": "GET, HEAD",
    "/sign-in": "GET, HEAD, POST",
    "/sign-out": "POST",
    "/figures": "GET, HEAD",
    "/events": "GET",
    "/assets/x": "GET, HEAD",
}
GUARDS = {
    "content-security-policy": POLICY.decode(),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Gateway]:
    async with provided({**QUICK, "server": {"master_key": KEY}}) as (gateway, _):
        yield gateway


@pytest_asyncio.fixture(loop_scope="module")
async def browser(running: Gateway) -> Browser:
    signed_in = Browser(running.url)
    assert (await signed_in.sign_in(KEY)).status == 303
    return signed_in


def guarded(answer: Answer, *, kept: bool = False) -> None:
    """No other site may frame it, no script from elsewhere runs, and nobody keeps what is not for everybody."""
    for name, value in GUARDS.items():
        assert answer.headers[name] == value, name
    expected = "public, max-age=31536000, immutable" if kept else "no-store"
    assert answer.headers["cache-control"] == expected


async def test_the_policy_lets_nothing_from_elsewhere_run() -> None:
    rules = dict(rule.strip().partition(" ")[::2] for rule in POLICY.decode().split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == rules["form-action"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"


async def test_every_answer_is_guarded(browser: Browser, running: Gateway) -> None:
    stranger = Browser(running.url)
    for looker in (browser, stranger):
        for place in (*PLACES, "/nowhere", "/", "/assets/", "/assets/../../etc/passwd", "/figures/"):
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
                if (place, method, looker) == ("/events", "GET", browser):
                    continue
                answer = await looker.get(place, method=method)
                guarded(answer)
                assert answer.status in (200, 303, 400, 401, 403, 404, 405), (place, method, answer)
                if method == "HEAD":
                    assert answer.body == b""
    async with browser.stream() as pieces:
        await anext(pieces)
    refused = await stranger.sign_in("wrong")
    guarded(refused)
    guarded(await stranger.sign_in(KEY))


async def test_methods_that_a_place_does_not_take(browser: Browser) -> None:
    for place, allowed in PLACES.items():
        answer = await browser.get(place, method="DELETE")
        assert (answer.status, answer.headers["allow"]) == (405, allowed)


async def test_the_page_loads_all_that_it_names_from_the_gateway(browser: Browser, running: Gateway) -> None:
    for place in ("", "/sign-in"):
        page = await (browser if not place else Browser(running.url)).get(place)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        text = page.body.decode()
        assert "{{" not in text
        named = re.findall(r'(?:href|src|data-charts)="(/[^"]*)"', text)
        assert len(named) >= 3
        for name in named:
            answer = await browser.get(name.removeprefix("/dashboard"), accept_encoding="gzip, br")
            assert answer.status == 200, name
            guarded(answer, kept=True)
            assert answer.headers["content-encoding"] == "gzip"
            assert answer.headers["vary"] == "accept-encoding"
            plain = await browser.get(name.removeprefix("/dashboard"))
            assert "content-encoding" not in plain.headers
            assert gzip.decompress(answer.body) == plain.body
        assert not re.search(r'(?:href|src)="https?:', text), "nothing comes from elsewhere"


def installed() -> bytes:
    """The chart library."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0], "package_data", "plotly.min.js").read_bytes()


async def test_the_chart_library_is_the_installed_one(browser: Browser) -> None:
    content = installed()
    assert assets().charts == f"{hashlib.sha256(content).hexdigest()[:16]}/plotly.min.js"
    answer = await browser.get(f"/assets/{assets().charts}")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.body == content


@pytest.mark.parametrize(
    "name", ["", "x", "plotly.min.js", "../index.html", "%2e%2e/app.py", f"{'0' * 16}/page.js", "//etc/passwd"]
)
async def test_no_other_file_is_served(browser: Browser, name: str) -> None:
    assert (await browser.get(f"/assets/{name}")).status == 404
    assert (await browser.get(f"/assets/{assets().folder}/{name}")).status == 404
    assert (await browser.get(f"/assets/{assets().folder}/index.html")).status == 404


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        (b"gzip", True),
        (b"br, GZIP;q=0.5", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.00", False),
        (b"gzip;q=0.01", True),
        (b"x-gzip", False),
        (b"", False),
    ],
)
async def test_who_takes_gzip(accepted: bytes, takes: bool) -> None:
    assert takes_gzip(accepted) is takes


async def test_a_defect_is_an_answer_and_a_line_in_the_log(
    browser: Browser, running: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(range: str) -> bytes:
        raise RuntimeError("a defect")

    page = running.app._page
    assert page is not None
    monkeypatch.setattr(page._events, "figures", broken)
    with capture_logs() as said:
        answer = await browser.get("/figures")
    assert (answer.status, answer.body) == (500, b'{"error":"the gateway failed to serve this request: see its log"}')
    guarded(answer)
    assert said == [
        {"event": "the live page failed", "route": "/dashboard/figures", "exc_info": True, "log_level": "error"}
    ]


async def test_looks_go_on_after_one_that_failed(running: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    page = running.app._page
    assert page is not None
    browser = Browser(running.url)
    await browser.sign_in(KEY)
    look, failures = page._source.look, [RuntimeError("a defect"), RuntimeError("another")]

    async def sometimes() -> None:
        if failures:
            raise failures.pop()
        await look()

    with capture_logs() as said:
        monkeypatch.setattr(page._source, "look", sometimes)
        async with browser.events() as told:
            await anext(told)
            assert (await anext(told)).name == "update"
    assert failures == []
    assert [line["event"] for line in said] == ["the live page cannot be kept up to date"]


async def test_requests_of_the_page_are_counted_under_its_places(browser: Browser, running: Gateway) -> None:
    await browser.get("/assets/some/thing")
    await browser.get("/some/thing")
    await running.settled()
    page = running.page("tallygate", "tallygate_http_requests_total")
    routes = {dict(labels)["route"] for _, labels in page.samples}
    shown = {route for route in routes if route.startswith("/dashboard")}
    assert shown <= {
        "/dashboard", "/dashboard/*", "/dashboard/sign-in", "/dashboard/sign-out", "/dashboard/figures",
        "/dashboard/events", "/dashboard/assets/*",
    }  # fmt: skip
    assert {"/dashboard/*", "/dashboard/assets/*"} <= shown
