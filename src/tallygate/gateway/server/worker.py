"""One serving process: the application and its listeners on one event loop, until it is told to stop."""

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal

import uvicorn

from tallygate.gateway.server.limits import Limits
from tallygate.gateway.server.plan import Plan, resolve
from tallygate.gateway.server.protocol import GuardedConfig, GuardedProtocol
from tallygate.gateway.server.sockets import BACKLOG, StartError
from tallygate.gateway.server.tls import TLS, RenewedContext, TLSFileError

log = logging.getLogger("tallygate.gateway.server")

AFTER_CUT = 1.0
"""Seconds in which tasks that were cut off can clean up."""

Sockets = list[list[socket.socket]]
"""The listening sockets of the main application, then those of each side application."""


class Server(uvicorn.Server):
    """uvicorn's server, stopped by its worker, and drained by events instead of polling."""

    def __init__(self, config: GuardedConfig, grace: float, tls: TLS | None = None) -> None:
        super().__init__(config)
        self._tls = tls
        self._limits = config.limits
        self.sides: list[tuple[Server, asyncio.Task[None]]] = []
        self._grace = grace
        self.ready = asyncio.Event()
        """Set once connections are accepted."""
        self._stop = asyncio.Event()
        self._cut = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """The worker handles signals."""
        yield

    def stop(self) -> None:
        """Drain and end."""
        self.should_exit = True
        self._stop.set()

    def cut(self) -> None:
        """End and wait for nobody."""
        self.force_exit = True
        self._cut.set()
        self.stop()

    def stop_or_cut(self) -> None:
        """Drain and end; called again, wait for nobody any longer."""
        if self.should_exit:
            self.cut()
        self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept connections. Raises StartError when the application refuses."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise StartError("the application failed to start; the log says why")
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"backlog": BACKLOG}
        if self._tls is not None:
            try:
                options["ssl"] = RenewedContext(self._tls).context
            except TLSFileError as error:
                raise StartError(f"TLS: {error}") from None
            # A client that does not get through its handshake is a slow one; so is one that does not say goodbye.
            options["ssl_handshake_timeout"] = self._limits.head_seconds
            options["ssl_shutdown_timeout"] = self._limits.linger_seconds
        self.servers = [
            await loop.create_server(self._protocol, sock=listener, **options) for listener in sockets or []
        ]
        self.started = True
        self.ready.set()

    async def main_loop(self) -> None:
        """Until stopped."""
        await self.on_tick(0)
        await self._stop.wait()

    def _protocol(self) -> GuardedProtocol:
        return GuardedProtocol(self.config, self.server_state, self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, let answers finish within the grace period, cut the rest, then end the application."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if (drain := getattr(self.config.app, "drain", None)) is not None:
            drain()
        if not await self._drained():
            count = len(self.server_state.tasks)
            log.warning("%d request(s) cut off at shutdown, unfinished after %g s of grace", count, self._grace)
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            for task in list(self.server_state.tasks):
                task.cancel()
            if self.server_state.tasks:
                await asyncio.wait(self.server_state.tasks, timeout=AFTER_CUT)
        # Metrics stay readable until the last request is counted.
        for side, _ in self.sides:
            side.stop()
        if self.sides:
            await asyncio.wait([task for _, task in self.sides])
        await self.lifespan.shutdown()

    async def _drained(self) -> bool:
        """Wait until all requests are answered; False when the grace period ended or nobody wants to wait."""
        cut = asyncio.create_task(self._cut.wait())
        try:
            async with asyncio.timeout(self._grace):
                while self.server_state.tasks and not cut.done():
                    await asyncio.wait([*self.server_state.tasks, cut], return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            return False
        finally:
            cut.cancel()
        return not self.server_state.tasks


def run_worker(
    plan: Plan, sockets: Sockets, on_ready: Callable[[], None], *, signals: Sequence[int], parent: socket.socket | None
) -> None:
    """Serve until one of ``signals`` comes or ``parent`` (the other end of a socket pair) is gone.

    The first signal drains; a second one cuts, or under a parent a byte from it. Raises what the application's
    factory raises; StartError when the application refuses to start.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(plan, sockets, on_ready, signals, parent))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where there is one."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(
    plan: Plan, sockets: Sockets, on_ready: Callable[[], None], signals: Sequence[int], parent: socket.socket | None
) -> None:
    app = resolve(plan.factory)(plan.settings)
    main = Server(server_config(app, plan.limits, lifespan="auto"), plan.grace, plan.tls)
    sides = [
        Server(server_config(resolve(side.select)(app), plan.limits, lifespan="off"), 1.0, side.tls)
        for side in plan.sides
    ]
    loop = asyncio.get_running_loop()

    for number in signals:
        # Under a parent a second signal means nothing: some managers signal every process, and so does the parent.
        loop.add_signal_handler(number, main.stop_or_cut if parent is None else main.stop)
    if parent is not None:
        loop.add_reader(parent, _heed, loop, parent, main)
    for side, listeners in zip(sides, sockets[1:], strict=True):
        main.sides.append((side, asyncio.create_task(side.serve(listeners))))
    serving = asyncio.create_task(main.serve(sockets[0]))
    started = asyncio.create_task(_all_ready([main, *sides]))
    await asyncio.wait([serving, started], return_when=asyncio.FIRST_COMPLETED)
    if started.done():
        # What lives now lives to the end: collections need not look at it again, and happen less often.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        on_ready()
    started.cancel()
    await serving


def _heed(loop: asyncio.AbstractEventLoop, parent: socket.socket, main: Server) -> None:
    """A parent that says anything wants the end at once; one that is gone is followed in order."""
    loop.remove_reader(parent)
    if parent.recv(1):
        main.cut()
    main.stop()


async def _all_ready(servers: list[Server]) -> None:
    for server in servers:
        await server.ready.wait()


def server_config(app: Any, limits: Limits, *, lifespan: Literal["auto", "off"] = "off") -> GuardedConfig:
    """uvicorn's configuration for our protocol: no access log, no headers of its own."""
    config = GuardedConfig(
        app,
        http=GuardedProtocol,
        ws="none",
        interface="asgi3",
        lifespan=lifespan,
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )
    config.limits = limits
    return config
