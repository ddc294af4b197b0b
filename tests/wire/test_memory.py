"""Memory stays constant, whatever a provider sends."""

import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest

from tallygate.wire import Meter, Usage
from tallygate.wire.formats import WIRES

MB = 1_000_000
BOUND = 3 * MB
"""What reading a body may hold at its peak, the piece that is being read included."""
TEXT = b'all work and no play \\" makes ' * 2000
"""60 kB within a JSON string."""


def peak(run: Callable[[], None]) -> int:
    """The most bytes that were allocated at once while it ran."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def large(start: bytes, end: bytes, size: int) -> Iterator[bytes]:
    """A text of ``size`` bytes between ``start`` and ``end``, in pieces."""
    yield start
    for _ in range(size // len(TEXT)):
        yield TEXT
    yield end


CHAT = (
    b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"',
    b'"},"finish_reason":null}],"usage":null}\n\n',
)
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'


@pytest.mark.parametrize("hide_usage", [False, True])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_event_of_50_mb(hide_usage: bool, newline: bytes) -> None:
    meter = WIRES["openai_chat"].meter(stream=True, status=200, content_encoding="", hide_usage=hide_usage)

    def read() -> None:
        relayed = 0
        for piece in large(CHAT[0], CHAT[1].replace(b"\n", newline), 50 * MB):
            relayed += len(meter.feed(piece))
        assert relayed == 50 * MB // len(TEXT) * len(TEXT) + len(CHAT[0]) + len(CHAT[1]) - 2 + 2 * len(newline)
        usage = USAGE.replace(b"\n", newline)
        assert meter.feed(usage) == (b"" if hide_usage else usage)
        meter.feed(b"data: [DONE]\n\n")

    assert peak(read) < BOUND
    assert (meter.contents, meter.complete, meter.usage, meter.failure) == (1, True, Usage(3, 4), None)


@pytest.mark.parametrize(
    ("wire", "start", "end", "closing"),
    [
        (
            "anthropic_messages",
            b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"',
            b'"}}\n\n',
            b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        ),
        (
            "openai_responses",
            b'event: x\ndata: {"type":"response.output_text.delta","delta":"',
            b'"}\n\n',
            b'data: {"type":"response.completed","response":{"output":[]}}\n\n',
        ),
        (
            "gemini_generate",
            b'data: {"candidates":[{"content":{"parts":[{"inlineData":{"data":"',
            b'"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}\n\n',
            b"",
        ),
        (
            "gemini_generate",
            b'[{"candidates":[{"content":{"parts":[{"inlineData":{"data":"',
            b'"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}\n,\n',
            b'{"modelVersion":"g"}]',
        ),
    ],
    ids=["anthropic", "responses", "gemini", "gemini array"],
)
def test_large_event_of_each_api(wire: str, start: bytes, end: bytes, closing: bytes) -> None:
    meter = WIRES[wire].meter(stream=True, status=200, content_encoding="", hide_usage=False)

    def read() -> None:
        for piece in large(start, end + closing, 5 * MB):
            assert meter.feed(piece) == piece

    assert peak(read) < BOUND
    assert meter.close() == b""
    assert (meter.contents, meter.complete, meter.failure) == (1, True, None)


def test_large_event_in_lines() -> None:
    meter = WIRES["openai_chat"].meter(stream=True, status=200, content_encoding="", hide_usage=True)
    raw = b'data: {"usage":{"prompt_tokens":1,"completion_tokens":2},"choices":[\n' + b"data:  \n: c\n\xff\n" * 40_000
    raw += b'data: {"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'
    for size in (len(raw), 9973):
        meter = WIRES["openai_chat"].meter(stream=True, status=200, content_encoding="", hide_usage=True)
        relayed = [meter.feed(raw[at : at + size]) for at in range(0, len(raw), size)]
        assert b"".join(relayed) == raw
        assert (meter.contents, meter.complete, meter.usage, meter.failure) == (1, True, Usage(1, 2), None)


def test_large_event_that_is_garbled() -> None:
    meter = WIRES["openai_chat"].meter(stream=True, status=200, content_encoding="", hide_usage=True)
    for piece in large(CHAT[0], b'"\n\n', MB):
        meter.feed(piece)
    assert meter.failure is not None
    assert meter.failure.error_type.value == "provider_invalid_response"


def test_stream_of_200_mb() -> None:
    meter = WIRES["openai_chat"].meter(stream=True, status=200, content_encoding="", hide_usage=True)
    event = CHAT[0] + TEXT[:10_000] + CHAT[1]
    piece = event * 6
    rounds = 200 * MB // len(piece)

    def read() -> None:
        for number in range(rounds):
            if number % 2:
                assert meter.feed(piece) == piece
            else:
                assert meter.feed(piece[:-1]) + meter.feed(piece[-1:]) == piece
        assert meter.feed(USAGE) == b""

    assert peak(read) < BOUND
    assert meter.contents == 6 * rounds
    assert meter.usage == Usage(3, 4)


@pytest.mark.parametrize("wire", sorted(WIRES))
def test_document_of_20_mb(wire: str) -> None:
    meter = WIRES[wire].meter(stream=False, status=200, content_encoding="", hide_usage=False)
    end = (
        b'","usage":{"prompt_tokens":1,"input_tokens":1,"output_tokens":2,"completion_tokens":2},'
        b'"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2}}'
    )

    def read() -> None:
        for piece in large(b'{"x":"', end, 20 * MB):
            assert meter.feed(piece) == piece
        meter.close()

    assert peak(read) < BOUND
    assert (meter.complete, meter.usage) == (True, Usage(1, 2))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("start", [b'data: {"x":"', b'{"x":"', b"[[[[[[", b"<"])
def test_decompression_bomb(stream: bool, start: bytes) -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = packer.compress(start)
    bomb += b"".join(packer.compress(bytes(MB).replace(b"\0", b"[")) for _ in range(50)) + packer.flush()
    assert len(bomb) < 100_000
    meter: Meter = WIRES["openai_chat"].meter(stream=stream, status=200, content_encoding="gzip", hide_usage=False)

    def read() -> None:
        assert meter.feed(bomb) == bomb

    assert peak(read) < BOUND
    assert meter.close() == b""
    assert not meter.complete


def test_body_that_never_makes_sense() -> None:
    for stream in (False, True):
        for piece in (
            b"x" * 50_000,
            b"[" * 50_000,
            b"\n" * 50_000,
            b"data:" * 10_000,
            b"data:\n" * 10_000,
            b'"' * 50_000,
        ):
            meter = WIRES["openai_chat"].meter(stream=stream, status=200, content_encoding="", hide_usage=True)
            assert peak(lambda meter=meter, piece=piece: [meter.feed(piece) for _ in range(12)].clear()) < BOUND  # type: ignore[misc]  # bound at once
            meter.close()
            assert not meter.complete
