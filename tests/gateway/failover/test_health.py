"""How providers are doing: error rates, availability, response times, open connections; and probes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tallygate.gateway.failover.health import HealthWatch
from tallygate.gateway.failover.probes import Probes
from tallygate.gateway.providers import Provider
from tallygate.gateway.settings import ProviderSettings
from tallygate.gateway.upstream import open_upstream
from tallygate.tally import Tally
from tests.gateway.failover.pools import place, pool, served_by
from tests.gateway.provided import until
from tests.gateway.running import Page, ask, parsed
from tests.gateway.upstream.scripted import Asked, Peer, provider

FINE, BROKEN, LIMITED, WRONG = "", "provider_network", "provider_rate_limit", "caller_invalid_request"


class Watched:
    """A watch over one provider, and attempts at it that a test tells of."""

    def __init__(self, window: float = 60, failures: int = 3) -> None:
        self.now = 0.0
        self.tally = Tally()
        self.provider = Provider("one", ProviderSettings(base_url="http://127.0.0.1:1/v1"))
        self.watch = HealthWatch(self.tally, [self.provider], window, failures, lambda: self.now)

    def attempt(self, *error_types: str, provider: str = "one") -> None:
        for error_type in error_types:
            call = self.tally.track_llm_call(provider, "m").start()
            call.attempt(seconds=0.1, status_code=200, error_type=error_type)
            call.finish()

    def health(self) -> tuple[float, float]:
        """Availability and error rate of the provider now."""
        self.watch.look()
        page = Page(parsed(self.tally.render().decode()))
        (available,) = page.values("tallygate_provider_available", provider="one")
        (rate,) = page.values("tallygate_provider_error_ratio", provider="one")
        gatewayz = Page(parsed(self.tally.render(["gatewayz"]).decode()))
        assert gatewayz.values("provider_availability", provider="one") == {available}
        assert gatewayz.values("provider_error_rate", provider="one") == {rate}
        return available, rate


def test_before_anything_happens_it_is_well() -> None:
    assert Watched().health() == (1, 0)


def test_the_error_rate_is_that_of_the_window() -> None:
    watched = Watched()
    watched.attempt(FINE, FINE, BROKEN, LIMITED)
    assert watched.health() == (1, 0.5)
    watched.now = 30
    watched.attempt(FINE, FINE, FINE, WRONG)
    assert watched.health() == (1, 0.25)
    watched.now = 59
    assert watched.health() == (1, 0.25)
    watched.now = 60
    assert watched.health() == (1, 0.25)
    watched.now = 61
    watched.attempt(BROKEN)
    assert watched.health() == (1, 0.333333)  # three of nine, in millionths
    watched.now = 91
    assert watched.health() == (1, 1)
    watched.now = 122
    assert watched.health() == (1, 0)


def test_failures_without_an_answer_make_it_unavailable() -> None:
    watched = Watched()
    watched.attempt(BROKEN, "provider_server_error")
    assert watched.health()[0] == 1
    watched.attempt("provider_timeout")
    assert watched.health() == (0, 1)
    watched.now = 59
    assert watched.health()[0] == 0
    watched.attempt(LIMITED)  # it is there again, and says to slow down
    assert watched.health()[0] == 1


def test_an_answer_among_them_is_enough() -> None:
    watched = Watched()
    watched.attempt(BROKEN, BROKEN, FINE, BROKEN, BROKEN)
    assert watched.health() == (1, 0.8)


def test_old_failures_are_forgotten() -> None:
    watched = Watched()
    watched.attempt(BROKEN, BROKEN, BROKEN)
    assert watched.health()[0] == 0
    watched.now = 60.5
    assert watched.health()[0] == 1


def test_what_was_counted_before_the_worker_came_is_no_news() -> None:
    watched = Watched()
    watched.attempt(BROKEN, BROKEN, BROKEN)
    again = HealthWatch(watched.tally, [watched.provider], 60, 3, lambda: 5.0)
    again.look()
    page = Page(parsed(watched.tally.render().decode()))
    assert page.values("tallygate_provider_available", provider="one") == {1}
    assert page.values("tallygate_provider_error_ratio", provider="one") == {0}


def test_others_are_no_affair_of_it() -> None:
    watched = Watched()
    watched.attempt(BROKEN, BROKEN, BROKEN, provider="unknown")
    assert watched.health() == (1, 0)


def test_one_that_does_not_answer_probes_is_unavailable() -> None:
    watched = Watched()
    watched.provider.reachable = False
    assert watched.health() == (0, 0)


async def test_the_page_tells_what_has_just_happened() -> None:
    models = {"m": served_by(place("a", "x+500"), place("b", "y"))}
    async with pool(models, breaker_failures=3) as pools:
        for _ in range(3):
            await pools.ask("m")
        page = await pools.check_attempts()
        gatewayz = pools.gateway.page("gatewayz")
    assert page.values("tallygate_provider_available", provider="a") == {0}
    assert page.values("tallygate_provider_error_ratio", provider="a") == {1}
    assert page.values("tallygate_provider_available", provider="b") == {1}
    assert page.values("tallygate_provider_error_ratio", provider="b") == {0}
    assert gatewayz.values("provider_availability", provider="a") == {0}
    assert gatewayz.total("provider_response_time_seconds_count", provider="a") == 3
    assert gatewayz.total("provider_response_time_seconds_count", provider="b") == 3


async def test_open_connections_are_counted() -> None:
    async with pool({}, providers=("a",)) as pools:
        for _ in range(3):
            await pools.ask("x")
        page = pools.page()
        assert page.values("tallygate_connections_open", connection_type="provider") == {1}
        assert pools.simulators["a"].connections == 1
        await asyncio.gather(*(pools.ask("x+slow_headers:0.2") for _ in range(4)))
        connections = pools.simulators["a"].connections
        assert connections == 4
        assert pools.page().values("tallygate_connections_open", connection_type="provider") == {4}
        assert pools.gateway.page("gatewayz").values("active_connections", connection_type="provider") == {4}
        await pools.ask("x+reset")
        assert pools.page().values("tallygate_connections_open", connection_type="provider") == {3}
        await pools.simulators["a"].close()
        await until(lambda: pools.page().total("tallygate_connections_open", connection_type="provider") == 0)


async def test_a_connection_that_never_was_is_not_counted() -> None:
    async with pool({}, providers=("a",)) as pools:
        await pools.simulators["a"].close()
        assert (await pools.ask("x")).status == 502
        assert pools.page().values("tallygate_connections_open", connection_type="provider") == {0}


# Probes


def status(line: str) -> bytes:
    return f"HTTP/1.1 {line}\r\ncontent-length: 2\r\n\r\n{{}}".encode()


@asynccontextmanager
async def probed(line: str, **settings: Any) -> AsyncIterator[tuple[Provider, Probes, list[Asked]]]:
    """A provider that answers every probe so."""
    asked: list[Asked] = []

    async def script(peer: Peer) -> None:
        while True:
            asked.append(await peer.answer(status(line)))

    async with provider(script) as scripted:
        base = {"base_url": f"{scripted.url}{settings.pop('at', '/v1')}"}
        made = Provider("one", ProviderSettings.model_validate({**base, **settings}))
        upstream = open_upstream()
        try:
            yield made, Probes(upstream, [made], [], 30, 5), asked
        finally:
            await upstream.close()


async def test_what_is_asked_of_each_kind_of_provider() -> None:
    cases = {
        ("openai", "/v1"): ("GET /v1/models HTTP/1.1", "authorization", "Bearer secret"),
        ("anthropic", ""): ("GET /v1/models HTTP/1.1", "x-api-key", "secret"),
        ("gemini", ""): ("GET /v1beta/models HTTP/1.1", "x-goog-api-key", "secret"),
        ("azure", ""): ("GET /openai/v1/models HTTP/1.1", "api-key", "secret"),
    }
    for (kind, at), (line, header, value) in cases.items():
        async with probed("200 OK", kind=kind, at=at, api_key="secret") as (_, probes, asked):
            await probes.probe(probes._providers[0])
        assert (asked[0].line, asked[0].header(header)) == (line, value)
        assert kind != "anthropic" or asked[0].header("anthropic-version") == "2023-06-01"
    async with probed("200 OK", probe_path="/ready?full=1", at="") as (_, probes, asked):
        await probes.probe(probes._providers[0])
    assert asked[0].line == "GET /ready?full=1 HTTP/1.1"


async def test_any_answer_below_500_will_do() -> None:
    for line, reachable in (("200 OK", True), ("401 No", True), ("404 No", True), ("429 No", True), ("503 No", False)):
        async with probed(line) as (one, probes, _):
            await probes.probe(one)
            assert one.reachable is reachable, line


async def test_one_that_is_not_there_is_left_for_others_until_it_is_back() -> None:
    models = {"m": {"deployments": [place("a", "x"), place("b", "y", priority=2)]}}
    async with pool(models) as pools:
        a = pools.parts.router._by_name["a"]
        probes = Probes(pools.parts.upstream, [a], pools.parts.router.deployments, 30, 5)
        await probes.probe(a)
        assert (a.reachable, await pools.order("m", 1)) == (True, "a")
        await pools.simulators["a"].close()
        await probes.probe(a)
        assert (a.reachable, await pools.order("m", 2)) == (False, "bb")
        page = pools.page()
        assert page.values("tallygate_provider_available", provider="a") == {0}
        # No attempt was made at it: it was known not to be there.
        assert page.total("tallygate_upstream_attempts_total", provider="a") == 1
        a.reachable = True
        assert await pools.order("m", 1) == "b"
        assert pools.page().total("tallygate_upstream_attempts_total", provider="a", error_type="provider_network") == 1


async def test_when_nobody_answers_probes_they_are_asked_all_the_same() -> None:
    async with pool({"m": served_by(place("a", "x"))}) as pools:
        for deployment in pools.parts.router.deployments:
            deployment.provider.reachable, deployment.troubled = False, True
        assert (await pools.ask("m")).status == 200


async def test_probes_run_when_they_are_turned_on() -> None:
    async with pool({}, probes=True, probe_seconds=0.01, probe_timeout_seconds=5) as pools:
        served = pools.simulators["a"]
        await until(lambda: served.connections >= 1)
        page = pools.page()
        assert page.values("tallygate_provider_available", provider="a") == {1}
        await served.close()
        await until(lambda: pools.page().total("tallygate_provider_available", provider="a") == 0)
        answer = await ask(f"{pools.gateway.url}/health", method="GET")
    assert answer.status == 200
    # A probe is no attempt of a call.
    assert page.total("tallygate_upstream_attempts_total") == 0
