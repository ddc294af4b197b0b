"""Small servers on real sockets that answer as they are told, however badly."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PATIENCE = 10.0


@dataclass(frozen=True)
class Asked:
    """A request."""

    number: int
    """The first is 0."""
    target: str
    headers: dict[str, str]
    """By lower-case name."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


Reply = bytes | Callable[[socket.socket], None]


@dataclass
class Server:
    """One that runs."""

    port: int
    url: str
    asked: list[Asked] = field(default_factory=list)


def reply(
    body: bytes | str = b"", status: str = "200 OK", *, packed: bool = False, length: int | None = None, **headers: str
) -> bytes:
    """A whole answer; ``headers`` with underscores for dashes, and ``content_type=""`` for none."""
    body = body.encode() if isinstance(body, str) else body
    if packed:
        body = gzip.compress(body)
    told = {
        "content-type": "text/plain; version=0.0.4",
        **{name.replace("_", "-"): value for name, value in headers.items()},
        **({"content-encoding": "gzip"} if packed else {}),
        "content-length": str(len(body) if length is None else length),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


@contextmanager
def serving(answer: Callable[[Asked], Reply], tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server that answers each request on a connection of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = Server(port, f"{'http' if tls is None else 'https'}://127.0.0.1:{port}")
        open_ones: set[socket.socket] = set()
        thread = threading.Thread(target=_accept, args=(listener, server, answer, tls, open_ones))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for connection in tuple(open_ones):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)
            assert not thread.is_alive()


def always(
    body: bytes | str = b"", status: str = "200 OK", *, packed: bool = False, **headers: str
) -> Callable[[Asked], Reply]:
    """The same answer to everything."""
    answer = reply(body, status, packed=packed, length=None, **headers)
    return lambda asked: answer


def at(paths: Mapping[str, bytes]) -> Callable[[Asked], Reply]:
    """Answers by path; 404 elsewhere."""
    return lambda asked: paths.get(asked.path, reply(b"", "404 Not Found"))


def _accept(
    listener: socket.socket,
    server: Server,
    answer: Callable[[Asked], Reply],
    tls: ssl.SSLContext | None,
    open_ones: set[socket.socket],
) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with suppress(OSError), connection:
            open_ones.add(connection)
            connection.settimeout(PATIENCE)
            _serve(connection if tls is None else tls.wrap_socket(connection, server_side=True), server, answer)
        open_ones.discard(connection)


def _serve(connection: socket.socket, server: Server, answer: Callable[[Asked], Reply]) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            return
        head += piece
        if head.startswith(b"\x16"):  # a TLS client's first byte
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
    first, *lines = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    asked = Asked(len(server.asked), first.split(" ")[1], headers)
    server.asked.append(asked)
    told = answer(asked)
    if callable(told):
        told(connection)
        return
    connection.sendall(told)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    connection.close()
