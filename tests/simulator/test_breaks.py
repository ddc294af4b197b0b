"""Replies that break: what arrives at the socket, and what is counted."""

import asyncio
import json

import pytest

from tallygate.simulator import Simulator

from .raw import GENERATING, ask, exchange, only_call, request_bytes, request_of

BOTH = pytest.mark.parametrize("stream", [False, True])
EVERY = pytest.mark.parametrize("api", GENERATING)


@EVERY
@BOTH
async def test_reset_comes_before_the_head(provider: Simulator, api: str, stream: bool) -> None:
    raw = await ask(provider, api, "m+reset", stream=stream)
    assert (raw.data, raw.reset) == (b"", True)
    call = only_call(provider)
    assert (call["outcome"], call["status"], call["reported_usage"]) == ("cut", 0, 0)


@EVERY
async def test_reset_body_in_a_stream(provider: Simulator, api: str) -> None:
    raw = await ask(provider, api, "m+reset_body:3", stream=True)
    assert raw.reset
    assert raw.status == 200
    with pytest.raises(ValueError, match=r"framing cut|invalid literal"):
        _ = raw.chunks
    call = only_call(provider)
    assert (call["outcome"], call["status"], call["content_deltas"]) == ("cut", 200, 3)


@EVERY
@pytest.mark.parametrize(("behaviour", "reset"), [("reset_body", True), ("cut_stream", False), ("cut_chunks", False)])
async def test_a_document_is_cut_in_the_middle(provider: Simulator, api: str, behaviour: str, reset: bool) -> None:
    raw = await ask(provider, api, f"m+{behaviour}")
    assert raw.reset == reset
    assert len(raw.after_head) == int(raw.headers["content-length"]) // 2
    call = only_call(provider)
    assert (call["outcome"], call["status"], call["reported_usage"]) == ("cut", 200, 0)


@EVERY
async def test_cut_stream_ends_in_http_but_has_no_closing_event(provider: Simulator, api: str) -> None:
    whole = (await ask(provider, api, "m", stream=True)).chunks
    provider.reset()
    cut = (await ask(provider, api, "m+cut_stream", stream=True)).chunks
    assert 1 < len(cut) < len(whole)
    call = only_call(provider)
    assert (call["outcome"], call["content_deltas"]) == ("cut", 4)


@EVERY
async def test_cut_chunks_closes_within_a_chunk(provider: Simulator, api: str) -> None:
    raw = await ask(provider, api, "m+cut_chunks", stream=True)
    assert not raw.reset
    with pytest.raises(ValueError, match="framing cut"):
        _ = raw.chunks
    assert (only_call(provider)["outcome"], only_call(provider)["content_deltas"]) == ("cut", 4)


@EVERY
@BOTH
async def test_truncated_json_is_whole_http(provider: Simulator, api: str, stream: bool) -> None:
    raw = await ask(provider, api, "m+truncated_json:2", stream=stream)
    document = raw.chunks[-1].partition(b"data: ")[2] if stream else raw.body
    with pytest.raises(json.JSONDecodeError):
        json.loads(document)
    call = only_call(provider)
    assert (call["outcome"], call["status"], call["content_deltas"]) == ("cut", 200, 2 if stream else 0)


async def test_usage_told_at_the_start_counts_though_the_stream_is_cut(provider: Simulator) -> None:
    await ask(provider, "anthropic_messages", "m+cached+cut_stream", stream=True)
    call = only_call(provider)
    assert (call["input_tokens"], call["cache_read_tokens"], call["cache_write_tokens"]) == (7, 3, 1)
    assert (call["output_tokens"], call["reported_usage"]) == (1, 1)


async def test_gemini_tells_usage_on_each_chunk(provider: Simulator) -> None:
    await ask(provider, "gemini_generate", "m+reset_body:3", stream=True)
    call = only_call(provider)
    assert (call["input_tokens"], call["output_tokens"], call["reported_usage"]) == (7, 3, 1)


@EVERY
@BOTH
async def test_stall_stays_open_until_the_client_leaves(provider: Simulator, api: str, stream: bool) -> None:
    target, body = request_of(api, "m+stall:2", stream=stream)
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.write(request_bytes(target, body))
    await reader.readuntil(b"\r\n\r\n")
    assert provider.served()["in_progress"] == 1
    with pytest.raises(TimeoutError):
        await provider.until(lambda served: served.in_progress == 0, 0.02)
    writer.transport.abort()
    await provider.until(lambda served: served.count(outcome="client_gone") == 1)
    call = only_call(provider)
    assert (call["status"], call["content_deltas"]) == (200, 2 if stream else 0)
    assert provider.served()["in_progress"] == 0


async def test_a_client_that_leaves_a_slow_stream_is_noticed(provider: Simulator) -> None:
    raw = await ask(provider, "openai_chat", "m+slow_stream:30", stream=True, until=b'"role":"assistant"')
    assert not raw.ended
    await provider.until(lambda served: served.count(outcome="client_gone", status=200) == 1)
    assert only_call(provider)["content_deltas"] == 0


async def test_a_client_that_leaves_before_the_head_is_noticed(provider: Simulator) -> None:
    target, body = request_of("openai_chat", "m+slow_headers:30")
    _, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.write(request_bytes(target, body))
    await provider.until(lambda served: served.in_progress == 1)
    writer.close()
    await provider.until(lambda served: served.in_progress == 0)
    assert (only_call(provider)["outcome"], only_call(provider)["status"]) == ("client_gone", 0)


async def test_closing_the_simulator_cuts_what_is_in_progress() -> None:
    provider = Simulator()
    await provider.start()
    target, body = request_of("openai_chat", "m+stall", stream=True)
    task = asyncio.create_task(exchange(provider, request_bytes(target, body)))
    await provider.until(lambda served: served.in_progress == 1)
    await provider.close()
    await task
    assert (only_call(provider)["outcome"], provider.connections) == ("cut", 0)


@EVERY
async def test_error_events_end_the_stream_in_order(provider: Simulator, api: str) -> None:
    chunks = (await ask(provider, api, "m+error_event", stream=True)).chunks
    data = [json.loads(part) for chunk in chunks for part in [chunk.partition(b"data: ")[2]] if part.strip()]
    errors = [document for document in data if "error" in document or document.get("type") == "error"]
    assert len(errors) == 1
    assert b"[DONE]" not in chunks[-1]
    call = only_call(provider)
    assert (call["outcome"], call["status"], call["content_deltas"]) == ("failed", 200, 4)


@EVERY
async def test_error_event_without_a_stream_is_a_500(provider: Simulator, api: str) -> None:
    raw = await ask(provider, api, "m+error_event")
    assert raw.status == 500
    assert only_call(provider)["status"] == 500


@EVERY
async def test_a_break_without_content_comes_before_the_last_event(provider: Simulator, api: str) -> None:
    whole = (await ask(provider, api, "m+empty", stream=True)).chunks
    provider.reset()
    cut = (await ask(provider, api, "m+empty+cut_stream", stream=True)).chunks
    assert len(cut) == len(whole) - 1
    assert only_call(provider)["outcome"] == "cut"
