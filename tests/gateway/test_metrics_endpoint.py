"""Where the metrics are served, in which words and formats, and that the page agrees with itself."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families

from tallygate.gateway.server import Limits
from tallygate.gateway.server.sockets import open_listeners
from tallygate.gateway.server.worker import Server, server_config
from tests.gateway.apis import APIS
from tests.gateway.provided import provided, recorded
from tests.gateway.running import Gateway, Page, ask, parsed

CHAT = APIS[0]
TEXT = "text/plain; version=0.0.4; charset=utf-8"
DIALECTS = ("tallygate", "otel", "aurora", "hyperagent", "archestra")


async def one_call(running: Gateway, model: str = "gpt-4o", stream: bool = False) -> None:
    requests = int(running.total("tallygate_http_requests_total"))
    assert (await ask(running.url + CHAT.path(model, stream), CHAT.body(model, stream))).status == 200
    await recorded(running, requests + 1)


async def scrape(running: Gateway, query: str = "", **headers: str) -> Page:
    answer = await ask(f"{running.url}/metrics{query}", headers=headers, method="GET")
    assert answer.status == 200, answer.body
    return Page(parsed(answer.body.decode()))


async def test_the_page_is_in_prometheus_text() -> None:
    async with provided() as (running, _):
        await one_call(running)
        answer = await ask(f"{running.url}/metrics", method="GET")
    assert (answer.status, answer.headers["content-type"]) == (200, TEXT)
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert Page(parsed(answer.body.decode())).total("tallygate_llm_calls_total", model="gpt-4o") == 1


async def test_the_endpoint_can_be_moved() -> None:
    async with provided({"metrics": {"endpoint": "/internal/llm-metrics"}}) as (running, _):
        assert (await ask(f"{running.url}/internal/llm-metrics", method="GET")).status == 200
        for path in ("/metrics", "/internal", "/internal/llm-metrics/", "/internal/llm-metrics/x"):
            assert (await ask(running.url + path, method="GET")).status == 404


async def test_switched_off_it_is_not_there_and_nothing_is_recorded() -> None:
    async with provided({"metrics": {"enabled": False}}) as (running, simulator):
        answer = await ask(running.url + CHAT.path("gpt-4o", True), CHAT.body("gpt-4o", True))
        assert answer.status == 200
        refused = await ask(f"{running.url}/metrics", method="GET")
        unknown = await ask(f"{running.url}/nowhere", method="GET")
        assert simulator.served()["totals"]["requests"] == 1
        assert running.app.tally.ledger is None
        assert running.app.tally.render(("tallygate",), "text") == b""
    assert refused.status == 404
    assert refused.body == unknown.body


@asynccontextmanager
async def metrics_listener(running: Gateway) -> AsyncIterator[str]:
    """The metrics' own listener, as a worker opens it."""
    ((listener,),) = open_listeners("127.0.0.1", 0, 1)
    server = Server(server_config(running.app.metrics_only, Limits()), 1.0)
    serving = asyncio.create_task(server.serve([listener]))
    await server.ready.wait()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop()
        await serving


async def test_a_listener_of_their_own_serves_the_metrics_alone() -> None:
    settings = {
        "metrics": {"listener": {"port": 0}, "secret": "s3cret-of-scrapers"},
        "server": {"master_key": "m4ster"},
    }
    async with provided(settings) as (running, _), metrics_listener(running) as apart:
        key = {"authorization": "Bearer s3cret-of-scrapers"}
        assert (await ask(f"{apart}/metrics", headers=key, method="GET")).status == 200
        assert (await ask(f"{apart}/metrics", headers={"x-api-key": "m4ster"}, method="GET")).status == 200
        assert (await ask(f"{apart}/metrics", method="GET")).status == 401
        for path in ("/", "/health", "/v1/models", "/metrics/"):
            elsewhere = await ask(apart + path, headers=key, method="GET")
            assert (elsewhere.status, json.loads(elsewhere.body)) == (404, {"error": "the metrics are at /metrics"})
        assert (await ask(f"{running.url}/metrics", method="GET")).status == 401
        opened = await ask(f"{running.url}/metrics", headers={"authorization": "Bearer m4ster"}, method="GET")
        assert opened.status == 404


async def test_each_dialect_counts_the_same_calls() -> None:
    async with provided() as (running, _):
        await one_call(running)
        await one_call(running, stream=True)
        pages = {name: await scrape(running, f"?dialect={name}") for name in DIALECTS}
    calls = {
        "tallygate": "tallygate_llm_calls_total",
        "otel": "gen_ai_client_operation_duration_seconds_count",
        "aurora": "aurora_requests_total",
        "hyperagent": "llm_latency_ms_count",
        "archestra": "llm_request_duration_seconds_count",
    }
    assert {name: page.total(calls[name]) for name, page in pages.items()} == dict.fromkeys(DIALECTS, 2)
    assert not any(name.startswith("tallygate_llm") for name, _ in pages["otel"].samples)


async def test_several_dialects_on_a_page() -> None:
    async with provided({"metrics": {"dialects": ["otel", "aurora"]}}) as (running, _):
        await one_call(running)
        merged, asked = await scrape(running), await scrape(running, "?dialect=tallygate,hyperagent")
    assert merged.total("aurora_requests_total") == 1
    assert merged.total("gen_ai_client_operation_duration_seconds_count") == 1
    assert merged.total("tallygate_llm_calls_total") == 0
    assert asked.total("tallygate_llm_calls_total") == asked.total("llm_latency_ms_count") == 1


async def test_an_unknown_dialect_is_told_the_known_ones() -> None:
    async with provided() as (running, _):
        answer = await ask(f"{running.url}/metrics?dialect=prom%22%0aetheus", method="GET")
    assert (answer.status, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    for name in DIALECTS:
        assert name.encode() in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_are_refused(method: str) -> None:
    async with provided() as (running, _):
        answer = await ask(f"{running.url}/metrics", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_head_has_the_same_head() -> None:
    async with provided() as (running, _):
        query = "?dialect=tallygate&name[]=tallygate_llm_calls_total"
        got = await ask(f"{running.url}/metrics{query}", method="GET")
        head = await ask(f"{running.url}/metrics{query}", method="HEAD")
    assert (head.status, head.headers, head.body) == (200, got.headers, b"")
    assert int(head.headers["content-length"]) == len(got.body) > 0


async def test_names_filter_families() -> None:
    async with provided() as (running, _):
        await one_call(running)
        page = await scrape(
            running, "?name[]=tallygate_llm_calls_total&name[]=tallygate_llm_call_duration_seconds_count"
        )
    assert {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name, _ in page.samples} == {
        "tallygate_llm_calls_total",
        "tallygate_llm_call_duration_seconds",
    }


async def test_gzip_where_it_is_accepted() -> None:
    async with provided() as (running, _):
        query = "?name[]=tallygate_build_info"
        plain = await ask(f"{running.url}/metrics{query}", method="GET")
        zipped = await ask(f"{running.url}/metrics{query}", headers={"accept-encoding": "br, gzip"}, method="GET")
        refused = await ask(f"{running.url}/metrics{query}", headers={"accept-encoding": "gzip;q=0"}, method="GET")
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == plain.body == refused.body
    assert "content-encoding" not in refused.headers


async def test_openmetrics_where_it_is_preferred() -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"
    async with provided() as (running, _):
        await one_call(running)
        answer = await ask(f"{running.url}/metrics", headers={"accept": accept}, method="GET")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert answer.body.endswith(b"# EOF\n")
    families = {family.name: family for family in openmetrics_families(answer.body.decode())}  # type: ignore[no-untyped-call]  # the library has no types
    assert families["tallygate_llm_calls"].type == "counter"
    assert sum(sample.value for sample in families["tallygate_llm_calls"].samples) == 1


async def test_configured_models_are_there_from_the_start() -> None:
    def settings(url: str) -> dict[str, Any]:
        provider = {"kind": "openai", "base_url": f"{url}/v1", "models": ["one", "two"]}
        return {"providers": {"here": provider}}

    async with provided(settings) as (running, _):
        page = await scrape(running)
    for model in ("one", "two"):
        counts = [
            value
            for (name, labels), value in page.samples.items()
            if name == "tallygate_llm_calls_total" and ("model", model) in labels
        ]
        assert counts
        assert set(counts) == {0}
        assert page.total("tallygate_provider_info", provider="here", kind="openai", model=model) == 1


async def test_the_page_agrees_with_itself_while_it_is_written() -> None:
    async with provided() as (running, simulator):
        stop = asyncio.Event()

        async def traffic(model: str) -> int:
            calls = 0
            while not stop.is_set():
                await ask(running.url + CHAT.path(model, True), CHAT.body(model, True, usage=True))
                calls += 1
            return calls

        clients = [asyncio.create_task(traffic(model)) for model in ("gpt-4o", "gpt-4o+cached", "gpt-4o+429")]
        before: Page | None = None
        for _ in range(15):
            page = await scrape(running)
            check_histograms(page)
            if before is not None:
                check_never_down(before, page)
            before = page
        stop.set()
        calls = sum(await asyncio.gather(*clients))
        await recorded(running, calls)
        last = await scrape(running)
        truth = simulator.served()["totals"]
    assert last.total("tallygate_llm_calls_total") == truth["requests"] == calls
    assert last.total("tallygate_llm_tokens_total", type="output") == truth["output_tokens"]
    assert last.total("tallygate_llm_calls_in_flight") == last.total("tallygate_http_requests_in_flight") == 0
    check_histograms(last)


def check_histograms(page: Page) -> None:
    """Buckets never fall with their bound, and the last one is the count."""
    buckets: dict[tuple[str, frozenset[tuple[str, str]]], dict[float, float]] = {}
    for (name, labels), value in page.samples.items():
        if name.endswith("_bucket"):
            named = dict(labels)
            bound = float(named.pop("le"))
            buckets.setdefault((name.removesuffix("_bucket"), frozenset(named.items())), {})[bound] = value
    assert buckets
    for (name, labels), by_bound in buckets.items():
        counts = [by_bound[bound] for bound in sorted(by_bound)]
        assert counts == sorted(counts), (name, labels)
        assert counts[-1] == page.samples[f"{name}_count", labels], (name, labels)


def check_never_down(before: Page, after: Page) -> None:
    """No counter goes down between two pages."""
    for (name, labels), value in before.samples.items():
        if name.endswith(("_total", "_count", "_bucket", "_sum")):
            assert after.samples[name, labels] >= value, (name, labels)


async def test_requests_in_flight_are_seen() -> None:
    async with provided() as (running, simulator):
        call = asyncio.create_task(ask(running.url + CHAT.path("gpt-4o+stall", True), CHAT.body("gpt-4o+stall", True)))
        await simulator.until(lambda served: served.in_progress == 1)
        page = await scrape(running)
        assert page.total("tallygate_http_requests_in_flight") == 1
        assert page.total("tallygate_llm_calls_in_flight", provider="openai", stream="true") == 1
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await recorded(running)
        assert running.total("tallygate_http_requests_in_flight") == 0
