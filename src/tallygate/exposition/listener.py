"""A listener for programs without a web server of their own: ``start_metrics_server(tally, port=3131)``."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tallygate.exposition.endpoint import Answer, Authorize, Endpoint, answer
from tallygate.exposition.page import PageSource

logger = logging.getLogger(__name__)

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 3131
MAX_PORT: Final = 65_535
IDLE_SECONDS: Final = 75.0
"""How long a connection may be silent: longer than the usual interval between two scrapes."""
CLOSING_SECONDS: Final = 0.1
"""How long ``close`` may go unnoticed."""
CONNECTIONS: Final = 64
"""Connections at once; further ones are closed."""


class ListenerError(OSError):
    """The listener could not be started. The message names host and port and what mends it."""


class MetricsServer:
    """A running listener. Its threads are daemons: they do not keep a program from ending."""

    def __init__(self, server: _Server, endpoint: Endpoint, path: str) -> None:
        self._server, self._endpoint, self._path = server, endpoint, path
        self._thread = threading.Thread(
            target=server.serve_forever, args=(CLOSING_SECONDS,), name="tallygate-metrics", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on, also when 0 was asked for."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where the metrics are."""
        host = str(self._server.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{self._path}"

    def close(self) -> None:
        """Stop listening and close every connection. May be called again."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._endpoint.close()


def start_metrics_server(
    source: PageSource,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    path: str = "/metrics",
    authorize: Authorize | None = None,
) -> MetricsServer:
    """Serve the metrics of ``source`` in a thread of its own; port 0 takes any free one.

    authorize: given the Authorization header, or None, says whether it may read. Raises ListenerError.
    """
    endpoint = Endpoint(source, authorize)
    try:
        if not 0 <= port <= MAX_PORT:
            raise OverflowError("there is no such port")
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        server = _Server(family, address, _handler(endpoint, path))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise ListenerError(f"cannot serve metrics on {host}:{port}: {why}; {_mend(error)}") from error
    return MetricsServer(server, endpoint, path)


def _mend(error: Exception) -> str:
    if isinstance(error, OverflowError):
        return f"choose a port from 0 to {MAX_PORT}"
    if isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
        return "choose an address of this machine, such as 127.0.0.1"
    return "choose another port, or 0 for any free one"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, family: socket.AddressFamily, address: Any, handler: Callable[..., BaseHTTPRequestHandler]
    ) -> None:
        self.address_family = family
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # Without HTTPServer's own look-up of the host's full name, which can take seconds and serves nothing here.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            has_room = len(self._connections) < CONNECTIONS
            if has_room:
                self._connections.add(request)
        if has_room:
            super().process_request(request, client_address)
        else:
            super().shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            _hang_up(connection)
        self.socket.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("a scrape from %s broke off", client_address, exc_info=True)


def _hang_up(connection: socket.socket) -> None:
    """Wake the thread that waits for the next request; closing alone would not."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("a connection was closed already", exc_info=True)


def _handler(endpoint: Endpoint, path: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = IDLE_SECONDS
        server_version, sys_version = "tallygate", ""

        def _serve(self) -> None:
            asked_path, _, query = self.path.partition("?")
            if asked_path != path:
                self._send(_not_found(path))
                return
            headers: dict[str, str] = {}
            for name, value in self.headers.items():
                name = name.lower()
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
            asked = endpoint.ask(self.command, query, headers)
            self._send(asked if isinstance(asked, Answer) else answer(asked.result()))

        def _send(self, whole: Answer) -> None:
            if self.command not in ("GET", "HEAD") or "content-length" in self.headers:
                self.close_connection = True  # a body that nobody reads may follow
            self.send_response(whole.status)
            for name, value in whole.headers:
                self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(whole.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

        def log_message(self, format: str, *args: Any) -> None:
            logger.debug(format, *args)

    return Handler


def _not_found(path: str) -> Answer:
    body = f"the metrics are at {path}\n".encode()
    headers = (("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))))
    return Answer(404, headers, body)
