"""Times mean what they say: the first token is the first content, not the role or the head; totals hold every wait."""

import pytest

from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS, LIMIT
from tests.gateway.running import ask, gateway
from tests.gateway.test_truth import settings

HEAD, FIRST, EACH = 0.05, 0.15, 0.01
"""Seconds the provider waits: before the head, then before the first content delta, then before each further one."""

MODEL = "model-x"


@pytest.mark.parametrize("api", [api for api in APIS if api.streams], ids=lambda api: api.name)
async def test_the_first_token_is_the_first_content(api: API) -> None:
    slow = Simulator(latency=HEAD, time_to_first_token=FIRST, time_per_token=EACH)
    async with slow as simulator, gateway(settings(simulator, MODEL)) as running:
        await ask(running.url + api.path(MODEL, True), api.body(MODEL, True))
        await running.settled()
        page = running.page()
        deltas = simulator.served()["totals"]["content_deltas"]
    first = page.total("tallygate_llm_time_to_first_token_seconds_sum", model=MODEL)
    whole = page.total("tallygate_llm_call_duration_seconds_sum", model=MODEL)
    head = page.total("tallygate_upstream_time_to_headers_seconds_sum", model=MODEL)
    gaps = page.total("tallygate_llm_output_chunk_gap_seconds_sum", model=MODEL)
    assert deltas == LIMIT
    # Role chunks, pings and openings come with the head: had one of them counted, FIRST would be missing here.
    assert first >= HEAD + FIRST
    assert head >= HEAD
    assert whole >= first + (deltas - 1) * EACH
    # What is waited for after the first delta is in the gaps and in nothing else.
    assert gaps >= (deltas - 1) * EACH
    assert first + gaps <= whole + 1e-6 * deltas
    per_token = page.total("tallygate_llm_time_per_output_token_seconds_sum", model=MODEL)
    assert per_token == pytest.approx((whole - first) / (LIMIT - 1), abs=1e-6)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_overhead_leaves_out_what_was_waited_for(stream: bool) -> None:
    api = APIS[0]
    slow = Simulator(latency=HEAD, time_to_first_token=FIRST, time_per_token=EACH)
    async with slow as simulator, gateway(settings(simulator, MODEL)) as running:
        await ask(running.url + api.path(MODEL, stream), api.body(MODEL, stream))
        await running.settled()
        page = running.page()
    overhead = page.total("tallygate_gateway_overhead_seconds_sum")
    whole = page.total("tallygate_http_request_duration_seconds_sum")
    assert 0 < overhead <= whole - HEAD - FIRST
