"""One request for a page: bounded in time and size, and honest about where it failed."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from tallygate.scraping.address import Address

ACCEPT: Final = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""What Prometheus 3 sends with its default ``scrape_protocols``."""
AGENT: Final = "Prometheus/3.7.0 (tallygate)"
TEXT: Final = "text/plain;version=0.0.4"

PAGE_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of a page, unpacked."""
REFUSAL_LIMIT: Final = 64 * 1024
"""Bytes that are read of an answer that is no page."""
PIECE: Final = 64 * 1024

Stage = Literal["name", "connection", "tls", "time", "protocol", "size"]


class FetchError(Exception):
    """No answer was had: at which stage, and why."""

    def __init__(self, stage: Stage, reason: str) -> None:
        super().__init__(reason)
        self.stage, self.reason = stage, reason


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    address: Address
    status: int
    headers: Mapping[str, str]
    """By lower-case name; the last of several."""
    body: bytes
    """Unpacked."""
    sent_bytes: int
    """As it came over the wire."""
    seconds: float
    """From the look-up of the name to the last byte."""
    time: float
    """Unix time at which the answer's head was here."""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


@dataclass(frozen=True)
class Client:
    """How pages are asked for. ``key`` goes out as a bearer token; without ``tls`` the system's CAs are trusted."""

    key: str | None = None
    tls: ssl.SSLContext | None = None
    timeout: float = 10.0
    accept: str = ACCEPT
    agent: str = AGENT

    def get(self, address: Address) -> Answer:
        """The answer, whatever its status; redirects are not followed. Raises FetchError."""
        began = time.monotonic()
        deadline = began + self.timeout
        late = FetchError("time", f"no whole answer within {self.timeout:g} s")
        with _Watch(deadline) as watch:
            try:
                connection = http.client.HTTPConnection(address.host, address.port)
                connection.sock = watch.sock = self._connected(address, deadline, watch)
                answer = self._asked(connection, address, began)
            except FetchError as problem:
                raise late if watch.expired and problem.stage == "protocol" else problem from problem.__cause__
            except (OSError, http.client.HTTPException, ValueError, EOFError) as problem:
                if isinstance(problem, TimeoutError) or watch.expired:
                    raise late from problem
                raise FetchError("protocol", _told(problem)) from problem
            if watch.expired:  # what is cut off looks like what has ended
                raise late
            return answer

    def _connected(self, address: Address, deadline: float, watch: _Watch) -> socket.socket:
        try:
            places = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as problem:
            raise FetchError("name", _told(problem)) from problem
        refused: OSError = ConnectionError("it has no address")
        for family, kind, protocol, _, place in places:
            plain = socket.socket(family, kind, protocol)
            watch.sock = plain
            plain.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                plain.connect(place)
            except OSError as problem:
                plain.close()
                refused = problem
                continue
            return plain if address.scheme == "http" else self._encrypted(plain, address.host, watch)
        if isinstance(refused, TimeoutError) or watch.expired:
            raise FetchError("connection", f"no connection within {self.timeout:g} s") from refused
        raise FetchError("connection", _told(refused)) from refused

    def _encrypted(self, plain: socket.socket, host: str, watch: _Watch) -> socket.socket:
        context = self.tls or ssl.create_default_context()
        try:
            encrypted = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            watch.sock = encrypted
            encrypted.do_handshake()
        except ssl.SSLCertVerificationError as problem:
            raise FetchError("tls", problem.verify_message or _told(problem)) from problem
        except (ssl.SSLError, ConnectionError, EOFError) as problem:
            if watch.expired:
                raise TimeoutError from problem
            raise FetchError("tls", _told(problem)) from problem
        return encrypted

    def _asked(self, connection: http.client.HTTPConnection, address: Address, began: float) -> Answer:
        headers = {
            "Host": address.place,
            "User-Agent": self.agent,
            "Accept": self.accept,
            "Accept-Encoding": "gzip",
            "X-Prometheus-Scrape-Timeout-Seconds": f"{self.timeout:g}",
            "Connection": "close",
        }
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        connection.request("GET", address.target, headers=headers)
        with connection.getresponse() as reply:
            moment = time.time()
            told = {name.lower(): value for name, value in reply.getheaders()}
            limit = PAGE_LIMIT if reply.status == http.client.OK else REFUSAL_LIMIT
            body, sent = _body(reply, told.get("content-encoding", "").strip().lower(), limit)
            if reply.status == http.client.OK and len(body) > limit:
                raise FetchError("size", f"the page has more than {limit // 1024**2} MiB")
            return Answer(address, reply.status, told, body[:limit], sent, time.monotonic() - began, moment)


def _body(reply: http.client.HTTPResponse, encoding: str, limit: int) -> tuple[bytes, int]:
    """The body, unpacked, up to a byte more than the limit; and how many bytes were sent."""
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise FetchError("protocol", f"it answered with Content-Encoding: {encoding}, which was not asked for")
    unpacker = zlib.decompressobj(wbits=31) if encoding.endswith("gzip") else None
    unpacked, size, sent = [], 0, 0
    while size <= limit:
        piece = reply.read1(PIECE)
        if not piece:
            break
        sent += len(piece)
        if unpacker is not None:
            try:
                piece = unpacker.decompress(piece, limit + 1 - size)
            except zlib.error as problem:
                raise FetchError("protocol", f"what it sent is not gzip, though it says so: {problem}") from problem
        unpacked.append(piece)
        size += len(piece)
    if size <= limit:
        if reply.length:
            raise FetchError("protocol", f"the answer ended {reply.length} bytes before its end")
        if unpacker is not None and sent and not unpacker.eof:
            raise FetchError("protocol", "the gzipped answer ended before its end")
    return b"".join(unpacked), sent


class _Watch:
    """Cuts a socket off at a time, whatever it is doing: a server that sends a byte now and then never times out."""

    def __init__(self, deadline: float) -> None:
        self.sock: socket.socket | None = None
        self.expired = False
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self.sock is not None:
            self.sock.close()

    def _cut(self) -> None:
        self.expired = True
        if self.sock is not None:
            with suppress(OSError):  # it may have ended just now
                self.sock.shutdown(socket.SHUT_RDWR)


def _told(problem: BaseException) -> str:
    """An error of the system or the standard library, in a line."""
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return str(problem) or type(problem).__name__
