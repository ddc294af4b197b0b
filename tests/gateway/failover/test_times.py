"""Times of calls that took several attempts: the call's is the whole, the overhead leaves every wait out."""

import pytest

from tests.gateway.failover.pools import place, pool, served_by

FIRST, SECOND = 0.2, 0.1
"""Seconds that two providers take to answer."""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_overhead_is_what_is_left_of_all_waits(stream: bool) -> None:
    simulated = {"a": {"latency": FIRST}, "b": {"latency": SECOND}}
    models = {"m": served_by(place("a", "x+500"), place("b", "y"))}
    async with pool(models, simulated=simulated) as pools:
        assert (await pools.ask("m", stream=stream)).status == 200
        page = await pools.check_attempts()
    overhead = page.total("tallygate_gateway_overhead_seconds_sum", provider="b")
    request = page.total("tallygate_http_request_duration_seconds_sum")
    assert 0 < overhead <= request - FIRST - SECOND
    call = page.total("tallygate_llm_call_duration_seconds_sum", provider="b", model="y")
    assert FIRST + SECOND <= call <= request
    assert page.total("tallygate_llm_call_duration_seconds_count") == 1
    attempt = "tallygate_upstream_attempt_duration_seconds"
    first, second = (page.total(f"{attempt}_sum", provider=provider) for provider in "ab")
    assert first >= FIRST
    assert second >= SECOND
    assert first + second <= call
    heads = "tallygate_upstream_time_to_headers_seconds"
    assert FIRST <= page.total(f"{heads}_sum", provider="a") <= first
    assert SECOND <= page.total(f"{heads}_sum", provider="b") <= second
    if stream:
        token = page.total("tallygate_llm_time_to_first_token_seconds_sum", provider="b")
        assert FIRST + SECOND <= token <= call


async def test_pauses_are_no_overhead() -> None:
    from asyncio import sleep

    async with pool({"m": served_by(place("a", "x+500+first:1"))}, retries=1, backoff_seconds=0.2) as pools:
        pools.policy.sleep = sleep
        assert (await pools.ask("m")).status == 200
        page = await pools.check_attempts()
    overhead = page.total("tallygate_gateway_overhead_seconds_sum", provider="a")
    request = page.total("tallygate_http_request_duration_seconds_sum")
    assert request >= 0.2
    assert 0 < overhead <= request - 0.2
    assert page.total("tallygate_llm_call_duration_seconds_sum", provider="a") >= 0.2
    assert page.total("tallygate_upstream_retry_pause_seconds_sum", provider="a") >= 0.2
    attempts = page.total("tallygate_upstream_attempt_duration_seconds_sum", provider="a")
    assert attempts <= request - 0.2


async def test_an_answer_that_was_kept_is_waited_for_once() -> None:
    """The wait for the second counts once, though the first answer is passed on after it."""
    simulated = {"a": {"latency": FIRST}, "b": {"latency": SECOND}}
    models = {"m": served_by(place("a", "x+500"), place("b", "y+reset"))}
    async with pool(models, simulated=simulated) as pools:
        assert (await pools.ask("m")).status == 500
        page = await pools.check_attempts()
    overhead = page.total("tallygate_gateway_overhead_seconds_sum", provider="a")
    request = page.total("tallygate_http_request_duration_seconds_sum")
    assert 0 < overhead <= request - FIRST - SECOND


async def test_phases_begin_with_the_first_attempt() -> None:
    simulated = {"a": {"latency": FIRST}, "b": {"latency": SECOND}}
    models = {"m": served_by(place("a", "x+500"), place("b", "y"))}
    async with pool(models, simulated=simulated) as pools:
        await pools.ask("m")
        page = await pools.check_attempts()
    phase = "tallygate_gateway_phase_duration_seconds_sum"
    assert page.total(phase, phase="provider_dispatch") >= FIRST + SECOND
    assert page.total(phase, phase="prepare") < FIRST
