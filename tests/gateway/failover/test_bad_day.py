"""A provider's bad day: clients do not notice, and every attempt is counted, however many come at once."""

import asyncio
from collections import Counter

from tests.gateway.failover.pools import place, pool, served_by
from tests.gateway.provided import until

TOGETHER = 16
"""Clients that call at once."""


async def test_a_provider_that_goes_away_is_not_missed() -> None:
    models = {"m": {"deployments": [place("a", "x"), place("b", "y"), place("c", "z")]}}
    simulated = {name: {"latency": 0.01} for name in "abc"}
    async with pool(models, providers=("a", "b", "c"), simulated=simulated, breaker_seconds=1e9) as pools:
        statuses: Counter[int] = Counter()

        async def client(calls: int) -> None:
            for _ in range(calls):
                statuses[(await pools.ask("m")).status] += 1

        clients = [asyncio.create_task(client(12)) for _ in range(TOGETHER)]
        await until(lambda: statuses[200] >= 40)
        before = pools.requests("a")
        await pools.simulators["a"].close()
        await asyncio.gather(*clients)
        page = pools.page()
        assert page.values("tallygate_breaker_state", provider="a", tallygate_breaker_state="open") == {1}
    assert before >= 10
    assert statuses == {200: 12 * TOGETHER}
    attempts, calls = page.total("tallygate_upstream_attempts_total"), page.total("tallygate_llm_calls_total")
    assert calls == page.total("tallygate_llm_calls_total", outcome="completed") == 12 * TOGETHER
    assert attempts == calls + page.total("tallygate_upstream_retries_total")
    failed = page.total("tallygate_upstream_attempts_total", error_type="provider_network")
    assert failed == page.total("tallygate_upstream_retries_total", provider="a", step="elsewhere") > 0
    assert page.total("tallygate_llm_errors_total") == 0
    # Those under way when it went, and five that were refused: then its breaker was open.
    assert failed <= TOGETHER + 5


async def test_a_storm_is_counted_exactly() -> None:
    models = {
        "fine": {"deployments": [place("a", "f", weight=2), place("b", "f")]},
        "second": served_by(place("a", "s+500"), place("b", "s")),
        "third": served_by(place("a", "t+reset"), place("b", "t+529"), place("c", "t")),
        "limited": served_by(place("a", "l+429:60"), place("b", "l")),
        "fallback": served_by(place("a", "r+503"), fallbacks=["fine"]),
        "lost": served_by(place("a", "o+500"), place("b", "o+503")),
        "wrong": served_by(place("a", "w+400"), place("b", "w")),
    }
    expected = {200: 5, 503: 1, 400: 1}
    async with pool(models, providers=("a", "b", "c"), breaker_failures=0) as pools:
        calls = [(name, stream) for name in models for stream in (False, True)] * 8
        answers = await asyncio.gather(*(pools.ask(name, stream=stream) for name, stream in calls))
        page = await pools.check_attempts()
    assert Counter(answer.status for answer in answers) == {status: 16 * n for status, n in expected.items()}
    for status, count in expected.items():
        assert page.total("tallygate_http_requests_total", status_code=str(status)) == 16 * count
        assert page.total("tallygate_llm_calls_total", status_code=str(status)) == 16 * count
    assert page.total("tallygate_llm_calls_total", outcome="completed") == 80
    told = Counter(int(answer.headers["x-tallygate-attempts"]) for answer in answers)
    assert sum(attempts * count for attempts, count in told.items()) == page.total("tallygate_upstream_attempts_total")
    assert page.total("tallygate_model_fallbacks_total", from_model="fallback", to_model="fine") == 16
    assert page.total("tallygate_upstream_retries_total", step="fallback") == 16
    assert page.total("tallygate_upstream_retries_total", model="t+reset", reason="provider_network") == 16
    assert page.total("tallygate_upstream_retries_total", model="t+529", reason="provider_overloaded") == 16
    served = Counter(answer.headers["x-tallygate-provider"] for answer in answers if answer.status == 200)
    for provider, count in served.items():
        completed = page.total("tallygate_llm_calls_total", provider=provider, outcome="completed")
        assert completed == count
