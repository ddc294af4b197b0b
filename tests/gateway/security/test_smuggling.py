"""Where a request ends is never in doubt: what two servers could read differently is refused, and nobody is asked."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tallygate.simulator import Simulator
from tests.gateway.apis import APIS
from tests.gateway.provided import last_request, provided
from tests.gateway.raw import say_bytes
from tests.gateway.running import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[Gateway, Simulator]
BODY = APIS[0].body("m", False)
SIZE = len(BODY)
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (SIZE, BODY)
NEXT = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
"""What is sent behind each: it is answered where the end of the first request is clear."""


def lengths(*lines: str) -> bytes:
    """A request with these lines about its length."""
    return POST + "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"


def length(value: str) -> bytes:
    return lengths(f"Content-Length: {value}") + BODY


GOOD = {
    "length": length(str(SIZE)),
    "length with zeros": length(f"000{SIZE}"),
    "chunked": CHUNKED + CHUNKS,
    "chunked in capitals": lengths("Transfer-Encoding: CHUNKED") + CHUNKS,
    "chunked behind a tab": lengths("Transfer-Encoding:\tchunked") + CHUNKS,
    "chunks with an extension": CHUNKED + b"%x;a=b\r\n%s\r\n0;c=d\r\n\r\n" % (SIZE, BODY),
    "chunks with a quoted extension": CHUNKED + b'%x;a="b;c"\r\n%s\r\n0\r\n\r\n' % (SIZE, BODY),
    "chunks with trailers": CHUNKED + CHUNKS[:-2] + b"Host: y\r\nAuthorization: Bearer x\r\n\r\n",
    "a header that looks like one": lengths("Transfer_Encoding: chunked", f"Content-Length: {SIZE}") + BODY,
    "an offered upgrade": lengths("Connection: upgrade", "Upgrade: h2c", f"Content-Length: {SIZE}") + BODY,
    "an expectation nobody knows": lengths("Expect: 200-maybe", f"Content-Length: {SIZE}") + BODY,
    "empty lines before it": b"\r\n\r\n" + length(str(SIZE)),
    "an absolute target": length(str(SIZE)).replace(b" /v1", b" http://elsewhere.example/v1"),
}

UNCLEAR = {
    "length and chunked": lengths("Content-Length: 4", "Transfer-Encoding: chunked") + CHUNKS,
    "chunked and length": lengths("Transfer-Encoding: chunked", "Content-Length: 4") + CHUNKS,
    "length and unknown coding": lengths(f"Content-Length: {SIZE}", "Transfer-Encoding: x") + BODY,
    "chunked, length and upgrade": lengths(
        "Connection: upgrade", "Upgrade: h2c", "Transfer-Encoding: chunked", "Content-Length: 4"
    )
    + CHUNKS,
    "two lengths": lengths(f"Content-Length: {SIZE}", "Content-Length: 0") + BODY,
    "the same length twice": lengths(f"Content-Length: {SIZE}", f"Content-Length: {SIZE}") + BODY,
    "a list of lengths": length(f"{SIZE}, {SIZE}"),
    "a signed length": length(f"+{SIZE}"),
    "a negative length": length("-1"),
    "a length in hexadecimal": length("0x10"),
    "a length with an underscore": length("1_0"),
    "a length with a space inside": length("1 0"),
    "an empty length": length(""),
    "a length beyond all numbers": length("9" * 30),
    "a length behind a space": lengths(f"Content-Length : {SIZE}") + BODY,
    "chunked twice": lengths("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + CHUNKS,
    "chunked, chunked": lengths("Transfer-Encoding: chunked, chunked") + CHUNKS,
    "gzip, chunked": lengths("Transfer-Encoding: gzip, chunked") + CHUNKS,
    "chunked, identity": lengths("Transfer-Encoding: chunked, identity") + CHUNKS,
    "identity": lengths("Transfer-Encoding: identity") + BODY,
    "xchunked": lengths("Transfer-Encoding: xchunked") + CHUNKS,
    "quoted chunked": lengths('Transfer-Encoding: "chunked"') + CHUNKS,
    "chunked behind a vertical tab": lengths("Transfer-Encoding: \x0bchunked") + CHUNKS,
    "chunked behind a space": lengths("Transfer-Encoding : chunked") + CHUNKS,
    "a header behind a space": lengths(" Transfer-Encoding: chunked") + CHUNKS,
    "an empty coding": lengths("Transfer-Encoding: ") + CHUNKS,
    "a folded coding": lengths("Transfer-Encoding:\r\n chunked") + CHUNKS,
    "a folded header": lengths("X-A: b\r\n c", f"Content-Length: {SIZE}") + BODY,
    "bare line feeds": length(str(SIZE)).replace(b"\r\n", b"\n"),
    "one bare line feed": lengths(f"X-A: b\nContent-Length: {SIZE}") + BODY,
    "one bare carriage return": lengths(f"X-A: b\rContent-Length: {SIZE}") + BODY,
    "a NUL byte": lengths("X-A: b\0", f"Content-Length: {SIZE}") + BODY,
    "a tab in the target": length(str(SIZE)).replace(b"completions ", b"completions?a=\tb "),
    "a target that is not ASCII": length(str(SIZE)).replace(b"completions ", b"completions?a=\xff "),
    "a version there is not": length(str(SIZE)).replace(b"HTTP/1.1", b"HTTP/1.2"),
    "two spaces before the version": length(str(SIZE)).replace(b" HTTP/1.1", b"  HTTP/1.2"),
}

BROKEN = {
    "a chunk size that ends with a line feed": CHUNKED + b"%x\n%s\r\n0\r\n\r\n" % (SIZE, BODY),
    "chunks of line feeds": CHUNKED + CHUNKS.replace(b"\r\n", b"\n"),
    "an extension that ends with a line feed": CHUNKED + b"%x;a\n%s\r\n0\r\n\r\n" % (SIZE, BODY),
    "an extension with a carriage return": CHUNKED + b"%x;a\rb\r\n%s\r\n0\r\n\r\n" % (SIZE, BODY),
    "a chunk size with a prefix": CHUNKED + b"0x" + CHUNKS,
    "a signed chunk size": CHUNKED + b"+" + CHUNKS,
    "a chunk size behind a space": CHUNKED + b" " + CHUNKS,
    "a chunk size before a space": CHUNKED + b"%x \r\n%s\r\n0\r\n\r\n" % (SIZE, BODY),
    "a chunk size beyond all numbers": CHUNKED + b"1" + b"0" * 17 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (SIZE - 5, BODY),
    "a chunk without its line end": CHUNKED + b"%x\r\n%sXX0\r\n\r\n" % (SIZE, BODY),
    "a length among the trailers": CHUNKED + CHUNKS[:-2] + b"Content-Length: 5\r\n\r\n",
    "a folded trailer": CHUNKED + CHUNKS[:-2] + b"X-A: b\r\n c\r\n\r\n",
    "a body that nothing announced": POST + b"\r\n" + BODY,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[Pair]:
    async with provided({"limits": {"body_seconds": 5}}) as both:
        yield both


def asked(pair: Pair) -> int:
    """How many requests the provider got so far."""
    return int(pair[1].served()["totals"]["requests"])


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


@pytest.mark.parametrize("name", GOOD)
async def test_what_is_clear_is_served_as_it_was_sent(pair: Pair, name: str) -> None:
    before = asked(pair)
    answers = await say_bytes(pair[0], GOOD[name] + NEXT)
    assert statuses(answers) == [200, 200]
    assert asked(pair) - before == 1
    request = await last_request(pair[1], "openai_chat")
    assert request["body"].encode() == BODY
    assert request["headers"]["content-length"] == str(SIZE)
    assert not {"transfer-encoding", "transfer_encoding", "upgrade", "expect"} & set(request["headers"])
    assert request["headers"]["authorization"] == "Bearer key-of-openai"


@pytest.mark.parametrize("name", UNCLEAR)
async def test_what_is_unclear_is_refused_and_the_connection_ends(pair: Pair, name: str) -> None:
    before = asked(pair)
    answers = await say_bytes(pair[0], UNCLEAR[name] + NEXT)
    assert statuses(answers) == [400]
    assert b"\r\nconnection: close\r\n" in answers
    assert asked(pair) == before


@pytest.mark.parametrize("name", BROKEN)
async def test_what_turns_out_broken_behind_its_head_is_cut_off(pair: Pair, name: str) -> None:
    before = asked(pair)
    answers = await say_bytes(pair[0], BROKEN[name] + NEXT)
    assert statuses(answers) == []
    assert asked(pair) == before


@pytest.mark.parametrize("line", [b"GET /health HTTP/2.0", b"GET /health"])
async def test_other_versions_are_refused(pair: Pair, line: bytes) -> None:
    answers = await say_bytes(pair[0], line + b"\r\nHost: x\r\n\r\n" + NEXT)
    assert statuses(answers) == [505]
    assert b"this gateway speaks HTTP/1.1 and HTTP/1.0" in answers


async def test_http_1_0_ends_with_its_answer(pair: Pair) -> None:
    first = b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (SIZE, BODY)
    answers = await say_bytes(pair[0], first + NEXT)
    assert statuses(answers) == [200]
    chunked = b"POST /v1/chat/completions HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS
    assert statuses(await say_bytes(pair[0], chunked + NEXT)) == [200]


async def test_requests_sent_in_one_go_are_answered_in_their_order(pair: Pair) -> None:
    before = asked(pair)
    many = [
        length(str(SIZE)),
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
        CHUNKED + CHUNKS,
        b"GET /no HTTP/1.1\r\n\r\n",
    ]
    answers = await say_bytes(pair[0], b"".join(many) + NEXT)
    assert statuses(answers) == [200, 200, 200, 404, 200]
    assert asked(pair) - before == 2
    kinds = [b'"chat.completion"', b'"list"', b'"chat.completion"', b"does not serve this path", b'{"status":"ok"}']
    places = [-1]
    for kind in kinds:
        places.append(answers.index(kind, places[-1] + 1))
    assert places == sorted(places)


async def test_a_body_of_a_get_is_no_request(pair: Pair) -> None:
    inner = b"DELETE /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    outer = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(inner)
    assert statuses(await say_bytes(pair[0], outer + inner + NEXT)) == [200, 200]


@pytest.mark.parametrize("asking", ["OPTIONS", "GET"])
async def test_a_target_that_is_no_path(pair: Pair, asking: str) -> None:
    answers = await say_bytes(pair[0], f"{asking} * HTTP/1.1\r\nHost: x\r\n\r\n".encode() + NEXT)
    assert statuses(answers) == [404, 200]


async def test_split_anywhere_it_reads_the_same(pair: Pair) -> None:
    """A request in two pieces is the same request, wherever it was cut."""
    data = CHUNKED + b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (SIZE, BODY)
    port = int(pair[0].url.rpartition(":")[2])

    async def halves(cut: int) -> list[int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data[:cut])
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(data[cut:] + NEXT)
        answers = await reader.read()
        writer.close()
        return statuses(answers)

    cuts = range(1, len(data), 3)
    async with asyncio.timeout(30):
        assert await asyncio.gather(*map(halves, cuts)) == [[200, 200]] * len(cuts)
