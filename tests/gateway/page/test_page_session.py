"""Who may see the live page."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from tallygate.gateway.page.session import COOKIE, Sessions, same_site
from tests.gateway.page.looking import QUICK, Browser
from tests.gateway.provided import provided
from tests.gateway.running import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

MASTER = "the-master-key-of-this-gateway"
ADMIN = "the-admin-key-of-this-gateway"
SCRAPER = "the-scrapers-secret"
HIDDEN = ("", "/figures", "/events", "/nowhere", "/figures/more")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    file = tmp_path_factory.mktemp("page") / "accounts.db"
    accounts = {"enabled": True, "admin_key": ADMIN, "database_url": f"sqlite:///{file}"}
    shared = {"state_directory": str(file.parent / "state")}
    more = {"server": {"master_key": MASTER}, "accounts": accounts, "metrics": {"secret": SCRAPER}, "shared": shared}
    async with provided({**QUICK, **more}) as (gateway, _):
        yield gateway


@pytest.fixture
def browser(running: Gateway) -> Browser:
    return Browser(running.url)


@pytest.mark.parametrize("key", [MASTER, ADMIN, f"  {MASTER}\n"])
async def test_a_key_opens_the_page(browser: Browser, key: str) -> None:
    answer = await browser.sign_in(key)
    assert (answer.status, answer.headers["location"]) == (303, "/dashboard")
    value, *attributes = answer.headers["set-cookie"].split("; ")
    assert value.startswith(f"{COOKIE}=")
    assert attributes == ["Path=/dashboard", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]
    page = await browser.get()
    assert page.status == 200
    assert page.body.startswith(b"<!doctype html>")
    assert (await browser.figures()).open is False
    # Somebody who is in need not sign in again.
    again = await browser.get("/sign-in")
    assert (again.status, again.headers["location"]) == (303, "/dashboard")


@pytest.mark.parametrize("key", ["", "no", SCRAPER, MASTER[:-1], MASTER + "x", "\u00fc", "\0"])
async def test_nothing_else_does(browser: Browser, key: str) -> None:
    answer = await browser.sign_in(key)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers
    assert b"That key does not open this page." in answer.body
    assert b'action="/dashboard/sign-in"' in answer.body
    if len(key) > 5:
        assert key.encode() not in answer.body


async def test_without_a_session_there_is_nothing_to_see(browser: Browser) -> None:
    expected = {"/figures": 401, "/events": 401}
    for place in HIDDEN:
        answer = await browser.get(place)
        assert answer.status == expected.get(place, 303), place
        if answer.status == 303:
            assert (answer.headers["location"], answer.body) == ("/dashboard/sign-in", b"")
        else:
            assert answer.body == b'{"error":"sign in at /dashboard/sign-in"}'
    form = await browser.get("/sign-in")
    assert form.status == 200
    assert b"That key does not open this page." not in form.body


async def test_headers_and_the_query_open_nothing(browser: Browser) -> None:
    for headers in ({"authorization": f"Bearer {MASTER}"}, {"x_api_key": MASTER}):
        assert (await browser.get("/figures", **headers)).status == 401
    assert (await browser.get(f"/figures?key={MASTER}")).status == 401


async def test_a_cookie_that_was_changed_is_none(browser: Browser) -> None:
    await browser.sign_in(MASTER)
    name, _, value = browser.cookie.partition("=")
    until, _, signature = value.partition(".")
    flipped = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    for wrong in (
        f"{int(until) + 1}.{signature}",
        f"{until}.{flipped}",
        f"{until}.",
        until,
        "",
        f"-{until}.{signature}",
        f"{'9' * 400}.{signature}",
        f"\u0661.{signature}",
        f"{until}.{signature}.x",
    ):
        browser.cookie = f"{name}={wrong}"
        assert (await browser.get("/figures")).status == 401, wrong
    # Beside cookies of others, and of another path.
    browser.cookie = f"a=b; {name}=; {name}={value}; c"
    assert (await browser.get("/figures")).status == 200


async def test_signing_out_takes_the_cookie_away(browser: Browser) -> None:
    await browser.sign_in(MASTER)
    answer = await browser.post("/sign-out")
    assert (answer.status, answer.headers["location"]) == (303, "/dashboard/sign-in")
    assert answer.headers["set-cookie"] == f"{COOKIE}=; Path=/dashboard; Max-Age=0; HttpOnly; SameSite=Strict"


@pytest.mark.parametrize("place", ["/sign-in", "/sign-out"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "", "origin": "https://elsewhere.example"},
        {"sec_fetch_site": "", "origin": "null"},
        {"sec_fetch_site": "", "origin": "http://[::"},
        {"sec_fetch_site": "", "origin": ""},
    ],
)
async def test_other_sites_cannot_post_for_somebody(browser: Browser, place: str, headers: dict[str, str]) -> None:
    answer = await browser.post(place, {"key": MASTER}, **headers)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers
    assert answer.body == b'{"error":"this request does not come from the gateway\'s own page"}'


async def test_a_browser_that_tells_its_origin_alone_may(browser: Browser) -> None:
    assert (await browser.post("/sign-in", {"key": MASTER}, sec_fetch_site="")).status == 303


async def test_a_form_is_small_and_arrives(browser: Browser) -> None:
    answer = await browser.post("/sign-in", {"key": "x" * 8192})
    assert (answer.status, answer.body) == (413, b'{"error":"the form is larger than 8192 bytes"}')
    many = await browser.post("/sign-in", {f"field{number}": "x" for number in range(9)} | {"key": MASTER})
    assert many.status == 403


async def test_a_session_ends() -> None:
    sessions = Sessions([MASTER], 60, "/dashboard")
    cookie = sessions.begin(1000.5, secure=True)
    assert cookie.endswith(b"; Path=/dashboard; Max-Age=60; HttpOnly; SameSite=Strict; Secure")
    headers = {b"cookie": cookie.partition(b";")[0]}
    assert sessions.until(headers, 1059.9) == 1060
    assert sessions.until(headers, 1060) is None


async def test_a_session_is_of_its_keys() -> None:
    headers = {b"cookie": Sessions([MASTER, ADMIN], 60, "/d").begin(1000, secure=False).partition(b";")[0]}
    # Another worker, or the same gateway after a restart.
    assert Sessions([MASTER, ADMIN], 5, "/d").until(headers, 1001) == 1060
    for keys in ([MASTER], [ADMIN], [MASTER, "another"], [], ["master", "key"]):
        assert Sessions(keys, 60, "/d").until(headers, 1001) is None


async def test_nobody_can_sign_in_without_a_key() -> None:
    sessions = Sessions([], 60, "/dashboard")
    assert not sessions.possible
    assert not sessions.opens("")


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({b"sec-fetch-site": b"same-origin"}, True),
        ({b"sec-fetch-site": b"cross-site", b"origin": b"http://a", b"host": b"a"}, False),
        ({b"origin": b"http://a:4000", b"host": b"A:4000"}, True),
        ({b"origin": b"http://a:4000", b"host": b"a:4001"}, False),
        ({b"host": b"a"}, False),
        ({b"origin": b"null", b"host": b""}, False),
        ({b"origin": b"null", b"host": b"null"}, False),
    ],
)
async def test_whose_request_it_is(headers: dict[bytes, bytes], ours: bool) -> None:
    assert same_site(headers) is ours


async def test_over_tls_the_cookie_is_for_tls_alone(running: Gateway) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": f"key={MASTER}".encode()}

    async def send(message: Any) -> None:
        sent.append(message)

    for scheme, ends in (("https", b"SameSite=Strict; Secure"), ("http", b"SameSite=Strict")):
        scope = {
            "type": "http",
            "scheme": scheme,
            "method": "POST",
            "path": "/dashboard/sign-in",
            "query_string": b"",
            "headers": [(b"sec-fetch-site", b"same-origin")],
        }
        await running.app(scope, receive, send)
        assert sent[-2]["status"] == 303
        assert dict(sent[-2]["headers"])[b"set-cookie"].endswith(ends)


async def look(settings: Mapping[str, Any], key: str = "") -> tuple[int, int, bytes]:
    """Statuses of the page and of a sign-in, and the form."""
    async with provided(settings) as (running, _):
        browser = Browser(running.url)
        seen = (await browser.get("/figures")).status
        signed_in = (await browser.sign_in(key)).status
        return seen, signed_in, (await browser.get("/sign-in")).body


async def test_without_any_key_everybody_may_look() -> None:
    async with provided(QUICK) as (running, _):
        browser = Browser(running.url)
        assert (await browser.get()).status == 200
        assert (await browser.figures()).open is True
        for answer in (await browser.get("/sign-in"), await browser.sign_in("x"), await browser.post("/sign-out")):
            assert (answer.status, answer.headers["location"]) == (303, "/dashboard")
            assert "set-cookie" not in answer.headers


async def test_where_only_the_metrics_are_secret_so_is_the_page() -> None:
    assert (await look({**QUICK, "metrics": {"secret": SCRAPER}}, SCRAPER))[:2] == (401, 303)


async def test_with_accounts_and_without_a_key_of_its_owner_it_is_closed(tmp_path: Any) -> None:
    accounts = {"enabled": True, "database_url": f"sqlite:///{tmp_path / 'accounts.db'}"}
    settings = {**QUICK, "accounts": accounts, "shared": {"state_directory": str(tmp_path / "state")}}
    seen, signed_in, form = await look(settings)
    assert (seen, signed_in) == (401, 403)
    assert b"No key opens this page: set server.master_key or accounts.admin_key in the gateway&#x27;s settings" in form


async def test_it_can_be_elsewhere_or_off() -> None:
    async with provided({"dashboard": {"path": "/live/page"}}) as (running, _):
        assert (await Browser(running.url, "/live/page").get()).status == 200
        assert (await Browser(running.url).get()).status == 404
    async with provided({"dashboard": {"enabled": False}}) as (running, _):
        assert (await Browser(running.url).get()).status == 404
