"""Run as a program by tests: serves a small application by the arguments given as JSON, says when it is ready."""

import asyncio
import json
import os
import signal
import sys
from typing import Any

from tallygate.gateway.server import Limits, SideApp, StartError, serve

Message = dict[str, Any]


def make(settings: Message) -> Any:
    """The main application: says who it is, streams until told to end, or refuses to start."""
    if settings.get("broken") == "factory":
        raise StartError("the ledger cannot be opened")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            if settings.get("broken") == "lifespan":
                await send({"type": "lifespan.startup.failed", "message": "no"})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
            os.write(1, b"lifespan ended\n")
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["path"] == "/die":
            os.kill(os.getpid(), signal.SIGKILL)
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(settings["pieces"]):
                await send({"type": "http.response.body", "body": b"piece\n", "more_body": True})
                await asyncio.sleep(0.1)
            await send({"type": "http.response.body", "body": b"end\n"})
            return
        await _answer(send, b"%d" % os.getpid())

    return app


def make_side(app: Any) -> Any:
    """The side application."""

    async def side(scope: Any, receive: Any, send: Any) -> None:
        await _answer(send, b"side")

    return side


async def _answer(send: Any, body: bytes) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


def main() -> int:
    arguments = json.loads(sys.argv[1])
    try:
        return serve(
            "served:make",
            arguments.get("host", "127.0.0.1"),
            arguments.get("port", 0),
            settings=arguments,
            workers=arguments.get("workers", 1),
            grace=arguments.get("grace", 10.0),
            limits=Limits(),
            side_apps=[SideApp("served:make_side", "127.0.0.1", 0)] if arguments.get("side") else [],
            on_ready=lambda bound: print("ready", json.dumps(bound), flush=True),
        )
    except StartError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
