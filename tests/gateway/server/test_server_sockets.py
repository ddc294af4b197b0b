"""The sockets a server listens on."""

import asyncio
import socket

import pytest
import uvloop

from tallygate.gateway.server.sockets import open_listeners


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("workers", [1, 2])
def test_small_writes_are_not_held_back(new_loop: object, workers: int) -> None:
    async def main() -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sock: socket.socket = writer.get_extra_info("socket")
            accepted.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.transport.abort()

        listeners = [listener for mine in open_listeners("127.0.0.1", 0, workers) for listener in mine]
        servers = [await asyncio.start_server(connected, sock=listener) for listener in listeners]
        _, writer = await asyncio.open_connection(*listeners[0].getsockname())
        option = await accepted
        writer.transport.abort()
        for server in servers:
            server.close()
        return option

    with asyncio.Runner(loop_factory=new_loop) as runner:  # type: ignore[arg-type]  # either makes a loop
        assert runner.run(main()) == 1
