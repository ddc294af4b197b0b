"""On uvloop, whose transports buffer, close and reset in their own way, the same arrives as on asyncio's loop."""

import asyncio
import json

import pytest
import uvloop

from tallygate.simulator import Simulator

from .raw import GENERATING, Raw, ask, exchange

BEHAVIOURS = (
    "reset",
    "reset_body",
    "cut_stream",
    "cut_chunks",
    "truncated_json",
    "error_event",
    "split_frames",
    "unbuffered",
    "gzip",
    "huge_chunks",
    "long:1MB",
    "429",
    "html_error",
)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("api", GENERATING)
@pytest.mark.parametrize("stream", [False, True])
async def test_same_bytes_and_same_end(
    provider: Simulator, neighbour: Simulator, api: str, behaviour: str, stream: bool
) -> None:
    model = f"loops+{behaviour}"
    here, there = await ask(provider, api, model, stream=stream), await ask(neighbour, api, model, stream=stream)
    assert (here.data, here.reset) == (there.data, there.reset)


def test_byte_by_byte_on_uvloop_too() -> None:
    async def main() -> Raw:
        async with Simulator() as provider:
            return await ask(provider, "openai_chat", "m+split_frames", stream=True, limit=3)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        raw = runner.run(main())
    assert len(raw.reads) > len(raw.data) / 4


async def test_a_client_that_leaves_is_noticed_on_uvloop_too(neighbour: Simulator) -> None:
    raw: Raw = await ask(neighbour, "openai_chat", "loops-gone+stall", stream=True, until=b"content")
    assert not raw.ended
    settled = await exchange(neighbour, b"GET /served?settle=10 HTTP/1.1\r\nconnection: close\r\n\r\n")
    calls = [call for call in json.loads(settled.body)["calls"] if call["model"] == "loops-gone+stall"]
    assert [(call["outcome"], call["requests"]) for call in calls] == [("client_gone", 1)]
