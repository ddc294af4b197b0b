"""The connection to the shared server: what is asked in one tick goes out together, and nothing waits for long."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hiredis
import pytest
import trustme
from structlog.testing import capture_logs

from tallygate.gateway.state.redis import Command, Redis, Script, StoreAway, StoreRefused
from tests.gateway.provided import until

Answerer = Callable[[list[bytes]], bytes | None]
"""What a server says to a command; None: nothing."""


def ok(command: list[bytes]) -> bytes | None:
    return b"+OK\r\n"


def silent(command: list[bytes]) -> bytes | None:
    """Nothing but that it is there."""
    return b"+PONG\r\n" if command == [b"PING"] else None


class FakeServer:
    """Speaks Redis' protocol, as far as it is told to."""

    def __init__(self, answer: Answerer) -> None:
        self.answer, self.port = answer, 0
        self.commands: list[list[bytes]] = []
        self.pieces: list[bytes] = []
        self.connections: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        parser = hiredis.Reader()
        while data := await reader.read(1 << 20):
            self.pieces.append(data)
            parser.feed(data)
            while command := parser.gets():
                self.commands.append(command)
                said = self.answer(command)
                if said is not None:
                    writer.write(said)

    def drop(self) -> None:
        """End all connections."""
        for writer in self.connections:
            writer.transport.abort()
        self.connections.clear()


@asynccontextmanager
async def fake(answer: Answerer = ok, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeServer]:
    server = FakeServer(answer)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.drop()
        listener.close()


@asynccontextmanager
async def connected(url: str, seconds: float = 5.0, **more: Any) -> AsyncIterator[Redis]:
    redis = Redis(url, seconds, **more)
    await redis.start()
    try:
        yield redis
    finally:
        await redis.close()


@pytest.mark.xdist_group("redis")
async def test_commands_and_scripts_on_a_real_server(redis_url: str) -> None:
    async with connected(f"{redis_url}?db=5") as redis:
        assert await redis.call("SET", "a", b"\x00\xff") == b"OK"
        assert await redis.call(b"GET", "a") == b"\x00\xff"
        assert await redis.call("GET", "b") is None
        assert await redis.call("INCRBY", "n", 12) == 12
        assert await redis.call("LRANGE", "l", 0, -1) == []
        with pytest.raises(StoreRefused, match=r"^WRONGTYPE Operation against a key"):
            await redis.call("LPUSH", "a", 1)
        script = Script("return {KEYS[1], ARGV[1], redis.call('GET', KEYS[1])}")
        for _ in range(2):  # the second time by its digest alone
            assert await redis.run(script, ["a"], [1.5]) == [b"a", b"1.5", b"\x00\xff"]
            assert await redis.run_command(Command(script, ["a"], []), b"x") == [b"a", b"x", b"\x00\xff"]
        unknown = Command(Script("return {KEYS[1], ARGV[1], ARGV[2]}"), ["a"], [1])
        for _ in range(2):
            assert await redis.run_command(unknown, b"2 3") == [b"a", b"1", b"2 3"]
        count = Script("return redis.call('INCR', KEYS[1])")
        assert redis.send_command(Command(count, ["times"], []), b"")
        assert await redis.call("GET", "times") is None, "the server does not know the script, and is sent it whole"
        assert await redis.call("GET", "times") == b"1"
        assert redis.send_command(Command(count, ["times"], []), b"")
        assert redis.send("INCR", "times")
        assert await redis.call("GET", "times") == b"3"
    async with connected(redis_url) as redis:
        assert await redis.call("GET", "a") is None, "another database"


async def test_one_tick_is_one_write() -> None:
    async with fake() as server, connected(server.url) as redis:
        server.pieces.clear()
        await asyncio.gather(*[redis.call("SET", number, "x" * 10) for number in range(50)])
        assert len(server.pieces) == 1
        assert server.commands[-1] == [b"SET", b"49", b"xxxxxxxxxx"]


async def test_who_we_are_is_said_first() -> None:
    async with fake() as server:
        script = Script("return 1")
        url = f"redis://me:p%40ss@127.0.0.1:{server.port}/7"
        async with connected(url, scripts=[script]):
            assert server.commands == [
                [b"AUTH", b"me", b"p@ss"],
                [b"PING"],
                [b"SELECT", b"7"],
                [b"SCRIPT", b"LOAD", b"return 1"],
            ]


async def test_tls_and_whom_to_trust(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with fake(tls=context) as server:
        url = f"rediss://127.0.0.1:{server.port}"
        async with connected(f"{url}?ssl_ca_certs={tmp_path}/ca.pem") as redis:
            assert await redis.call("GET", "a") == b"OK"
        with capture_logs() as logs:
            async with connected(url) as redis:
                assert not redis.connected
        assert "certificate verify failed" in logs[0]["why"]


async def test_a_wrong_password_ends_the_start() -> None:
    async with fake(lambda command: b"-WRONGPASS invalid username-password pair\r\n") as server:
        redis = Redis(f"redis://:secret@127.0.0.1:{server.port}", 5.0, "store of limits")
        with pytest.raises(StoreRefused) as error:
            await redis.start()
        problem = f"store of limits redis://127.0.0.1:{server.port}/0 refuses: WRONGPASS invalid username-password pair"
        assert str(error.value) == problem
        await redis.close()


async def test_a_server_that_is_away_is_found_when_it_comes(unused_tcp_port: int) -> None:
    with capture_logs() as logs:
        async with connected(f"redis://127.0.0.1:{unused_tcp_port}") as redis:
            with pytest.raises(StoreAway, match=r"^not connected to redis://127.0.0.1:"):
                await redis.call("GET", "a")
            assert not redis.send("INCR", "a")
            assert not redis.send_command(Command(Script("return 1"), [], []), b"")
            server = FakeServer(ok)
            listener = await asyncio.start_server(server.serve, "127.0.0.1", unused_tcp_port)
            await asyncio.wait_for(redis.wait_connected(), 20)
            assert await redis.call("GET", "a") == b"OK"
            assert redis.losses == 0
            server.drop()
            listener.close()
            await until(lambda: redis.losses == 1)
            with pytest.raises(StoreAway):
                await redis.call("GET", "a")
    assert [entry["event"] for entry in logs] == [
        "shared store is away",
        "shared store is back",
        "shared store is away",
    ]


async def test_what_waits_when_the_connection_is_lost() -> None:
    async with fake(silent) as server, connected(server.url) as redis:
        waiting = asyncio.create_task(redis.call("GET", "a"))
        await until(lambda: [b"GET", b"a"] in server.commands)
        server.drop()
        with pytest.raises(StoreAway, match=r"^the connection was lost: "):
            await waiting
        await asyncio.wait_for(redis.wait_connected(), 20)
        assert redis.losses == 1


async def test_who_waits_too_long_is_told_and_its_late_answer_is_handed_over() -> None:
    async with fake(silent) as server, connected(server.url, 0.5) as redis:
        late: list[Any] = []
        with pytest.raises(StoreAway, match=r"^no answer within 0.5 s$"):
            await redis.call("GET", "slow", late=late.append)
        assert redis.connected, "late, and not silent for long enough to be given up"
        next_one = asyncio.create_task(redis.call("GET", "next"))
        await until(lambda: [b"GET", b"next"] in server.commands)
        server.connections[-1].write(b"$4\r\nslow\r\n$4\r\nnext\r\n")
        assert await next_one == b"next"
        assert late == [b"slow"]


async def test_an_answer_to_a_task_that_was_cancelled_is_handed_over() -> None:
    async with fake(silent) as server, connected(server.url) as redis:
        late: list[Any] = []
        first = asyncio.create_task(redis.call("GET", "first", late=late.append))
        await until(lambda: [b"GET", b"first"] in server.commands)
        first.cancel()
        second = asyncio.create_task(redis.call("GET", "second", late=late.append))
        await until(lambda: [b"GET", b"second"] in server.commands)
        server.connections[-1].write(b":1\r\n:2\r\n")
        assert await second == 2
        assert late == [1]

        # Cancelled in the same tick in which the answer comes.
        third = asyncio.create_task(redis.call("GET", "third", late=late.append))
        await until(lambda: [b"GET", b"third"] in server.commands)
        connection = redis._connection
        assert connection is not None
        connection.data_received(b":3\r\n")
        third.cancel()
        with pytest.raises(asyncio.CancelledError):
            await third
        assert late == [1, 3]


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallygate.gateway.state.redis.SILENT_SECONDS", 0.1)
    async with fake(silent) as server, connected(server.url, 0.02) as redis:
        with pytest.raises(StoreAway):
            await redis.call("GET", "a")
        await until(lambda: redis.losses == 1)


async def test_what_does_not_speak_the_protocol() -> None:
    async with (
        fake(lambda command: silent(command) or b"HTTP/1.1 400\r\n\r\n") as server,
        connected(server.url) as redis,
    ):
        with pytest.raises(StoreAway, match="the server does not speak Redis' protocol"):
            await redis.call("GET", "a")


async def test_no_more_waits_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallygate.gateway.state.redis.MOST_WAITING", 3)
    async with fake(silent) as server, connected(server.url) as redis:
        waiting = [asyncio.create_task(redis.call("GET", number)) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreAway, match="too many commands wait for it"):
            await redis.call("GET", "more")
        assert not redis.send("GET", "more")
        await until(lambda: len(server.commands) == 4)
        server.connections[-1].write(b":0\r\n:1\r\n:2\r\n")
        assert await asyncio.gather(*waiting) == [0, 1, 2]


async def test_no_more_bytes_wait_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallygate.gateway.state.redis.MOST_UNSENT", 1000)
    async with fake() as server, connected(server.url) as redis:
        first = asyncio.create_task(redis.call("SET", "a", "x" * 1000))
        await asyncio.sleep(0)
        with pytest.raises(StoreAway):
            await redis.call("SET", "b", "x")
        assert await first == b"OK"
        assert await redis.call("SET", "b", "x") == b"OK"


async def test_errors_of_what_nobody_waits_for_are_logged() -> None:
    async with (
        fake(lambda command: silent(command) or b"-OOM no memory left\r\n") as server,
        connected(server.url) as redis,
    ):
        with capture_logs() as logs:
            assert redis.send("SET", "a", "b")
            assert redis.send_command(Command(Script("return 1"), [], []), b"")
            with pytest.raises(StoreRefused):
                await redis.call("GET", "a")
        assert (
            logs
            == [{"event": "shared store refused a command", "problem": "OOM no memory left", "log_level": "error"}] * 2
        )
