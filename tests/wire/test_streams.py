"""Streams: what is read out of them, and what is relayed, however they are cut."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.errors import ErrorType
from tallygate.wire import Meter, Usage
from tallygate.wire.formats import WIRES

from .golden import CHAT_MODEL, GOLDEN, ROLE, Golden, chat, chat_usage, feed

BY_NAME = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
NEWLINES = pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])


@BY_NAME
@NEWLINES
@pytest.mark.parametrize("size", [1, 3, 64, 1000, None])
@pytest.mark.parametrize("hide_usage", [False, True])
def test_golden_stream(golden: Golden, newline: str, size: int | None, hide_usage: bool) -> None:
    meter = golden.meter(hide_usage=hide_usage)
    relayed = feed(meter, golden.body(newline), size)
    assert relayed == golden.body(newline, without_hidden=hide_usage)
    golden.check(meter)


@BY_NAME
def test_one_event_a_piece(golden: Golden) -> None:
    meter = golden.meter(hide_usage=True)
    frames = golden.body().split(b"\n\n")[:-1]
    relayed = [meter.feed(frame + b"\n\n") for frame in frames]
    assert b"".join(relayed) == golden.body(without_hidden=True)
    # Nothing waits for a later event: what is not hidden leaves with the piece it came in.
    assert [piece for piece in relayed if piece] == [
        frame + b"\n\n" for frame in golden.body(without_hidden=True).split(b"\n\n")[:-1]
    ]
    assert meter.close() == b""
    golden.check(meter)


@given(
    data=st.data(), golden=st.sampled_from(GOLDEN), newline=st.sampled_from(["\n", "\r\n", "\r"]), hides=st.booleans()
)
def test_any_split_reads_and_relays_the_same(data: st.DataObject, golden: Golden, newline: str, hides: bool) -> None:
    body = golden.body(newline)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=12)))
    meter = golden.meter(hide_usage=hides)
    relayed = b"".join(meter.feed(body[a:b]) for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True))
    assert relayed + meter.close() == golden.body(newline, without_hidden=hides)
    golden.check(meter)


@BY_NAME
@pytest.mark.parametrize("coding", ["gzip", "deflate", "bare deflate", "gzip in members"])
@pytest.mark.parametrize("size", [1, 50, None])
def test_compressed_stream_passes_as_it_came(golden: Golden, coding: str, size: int | None) -> None:
    body = golden.body()
    bare = zlib.compressobj(wbits=-15)
    compressed = {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "bare deflate": bare.compress(body) + bare.flush(),
        "gzip in members": gzip.compress(body[:100]) + gzip.compress(body[100:]),
    }[coding]
    # What is compressed cannot be edited: the usage chunk is relayed even when it should be hidden.
    meter = golden.meter(hide_usage=True, content_encoding="gzip" if "gzip" in coding else "deflate")
    assert feed(meter, compressed, size) == compressed
    golden.check(meter)


def test_compressed_stream_that_is_broken() -> None:
    golden = GOLDEN[0]
    compressed = bytearray(gzip.compress(golden.body()))
    compressed[40:60] = bytes(20)
    meter = golden.meter(content_encoding="gzip")
    assert feed(meter, bytes(compressed), 10) == bytes(compressed)
    assert meter.failure is not None
    assert meter.failure.error_type is ErrorType.PROVIDER_INVALID_RESPONSE
    assert not meter.complete


def test_compressed_stream_that_is_cut() -> None:
    golden = GOLDEN[0]
    compressed = gzip.compress(golden.body())
    meter = golden.meter(content_encoding="gzip")
    feed(meter, compressed[:-40])
    assert (meter.complete, meter.failure) == (False, None)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "unheard-of"])
def test_unreadable_coding_is_unmetered_and_complete(coding: str) -> None:
    meter = GOLDEN[0].meter(content_encoding=coding)
    assert feed(meter, b"\x00\x01\x02") == b"\x00\x01\x02"
    assert (meter.usage, meter.complete, meter.failure, meter.contents) == (None, True, None, 0)


# What is held back


def frame_of(data: object) -> bytes:
    return Golden("", "openai_chat", [("", data)], None, 0).body()  # type: ignore[list-item]  # JSON or text


def hiding() -> Meter:
    return WIRES["openai_chat"].meter(stream=True, status=200, content_encoding="", hide_usage=True)


def test_content_is_not_held_back_once_it_cannot_be_the_usage_chunk() -> None:
    meter = hiding()
    meter.feed(frame_of(chat(ROLE)))
    frame = frame_of(chat({"content": "a long text"}))
    known = frame.index(b'"choices":[{') + len(b'"choices":[{')
    assert meter.feed(frame[: known - 1]) == b""
    assert meter.feed(frame[known - 1 : known]) == frame[:known]
    assert meter.feed(frame[known : known + 5]) == frame[known : known + 5]
    assert meter.feed(frame[known + 5 :]) == frame[known + 5 :]
    assert meter.contents == 1


def test_an_unfinished_event_is_relayed_at_the_end() -> None:
    meter = hiding()
    assert meter.feed(b'data: {"id":"x"') == b""
    assert meter.close() == b'data: {"id":"x"'
    assert (meter.complete, meter.failure) == (False, None)


def test_usage_chunk_without_its_blank_line_is_hidden() -> None:
    meter = hiding()
    frame = frame_of(chat_usage({"prompt_tokens": 1, "completion_tokens": 2}))
    assert meter.feed(frame[:-1]) == b""
    assert meter.close() == b""
    assert meter.usage == Usage(1, 2)


def test_usage_chunk_with_an_error_is_not_hidden() -> None:
    meter = hiding()
    frame = frame_of(chat_usage({"prompt_tokens": 1, "completion_tokens": 2}) | {"error": {"message": "x"}})
    assert feed(meter, frame) == frame
    assert meter.failure is not None


def test_line_feed_of_a_hidden_crlf_is_hidden_too() -> None:
    golden = GOLDEN[0]
    body = golden.body("\r\n")
    end = body.index(b"data: [DONE]")
    meter = golden.meter(hide_usage=True)
    relayed = meter.feed(body[: end - 1]) + meter.feed(body[end - 1 :]) + meter.close()
    assert relayed == golden.body("\r\n", without_hidden=True)


# Forms that the standard allows


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbfdata: %s\n\ndata: [DONE]\n\n",
        b"data:%s\n\ndata:[DONE]\n\n",
        b"\n\n: hi\n\nid: 7\nretry: 10\ndata: %s\n\ndata: [DONE]\n\n",
        b"data: %s\n\ndata: [DONE]",
        b"data: %s\n\ndata: [DONE]\n",
        b"data: %s\n\r\n\rdata: [DONE]\r\n\n",
        b"event: message\nid: 1\ndata: %s\n\n\n\n\ndata: [DONE]\n\n",
        b"database: x\ndata\n: data: y\ndata: %s\n\ndata: [DONE]\n\n",
    ],
)
@pytest.mark.parametrize("size", [1, 2, None])
def test_forms_of_events(body: bytes, size: int | None) -> None:
    chunk = b'{"model":"m","choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    meter = WIRES["openai_chat"].meter(stream=True, status=200, content_encoding="", hide_usage=False)
    raw = body.replace(b"%s", chunk)
    assert feed(meter, raw, size) == raw
    assert (meter.contents, meter.complete, meter.usage, meter.failure) == (1, True, Usage(1, 1), None)


@pytest.mark.parametrize("size", [1, 7, None])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_data_in_several_lines(size: int | None, newline: bytes) -> None:
    lines = [
        b'data: {"model":"m",',
        b'data: "choices":',
        b'data: [{"delta":{"content":"a"}}]}',
        b"",
        b"data: [DONE]",
        b"",
        b"",
    ]
    meter = hiding()
    raw = newline.join(lines)
    assert feed(meter, raw, size) == raw
    assert (meter.contents, meter.complete, meter.failure) == (1, True, None)


def test_event_that_is_no_json_is_a_failure() -> None:
    meter = hiding()
    assert feed(meter, b'data: {"choices":\n\ndata: [DONE]\n\n') == b'data: {"choices":\n\ndata: [DONE]\n\n'
    assert meter.failure is not None
    assert meter.failure.error_type is ErrorType.PROVIDER_INVALID_RESPONSE


@pytest.mark.parametrize(
    ("chunk", "contents"),
    [
        (b'{"choices":[{"delta":{"content":[{"type":"thinking","thinking":"x"}]}}]}', 1),
        (b'{"choices":[{"delta":{"content":"\\ud83d"}}]}', 1),
        (b'{"choices":[{"delta":{"content":"a"},"logprobs":[NaN]}]}', 1),
        (b'{"choices":[{"delta":{"content":"a","tool_calls":7}}],"model":3}', 1),
        (b'{"choices":[7,{"delta":{"content":"a"},"finish_reason":1}]}', 1),
        (b'{"choices":{"delta":{"content":"a"}}}', 0),
        (b'{"choices":null}', 0),
        (b'{"choices":[{"delta":null}]}', 0),
        (b'{"choices":[{"delta":{"content":null,"tool_calls":[]}}]}', 0),
        (b"{}", 0),
    ],
)
def test_chunks_of_unusual_shape_are_read_as_far_as_they_go(chunk: bytes, contents: int) -> None:
    meter = hiding()
    raw = b"data: " + chunk + b"\n\ndata: [DONE]\n\n"
    assert feed(meter, raw) == raw
    assert (meter.contents, meter.complete, meter.failure) == (contents, True, None)


def test_a_document_in_place_of_a_stream_is_read() -> None:
    meter = hiding()
    raw = b'\n {"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    assert feed(meter, raw, 5) == raw
    assert (meter.complete, meter.usage, meter.response_model) == (True, Usage(3, 4), "m")


def test_an_error_in_place_of_a_stream_is_read() -> None:
    meter = WIRES["openai_chat"].meter(stream=True, status=429, content_encoding="", hide_usage=True)
    assert meter.failure is not None
    feed(meter, b'{"error":{"code":"insufficient_quota","message":"x"}}')
    assert (meter.failure.error_type, meter.failure.code) == (ErrorType.PROVIDER_RATE_LIMIT, "insufficient_quota")


def test_nothing_at_all() -> None:
    for wire in WIRES.values():
        meter = wire.meter(stream=True, status=200, content_encoding="", hide_usage=True)
        assert meter.close() == b""
        assert (meter.complete, meter.failure, meter.usage) == (False, None, None)


@given(
    pieces=st.lists(
        st.binary(max_size=60) | st.sampled_from([b"data: ", b"\n\n", b"\r\n", b"{}", b'{"a":', b"[", b"event: x\n"])
    ),
    wire=st.sampled_from(sorted(WIRES)),
    status=st.sampled_from([200, 400, 500]),
    coding=st.sampled_from(["", "gzip", "deflate", "br"]),
    stream=st.booleans(),
)
def test_random_bytes_never_raise_and_all_pass(
    pieces: list[bytes], wire: str, status: int, coding: str, stream: bool
) -> None:
    meter = WIRES[wire].meter(stream=stream, status=status, content_encoding=coding, hide_usage=False)
    assert b"".join(map(meter.feed, pieces)) + meter.close() == b"".join(pieces)


def test_response_model_of_azure_is_the_first_that_is_named() -> None:
    meter = hiding()
    feed(meter, frame_of({"choices": [], "model": ""}) + frame_of(chat({"content": "a"})))
    assert meter.response_model == CHAT_MODEL
