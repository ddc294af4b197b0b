"""instrument.google_genai with the real SDK against the simulator: the page says what was served."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx2
import pytest
from google.genai import Client, types

from tallygate import instrument
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.google_genai_ways import (
    ASYNC_STREAMED,
    ASYNC_WHOLE,
    STREAMED,
    WHOLE,
    async_embed,
    embed,
)
from tests.instrument.llm_truth import Expected, new_model, pages_by_model, served

FINE = (
    "", "no_usage", "crlf", "split_frames", "gzip", "cached", "reasoning", "tools", "empty", "unbuffered",
    "cached+reasoning+crlf", "content_filter_stop", "long:40kB",
)  # fmt: skip
FAILING = {
    "400": ("caller_invalid_request",) * 2,
    "401": ("provider_authentication",) * 2,
    "403": ("provider_authentication",) * 2,
    "404": ("provider_model_unavailable",) * 2,
    "429": ("provider_rate_limit",) * 2,
    "500": ("provider_server_error",) * 2,
    "503": ("provider_overloaded",) * 2,
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
ONCE = types.HttpRetryOptions(attempts=1)
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without certificates, as reading them takes long; the simulator speaks no TLS."""
ENDPOINTS = ("/models/{model}:generateContent", "/models/{model}:streamGenerateContent")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread(Settings(seed=7)) as simulator:
        yield simulator


def client_of(simulator: Simulator, seconds: float = 30, **options: Any) -> Client:
    given = {"client_args": {"verify": PLAIN}, "async_client_args": {"ssl": PLAIN}, "retry_options": ONCE, **options}
    http_options = types.HttpOptions(base_url=simulator.url, timeout=int(1000 * seconds), **given)
    return Client(api_key="key", http_options=http_options)


def behaviours_of(way: Callable[..., Any], first: Callable[..., Any]) -> list[str]:
    """All of them; those that wait for a time limit for some ways only."""
    return [each for each in (*FINE, *FAILING) if each not in SLOW or way is first]


def check(tally: Tally, simulator: Simulator, models: dict[str, str], streamed: bool) -> None:
    """Every call ended once, as its behaviour says, with what was served."""
    truth, pages = served(simulator, *models.values()), pages_by_model(tally)
    assert pages[""].total("tallygate_dropped_observations_total") == 0
    for behaviour, model in models.items():
        error_type = FAILING.get(behaviour, ("", ""))[streamed]
        outcome = "failed" if error_type else "completed"
        expected = Expected("gemini", "generate_content", ENDPOINTS[streamed], streamed, outcome, error_type)
        expected.check_page(pages[model], [call for call in truth if call["model"] == model])


@pytest.mark.parametrize("way", [*WHOLE, *STREAMED], ids=lambda way: way.__name__)
def test_the_page_says_what_was_served(simulator: Simulator, way: Callable[..., Any]) -> None:
    models = {b: new_model("gemini", b) for b in behaviours_of(way, STREAMED[0] if way in STREAMED else WHOLE[0])}

    def ask(behaviour: str) -> None:
        try:
            way(hasty if behaviour in SLOW else client, models[behaviour])
        except Exception:
            assert behaviour in FAILING

    with (
        closing(Tally(capacity_bytes=16 << 20, known_models=models.values())) as tally,
        client_of(simulator) as client,
        client_of(simulator, seconds=0.5) as hasty,
    ):
        with instrument.google_genai(tally=tally), ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, models))
        check(tally, simulator, models, way in STREAMED)


@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
@pytest.mark.parametrize("way", [*ASYNC_WHOLE, *ASYNC_STREAMED], ids=lambda way: way.__name__)
async def test_the_page_says_what_was_served_to_coroutines(
    simulator: Simulator, way: Callable[..., Awaitable[Any]], transport: str
) -> None:
    first = ASYNC_STREAMED[0] if way in ASYNC_STREAMED else ASYNC_WHOLE[0]
    models = {behaviour: new_model("gemini", behaviour) for behaviour in behaviours_of(way, first)}

    http = httpx2.AsyncClient(verify=PLAIN)
    given: Any = {"httpx_async_client": http} if transport == "httpx" else {}

    async def ask(behaviour: str) -> None:
        try:
            await way(hasty if behaviour in SLOW else patient, models[behaviour])
        except Exception:
            assert behaviour in FAILING

    patient, hasty = client_of(simulator, **given), client_of(simulator, 0.5, **given)
    with closing(Tally(capacity_bytes=16 << 20, known_models=models.values())) as tally, patient, hasty:
        async with http, patient.aio, hasty.aio:
            with instrument.google_genai(tally=tally):
                await asyncio.gather(*(ask(behaviour) for behaviour in models))
        check(tally, simulator, models, way in ASYNC_STREAMED)


async def test_embeddings(simulator: Simulator, tally: Tally) -> None:
    models = [new_model("embedding"), new_model("embedding")]
    with client_of(simulator) as client, instrument.google_genai(client, tally=tally):
        assert len(embed(client, models[0]).embeddings) == 2
        async with client.aio:
            assert len((await async_embed(client, models[1])).embeddings) == 2
    expected = Expected("gemini", "embeddings", "/models/{model}:batchEmbedContents", False, calls=2)
    truth = served(simulator, *models)
    assert {call["reported_usage"] for call in truth} == {0}
    expected.check(tally, truth)
