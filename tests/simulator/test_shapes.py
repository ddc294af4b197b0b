"""Unusual but valid replies, as they arrive at the socket."""

import gzip
import json
import zlib

import pytest

from tallygate.simulator import Simulator

from .raw import GENERATING, ask, exchange, only_call, request_bytes, request_of

EVERY = pytest.mark.parametrize("api", GENERATING)


@EVERY
async def test_crlf_differs_in_the_line_ends_only(provider: Simulator, api: str) -> None:
    usual = (await ask(provider, api, "m+pings", stream=True)).body
    crlf = (await ask(provider, api, "m+crlf+pings", stream=True)).body
    assert crlf.count(b"\r\n") == crlf.count(b"\n") == usual.count(b"\n")
    assert crlf.endswith(b"\r\n\r\n")


@EVERY
async def test_gemini_alone_has_crlf_by_itself(provider: Simulator, api: str) -> None:
    body = (await ask(provider, api, "m", stream=True)).body
    assert (b"\r\n\r\n" in body) == (api == "gemini_generate")


@EVERY
async def test_split_frames_arrive_byte_by_byte(provider: Simulator, api: str) -> None:
    raw = await ask(provider, api, "m+split_frames", stream=True, limit=3)
    assert max(map(len, raw.reads)) < 40
    assert len(raw.reads) > len(raw.data) / 4
    assert raw.chunks
    assert only_call(provider)["content_deltas"] == 3


@EVERY
async def test_byte_chunks_have_one_byte_each(provider: Simulator, api: str) -> None:
    raw = await ask(provider, api, "m+byte_chunks", stream=True, limit=3)
    assert {len(chunk) for chunk in raw.chunks} == {1}
    assert only_call(provider)["content_deltas"] == 3


@EVERY
async def test_a_gzip_stream_is_flushed_after_each_event(provider: Simulator, api: str) -> None:
    raw = await ask(provider, api, "m+gzip", stream=True)
    assert raw.headers["content-encoding"] == "gzip"
    inflate = zlib.decompressobj(31)
    pieces = [inflate.decompress(chunk) for chunk in raw.chunks]
    assert inflate.eof
    assert all(piece.endswith(b"\n") for piece in pieces if piece)
    assert sum(piece.count(b"data: ") for piece in pieces) == len([piece for piece in pieces if piece])


@EVERY
async def test_a_gzip_document(provider: Simulator, api: str) -> None:
    raw = await ask(provider, api, "m+gzip")
    assert raw.headers["content-encoding"] == "gzip"
    assert isinstance(json.loads(gzip.decompress(raw.body)), dict)
    assert only_call(provider)["output_tokens"] == 8


@EVERY
@pytest.mark.parametrize("stream", [False, True])
async def test_no_usage(provider: Simulator, api: str, stream: bool) -> None:
    body = (await ask(provider, api, "m+no_usage", stream=stream)).body
    assert b"usage" not in body.replace(b'"usage":null', b"").replace(b"m+no_usage", b"").lower()
    call = only_call(provider)
    assert (call["outcome"], call["reported_usage"], call["input_tokens"]) == ("completed", 0, 0)


@EVERY
async def test_huge_chunks(provider: Simulator, api: str) -> None:
    raw = await ask(provider, api, "m+huge_chunks", stream=True)
    sizes = sorted(round(len(chunk) / 1_000_000) for chunk in raw.chunks)
    deltas = sizes if api != "openai_responses" else sizes[:-4]
    assert deltas[-4:] == [1, 1, 1, 5]
    assert only_call(provider)["content_deltas"] == 4


@EVERY
async def test_empty(provider: Simulator, api: str) -> None:
    await ask(provider, api, "m+empty", stream=True)
    await ask(provider, api, "m+empty")
    document, stream = provider.served()["calls"]
    assert (document["output_tokens"], document["reported_usage"]) == (0, 1)
    assert (stream["output_tokens"], stream["reported_usage"], stream["content_deltas"]) == (0, 1, 0)


@EVERY
async def test_pings_are_no_content(provider: Simulator, api: str) -> None:
    usual = (await ask(provider, api, "m", stream=True)).chunks
    pings = (await ask(provider, api, "m+pings", stream=True)).chunks
    assert len(pings) == len(usual) + 8
    assert provider.served()["totals"]["content_deltas"] == 16


@EVERY
async def test_a_filter_may_end_the_answer(provider: Simulator, api: str) -> None:
    words = {
        "openai_chat": b'"finish_reason":"content_filter"',
        "openai_completions": b'"finish_reason":"content_filter"',
        "openai_responses": b'"type":"response.incomplete"',
        "anthropic_messages": b'"stop_reason":"refusal"',
        "gemini_generate": b'"finishReason":"SAFETY"',
    }
    assert words[api] in (await ask(provider, api, "m+content_filter_stop", stream=True)).body


@EVERY
@pytest.mark.parametrize("stream", [False, True])
async def test_html_error(provider: Simulator, api: str, stream: bool) -> None:
    raw = await ask(provider, api, "m+html_error", stream=stream)
    assert (raw.status, raw.headers["content-type"]) == (502, "text/html")
    assert raw.body.startswith(b"<html>")


@EVERY
@pytest.mark.parametrize("stream", [False, True])
async def test_long_is_as_long_as_told(provider: Simulator, api: str, stream: bool) -> None:
    raw = await ask(provider, api, "m+long:3MB", stream=stream)
    assert len(raw.body) > 3_000_000
    call = only_call(provider)
    assert (call["outcome"], call["output_tokens"]) == ("completed", 750_000)
    if not stream:
        assert b"lorem ipsum" in raw.body
        json.loads(raw.body)


async def test_long_in_tokens(provider: Simulator) -> None:
    await ask(provider, "openai_chat", "m+long:6000", stream=True)
    assert (only_call(provider)["output_tokens"], only_call(provider)["content_deltas"]) == (6000, 6000)


async def test_long_waits_for_a_client_that_does_not_read(provider: Simulator) -> None:
    target, body = request_of("openai_chat", "m+long:2GB", stream=True)
    raw = await exchange(provider, request_bytes(target, body), size=1000, until=b"lorem")
    assert not raw.ended
    await provider.until(lambda served: served.count(outcome="client_gone") == 1)
    assert only_call(provider)["content_deltas"] < 2000


async def test_geminis_stream_is_an_array_without_alt_sse(provider: Simulator) -> None:
    path = "/v1beta/models/m:streamGenerateContent"
    raw = await ask(provider, "gemini_generate", "m", stream=True, path=path)
    assert raw.headers["content-type"] == "application/json; charset=UTF-8"
    elements = json.loads(raw.body)
    assert len(elements) == 8
    assert elements[-1]["candidates"][0]["finishReason"] == "STOP"
    assert (only_call(provider)["stream"], only_call(provider)["output_tokens"]) == (True, 8)


async def test_rate_limit_headers_and_request_ids(provider: Simulator) -> None:
    openai = (await ask(provider, "openai_chat", "m")).headers
    assert (openai["x-ratelimit-remaining-requests"], openai["x-request-id"][:4]) == ("9999", "req_")
    anthropic = (await ask(provider, "anthropic_messages", "m")).headers
    assert anthropic["anthropic-ratelimit-requests-remaining"] == "3999"
    assert anthropic["request-id"].startswith("req_011")


@EVERY
async def test_retry_after(provider: Simulator, api: str) -> None:
    raw = await ask(provider, api, "m+429:7", stream=True)
    assert (raw.status, raw.headers["retry-after"]) == (429, "7")
    remaining = [
        value for name, value in raw.headers.items() if name.endswith(("remaining-requests", "requests-remaining"))
    ]
    assert remaining == ([] if api == "gemini_generate" else ["0"])


@pytest.mark.parametrize("path", ["?alt=sse", ""])
async def test_a_filtered_prompt_in_geminis_stream(provider: Simulator, path: str) -> None:
    path = f"/v1beta/models/m%2Bcontent_filter:streamGenerateContent{path}"
    raw = await ask(provider, "gemini_generate", "m", stream=True, path=path)
    assert b'"blockReason":"PROHIBITED_CONTENT"' in raw.body
    assert (only_call(provider)["outcome"], only_call(provider)["status"]) == ("failed", 200)
    assert (only_call(provider)["input_tokens"], only_call(provider)["output_tokens"]) == (7, 0)
