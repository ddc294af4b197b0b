"""instrument.aiohttp with real sessions against the simulator: the page says what was served."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest

from tallygate import instrument
from tallygate.instrument.support.once import inside
from tallygate.simulator import Settings, Simulator, run_in_thread
from tallygate.tally import Tally
from tests.instrument.llm_requests import ASKS, CHAT_STREAM, FAILING, FEW, FINE, Ask, address
from tests.instrument.llm_truth import new_model, page_of, served

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_in_thread(Settings(seed=7)) as simulator:
        yield simulator


@pytest.fixture
async def session(simulator: Simulator, tally: Tally) -> AsyncIterator[aiohttp.ClientSession]:
    """Instrumented by itself."""
    timeout = aiohttp.ClientTimeout(sock_read=0.4)
    async with aiohttp.ClientSession(simulator.url, timeout=timeout) as session:
        with instrument.aiohttp(session, hosts={address(simulator): "local"}, tally=tally):
            yield session


def path_of(ask: Ask, model: str) -> Any:
    from yarl import URL

    return URL(ask.path_for(model), encoded=True)


@pytest.mark.parametrize(
    ("ask", "behaviour"), [*FEW[1::2], *[(CHAT_STREAM, behaviour) for behaviour in (*FINE, *FAILING)]], ids=str
)
async def test_the_page_says_what_was_served(
    session: aiohttp.ClientSession, tally: Tally, simulator: Simulator, ask: Ask, behaviour: str
) -> None:
    model = new_model(ask.family, behaviour)
    try:
        async with session.post(path_of(ask, model), json=ask.body_for(model)) as reply:
            await reply.read()
    except (aiohttp.ClientError, TimeoutError):
        assert behaviour in FAILING
    ask.expected(behaviour).check(tally, await asyncio.to_thread(served, simulator, model))


async def until_eof(reply: aiohttp.ClientResponse, read: Callable[[], Awaitable[bytes]]) -> bytes:
    pieces = []
    while not reply.content.at_eof():
        pieces.append(await read())
    return b"".join(pieces)


async def joined(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def exactly(reply: aiohttp.ClientResponse) -> bytes:
    try:
        return await reply.content.readexactly(1 << 20)
    except asyncio.IncompleteReadError as short:
        return short.partial


async def now(reply: aiohttp.ClientResponse) -> bytes:
    await reply.content.wait_eof()
    return reply.content.read_nowait()


READS: dict[str, Callable[[aiohttp.ClientResponse], Awaitable[bytes]]] = {
    "read": lambda reply: reply.read(),
    "text": lambda reply: _encoded(reply.text()),
    "content.read": lambda reply: reply.content.read(),
    "read(n)": lambda reply: until_eof(reply, lambda: reply.content.read(7)),
    "readany": lambda reply: until_eof(reply, reply.content.readany),
    "readline": lambda reply: until_eof(reply, reply.content.readline),
    "readuntil": lambda reply: until_eof(reply, lambda: reply.content.readuntil(b"\n\n")),
    "readexactly": exactly,
    "read_nowait": now,
    "lines": lambda reply: joined(aiter(reply.content)),
    "iter_chunked": lambda reply: joined(reply.content.iter_chunked(5)),
    "iter_any": lambda reply: joined(reply.content.iter_any()),
    "iter_chunks": lambda reply: joined(piece async for piece, _ in reply.content.iter_chunks()),
}


async def _encoded(text: Awaitable[str]) -> bytes:
    return (await text).encode()


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("ask", [ASKS[0], CHAT_STREAM], ids=str)
async def test_its_user_gets_the_very_bytes(
    session: aiohttp.ClientSession, tally: Tally, simulator: Simulator, ask: Ask, read: str
) -> None:
    model = new_model(ask.family)
    async with aiohttp.ClientSession(simulator.url) as bare, bare.post(CHAT, data=ask.json_for(model)) as reply:
        expected = await reply.read()
    before = await asyncio.to_thread(served, simulator, model)
    async with session.post(CHAT, data=ask.json_for(model)) as reply:
        assert isinstance(reply.content, aiohttp.StreamReader)
        assert await READS[read](reply) == expected
        assert reply.content.total_bytes == len(expected)
    ask.expected("").check(tally, before)


async def test_compressed_bytes_that_its_user_undoes(
    session: aiohttp.ClientSession, tally: Tally, simulator: Simulator
) -> None:
    model = new_model("gpt", "gzip")
    async with session.post(CHAT, json=CHAT_STREAM.body_for(model), auto_decompress=False) as reply:
        assert (await reply.read()).startswith(b"\x1f\x8b")
    CHAT_STREAM.expected("").check(tally, await asyncio.to_thread(served, simulator, model))


# Given up


async def test_a_stream_that_is_left_early_was_cancelled(session: aiohttp.ClientSession, tally: Tally) -> None:
    model = new_model("gpt", "stall:3")
    async with session.post(CHAT, json=CHAT_STREAM.body_for(model)) as reply:
        seen = b""
        while seen.count(b"data: ") < 3:
            seen += await reply.content.readany()
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", outcome="cancelled", status_code="200") == 1
    assert page.total("tallygate_llm_calls_total") == 1
    assert page.total("tallygate_upstream_attempts_total", status_code="200") == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0


async def test_a_stream_that_is_left_after_its_last_event_was_not(
    session: aiohttp.ClientSession, tally: Tally, simulator: Simulator
) -> None:
    model = new_model("gpt", "unbuffered")
    async with session.post(CHAT, json=CHAT_STREAM.body_for(model)) as reply:
        async for line in reply.content:
            if line == b"data: [DONE]\n":
                break
        await reply.content.readline()
    CHAT_STREAM.expected("").check(tally, await asyncio.to_thread(served, simulator, model))


async def test_a_read_that_is_given_up_may_be_tried_again(
    session: aiohttp.ClientSession, tally: Tally, simulator: Simulator
) -> None:
    model = new_model("gpt", "slow_stream:0.01")
    async with session.post(CHAT, json=CHAT_STREAM.body_for(model)) as reply:
        task = asyncio.ensure_future(reply.content.readexactly(1 << 20))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await reply.read()
    CHAT_STREAM.expected("").check(tally, await asyncio.to_thread(served, simulator, model))


@pytest.mark.filterwarnings("ignore:Unclosed response:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning")
async def test_a_response_that_is_thrown_away_was_cancelled(session: aiohttp.ClientSession, tally: Tally) -> None:
    model = new_model("gpt", "stall:3")
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # aiohttp complains of it
    reply = await session.post(CHAT, json=CHAT_STREAM.body_for(model))
    assert page_of(tally).total("tallygate_llm_calls_in_flight") == 1
    del reply
    await session.close()  # until then its connection holds on to it
    while page_of(tally).total("tallygate_llm_calls_in_flight"):
        await asyncio.sleep(0)
        gc.collect()
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", outcome="cancelled") == 1


async def test_a_task_that_is_cancelled(session: aiohttp.ClientSession, tally: Tally, simulator: Simulator) -> None:
    entered = asyncio.Event()

    async def hold(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        entered.set()
        await asyncio.Event().wait()
        return await handler(request)

    task = asyncio.create_task(_post(session, CHAT_STREAM.body_for("gpt"), middlewares=[hold]))
    await entered.wait()
    assert page_of(tally).total("tallygate_llm_calls_in_flight") == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", outcome="cancelled", status_code="499") == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0
    assert inside.get() is None


async def _post(session: aiohttp.ClientSession, body: Any, **options: Any) -> bytes:
    async with session.post(CHAT, json=body, **options) as reply:
        return await reply.read()


@pytest.mark.parametrize("at_once", [True, False])
async def test_an_error_whose_body_nobody_reads(session: aiohttp.ClientSession, tally: Tally, at_once: bool) -> None:
    model = new_model("gpt", "503")
    with pytest.raises(aiohttp.ClientResponseError) as caught:
        async with session.post(CHAT, json=CHAT_STREAM.body_for(model), raise_for_status=at_once) as reply:
            reply.raise_for_status()
    assert caught.value.status == 503
    page = page_of(tally)
    assert page.total("tallygate_llm_errors_total", error_type="provider_overloaded") == 1
    assert page.total("tallygate_llm_calls_total", status_code="503", outcome="failed") == 1


# What is a call, and whose


async def test_what_is_no_call(session: aiohttp.ClientSession, tally: Tally, simulator: Simulator) -> None:
    async with session.get("/served") as reply:
        assert type(reply.content) is aiohttp.StreamReader
        await reply.read()
    with pytest.raises(aiohttp.InvalidURL):
        await session.post("http://[::1")
    token = inside.set(True)
    assert json.loads(await _post(session, ASKS[0].body_for(new_model("gpt"))))["object"] == "chat.completion"
    inside.reset(token)
    assert page_of(tally).total("tallygate_llm_calls_total") == 0


async def test_a_body_that_is_made_while_it_is_sent(session: aiohttp.ClientSession, tally: Tally) -> None:
    """Nobody can look into it, so the model is not known."""

    async def pieces() -> AsyncIterator[bytes]:
        yield CHAT_STREAM.json_for("gpt")

    async with session.post(CHAT, data=pieces()) as reply:
        await reply.read()
    page = page_of(tally)
    assert page.total("tallygate_llm_calls_total", model="other", outcome="completed") == 1
    assert page.total("tallygate_llm_tokens_total", type="output") > 0


async def test_everywhere_and_taken_back(tally: Tally, simulator: Simulator) -> None:
    before = vars(aiohttp.ClientSession)["_request"]
    model = new_model("gpt")
    async with aiohttp.ClientSession() as session:
        own = dict(vars(session))
        hosts = {address(simulator): "local"}
        url = f"{simulator.url}{CHAT}"
        with instrument.aiohttp(hosts=hosts, tally=tally), instrument.aiohttp(session, hosts=hosts, tally=tally):
            async with session.post(url, json=CHAT_STREAM.body_for(model)) as reply:
                await reply.read()
            async with aiohttp.request("POST", url, json=CHAT_STREAM.body_for(model)) as reply:
                await reply.read()
        assert own.keys() == vars(session).keys()
        assert vars(aiohttp.ClientSession)["_request"] is before
        truth = await asyncio.to_thread(served, simulator, model)
        async with session.post(url, json=CHAT_STREAM.body_for(model)) as reply:
            await reply.read()
    CHAT_STREAM.expected("", calls=2).check(tally, truth)


def test_wrong_set_up() -> None:
    session: Any = object()
    with pytest.raises(instrument.NotInstrumentable, match="takes a ClientSession, not object"):
        instrument.aiohttp(session)
    with pytest.raises(ValueError, match=r"hosts: 'a b': 'c' is no host and its provider"):
        instrument.aiohttp(hosts={"a b": "c"})
