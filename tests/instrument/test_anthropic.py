"""instrument.anthropic with the real SDK against the simulator: the page says what was served."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic

from tallygate import instrument
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.anthropic_ways import ASYNC_STREAMED, ASYNC_WHOLE, STREAMED, WHOLE
from tests.instrument.llm_truth import Expected, new_model, pages_by_model, served

FINE = (
    "", "no_usage", "crlf", "split_frames", "gzip", "cached", "reasoning", "tools", "empty", "pings", "unbuffered",
    "cached+reasoning+crlf", "content_filter_stop", "long:40kB",
)  # fmt: skip
FAILING = {
    "400": ("caller_invalid_request",) * 2,
    "401": ("provider_authentication",) * 2,
    "404": ("provider_model_unavailable",) * 2,
    "429": ("provider_rate_limit",) * 2,
    "500": ("provider_server_error",) * 2,
    "503": ("provider_overloaded",) * 2,
    "529": ("provider_overloaded",) * 2,
    "context_length": ("caller_context_length",) * 2,
    "content_filter": ("policy_content_filter",) * 2,
    "html_error": ("provider_server_error",) * 2,
    "reset": ("provider_network",) * 2,
    "reset_body": ("provider_stream_cut",) * 2,
    "cut_stream": ("provider_stream_cut",) * 2,
    "cut_chunks": ("provider_stream_cut",) * 2,
    "truncated_json": ("provider_invalid_response",) * 2,
    "error_event": ("provider_server_error", "provider_overloaded"),
    "stall": ("provider_timeout",) * 2,
    "slow_headers": ("provider_timeout",) * 2,
}
"""What ends a call badly, and why: of one that is not streamed, and of a stream."""
SLOW = {"stall", "slow_headers"}
HELPERS = ("final_message", "texts", "beta_events", "async_final_message", "async_texts", "async_beta_events")
"""Ways that put the message together, which fails in the SDK itself when there is no usage in it."""
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without certificates, as reading them takes long; the simulator speaks no TLS."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread(Settings(seed=7)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def shared(simulator: Simulator) -> Iterator[Anthropic]:
    with Anthropic(base_url=simulator.url, api_key="key", max_retries=0, timeout=30) as client:
        yield client


@pytest.fixture
async def shared_async(simulator: Simulator) -> AsyncIterator[AsyncAnthropic]:
    http = httpx2.AsyncClient(verify=PLAIN)
    async with AsyncAnthropic(
        base_url=simulator.url, api_key="key", max_retries=0, timeout=30, http_client=http
    ) as client:
        yield client


def behaviours_of(way: Callable[..., Any]) -> list[str]:
    """All of them; those that wait for a time limit for some ways only."""
    left_out = {"no_usage"} if way.__name__ in HELPERS else set()
    if way.__name__.removeprefix("async_") not in ("create", "events", "lines"):
        left_out |= SLOW
    return [each for each in (*FINE, *FAILING) if each not in left_out]


def patience(behaviour: str) -> httpx2.Timeout:
    """How long to wait for an answer."""
    return httpx2.Timeout(30, read=0.5 if behaviour in SLOW else 30)


def check(tally: Tally, simulator: Simulator, models: dict[str, str], streamed: bool) -> None:
    """Every call ended once, as its behaviour says, with what was served."""
    truth, pages = served(simulator, *models.values()), pages_by_model(tally)
    assert pages[""].total("tallygate_dropped_observations_total") == 0
    for behaviour, model in models.items():
        error_type = FAILING.get(behaviour, ("", ""))[streamed]
        outcome = "failed" if error_type else "completed"
        expected = Expected("anthropic", "chat", "/messages", streamed, outcome, error_type)
        expected.check_page(pages[model], [call for call in truth if call["model"] == model])


@pytest.mark.parametrize("way", [*WHOLE, *STREAMED], ids=lambda way: way.__name__)
def test_the_page_says_what_was_served(shared: Anthropic, simulator: Simulator, way: Callable[..., Any]) -> None:
    models = {behaviour: new_model("claude", behaviour) for behaviour in behaviours_of(way)}

    def ask(behaviour: str) -> None:
        try:
            way(shared.with_options(timeout=patience(behaviour)), models[behaviour])
        except Exception:
            assert behaviour in FAILING

    with closing(Tally(capacity_bytes=16 << 20, known_models=models.values())) as tally:
        with instrument.anthropic(shared, tally=tally), ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, models))
        check(tally, simulator, models, way in STREAMED)


@pytest.mark.parametrize("way", [*ASYNC_WHOLE, *ASYNC_STREAMED], ids=lambda way: way.__name__)
async def test_the_page_says_what_was_served_to_coroutines(
    shared_async: AsyncAnthropic, simulator: Simulator, way: Callable[..., Awaitable[Any]]
) -> None:
    models = {behaviour: new_model("claude", behaviour) for behaviour in behaviours_of(way)}

    async def ask(behaviour: str) -> None:
        try:
            await way(shared_async.with_options(timeout=patience(behaviour)), models[behaviour])
        except Exception:
            assert behaviour in FAILING

    with closing(Tally(capacity_bytes=16 << 20, known_models=models.values())) as tally:
        with instrument.anthropic(shared_async, tally=tally):
            await asyncio.gather(*(ask(behaviour) for behaviour in models))
        check(tally, simulator, models, way in ASYNC_STREAMED)
