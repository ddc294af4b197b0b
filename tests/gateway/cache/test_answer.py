"""Answers as they are kept, packed and noted while they are relayed."""

from __future__ import annotations

import sys
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.gateway.cache.answer import Answer, Unsound, kept_headers, unpack
from tallygate.gateway.cache.capture import Capture

PIECES = st.lists(st.binary(min_size=1, max_size=20), max_size=5)
ANSWERS = st.builds(
    lambda headers, pieces: Answer(tuple(headers), tuple(pieces)),
    st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9)), max_size=4),
    PIECES,
)
ANSWER = Answer(((b"content-type", b"text/event-stream"),), (b"data: 1\n\n", b"data: [DONE]\n\n"))


@given(ANSWERS)
def test_an_answer_comes_back_as_it_was(answer: Answer) -> None:
    assert unpack(answer.pack()) == answer


@given(ANSWERS, st.data())
def test_a_truncated_answer_is_noticed(answer: Answer, data: st.DataObject) -> None:
    packed = answer.pack()
    with pytest.raises(Unsound):
        unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


@given(ANSWERS, st.data())
def test_a_changed_answer_is_noticed(answer: Answer, data: st.DataObject) -> None:
    packed = bytearray(answer.pack())
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Unsound):
        unpack(bytes(packed))


@given(st.binary(max_size=60))
def test_random_bytes_are_no_answer(data: bytes) -> None:
    with pytest.raises(Unsound):
        unpack(data)


def test_something_else_in_the_same_packing_is_no_answer() -> None:
    other = msgspec.msgpack.encode({"a": 1})
    with pytest.raises(Unsound, match="cannot be read"):
        unpack(crc32(other).to_bytes(4, "big") + other)


def test_the_weight_is_what_python_needs() -> None:
    light, heavy = Answer((), (b"",)), Answer((), (b"x" * 1000,))
    assert heavy.weight() - light.weight() == 1000
    assert ANSWER.weight() > sum(map(sys.getsizeof, ANSWER.pieces)) + sum(map(sys.getsizeof, ANSWER.headers[0]))


KEPT = [
    (b"content-type", b"application/json"),
    (b"content-length", b"12"),
    (b"content-encoding", b"gzip"),
    (b"openai-version", b"2020-10-01"),
    (b"cache-control", b"no-cache"),
    (b"vary", b"Origin"),
]
NOT_KEPT = [
    (b"date", b"Sat, 21 Nov 2026 16:00:00 GMT"),
    (b"set-cookie", b"__cf_bm=secret"),
    (b"x-request-id", b"req_1"),
    (b"request-id", b"req_1"),
    (b"apim-request-id", b"1"),
    (b"x-amzn-requestid", b"1"),
    (b"x-ratelimit-remaining-tokens", b"100"),
    (b"anthropic-ratelimit-requests-limit", b"100"),
    (b"retry-after", b"1"),
    (b"openai-processing-ms", b"100"),
    (b"x-envoy-upstream-service-time", b"100"),
    (b"cf-ray", b"1-FRA"),
    (b"age", b"10"),
    (b"x-tallygate-cache", b"hit"),
    (b"traceparent", b"00-1-2-01"),
]


def test_headers_of_one_moment_or_one_client_are_not_kept() -> None:
    assert kept_headers([*KEPT[:3], *NOT_KEPT, *KEPT[3:]]) == tuple(KEPT)


@given(PIECES)
def test_a_capture_notes_the_pieces_as_they_are_relayed(pieces: list[bytes]) -> None:
    size = sum(map(len, pieces))
    for limit, kept in ((size, True), (size - 1, False)):
        capture = Capture(b"key", limit)
        capture.begin([*KEPT, *NOT_KEPT])
        for piece in [*pieces, b""]:
            capture.write(piece)
        assert capture.answer() == (Answer(tuple(KEPT), tuple(pieces)) if kept and pieces else None)


def test_a_capture_that_is_too_large_holds_nothing() -> None:
    capture = Capture(b"key", 100)
    capture.begin([])
    capture.write(b"x" * 60)
    capture.write(b"x" * 60)
    capture.write(b"x")
    assert capture.answer() is None
    assert capture.held == 0
