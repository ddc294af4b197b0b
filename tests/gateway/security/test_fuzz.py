"""A fuzzer over raw sockets: requests of every route, damaged in every way, and bytes that were never a request.

Whatever is sent: no 500, no hang, nothing left behind, and the next good request is served.
"""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallygate.gateway.admin.app import OPERATIONS
from tests.gateway.apis import APIS
from tests.gateway.provided import provided, until
from tests.gateway.running import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 15.0
SECRETS = ("fuzz-master-key-4f1c", "fuzz-admin-key-90ab", "fuzz-scrape-key-77de", "key-of-openai", "key-of-gemini")
MASTER, ADMIN, SCRAPER = SECRETS[:3]
FEW = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

BODIES = {
    "createUser": {"name": "somebody"},
    "changeUser": {"concurrency": 5, "models": ["m"]},
    "createKey": {"user": "somebody", "name": "k"},
    "rotateKey": {"grace_seconds": 5},
    "grantCredits": {"amount": "1.5"},
}
"""What the admin API is asked."""
TARGETS = [
    *(("POST", api.path("m", stream), api.body("m", stream)) for api in APIS for stream in (False, True)),
    *(
        ("GET", path, b"")
        for path in (
            "/v1/models", "/v1/models/m", "/v1beta/models", "/v1beta/models/m", "/health", "/metrics",
            "/metrics?dialect=archestra", "/", "/admin", "/admin/openapi.json",
            "/dashboard", "/dashboard/sign-in", "/dashboard/figures?range=1h", "/dashboard/assets/x/page.js",
        )
    ),
    ("POST", "/dashboard/sign-in", b"key=no&key=%ff&=&key=fuzz"),
    ("POST", "/dashboard/sign-out", b""),
    *(
        (one.method, re.sub(r"\{\w+\}", "somebody", one.path), json.dumps(BODIES.get(one.name, {})).encode())
        for one in OPERATIONS
    ),
]  # fmt: skip
BEARER = b"Authorization: Bearer "
WRONG = [BEARER + MASTER.encode(), BEARER + ADMIN.encode(), BEARER + b"no", b"x-api-key: no", b"Authorization: no", b""]
HEADERS = [
    b"Connection: close", b"Connection: keep-alive, X-A", b"Transfer-Encoding: chunked", b"Content-Length: 5",
    b"Expect: 100-continue", b"Upgrade: websocket", b"Content-Encoding: gzip", b"Accept-Encoding: gzip, br",
    b"Content-Type: text/plain", b"anthropic-version: 2023-06-01", b"x-goog-api-key: k", b"Range: bytes=0-1",
    b"traceparent: 00-00000000000000000000000000000001-0000000000000001-01", b"traceparent: \xff", b"Host: a, b",
    b"Idempotency-Key: one", b"Cookie: a=b", b"Accept: */*;q=nan", b"X-A: \xe9\xff", b"Authorization: Basic Og==",
    b"Sec-Fetch-Site: same-origin", b"Origin: http://x", b"Cookie: tallygate_dashboard=9.a; \xff=\xff",
]  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request of one of the routes, with headers of all kinds."""
    method, target, body = draw(st.sampled_from(TARGETS))
    method = draw(st.sampled_from([method, method, method, "GET", "HEAD", "DELETE", "PATCH", "OPTIONS", "BREW"]))
    target = draw(st.sampled_from([target, target, f"{target}?key={'x' * 20}", f"{target}/..", f"{target}%00"]))
    body = draw(st.sampled_from([body, body, b"", b"{}", b"[" * 2000]) | st.binary(max_size=40))
    right = BEARER + (ADMIN if target.startswith("/admin") else MASTER).encode()
    key = draw(st.sampled_from([*[right] * len(WRONG), *WRONG]))
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: x", key]
    lines += draw(st.lists(st.sampled_from(HEADERS), max_size=3))
    lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(line for line in lines if line) + b"\r\n\r\n" + body


def damaged(data: bytes, at: int, cut: int, junk: bytes) -> bytes:
    """``cut`` bytes less at this place, and others instead."""
    at %= len(data) + 1
    return data[:at] + junk + data[at + cut :]


JUNK = st.binary(max_size=6) | st.sampled_from([b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"%00", b"\xff\xfe"])
BYTES = st.one_of(
    requests(),
    st.builds(damaged, requests(), st.integers(0, 500), st.integers(0, 8), JUNK),
    st.lists(requests(), min_size=2, max_size=4).map(b"".join),
    st.binary(max_size=400),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    directory = tmp_path_factory.mktemp("fuzz")
    more = {
        "server": {"master_key": MASTER},
        "accounts": {"enabled": True, "admin_key": ADMIN, "database_url": f"sqlite:///{directory / 'accounts.db'}"},
        "shared": {"state_directory": str(directory / "state")},
        "metrics": {"secret": SCRAPER},
        "limits": {"head_seconds": 0.2, "body_seconds": 0.1},
    }
    async with provided(more) as (gateway, _):
        yield gateway


def exchange(port: int, data: bytes, *, ends: bool) -> bytes:
    """Send this and read until the gateway closes; ``ends``: say that nothing more will come."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        try:
            connection.sendall(data)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            pieces = []
            while piece := connection.recv(65536):
                pieces.append(piece)
        except ConnectionError:
            pass
        return b"".join(pieces)


def healthy(port: int) -> None:
    """The gateway serves a good request."""
    body = APIS[0].body("m", False)
    head = (
        f"POST {APIS[0].path('m', False)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {MASTER}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    answer = exchange(port, head.encode() + body, ends=False)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer


def check(port: int) -> Callable[[bytes, bool], None]:
    def one(data: bytes, ends: bool) -> None:
        # A last request that asks for the end, so that a connection in good order is closed, too.
        last = b"" if ends else b"\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answers = exchange(port, data + last, ends=ends)
        for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", answers, re.MULTILINE):
            assert status in (b"100", b"303", b"505") or status[:1] in (b"2", b"4"), (data, answers)
        for secret in SECRETS:
            sent = secret.encode() in data
            assert sent or secret.encode() not in answers, (data, answers)
        healthy(port)

    return one


async def test_whatever_is_sent(running: Gateway) -> None:
    port = int(running.url.rpartition(":")[2])
    test = given(BYTES, st.booleans())(FEW(check(port)))
    await asyncio.to_thread(test)
    await running.settled()
    await until(lambda: not running.server.server_state.connections)
    page = running.page()
    assert page.total("tallygate_http_requests_in_flight") == 0
    assert page.total("tallygate_llm_calls_in_flight") == 0
    assert page.total("tallygate_dropped_observations_total") == 0
    assert page.total("tallygate_llm_errors_total", domain="gateway") == 0
