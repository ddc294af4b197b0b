"""Serve an application: in this process, or in several that share the port."""

import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any

from tallygate.gateway.server.limits import Limits
from tallygate.gateway.server.plan import Plan, SideApp
from tallygate.gateway.server.sockets import StartError, open_listeners
from tallygate.gateway.server.supervisor import supervise
from tallygate.gateway.server.tls import TLS
from tallygate.gateway.server.worker import run_worker

__all__ = ["SideApp", "StartError", "serve"]

OnReady = Callable[[list[tuple[str, int]]], None]


def serve(
    app_factory: str,
    host: str,
    port: int,
    *,
    settings: Any,
    workers: int = 1,
    grace: float = 30.0,
    limits: Limits | None = None,
    tls: TLS | None = None,
    side_apps: Sequence[SideApp] = (),
    on_ready: OnReady | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status 0.

    ``app_factory`` is ``module:function``: called with ``settings`` in each worker, it returns the ASGI application.
    With more than one worker, ``settings`` are pickled and sent to freshly started interpreters.
    ``on_ready`` is called once all workers accept connections, with the bound (host, port) of the main listener and
    of each side application: port 0 has become a real one.
    A first signal stops accepting and lets answers finish for ``grace`` seconds; a second one cuts them off.
    Raises StartError when a port cannot be had, a file of TLS cannot be used or the application refuses to start; with
    one worker also whatever ``app_factory`` raises.
    """
    places = [(host, port), *((side.host, side.port) for side in side_apps)]
    plan = Plan(app_factory, settings, grace, tuple(side_apps), limits or Limits(), tls)
    opened: list[list[list[socket.socket]]] = []
    try:
        for place in places:
            opened.append(open_listeners(*place, workers))
        bound = [(place[0], listeners[0][0].getsockname()[1]) for place, listeners in zip(places, opened, strict=True)]
        sockets = [[listeners[index] for listeners in opened] for index in range(workers)]

        def ready() -> None:
            if on_ready is not None:
                on_ready(bound)

        if workers == 1:
            run_worker(plan, sockets[0], ready, signals=(signal.SIGTERM, signal.SIGINT), parent=None)
        else:
            supervise(plan, sockets, ready)
    finally:
        for listener in (one for listeners in opened for mine in listeners for one in mine):
            listener.close()
    return 0
