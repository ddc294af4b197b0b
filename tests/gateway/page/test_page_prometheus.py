"""The live page with figures of a Prometheus: a real one, and things that are none."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tallygate.gateway.page import prometheus as asking
from tallygate.gateway.page.asked import KEY, queries, window_of
from tallygate.gateway.page.figures import RANGES, STEPS
from tallygate.simulator import Simulator
from tests.gateway.apis import APIS
from tests.gateway.page import test_page_figures as known
from tests.gateway.page.looking import TICK, Browser
from tests.gateway.running import Gateway, ask, gateway
from tests.gateway.server.listening import Message, Receive, Send, listening
from tests.prometheus.server import Job, Prometheus, prometheus

CHAT = APIS[0]
JOB = "the.gateway"
PASSWORD, TOKEN = "p4ss/word-of-prometheus", "t0ken-of-prometheus"


def page_settings(simulator: str, url: str, **more: Any) -> dict[str, Any]:
    """A gateway whose page asks there."""
    dashboard = {"refresh_seconds": TICK, "prometheus_url": url, "prometheus_scrape_seconds": 1, **more}
    return {**known.settings(simulator), "dashboard": dashboard}


@pytest.mark.xdist_group("prometheus")
async def test_a_real_prometheus_is_asked(tmp_path: Path) -> None:
    async with Simulator() as simulator, gateway(known.settings(simulator.url)) as running:
        job = Job(JOB, running.url.removeprefix("http://"))
        async with prometheus(tmp_path, [job]) as server:
            # An increase is of what was seen before: the first call of each kind is not in it.
            for times in (1, 3):
                for model, stream in [("m", False), ("m", True), ("m+cached", False), ("m+500", False)] * times:
                    await known.call(running, model, stream=stream, route="search")
                await scraped(server, 4)
            url = f"http://127.0.0.1:{server.port}/"
            async with gateway(page_settings(simulator.url, url, prometheus_job=JOB)) as shown:
                browser = Browser(shown.url)
                figures = await browser.figures()
                assert (figures.source, figures.problem, figures.empty) == ("prometheus", "", False)
                totals = figures.totals
                # An increase is told a little larger than it was: Prometheus thinks it went on between two scrapes.
                assert totals.requests == pytest.approx(12, abs=3)
                assert totals.errors == pytest.approx(3, abs=1)
                assert totals.cost_usd > 0
                assert (totals.input_tokens, totals.output_tokens) > (0, 0)
                assert totals.cached_tokens > 0
                assert totals.active_requests == 0
                assert totals.latency_p95 == pytest.approx(await quantile(server, "call_duration", 0.95))
                assert totals.ttft_p50 == pytest.approx(await quantile(server, "time_to_first_token", 0.5))
                assert {one.name for one in figures.models} == {"m", "m+cached", "m+500"}
                (errors,) = [one for one in figures.models if one.name == "m+500"]
                assert errors.requests == errors.errors
                assert [one.name for one in figures.routes] == ["search"]
                assert figures.routes[0].tokens == pytest.approx(totals.input_tokens + totals.output_tokens, abs=2)
                states = {one.provider: (one.state, one.requests > 0) for one in figures.providers}
                assert states == {"openai": ("degraded", True), "claude": ("idle", False)}
                kinds = {(one.provider, one.model, one.route, one.error_type) for one in figures.errors}
                assert kinds == {("openai", "m+500", "search", "provider_server_error")}
                assert len(figures.times) == len(figures.series.requests) == RANGES["15m"] // STEPS["15m"]
                async with asyncio.timeout(20):  # a curve has a point each step: the first after the calls is to come
                    while not any(figures.series.requests):
                        figures = await browser.figures()
                assert max(value or 0 for value in figures.series.latency_p95) > 0
                assert max(value or 0 for value in figures.series.active_requests) == 0
                async with browser.events() as told:
                    assert (await anext(told)).figures.totals.requests > 0
                    assert (await anext(told)).update.totals.requests > 0
                for range in RANGES:
                    assert (await browser.figures(range)).problem == ""
            async with gateway(page_settings(simulator.url, url, prometheus_job="another")) as shown:
                figures = await Browser(shown.url).figures()
                assert figures.empty
                assert figures.problem == (
                    "Prometheus has no tallygate_llm_calls_total of this gateway: let it scrape the gateway's metrics"
                    " in the dialect tallygate, and look at dashboard.prometheus_job"
                )


async def scraped(server: Prometheus, times: int) -> None:
    for _ in range(times):
        await server.scraped_since(time.time(), [JOB])


async def quantile(server: Prometheus, what: str, share: float) -> float:
    """As Prometheus has it over all time."""
    family = f"tallygate_llm_{what}_seconds_bucket"
    return await server.value(f'histogram_quantile({share}, sum by (le) (rate({family}{{job="{JOB}"}}[900s])))')


def test_what_is_asked_is_right_for_prometheus() -> None:
    for range in RANGES:
        asked = queries(range, ("api_key_id", "team"), 15, JOB)
        assert window_of(range, 15) == max(60, STEPS[range] + 15)
        texts = [str(query) for query in (*asked.curves.values(), *asked.sums.values())]
        assert all(r'job=~"the\\.gateway"' in text for text in texts)
        assert f"{KEY} cost_usd" in asked.sums
    assert f"{KEY} cost_usd" not in queries("1h", (), 15, None).sums
    assert "job" not in " ".join(map(str, queries("1h", (), 15, None).sums.values()))


class Strange:
    """Answers as it is told, and notes what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.hangs = False
        self.headers: list[dict[bytes, bytes]] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.headers.append(dict(scope["headers"]))
        if self.hangs:
            await receive()
            await receive()
        length = (b"content-length", b"%d" % len(self.body))
        await send({"type": "http.response.start", "status": self.status, "headers": [length]})
        await send({"type": "http.response.body", "body": self.body})


@asynccontextmanager
async def strange(**more: Any) -> AsyncIterator[tuple[Strange, Gateway, str]]:
    """Something, the gateway that takes it for a Prometheus, and where it is."""
    something = Strange()
    async with Simulator() as simulator, listening(something) as server:
        where = f"127.0.0.1:{server.port}"
        url = f"http://user:{PASSWORD.replace('/', '%2F')}@{where}/prefix"
        async with gateway(page_settings(simulator.url, url, **more)) as running:
            yield something, running, where


async def test_what_is_wrong_is_told_without_credentials() -> None:
    async with AsyncExitStack() as stack:
        something, running, where = await stack.enter_async_context(strange())
        browser = Browser(running.url)
        said = stack.enter_context(capture_logs())
        for status, body, problem in [
            (401, PASSWORD.encode(), f"Prometheus at {where} answered 401; see dashboard.prometheus_token"),
            (500, PASSWORD.encode(), f"Prometheus at {where} answered 500"),
            (200, b"<html>", f"what answers at {where} is no Prometheus"),
            (
                200,
                b'{"data": {"result": [{"metric": {}, "value": [1, "x"]}]}}',
                f"what answers at {where} is no Prometheus",
            ),
            (200, b" " * (8 * 2**20 + 1), f"Prometheus at {where} answers with more than 8388608 bytes"),
        ]:
            something.status, something.body = status, body
            async with browser.events() as told:
                figures = (await anext(told)).figures
                while figures.problem != problem:
                    event = await anext(told)
                    assert PASSWORD not in event.data
                    assert event.update.problem, "there is always something wrong"
                    figures = await browser.figures()
            assert figures.empty
            assert set(figures.series.cost) == {None}
            assert [one.provider for one in figures.providers] == []
        expected = b"Basic " + base64.b64encode(f"user:{PASSWORD}".encode())
        assert {headers[b"authorization"] for headers in something.headers} == {expected}
    assert said[0] == {
        "event": "the live page's Prometheus does not answer",
        "problem": f"Prometheus at {where} answered 401; see dashboard.prometheus_token",
        "log_level": "warning",
    }
    assert PASSWORD not in str(said)


async def test_a_token_goes_before_a_password_and_nowhere_else() -> None:
    async with strange(prometheus_token=TOKEN) as (something, running, _):
        something.status, something.body = 403, TOKEN.encode()
        answer = await Browser(running.url).get("/figures")
        assert TOKEN.encode() not in answer.body
        assert PASSWORD.encode() not in answer.body
        assert {headers[b"authorization"] for headers in something.headers} == {b"Bearer " + TOKEN.encode()}


async def test_while_it_is_away_the_last_figures_stay() -> None:
    fine = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"7"],"values":[]}]}}'
    async with strange() as (something, running, where):
        something.body = fine
        browser = Browser(running.url)
        figures = await browser.figures()
        assert (figures.totals.requests, figures.problem) == (7, "")
        something.status = 503
        async with browser.events() as told:
            async for event in told:
                if event.name == "update" and event.update.problem:
                    break
        figures = await browser.figures()
        assert (figures.totals.requests, figures.problem) == (7, f"Prometheus at {where} answered 503")
        something.status = 200
        async with browser.events() as told:
            async for event in told:
                if event.name == "update" and not event.update.problem:
                    break
        # Calls are served all the while.
        assert (await ask(running.url + CHAT.path("m", False), CHAT.body("m", False))).status == 200


async def test_it_cannot_be_reached_or_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 0.2)
    async with strange() as (something, running, where):
        something.hangs = True
        browser = Browser(running.url)
        assert (await browser.figures()).problem == f"Prometheus at {where} did not answer within 0.2 s"
    async with Simulator() as simulator, gateway(page_settings(simulator.url, "http://u:p4ss@127.0.0.1:9")) as running:
        problem = (await Browser(running.url).figures()).problem
    assert problem.startswith("Prometheus cannot be reached: ")
    assert "127.0.0.1:9" in problem
    assert "p4ss" not in problem
