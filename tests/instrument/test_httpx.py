"""instrument.httpx with real clients against the simulator: the page says what was served."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import brotli
import httpx
import httpx2
import openai
import pytest

from tallygate import instrument
from tallygate.instrument.support.once import inside
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.llm_requests import ASKS, CASES, CHAT, CHAT_STREAM, FAILING, FEW, Ask, address
from tests.instrument.llm_truth import new_model, page_of, served

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without certificates, as reading them takes long; the simulator speaks no TLS."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread(Settings(seed=7)) as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator, tally: Tally) -> Iterator[httpx.Client]:
    """Instrumented by itself."""
    with (
        httpx.Client(base_url=simulator.url, timeout=0.4, verify=PLAIN) as client,
        instrument.httpx(client, hosts={address(simulator): "local"}, tally=tally),
    ):
        yield client


@pytest.fixture
async def async_client(simulator: Simulator, tally: Tally) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=simulator.url, timeout=0.4, verify=PLAIN) as client:
        with instrument.httpx(client, hosts={address(simulator): "local"}, tally=tally):
            yield client


def bare(client: httpx.Client, ask: Ask, model: str) -> bytes:
    """What a client that is not instrumented gets."""
    with httpx.Client(base_url=client.base_url, timeout=5, verify=PLAIN) as other:
        return other.post(ask.path_for(model), content=ask.json_for(model)).content


@pytest.mark.parametrize(("ask", "behaviour"), CASES, ids=str)
def test_the_page_says_what_was_served(
    client: httpx.Client, tally: Tally, simulator: Simulator, ask: Ask, behaviour: str
) -> None:
    model = new_model(ask.family, behaviour)
    try:
        reply = client.post(ask.path_for(model), json=ask.body_for(model))
    except httpx.HTTPError:
        assert behaviour in FAILING
    else:
        assert reply.is_closed
    ask.expected(behaviour).check(tally, served(simulator, model))


@pytest.mark.parametrize(
    ("ask", "behaviour"), [*FEW[::2], *[(CHAT_STREAM, behaviour) for behaviour in FAILING]], ids=str
)
async def test_the_page_says_what_was_served_to_coroutines(
    async_client: httpx.AsyncClient, tally: Tally, simulator: Simulator, ask: Ask, behaviour: str
) -> None:
    model = new_model(ask.family, behaviour)
    try:
        async with async_client.stream("POST", ask.path_for(model), content=ask.json_for(model)) as reply:
            async for _ in reply.aiter_lines():
                pass
    except httpx.HTTPError:
        assert behaviour in FAILING
    ask.expected(behaviour).check(tally, served(simulator, model))


READS: dict[str, Callable[[httpx.Response], bytes]] = {
    "read": lambda reply: reply.read(),
    "bytes": lambda reply: b"".join(reply.iter_bytes(7)),
    "raw": lambda reply: b"".join(reply.iter_raw()),
    "text": lambda reply: "".join(reply.iter_text()).encode(),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("ask", ASKS[:2], ids=str)
def test_its_user_gets_the_very_bytes(
    client: httpx.Client, tally: Tally, simulator: Simulator, ask: Ask, read: str
) -> None:
    model = new_model(ask.family)
    expected = bare(client, ask, model)
    with client.stream("POST", ask.path_for(model), content=ask.json_for(model)) as reply:
        assert READS[read](reply) == expected
        assert reply.num_bytes_downloaded == len(expected)
    assert reply.elapsed.total_seconds() > 0
    ask.expected("").check(tally, served(simulator, model)[:1] and [served_once(simulator, model)])


def served_once(simulator: Simulator, model: str) -> dict[str, Any]:
    """Half of what was served of a model that two clients asked for."""
    (call,) = served(simulator, model)
    return {name: value // 2 if name in COUNTED else value for name, value in call.items()}


COUNTED = (
    "requests", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "reported_usage", "content_deltas",
)  # fmt: skip


# Given up


def test_a_stream_that_is_closed_early_was_cancelled(client: httpx.Client, tally: Tally) -> None:
    model = new_model("gpt", "stall:3")
    with client.stream("POST", "/v1/chat/completions", json=CHAT_STREAM.body_for(model)) as reply:
        next(line for line in reply.iter_lines() if re.search('"content": ?"[^"]', line))
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", outcome="cancelled", status_code="200") == 1
    assert page.total("tallygate_llm_calls_total") == 1
    assert page.total("tallygate_llm_time_to_first_token_seconds_count") == 1
    assert page.total("tallygate_upstream_attempts_total", status_code="200") == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0


def test_a_stream_that_is_left_after_its_last_event_was_not(
    client: httpx.Client, tally: Tally, simulator: Simulator
) -> None:
    model = new_model("gpt", "unbuffered")
    with client.stream("POST", "/v1/chat/completions", json=CHAT_STREAM.body_for(model)) as reply:
        for line in reply.iter_lines():
            if line == "data: [DONE]":
                break
    CHAT_STREAM.expected("").check(tally, served(simulator, model))


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_response_that_is_thrown_away_was_cancelled(client: httpx.Client, tally: Tally) -> None:
    model = new_model("gpt", "stall:3")
    request = client.build_request("POST", "/v1/chat/completions", json=CHAT_STREAM.body_for(model))
    reply = client.send(request, stream=True)
    assert page_of(tally).total("tallygate_llm_calls_in_flight") == 1
    del reply
    gc.collect()
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", outcome="cancelled") == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0


async def test_a_task_that_is_cancelled(tally: Tally) -> None:
    asked = asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with httpx.AsyncClient(transport=httpx.MockTransport(never)) as client:
        with instrument.httpx(client, tally=tally):
            task = asyncio.create_task(client.post("https://api.openai.com/v1/chat/completions", json=CHAT))
            await asked.wait()
            assert page_of(tally).total("tallygate_llm_calls_in_flight") == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", outcome="cancelled", status_code="499") == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0
    assert inside.get() is None


def test_an_error_whose_body_nobody_reads(client: httpx.Client, tally: Tally) -> None:
    model = new_model("gpt", "503")
    with (
        pytest.raises(httpx.HTTPStatusError),
        client.stream("POST", "/v1/chat/completions", json=CHAT_STREAM.body_for(model)) as reply,
    ):
        reply.raise_for_status()
    page = page_of(tally)
    assert page.total("tallygate_llm_errors_total", error_type="provider_overloaded") == 1
    assert page.total("tallygate_llm_calls_total", status_code="503", outcome="failed") == 1


# What is a call, and whose


def answer(request: httpx.Request) -> httpx.Response:
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    return httpx.Response(200, json={"choices": [{"message": {"content": "hi"}}], "usage": usage, "model": "m"})


def calls(tally: Tally) -> dict[tuple[str, str, str], float]:
    """How many calls by provider, model and endpoint."""
    found: dict[tuple[str, str, str], float] = {}
    for (name, labels), value in page_of(tally).samples.items():
        if name == "tallygate_llm_calls_total":
            of = dict(labels)
            key = of["provider"], of["model"], of["endpoint"]
            found[key] = found.get(key, 0) + value
    return found


@pytest.mark.parametrize(
    ("url", "body", "expected"),
    [
        ("https://api.openai.com/v1/chat/completions", {"model": "gpt-4o"}, ("openai", "gpt-4o", "/chat/completions")),
        ("https://API.anthropic.com/v1/messages", {"model": "c"}, ("anthropic", "c", "/messages")),
        (
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-pro:generateContent",
            {},
            ("gemini", "gemini-pro", "/models/{model}:generateContent"),
        ),
        ("https://openrouter.ai/api/v1/chat/completions", {"model": "a/b"}, ("openrouter", "a/b", "/chat/completions")),
        ("https://api.groq.com/openai/v1/responses", {"model": "l"}, ("groq", "l", "/responses")),
        (
            "https://mine.openai.azure.com/openai/deployments/four/chat/completions?api-version=1",
            {"messages": []},
            ("azure", "four", "/chat/completions"),
        ),
        ("http://here:8000/v1/embeddings", {"model": "e"}, ("vllm", "e", "/embeddings")),
        ("http://there/completions", {"model": "t"}, ("tgi", "t", "/completions")),
        ("https://api.openai.com/v1/chat/completions", {"model": 3}, ("openai", "other", "/chat/completions")),
        ("https://api.openai.com/v1/chat/completions", [], ("openai", "other", "/chat/completions")),
        ("http://here:8001/v1/embeddings", {"model": "e"}, None),
        ("https://api.openai.com/v1/threads/t/messages", {"model": "m"}, None),
        ("https://api.openai.com/v1/files", {"model": "m"}, None),
        ("https://example.com/v1/chat/completions", {"model": "m"}, None),
        ("https://api.openai.com.example.com/v1/chat/completions", {"model": "m"}, None),
    ],
)
def test_which_requests_are_calls(tally: Tally, url: str, body: Any, expected: tuple[str, str, str] | None) -> None:
    hosts = {"here:8000": "vllm", "There": "tgi"}
    with (
        httpx.Client(transport=httpx.MockTransport(answer)) as client,
        instrument.httpx(client, hosts=hosts, tally=tally),
    ):
        assert client.post(url, json=body).status_code == 200
        client.get(url)
    assert calls(tally) == ({expected: 1} if expected else {})
    assert page_of(tally).total("tallygate_dropped_observations_total") == 0


def test_a_body_that_is_made_while_it_is_sent(tally: Tally) -> None:
    """Nobody can look into it, so the model is not known; whether it is streamed, the reply tells."""

    def pieces() -> Iterator[bytes]:
        yield b'{"model": "gpt-4o"}'

    with httpx.Client(transport=httpx.MockTransport(answer)) as client, instrument.httpx(client, tally=tally):
        client.post("https://api.openai.com/v1/chat/completions", content=pieces())
    assert calls(tally) == {("openai", "other", "/chat/completions"): 1}
    assert page_of(tally).total("tallygate_llm_tokens_total", type="input") == 10


def test_what_the_meters_cannot_undo_is_undone_by_the_librarys_own_decoder(tally: Tally) -> None:
    whole = answer(httpx.Request("POST", "http://x")).content

    def packed(request: httpx.Request) -> httpx.Response:
        assert "br" in request.headers["accept-encoding"]
        return httpx.Response(200, content=iter([brotli.compress(whole)]), headers={"content-encoding": "br"})

    with httpx.Client(transport=httpx.MockTransport(packed)) as client, instrument.httpx(client, tally=tally):
        assert client.post("https://api.openai.com/v1/chat/completions", json=CHAT).json() == json.loads(whole)
    page = page_of(tally)
    assert page.total("tallygate_llm_tokens_total", type="input") == 10
    assert page.total("tallygate_llm_tokens_total", type="output") == 2


@pytest.mark.parametrize(
    "defect", ["tallygate.wire.meter.WireMeter.feed", "tallygate.wire.openai_chat.OpenAIChat.meter"]
)
def test_a_defect_of_the_meters_is_nothing_to_the_program(
    client: httpx.Client, tally: Tally, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, defect: str
) -> None:
    def broken(*given: object, **named: object) -> None:
        raise RuntimeError("a defect")

    model = new_model("gpt")
    expected = bare(client, CHAT_STREAM, model)
    monkeypatch.setattr(defect, broken)
    assert client.post("/v1/chat/completions", content=CHAT_STREAM.json_for(model)).content == expected
    page = page_of(tally)
    assert page.total("tallygate_dropped_observations_total", fact="LLMCall", reason="internal") == 1
    assert page.total("tallygate_llm_calls_total") == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0


def test_everywhere_and_taken_back(tally: Tally) -> None:
    url = "https://api.openai.com/v1/chat/completions"
    before = [vars(kind)["_send_single_request"] for kind in (httpx.Client, httpx.AsyncClient, httpx2.Client)]
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        with instrument.httpx(tally=tally), instrument.httpx(client, tally=tally):
            client.post(url, json={"model": "gpt-4o"})
            with httpx2.Client(
                transport=httpx2.MockTransport(lambda request: httpx2.Response(200, json={"choices": []}))
            ) as other:
                other.post(url, json={"model": "gpt-5"})
        client.post(url, json={"model": "gpt-4o"})
        assert "_send_single_request" not in vars(client)
    assert before == [vars(kind)["_send_single_request"] for kind in (httpx.Client, httpx.AsyncClient, httpx2.Client)]
    assert calls(tally) == {
        ("openai", "gpt-4o", "/chat/completions"): 1,
        ("openai", "gpt-5", "/chat/completions"): 1,
    }


def test_what_an_sdk_records_is_left_to_it(tally: Tally, simulator: Simulator) -> None:
    model = new_model("gpt")
    elsewhere = Tally(capacity_bytes=16 << 20)
    hosts = {address(simulator): "local"}
    with (
        openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="key", max_retries=0) as client,
        instrument.httpx(hosts=hosts, tally=elsewhere),
    ):
        with instrument.openai(client, tally=tally):
            list(client.chat.completions.create(model=model, stream=True, **CHAT))  # type: ignore[call-overload]  # plain JSON
        assert (calls(tally), calls(elsewhere)) == ({("openai", model, "/chat/completions"): 1}, {})
        client.chat.completions.create(model=model, **CHAT)  # type: ignore[call-overload]  # as above
    assert calls(elsewhere) == {("local", model, "/chat/completions"): 1}
    elsewhere.close()


@pytest.mark.parametrize("name", ["httpx", "aiohttp"])
def test_without_msgspec(name: str) -> None:
    code = f"import sys; sys.modules['msgspec'] = None; from tallygate import instrument; instrument.{name}()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: instrument.{name}() needs msgspec to read replies: "
        "pip install 'tallygate[instrument-http]'"
    )


def test_wrong_set_up() -> None:
    client: Any = object()
    with pytest.raises(instrument.NotInstrumentable, match="takes a Client or AsyncClient, not object"):
        instrument.httpx(client)
    with pytest.raises(
        ValueError, match=r"hosts: 'http://x/v1': 'a' is no host and its provider; say 'host:port': 'name'"
    ):
        instrument.httpx(hosts={"http://x/v1": "a"})
