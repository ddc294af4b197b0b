"""Listening sockets, opened before any worker starts so that a port in use is an error at once."""

import errno
import socket
import sys

BACKLOG = 2048
BALANCES = sys.platform.startswith("linux")
"""Whether the kernel spreads connections over sockets on one port (SO_REUSEPORT); elsewhere workers share a socket."""


class StartError(Exception):
    """The server cannot start; the message says why and what would mend it."""


def open_listeners(host: str, port: int, workers: int) -> list[list[socket.socket]]:
    """One list of listening sockets per worker, all on the same addresses and port; port 0 takes a free one.

    Raises StartError. The parent keeps them all open: when a worker dies, connections that wait at its socket are
    served by the worker that replaces it.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartError(f"cannot listen on host {host!r}: {error.strerror}") from None
    per_worker: list[list[socket.socket]] = [[] for _ in range(workers)]
    unavailable: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            sockets = _open(family, (address[0], port, *address[2:]), workers)
        except OSError as error:
            # A name such as localhost may stand for an IPv6 address that this machine does not have.
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                unavailable = error
                continue
            for listener in (listener for one in per_worker for listener in one):
                listener.close()
            raise StartError(_explain(host, port, error)) from None
        port = sockets[0].getsockname()[1]
        for index, one in enumerate(per_worker):
            one.append(sockets[index % len(sockets)])
    if unavailable is not None and not per_worker[0]:
        raise StartError(_explain(host, port, unavailable))
    return per_worker


def _open(family: int, address: tuple[object, ...], workers: int) -> list[socket.socket]:
    """One socket, or one per worker where the kernel balances between them."""
    first = _bound(family, address, shared=False)
    if workers == 1 or not BALANCES:
        first.listen(BACKLOG)
        return [first]
    # The first showed that nobody else has the port: a second server would else silently share it with us.
    address = first.getsockname()
    first.close()
    sockets = [_bound(family, address, shared=True) for _ in range(workers)]
    for one in sockets:
        one.listen(BACKLOG)
    return sockets


def _bound(family: int, address: tuple[object, ...], *, shared: bool) -> socket.socket:
    # asyncio switches Nagle's algorithm off only where a socket says that it is TCP; else heads wait for bodies.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _explain(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is already in use: stop what listens there or choose another port"
    if error.errno == errno.EACCES:
        return f"no permission to listen on port {port} of {host}: choose a port above 1023"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"
