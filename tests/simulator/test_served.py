"""The simulator's own pages, and HTTP itself."""

import asyncio
import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.simulator import BEHAVIOURS, Settings, Simulator, run_in_thread, serve
from tallygate.simulator.behaviours import NO_MARKS, marks_of
from tallygate.simulator.routes import route_of

from .raw import Raw, ask, exchange, only_call, request_bytes, request_of


async def page(provider: Simulator, target: str, method: str = "GET") -> tuple[int, Any]:
    """Status and document of one of the simulator's own pages."""
    raw = await exchange(provider, f"{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    return raw.status, json.loads(raw.body)


async def test_served_groups_and_totals(provider: Simulator) -> None:
    for _ in range(3):
        await ask(provider, "openai_chat", "a", limit=5)
    await ask(provider, "openai_chat", "a", stream=True, limit=5)
    await ask(provider, "anthropic_messages", "b+529")
    status, served = await page(provider, "/served")
    assert status == 200
    assert [(call["api"], call["model"], call["stream"], call["requests"]) for call in served["calls"]] == [
        ("anthropic_messages", "b+529", False, 1),
        ("openai_chat", "a", False, 3),
        ("openai_chat", "a", True, 1),
    ]
    assert served["totals"] == {
        "requests": 5,
        "input_tokens": 28,
        "output_tokens": 20,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "reported_usage": 4,
        "content_deltas": 5,
    }
    status, served = await page(provider, "/served", "DELETE")
    assert (status, served["calls"], served["totals"]["requests"]) == (200, [], 0)


async def test_served_settles_when_nothing_is_in_progress(provider: Simulator) -> None:
    call = asyncio.create_task(ask(provider, "openai_chat", "a+slow_headers:0.05"))
    await provider.until(lambda served: served.in_progress == 1)
    assert (await page(provider, "/served"))[1]["in_progress"] == 1
    settled = (await page(provider, "/served?settle=10"))[1]
    assert (settled["in_progress"], settled["totals"]["requests"]) == (0, 1)
    await call
    assert (await page(provider, "/served?settle=soon"))[0] == 400


async def test_last_request_shows_credentials_and_body(provider: Simulator) -> None:
    target, body = request_of("openai_chat", "a")
    await exchange(provider, request_bytes(target, body, "Authorization: Bearer sk-1", "connection: close"))
    status, last = await page(provider, "/requests/last?api=openai_chat")
    assert (status, last["method"], last["path"]) == (200, "POST", "/v1/chat/completions")
    assert last["headers"]["authorization"] == "Bearer sk-1"
    assert json.loads(last["body"]) == body
    assert (await page(provider, "/requests/last?api=anthropic_messages"))[0] == 404


async def test_last_reply_is_byte_for_byte_what_was_sent(provider: Simulator) -> None:
    for model in ("a", "a+gzip", "a+slow_stream:0.001", "a+crlf+unbuffered"):
        for stream in (False, True):
            raw = await ask(provider, "openai_chat", model, stream=stream)
            status, last = await page(provider, f"/replies/last?api=openai_chat&model={model.replace('+', '%2B')}")
            assert (status, last["status"], last["complete"]) == (200, 200, True)
            assert base64.b64decode(last["body_base64"]) == raw.body
    await ask(provider, "openai_chat", "a+cut_chunks", stream=True)
    assert (await page(provider, "/replies/last?model=a%2Bcut_chunks"))[1]["complete"] is False
    await ask(provider, "openai_chat", "a+long:2MB", stream=True)
    assert (await page(provider, "/replies/last?model=a%2Blong:2MB"))[1]["dropped"] is True
    assert (await page(provider, "/replies/last?model=none"))[0] == 404


async def test_health_and_wrong_paths(provider: Simulator) -> None:
    assert await page(provider, "/health") == (200, {"status": "ok"})
    assert (await page(provider, "/nothing"))[0] == 404
    assert (await page(provider, "/v1/chat/completions"))[0] == 404
    assert (await page(provider, "/v1/chat/completions", "PUT"))[0] == 405
    assert provider.served()["calls"] == []


async def test_requests_that_cannot_be_read_are_refused_in_the_apis_form(provider: Simulator) -> None:
    raw = await exchange(provider, request_bytes("/v1/messages", {"model": "a", "messages": [{}]}, "connection: close"))
    assert raw.status == 400
    assert json.loads(raw.body)["error"] == {"type": "invalid_request_error", "message": "max_tokens: Field required"}
    broken = b"POST /v1/chat/completions HTTP/1.1\r\nconnection: close\r\ncontent-length: 3\r\n\r\n{]}"
    assert (await exchange(provider, broken)).status == 400
    assert (await exchange(provider, b"nonsense\r\n\r\n")).status == 400


async def test_requests_on_one_connection_are_answered_in_order(provider: Simulator) -> None:
    requests = []
    for number, model in enumerate(("slow+slow_headers:0.05", "a", "b+unbuffered")):
        target, body = request_of("openai_chat", model, stream=number == 2)
        requests.append(request_bytes(target, body, *(["connection: close"] if number == 2 else [])))
    raw = await exchange(provider, b"".join(requests))
    assert raw.data.count(b"HTTP/1.1 200 OK\r\n") == 3
    places = [raw.data.index(b'"model":"%s"' % model) for model in (b"slow+slow_headers:0.05", b"a", b"b+unbuffered")]
    assert places == sorted(places)


async def test_http_1_0_gets_a_body_that_ends_with_the_connection(provider: Simulator) -> None:
    target, body = request_of("openai_chat", "a", stream=True)
    raw = await exchange(provider, request_bytes(target, body, version="1.0"))
    assert "transfer-encoding" not in raw.headers
    assert raw.after_head.endswith(b"data: [DONE]\n\n")


async def test_expect_100_continue(provider: Simulator) -> None:
    target, body = request_of("openai_chat", "a")
    raw = await exchange(provider, request_bytes(target, body, "Expect: 100-continue", "connection: close"))
    assert raw.data.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_same_seed_same_bytes() -> None:
    async def bodies(seed: int) -> list[bytes]:
        async with Simulator(seed=seed) as provider:
            return [
                (await ask(provider, api, model, stream=stream)).body
                for api in ("openai_chat", "anthropic_messages", "gemini_generate")
                for model in ("a", "a+reasoning+tools")
                for stream in (False, True)
            ]

    assert await bodies(1) == await bodies(1)
    assert all(one != two for one, two in zip(await bodies(1), await bodies(2), strict=True))


async def test_concurrent_answers_are_those_of_one_after_the_other(provider: Simulator) -> None:
    def call(number: int) -> Any:
        return ask(provider, "openai_chat", "a+unbuffered", stream=True, extra={"user": str(number)})

    together: list[Raw] = await asyncio.gather(*map(call, range(20)))
    alone = [await call(number) for number in range(20)]
    assert [raw.body for raw in together] == [raw.body for raw in alone]
    assert len({raw.body for raw in alone}) == 20
    assert provider.served()["totals"]["requests"] == 40


async def test_first_misbehaves_for_so_many_requests(provider: Simulator) -> None:
    statuses = [(await ask(provider, "openai_chat", "a+503+first:2")).status for _ in range(4)]
    assert statuses == [503, 503, 200, 200]
    provider.reset()
    assert (await ask(provider, "openai_chat", "a+503+first:2")).status == 503


async def test_paths_with_and_without_prefix(provider: Simulator) -> None:
    paths = ("/chat/completions", "/v1/chat/completions", "/openai/v1/chat/completions", "/openai/chat/completions")
    for path in paths:
        assert (await ask(provider, "openai_chat", "a", path=path)).status == 200
    path = "/openai/deployments/dep%2B404/chat/completions?api-version=2024-10-21"
    assert (await ask(provider, "openai_chat", "a", path=path)).status == 404
    assert [call["model"] for call in provider.served()["calls"]] == ["a", "dep+404"]


def test_run_in_thread_and_a_port_that_is_taken() -> None:
    with run_in_thread() as provider:
        assert provider.url == f"http://127.0.0.1:{provider.port}"
        second = run_in_thread(Settings(port=provider.port))
        with pytest.raises(OSError, match="in use"):
            second.__enter__()


async def test_serve_until_cancelled() -> None:
    ready: asyncio.Future[Simulator] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(Settings(), ready.set_result))
    provider = await ready
    assert await page(provider, "/health") == (200, {"status": "ok"})
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert only_call_count(provider) == 0


def only_call_count(provider: Simulator) -> int:
    """How many groups of calls were served."""
    return len(provider.served()["calls"])


def test_model_names() -> None:
    assert marks_of("gpt-4o") is NO_MARKS
    assert marks_of("gpt-4o+unknown") is NO_MARKS
    assert marks_of("gpt-4o+429:soon") is NO_MARKS
    assert marks_of("sim-turbo") is NO_MARKS
    assert marks_of("gpt-4o+cached+crlf").names == ("cached", "crlf")
    assert marks_of("openai/sim-stall:3+gzip").label == "stall:3+gzip"
    assert marks_of("sim-error-event").names == ("error_event",)
    assert marks_of("m+long:200MB").number("long", 0) == 200_000_000
    assert all(marks_of(f"m+{name}").names == (name,) for name in BEHAVIOURS)


@given(st.text())
def test_any_text_is_a_model_name_and_a_path(text: str) -> None:
    assert set(marks_of(text).names) <= set(BEHAVIOURS)
    route = route_of(text)
    assert route is None or route.api.name


async def test_behaviours_may_stand_in_the_query(provider: Simulator) -> None:
    raw = await ask(provider, "openai_chat", "a+cached", path="/v1/chat/completions?simulate=429:3,gzip")
    assert (raw.status, raw.headers["retry-after"], raw.headers["content-encoding"]) == (429, "3", "gzip")
    assert (only_call(provider)["model"], only_call(provider)["behaviour"]) == ("a+cached", "cached+429:3+gzip")


async def test_any_model_name_is_served(provider: Simulator) -> None:
    for model in ("ü/模型 🙂", "a b", "+", "m++", 'x"y\\z\n', "m:429"):
        assert (await ask(provider, "openai_chat", model)).status == 200
        assert only_call(provider)["model"] == model
        provider.reset()
