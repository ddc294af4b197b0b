"""instrument.asgi against the bare application and opentelemetry-instrumentation-asgi, in one run.

    python -m benchmarks.instrument.asgi

A Starlette application with a hundred routes is called without a server, so that there is no network in the figures.
OpenTelemetry writes to its SDK's meters and spans, exported to memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FunctionType
from typing import Any

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.instrument.comparing import Reach, Way, added, report
from tallygate import instrument
from tallygate.tally import Tally

OURS, THEIRS = "tallygate", "OpenTelemetry"
ROUTES = 100
HEADERS = [
    (b"host", b"localhost:8000"),
    (b"user-agent", b"benchmark/1.0"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"connection", b"keep-alive"),
    (b"content-type", b"application/json"),
    (b"content-length", b"13"),
]

Drive = Callable[[Any], None]


def driver(method: str) -> Drive:
    """Sends an application one request, and takes its answer, without an event loop."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": "/routes/50/7", "raw_path": b"/routes/50/7", "query_string": b"", "root_path": "", "headers": HEADERS,
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000),
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b'{"number": 7}', "more_body": False}

    async def send(message: Any) -> None:
        return None

    def drive(app: Any) -> None:
        request: Coroutine[Any, Any, None] = app({**scope}, receive, send)
        try:
            request.send(None)
        except StopIteration:
            return
        raise RuntimeError("the application waits for something")

    return drive


def application() -> Starlette:
    async def hello(request: Request) -> Response:
        return Response(b"hello")

    async def echo(request: Request) -> Response:
        return Response(await request.body())

    # An endpoint for each, as applications have it.
    routes = [Route(f"/routes/{number}/{{id}}", copy(hello), methods=["GET"]) for number in range(ROUTES)]
    return Starlette(routes=[Route("/routes/50/{id}", echo, methods=["POST"]), *routes])


def copy(endpoint: Any) -> Any:
    return FunctionType(endpoint.__code__, endpoint.__globals__)


def opentelemetry(app: Starlette) -> Callable[[], AbstractContextManager[None]]:
    meters, tracers, spans = MeterProvider([InMemoryMetricReader()]), TracerProvider(), InMemorySpanExporter()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    bare: Any = app.middleware_stack
    wrapped: Any = OpenTelemetryMiddleware(bare, tracer_provider=tracers, meter_provider=meters)

    @contextmanager
    def way() -> Iterator[None]:
        app.middleware_stack = wrapped
        try:
            yield
        finally:
            app.middleware_stack = bare
            spans.clear()

    return way


def measure(method: str, tally: Tally, off: Tally) -> dict[str, float]:
    app, drive = application(), driver(method)
    drive(app)
    ways: dict[str, Way] = {
        OURS: lambda: instrument.asgi(app, tally=tally),
        "tallygate, switched off": lambda: instrument.asgi(app, tally=off),
        THEIRS: opentelemetry(app),
    }
    return added(lambda: drive(app), ways, rounds=40, times=100)


def main() -> int:
    tally, off = Tally(), Tally(enabled=False)
    get, post = measure("GET", tally, off), measure("POST", tally, off)
    met = report("What a GET takes in Starlette (bare), and what instrumentation adds", get, Reach(OURS, 3, THEIRS, 10))
    report("The same for a POST whose body is read", post, Reach(OURS, 3, THEIRS, 10))
    tally.close()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
