"""Many ask, one query runs: who gave up, what failed, and what was asked meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import pytest

from tallygate.gateway.accounts.loading import Loader, TooMany


class Source:
    """Answers when it is let; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[bytes]] = []
        self.open = asyncio.Event()
        self.problem: Exception | None = None

    async def load(self, keys: Iterable[bytes]) -> Mapping[bytes, int]:
        self.asked.append(list(keys))
        await self.open.wait()
        if self.problem is not None:
            raise self.problem
        return {key: len(key) for key in keys if key}


async def test_what_is_asked_meanwhile_is_the_next_round() -> None:
    source = Source()
    loader: Loader[int] = Loader(source.load, most_at_once=2)
    first = loader.ask(b"a")
    await asyncio.sleep(0)
    rest = [loader.ask(key) for key in (b"a", b"bb", b"ccc", b"", b"bb")]
    assert rest[0] is first
    assert rest[1] is rest[4]
    source.open.set()
    assert await asyncio.gather(*rest) == [1, 2, 3, None, 2]
    assert source.asked == [[b"a"], [b"bb", b"ccc"], [b""]]


async def test_who_gives_up_takes_nobody_along() -> None:
    source = Source()
    loader: Loader[int] = Loader(source.load)
    one, other = (asyncio.ensure_future(asyncio.shield(loader.ask(b"a"))) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait([one])
    source.open.set()
    assert await other == 1
    assert one.cancelled()
    assert source.asked == [[b"a"]]


async def test_a_failure_is_everybody_s_and_the_next_round_is_another() -> None:
    source = Source()
    source.problem = ValueError("no")
    source.open.set()
    loader: Loader[int] = Loader(source.load)
    for future in [loader.ask(b"a"), loader.ask(b"b")]:
        with pytest.raises(ValueError, match="no"):
            await future
    source.problem = None
    assert await loader.ask(b"a") == 1


async def test_so_many_may_wait_and_no_more() -> None:
    source = Source()
    loader: Loader[int] = Loader(source.load, most_waiting=2)
    futures = [loader.ask(b"a"), loader.ask(b"b")]
    with pytest.raises(TooMany):
        loader.ask(b"c")
    assert loader.ask(b"a") is futures[0]
    source.open.set()
    assert await asyncio.gather(*futures) == [1, 1]
    assert await loader.ask(b"c") == 1


async def test_the_end_cancels_who_still_waits() -> None:
    source = Source()
    loader: Loader[int] = Loader(source.load)
    loading = loader.ask(b"a")
    await asyncio.sleep(0)
    waiting = loader.ask(b"b")
    await loader.close()
    assert loading.cancelled()
    assert waiting.cancelled()
    never_begun = loader.ask(b"c")
    await loader.close()
    assert never_begun.cancelled()
