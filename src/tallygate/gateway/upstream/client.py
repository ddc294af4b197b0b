"""The client: which connection a request takes, and when it may be sent again."""

import asyncio
import ssl
from collections.abc import Callable

from tallygate.errors import ErrorType
from tallygate.gateway.upstream.connection import StaleConnectionError
from tallygate.gateway.upstream.interface import Headers, Reply, Timeouts, UpstreamError
from tallygate.gateway.upstream.pool import Pool
from tallygate.gateway.upstream.request import request_head
from tallygate.gateway.upstream.target import Address, target_of


def open_upstream(
    *,
    verify: bool = True,
    ca_file: str | None = None,
    max_connections: int = 10_000,
    keepalive: float = 55.0,
    count: Callable[[int], None] = lambda change: None,
) -> "HttpUpstream":
    """A client for providers; it connects when it is asked to.

    ``verify=False`` accepts any certificate; ``ca_file`` (PEM) is trusted beside the system's authorities, which
    SSL_CERT_FILE and SSL_CERT_DIR may replace. ``max_connections`` are per origin; requests beyond it wait for their
    turn within the connect time-out. A connection that was idle for ``keepalive`` seconds is closed. ``count`` is told
    1 when a connection is open and -1 when it is closed.
    Raises OSError (ssl.SSLError, FileNotFoundError) when ``ca_file`` cannot be read.
    """
    client = HttpUpstream(lambda: _tls_context(verify, ca_file), max_connections, keepalive, count)
    if ca_file is not None:
        client.prepare_tls()
    return client


def _tls_context(verify: bool, ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


class HttpUpstream:
    """A keep-alive HTTP/1.1 client with a pool of connections per origin; belongs to one event loop."""

    def __init__(
        self,
        make_context: Callable[[], ssl.SSLContext],
        max_connections: int,
        keepalive: float,
        count: Callable[[int], None],
    ) -> None:
        self._make_context = make_context
        self._context: ssl.SSLContext | None = None
        self._max_connections = max_connections
        self._keepalive = keepalive
        self._count = count
        self._pools: dict[Address, Pool] = {}
        self._closed = False

    def prepare_tls(self) -> None:
        """Read the trusted authorities now (some 30 ms), rather than at the first https request."""
        if self._context is None:
            self._context = self._make_context()

    async def send(self, method: str, url: str, headers: Headers, body: bytes, timeouts: Timeouts) -> Reply:
        """Send one request; returns at the reply's head. Raises UpstreamError; ValueError for what cannot be sent."""
        target = target_of(url)
        head = request_head(method, target, headers, body)
        began = asyncio.get_running_loop().time()
        pool = self._pools.get(target.address) or self._pool(target.address)
        connection = await pool.take(timeouts)
        try:
            return await connection.exchange(method, head, body, timeouts, began)
        except StaleConnectionError:
            # Sent again only because the provider had closed this kept-alive connection before our request came: not
            # one byte of a reply arrived and the regular close crossed the request within a round trip. Anything later,
            # and any reset, may come after the request was worked on; a model call is not idempotent, so it fails.
            connection = await pool.take(timeouts, fresh=True)
        try:
            return await connection.exchange(method, head, body, timeouts, began)
        except StaleConnectionError:
            message = f"{target.address} closed the connection before the request was sent"
            raise UpstreamError(ErrorType.PROVIDER_NETWORK, message) from None

    async def close(self) -> None:
        """Drop all connections; replies that are still being read fail."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()

    def _pool(self, address: Address) -> Pool:
        if self._closed:
            raise RuntimeError("this upstream client is closed")
        if address.secure:
            self.prepare_tls()
        context = self._context if address.secure else None
        pool = self._pools[address] = Pool(address, context, self._max_connections, self._keepalive, self._count)
        return pool
