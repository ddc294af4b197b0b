"""The simulated provider as a server: within a program, in a thread beside it, or alone."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tallygate.simulator.connection import Connection
from tallygate.simulator.core import Core
from tallygate.simulator.served import Served
from tallygate.simulator.settings import Seconds, Settings

START_SECONDS = 10.0


class Simulator:
    """A provider on a socket. ``async with Simulator() as provider: ... provider.url``.

    The arguments are those of Settings; a Settings may be given instead.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        *,
        latency: Seconds = 0.0,
        time_to_first_token: Seconds = 0.0,
        time_per_token: Seconds = 0.0,
        output_tokens: int = 16,
        longest_answer: int = 1024,
        settings: Settings | None = None,
    ) -> None:
        self.settings = settings or Settings(
            host, port, seed, latency, time_to_first_token, time_per_token, output_tokens, longest_answer
        )
        self._core = Core(self.settings)
        self._server: asyncio.Server | None = None
        self._port = 0

    async def start(self) -> None:
        """Listen. Raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        self._core.closing = False
        self._server = await loop.create_server(
            lambda: Connection(self._core), self.settings.host, self.settings.port, backlog=2048
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop all connections; calls in progress count as cut."""
        if self._server is None:
            return
        self._core.closing = True
        self._server.close()
        for connection in tuple(self._core.connections):
            connection.transport.abort()
        await self._core.until(lambda served: served.in_progress == 0, START_SECONDS)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> "Simulator":
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """Its address, without a path: clients of OpenAI's APIs add ``/v1``."""
        host = self.settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._core.connections)

    def served(self) -> dict[str, Any]:
        """What ``GET /served`` answers. For use on the simulator's own event loop."""
        return self._core.served.document()

    async def until(self, condition: Callable[[Served], bool], seconds: float = 10.0) -> None:
        """Wait for what was served to fulfil a condition: ``lambda served: served.count(outcome="cut") == 1``.

        Raises TimeoutError with what was served when it does not in time.
        """
        if not await self._core.until(condition, seconds):
            raise TimeoutError(f"not fulfilled within {seconds} s; served: {self.served()}")

    def reset(self) -> None:
        """What ``DELETE /served`` does."""
        self._core.reset()


@contextmanager
def run_in_thread(settings: Settings | None = None) -> Iterator[Simulator]:
    """A simulator on an event loop in a thread of its own, for programs that do not run on one themselves.

    Only its ``url`` and ``port`` may be used from other threads; ask ``GET /served`` for the rest.
    """
    simulator = Simulator(settings=settings)
    ready = threading.Event()
    failure: list[BaseException] = []
    control: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        async with simulator:
            control.append((asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(main())
        except BaseException as error:
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="tallygate-simulator", daemon=True)
    thread.start()
    ready.wait()
    try:
        if failure:
            raise failure[0]
        yield simulator
    finally:
        for loop, stop in control:
            loop.call_soon_threadsafe(stop.set)
        thread.join()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's event loop where it is installed, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def serve(settings: Settings, ready: Callable[[Simulator], None] | None = None) -> None:
    """Serve until cancelled; ``ready`` is called once the port is open. Raises OSError when it is taken."""
    async with Simulator(settings=settings) as simulator:
        if ready is not None:
            ready(simulator)
        await asyncio.Event().wait()
