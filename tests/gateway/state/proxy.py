"""Something between a gateway and its store that can hold answers back, and break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Passes bytes on, both ways."""

    def __init__(self, socket: str) -> None:
        self._socket, self.port = socket, 0
        self.answers = asyncio.Event()
        """Whether answers are passed on."""
        self.answers.set()
        self.asked = 0
        """Pieces that were passed on to the server."""
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        theirs, ours = await asyncio.open_unix_connection(self._socket)
        self._writers += (writer, ours)

        async def ask() -> None:
            while data := await reader.read(65536):
                ours.write(data)
                self.asked += 1
            ours.close()

        async def answer() -> None:
            while data := await theirs.read(65536):
                await self.answers.wait()
                writer.write(data)

        await asyncio.gather(ask(), answer(), return_exceptions=True)

    def drop(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def end(self) -> None:
        """Break all connections, and wait until nobody holds on to them."""
        self.answers.set()
        self.drop()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxy(socket: str) -> AsyncIterator[Proxy]:
    made = Proxy(socket)
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listener.close()
        await made.end()
