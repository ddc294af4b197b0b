"""A pipelined connection to Redis or Valkey: what one tick of the loop asks goes out in one write."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import hiredis
import structlog

from tallygate.gateway.state.address import Address, address_of

log = structlog.get_logger("tallygate.gateway")

MOST_WAITING = 10_000
"""Commands that may wait for their replies; more are not sent."""
MOST_UNSENT = 32 * 1024 * 1024
"""Bytes that may wait to be sent; with more, nothing is."""
CONNECT_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two attempts to connect: doubled each time, with jitter."""
SILENT_SECONDS = 2.0
"""A server that owes a reply and says nothing for so long is given up; a new connection is made."""

Argument = str | bytes | int | float
Reply = Any
"""bytes, int, None, or a list of them."""
Callback = Callable[[Reply], None]

_NOTHING: Final = object()


class StoreAway(Exception):
    """The server cannot be reached, or did not answer in time. Whether the command was carried out is not known."""


class StoreRefused(Exception):
    """The server answered with an error; the message is the server's."""


class Script:
    """A Lua script, known to the server by its digest."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.digest = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()


class Command:
    """A script with its keys and arguments, prepared but for the last argument."""

    __slots__ = ("_begun", "script")

    def __init__(self, script: Script, keys: Sequence[Argument], arguments: Sequence[Argument]) -> None:
        self.script = script
        words = (b"EVALSHA", script.digest, len(keys), *keys, *arguments)
        _, _, packed = _pack(words).partition(b"\r\n")
        self._begun = b"*%d\r\n%b" % (len(words) + 1, packed)

    def packed(self, last: bytes) -> bytes:
        """As it is sent."""
        return b"%b$%d\r\n%b\r\n" % (self._begun, len(last), last)


def _pack(command: Sequence[Argument]) -> bytes:
    packed: bytes = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]  # takes str, int and float as well
    return packed


class Redis:
    """One connection, kept open: commands of all tasks share it. Nothing waits longer than ``timeout`` seconds.

    Numbers and text become bytes; replies are bytes, ints, None and lists of them.
    """

    def __init__(self, url: str, timeout: float, what: str = "shared store", scripts: Sequence[Script] = ()) -> None:
        """what: how the log calls it. scripts: to be loaded beforehand. Raises AddressError."""
        self.address, self._scripts = address_of(url), scripts
        self._timeout, self._what = timeout, what
        self._connection: _Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._away_logged = False
        self.losses = 0
        """How many connections were lost: what was under way on them may have been carried out, or not."""

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def start(self) -> None:
        """Connect. A server that is away is waited for in the background.

        Raises StoreRefused when it refuses us, or our password, which only a change of the settings can mend.
        """
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(first))
        await first

    async def close(self) -> None:
        """Send what is left, and disconnect."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None
        if self._connection is not None:
            self._connection.end()
            self._connection = None

    async def wait_connected(self) -> None:
        """Until there is a connection."""
        await self._ready.wait()

    async def call(self, *command: Argument, late: Callback | None = None) -> Reply:
        """Send a command and wait for its reply. Raises StoreAway, StoreRefused.

        late: called with the reply if it comes when nobody waits for it any more: too late, or after a cancellation.
        """
        return await self._call(_pack(command), late)

    async def _call(self, packed: bytes, late: Callback | None) -> Reply:
        connection = self._connection
        if connection is None:
            raise StoreAway(f"not connected to {self.address}")
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        connection.send(packed, answer, late)
        try:
            return await answer
        except asyncio.CancelledError:
            if late is not None and answer.done() and not answer.cancelled() and answer.exception() is None:
                late(answer.result())  # it came just before the cancellation
            raise

    def send(self, *command: Argument) -> bool:
        """Send a command and wait for nothing; whether it was sent. An error that comes of it is logged."""
        connection = self._connection
        if connection is None:
            return False
        try:
            connection.send(_pack(command), None, None)
        except StoreAway:
            return False
        return True

    async def run(
        self, script: Script, keys: Sequence[Argument], arguments: Sequence[Argument], late: Callback | None = None
    ) -> Reply:
        """Run a script; it is sent whole only to a server that does not know it. As ``call``."""
        try:
            return await self.call(b"EVALSHA", script.digest, len(keys), *keys, *arguments, late=late)
        except StoreRefused as problem:
            if not str(problem).startswith("NOSCRIPT"):
                raise
            return await self.call(b"EVAL", script.text, len(keys), *keys, *arguments, late=late)

    async def run_command(self, command: Command, last: bytes, late: Callback | None = None) -> Reply:
        """Run a script that was prepared; ``last``: its last argument. As ``call``."""
        packed = command.packed(last)
        try:
            return await self._call(packed, late)
        except StoreRefused as problem:
            if not str(problem).startswith("NOSCRIPT"):
                raise
            await self.call(b"SCRIPT", b"LOAD", command.script.text)
            return await self._call(packed, late)

    def send_command(self, command: Command, last: bytes) -> bool:
        """The same without waiting for anything; as ``send``."""
        connection = self._connection
        if connection is None:
            return False
        try:
            connection.send_script(command.script, command.packed(last))
        except StoreAway:
            return False
        return True

    async def _keep(self, first: asyncio.Future[None]) -> None:
        """Connect, again and again."""
        pause = FIRST_PAUSE
        while True:
            try:
                connection = await self._connect()
            except (OSError, StoreAway) as problem:
                self._away(str(problem) or type(problem).__name__)
            except StoreRefused as problem:
                if not first.done():
                    first.set_exception(StoreRefused(f"{self._what} {self.address} refuses: {problem}"))
                    return
                self._away(str(problem))
            else:
                if self._away_logged:
                    log.info(f"{self._what} is back", address=str(self.address))
                    self._away_logged = False
                self._connection, pause = connection, FIRST_PAUSE
                self._ready.set()
                if not first.done():
                    first.set_result(None)
                reason = await connection.lost
                self._connection = None
                self._ready.clear()
                self.losses += 1
                self._away(reason)
            if not first.done():
                first.set_result(None)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _away(self, reason: str) -> None:
        """Log it, once for each time that it goes away."""
        if not self._away_logged:
            log.warning(f"{self._what} is away", address=str(self.address), why=reason)
            self._away_logged = True

    async def _connect(self) -> _Connection:
        """Raises OSError, StoreAway, StoreRefused."""
        address, loop = self.address, asyncio.get_running_loop()

        def connection() -> _Connection:
            return _Connection(self._timeout, self._what)

        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if address.path:
                    _, made = await loop.create_unix_connection(connection, address.path)
                else:
                    context = ssl.create_default_context(cafile=address.authorities) if address.tls else None
                    _, made = await loop.create_connection(connection, address.host, address.port, ssl=context)
                try:
                    await _introduce(made, address, self._scripts)
                except BaseException:
                    made.end()
                    raise
                return made
        except TimeoutError:
            raise StoreAway(f"no answer within {CONNECT_SECONDS:g} s") from None


async def _introduce(connection: _Connection, address: Address, scripts: Sequence[Script]) -> None:
    """Say who we are, which database is ours and which scripts will be run. Raises StoreAway, StoreRefused."""
    commands: list[tuple[Argument, ...]] = []
    if address.password is not None:
        user = () if address.user is None else (address.user,)
        commands.append((b"AUTH", *user, address.password))
    commands.append((b"PING",))
    if address.database:
        commands.append((b"SELECT", address.database))
    commands += [(b"SCRIPT", b"LOAD", script.text) for script in scripts]
    loop = asyncio.get_running_loop()
    answers: list[asyncio.Future[Reply]] = []
    for command in commands:
        answers.append(loop.create_future())
        connection.send(_pack(command), answers[-1], None)
    results = await asyncio.gather(*answers, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


class _Connection(asyncio.Protocol):
    """Commands out, replies in, in the same order."""

    def __init__(self, timeout: float, what: str) -> None:
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        """Why the connection ended, once it has."""
        self._timeout, self._what = timeout, what
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._waiting: deque[tuple[float, asyncio.Future[Reply] | None, Callback | None]] = deque()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._watch: asyncio.TimerHandle | None = None
        self._heard_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, packed: bytes, answer: asyncio.Future[Reply] | None, late: Callback | None) -> None:
        """Raises StoreAway when too much waits already, or the connection is lost."""
        if self.lost.done():
            raise StoreAway("the connection is lost")
        if len(self._waiting) >= MOST_WAITING or self._unsent_bytes >= MOST_UNSENT:
            raise StoreAway("too many commands wait for it")
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)
        self._unsent_bytes += len(packed)
        now = self._loop.time()
        if not self._waiting:
            self._heard_at = now
        self._waiting.append((now + self._timeout, answer, late))
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout, self._look)

    def send_script(self, script: Script, packed: bytes) -> None:
        """As ``send``, without an answer."""

        def again(reply: Reply) -> None:
            if isinstance(reply, Exception) and str(reply).startswith("NOSCRIPT"):
                with contextlib.suppress(StoreAway):
                    self.send(_pack((b"SCRIPT", b"LOAD", script.text)), None, None)
                    self.send(packed, None, None)
            elif isinstance(reply, Exception):
                self._complain(reply)

        self.send(packed, None, again)

    def _flush(self) -> None:
        pieces, self._unsent = self._unsent, []
        assert self._transport is not None
        self._transport.write(b"".join(pieces))
        self._unsent_bytes = self._transport.get_write_buffer_size()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._heard_at = self._loop.time()
        assert self._transport is not None
        self._unsent_bytes = self._transport.get_write_buffer_size() + sum(map(len, self._unsent))
        while True:
            try:
                reply = self._reader.gets()
            except hiredis.ProtocolError as problem:
                self._give_up(f"the server does not speak Redis' protocol: {problem}")
                return
            if reply is _NOTHING:
                return
            if not self._waiting:
                self._give_up("the server sent a reply to nothing")
                return
            _, answer, late = self._waiting.popleft()
            if answer is not None and not answer.done():
                if isinstance(reply, hiredis.ReplyError):
                    answer.set_exception(StoreRefused(str(reply)))
                else:
                    answer.set_result(reply)
            elif late is not None:
                late(reply)
            elif isinstance(reply, hiredis.ReplyError):
                self._complain(reply)

    def connection_lost(self, problem: Exception | None) -> None:
        self._end(str(problem) if problem is not None else "the server closed the connection")

    def end(self) -> None:
        """Close, after what is to be sent."""
        if self._unsent and self._transport is not None and not self._transport.is_closing():
            self._flush()
        if self._transport is not None:
            self._transport.close()
        self._end("closed")

    def _give_up(self, reason: str) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    def _end(self, reason: str) -> None:
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if self._watch is not None:
            self._watch.cancel()
        self._unsent.clear()
        for _, answer, _ in self._waiting:
            if answer is not None and not answer.done():
                answer.set_exception(StoreAway(f"the connection was lost: {reason}"))
        self._waiting.clear()

    def _look(self) -> None:
        """Tell those who have waited too long; give up a server that says nothing at all."""
        self._watch = None
        now, next_at = self._loop.time(), None
        for deadline, answer, _ in self._waiting:
            if deadline > now:
                next_at = deadline
                break
            if answer is not None and not answer.done():
                answer.set_exception(StoreAway(f"no answer within {self._timeout:g} s"))
        if not self._waiting:
            return
        if now - self._heard_at >= max(SILENT_SECONDS, self._timeout):
            self._give_up(f"no answer for {now - self._heard_at:.1f} s")
            return
        later = self._timeout / 4 if next_at is None else max(next_at - now, self._timeout / 16)
        self._watch = self._loop.call_later(later, self._look)

    def _complain(self, problem: Exception) -> None:
        log.error(f"{self._what} refused a command", problem=str(problem))
