"""A gateway in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 60.0


@contextmanager
def in_a_thread(open_: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """What ``open_`` gives, on an event loop of its own, until the end of the block."""
    ready: Future[tuple[T, Callable[[], None]]] = Future()

    async def live() -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()

        def stop() -> None:
            loop.call_soon_threadsafe(ended.set)

        try:
            async with open_() as opened:
                ready.set_result((opened, stop))
                await ended.wait()
        except BaseException as problem:
            if ready.done():
                raise
            ready.set_exception(problem)

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    opened, stop = ready.result(PATIENCE)
    try:
        yield opened
    finally:
        stop()
        thread.join(PATIENCE)
