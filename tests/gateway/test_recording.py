"""What is recorded of an exchange is the same whichever way it is recorded."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tallygate import context
from tallygate.gateway import recording
from tallygate.gateway.exchange import Exchange
from tallygate.gateway.parts import put_together
from tallygate.gateway.recording import NOW, Recording
from tallygate.gateway.routes import match
from tallygate.gateway.settings import Settings
from tallygate.gateway.tallying import open_tally
from tallygate.tally import Tally
from tallygate.wire.interface import Usage

SETTINGS = Settings.model_validate(
    {
        "providers": {
            "openai": {"kind": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": "k", "models": ["gpt-4o"]}
        }
    }
)
OWN_CLOCK = re.compile(r"^tallygate_llm_(call_duration|output_tokens_per|time_per_output|time_to_first)|_created|^#")
"""Samples that hang on the tracker's own clock, which the test does not set."""
PROCESS = re.compile(r"^tallygate_(ledger|scrape)")


async def nothing(*_: Any) -> Any:
    return None


def exchange_of(tally: Tally, record: Recording, usage: Usage | None, *, stream: bool) -> Exchange:
    """An exchange that was answered well, with clock readings of its own."""
    path = "/v1/chat/completions"
    route = match(path, {})
    assert route is not None
    assert route.wire is not None
    exchange = Exchange({"path": path}, nothing, nothing, route, {})
    exchange.body = b'{"model":"gpt-4o","stream":%s}' % (b"true" if stream else b"false")
    exchange.head = route.wire.read_head(exchange.body, "", False)
    exchange.deployment = put_together(SETTINGS, tally).router.choose("gpt-4o", route.kind, route.template)
    record.in_flight(NOW, 1)
    exchange.call = record.start_call(exchange, exchange.deployment, exchange.head)
    exchange.meter = route.wire.meter(stream=stream, status=200, content_encoding="", hide_usage=False)
    exchange.meter.usage = usage
    exchange.status = exchange.upstream_status = 200
    exchange.response_size, exchange.waited = 789, 0.5
    exchange.started_at, exchange.read_at, exchange.dispatched_at = 10.0, 10.001, 10.003
    exchange.headers_at, exchange.replied_at, exchange.asked_at = 10.4, 10.9, exchange.dispatched_at
    return exchange


def samples(tally: Tally) -> dict[str, str]:
    """The page of the native dialect, less what no two runs share."""
    lines = tally.render(("tallygate",)).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not OWN_CLOCK.match(line) and not PROCESS.match(line))
    return {name: value for name, value in pairs if "_created" not in name}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("usage", [Usage(20, 16, 4, 2, 8), Usage(), None], ids=["tokens", "zeros", "unmetered"])
def test_the_smooth_way_records_what_the_rough_way_does(
    monkeypatch: pytest.MonkeyPatch, usage: Usage | None, stream: bool
) -> None:
    monkeypatch.setattr(recording, "perf_counter", lambda: 11.0)
    pages = []
    for way in (Recording.record, in_single_facts):
        tally = open_tally(SETTINGS)
        record = Recording(tally)
        for _ in range(3):
            way(record, exchange_of(tally, record, usage, stream=stream))
        pages.append(samples(tally))
        tally.close()
    assert pages[0] == pages[1]
    served = 'method="POST",route="/v1/chat/completions"'
    assert pages[0][f'tallygate_http_requests_total{{{served},status_code="200"}}'] == "3"
    assert pages[0][f"tallygate_http_request_duration_seconds_sum{{{served}}}"] == "3"
    dispatch = f'phase="provider_dispatch",status="success",stream="{str(stream).lower()}"'
    spent = f'tallygate_gateway_phase_duration_seconds_sum{{endpoint="/v1/chat/completions",{dispatch}}}'
    assert pages[0][spent] == ("1.191" if stream else "2.691")


def in_single_facts(record: Recording, exchange: Exchange) -> None:
    """As what did not go well is recorded."""
    record._record_rough(exchange, 11.0)
    record.in_flight(NOW, -1)


def test_calls_in_a_context_have_its_labels() -> None:
    tally = open_tally(SETTINGS)
    record = Recording(tally)
    usage = Usage(20, 16)
    record.record(exchange_of(tally, record, usage, stream=False))
    with context(route="support"):
        record.record(exchange_of(tally, record, usage, stream=False))
        record.record(exchange_of(tally, record, usage, stream=False))
    record.record(exchange_of(tally, record, usage, stream=False))
    page = samples(tally)
    by_route = {
        found[1]: value
        for name, value in page.items()
        if value != "0" and (found := re.match(r'tallygate_llm_calls_total\{.*route="([^"]*)"', name))
    }
    assert by_route == {"": "2", "support": "2"}
    tally.close()


def test_nothing_is_recorded_when_metrics_are_off() -> None:
    tally = open_tally(SETTINGS.model_copy(update={"metrics": SETTINGS.metrics.model_copy(update={"enabled": False})}))
    record = Recording(tally)
    exchange = exchange_of(tally, record, Usage(20, 16), stream=False)
    record.record(exchange)
    assert tally.render() == b""
