"""The connections to one origin."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from tallygate.errors import ErrorType
from tallygate.gateway.upstream.connection import Connection
from tallygate.gateway.upstream.interface import Timeouts, UpstreamError
from tallygate.gateway.upstream.target import Address


class Pool:
    """Hands out connections, the one used last first, so that those not needed grow old and close."""

    def __init__(
        self,
        address: Address,
        context: ssl.SSLContext | None,
        limit: int,
        keepalive: float,
        count: Callable[[int], None],
    ) -> None:
        """count: is told how many connections are open more than before."""
        self._count = count
        self._address = address
        self._name = str(address)
        self._context = context
        self._keepalive = keepalive
        self._limit = limit
        self._turns = asyncio.Semaphore(limit)
        self._idle: dict[Connection, None] = {}
        self._open: set[Connection] = set()
        self._closed = False

    async def take(self, timeouts: Timeouts, *, fresh: bool = False) -> Connection:
        """A connection for one request, idle or new; ``fresh`` insists on a new one. Raises UpstreamError."""
        if self._turns.locked():
            await self._wait_turn(timeouts)
        else:
            await self._turns.acquire()
        if self._idle:
            if not fresh:
                connection, _ = self._idle.popitem()
                connection.busy = True
                return connection
            if len(self._open) >= self._limit:
                self._idle.popitem()[0].drop()
        try:
            return await self._connect(timeouts)
        except BaseException:
            self._turns.release()
            raise

    def close(self) -> None:
        """Drop all connections."""
        self._closed = True
        for connection in list(self._open):
            connection.drop()

    def freed(self, connection: Connection) -> None:
        """A connection can take the next request."""
        connection.busy = False
        self._idle[connection] = None
        self._turns.release()
        connection.rest(self._keepalive)

    def lost(self, connection: Connection) -> None:
        """A connection is closed."""
        if connection in self._open:
            self._open.remove(connection)
            self._count(-1)
        if connection.busy:
            connection.busy = False
            self._turns.release()
        else:
            self._idle.pop(connection, None)

    async def _wait_turn(self, timeouts: Timeouts) -> None:
        try:
            async with asyncio.timeout(timeouts.connect):
                await self._turns.acquire()
        except TimeoutError:
            message = f"all {self._limit} connections to {self._name} were in use for {timeouts.connect:g} s"
            raise UpstreamError(ErrorType.PROVIDER_TIMEOUT, message) from None

    async def _connect(self, timeouts: Timeouts) -> Connection:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise RuntimeError("this upstream client is closed")
        connection = Connection(self._name, loop, self)
        address, context = self._address, self._context
        server_hostname = address.host if context is not None else None
        try:
            async with asyncio.timeout(timeouts.connect) as limit:
                transport, _ = await loop.create_connection(
                    lambda: connection, address.host, address.port, ssl=context, server_hostname=server_hostname
                )
        except OSError as error:
            connection.drop()
            if isinstance(error, TimeoutError) and limit.expired():
                message = f"connecting to {self._name} took longer than {timeouts.connect:g} s"
                raise UpstreamError(ErrorType.PROVIDER_TIMEOUT, message) from None
            message = f"cannot connect to {self._name}: {_reason(error)}"
            raise UpstreamError(ErrorType.PROVIDER_NETWORK, message) from error
        except BaseException:
            connection.drop()
            raise
        if connection.closed:
            message = f"{self._name} closed the connection before a request was sent"
            raise UpstreamError(ErrorType.PROVIDER_NETWORK, message)
        if self._closed:
            connection.drop()
            raise UpstreamError(ErrorType.GATEWAY_INTERNAL, f"the gateway gave up its connection to {self._name}")
        plain = transport.get_extra_info("socket")
        if plain is not None:
            # A provider may think for minutes: a peer that vanished meanwhile is found out.
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._open.add(connection)
        self._count(1)
        connection.busy = True
        return connection


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"no TLS ({error.reason or error})"
    if isinstance(error, socket.gaierror):
        return f"the host name cannot be resolved ({error.strerror})"
    return error.strerror or str(error)
