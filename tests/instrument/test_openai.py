"""instrument.openai with the real SDK against the simulator: the page says what was served."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator, Sequence, Set

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI

from tallygate import instrument
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.llm_truth import Expected, new_model, served
from tests.instrument.openai_ways import ASYNC_WAYS, WAYS, Way

FINE = ("", "no_usage", "cached", "reasoning", "tools", "empty")
FRAMED = ("crlf", "split_frames", "gzip", "pings", "unbuffered", "long:40kB", "cached+reasoning+crlf", "no_usage")
"""What only those see who read bytes."""
FAILING = {
    "400": ("caller_invalid_request",) * 2,
    "401": ("provider_authentication",) * 2,
    "403": ("provider_authentication",) * 2,
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
    "error_event": ("provider_server_error",) * 2,
    "stall": ("provider_timeout",) * 2,
    "slow_headers": ("provider_timeout",) * 2,
}
"""What ends a call badly, and why: of one that is not streamed, and of a stream."""
SLOW = {"stall", "slow_headers"}
"""What takes as long as the client waits."""
FEW = ("", "cached+reasoning", "429", "cut_stream")
"""For ways that differ from others only in what the SDK makes of a reply."""
MAIN = {"chat", "chat_stream", "responses_stream"}
ASYNC_MAIN = {"chat_stream"}
BYTES = {"chat_bytes", "chat_lines", "responses_texts", "responses_lines"}


def behaviours(way: Way, main: Set[str]) -> Sequence[str]:
    if way.name in main:
        return (*FINE, *FAILING)
    return (*FEW, *FRAMED, "truncated_json", "error_event") if way.name in BYTES else FEW


def cases(ways: Sequence[Way], main: Set[str]) -> pytest.MarkDecorator:
    found = [(way, behaviour) for way in ways for behaviour in behaviours(way, main)]
    ids = [f"{way.name}-{behaviour or 'normal'}" for way, behaviour in found]
    return pytest.mark.parametrize(("way", "behaviour"), found, ids=ids)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread(Settings(seed=7)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def shared(simulator: Simulator) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{simulator.url}/v1", api_key="key", max_retries=0) as client:
        yield client


@pytest.fixture
def client(shared: OpenAI, tally: Tally) -> Iterator[OpenAI]:
    """Instrumented by itself."""
    with instrument.openai(shared, tally=tally):
        yield shared


PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without certificates, as reading them takes long; the simulator speaks no TLS."""


@pytest.fixture
async def async_client(simulator: Simulator, tally: Tally) -> AsyncIterator[AsyncOpenAI]:
    http, url = httpx2.AsyncClient(verify=PLAIN), f"{simulator.url}/v1"
    async with AsyncOpenAI(base_url=url, api_key="key", max_retries=0, http_client=http) as client:
        with instrument.openai(client, tally=tally):
            yield client


def expected(way: Way, behaviour: str) -> Expected:
    error_type = FAILING.get(behaviour, ("", ""))[way.stream]
    outcome = "failed" if error_type else "completed"
    return Expected("openai", way.operation, way.endpoint, way.stream, outcome, error_type)


@cases(WAYS, MAIN)
def test_the_page_says_what_was_served(
    client: OpenAI, tally: Tally, simulator: Simulator, way: Way, behaviour: str
) -> None:
    model = new_model("gpt", behaviour)
    try:
        way.ask(client.with_options(timeout=0.1) if behaviour in SLOW else client, model)
    except Exception:
        assert behaviour in FAILING
    expected(way, behaviour).check(tally, served(simulator, model))


@cases(ASYNC_WAYS, ASYNC_MAIN)
async def test_the_page_says_what_was_served_to_coroutines(
    async_client: AsyncOpenAI, tally: Tally, simulator: Simulator, way: Way, behaviour: str
) -> None:
    model = new_model("gpt", behaviour)
    try:
        await way.ask(async_client.with_options(timeout=0.1) if behaviour in SLOW else async_client, model)
    except Exception:
        assert behaviour in FAILING
    expected(way, behaviour).check(tally, served(simulator, model))
