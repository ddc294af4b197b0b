"""WSGIMiddleware against the bare application and opentelemetry-instrumentation-wsgi, in one run.

    python -m benchmarks.instrument.wsgi

The application is called as a server calls it, without one. OpenTelemetry writes to its SDK's meters and spans,
exported to memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.util import setup_testing_defaults

from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.instrument.comparing import Reach, Way, added, report
from tallygate.instrument import WSGIMiddleware
from tallygate.tally import Tally

OURS, THEIRS = "tallygate", "OpenTelemetry"
ENVIRON: dict[str, Any] = {"PATH_INFO": "/users/7", "SCRIPT_NAME": "", "HTTP_ACCEPT": "*/*", "REMOTE_ADDR": "127.0.0.1"}
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "5")]


def hello(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return [b"hello"]


def start_response(status: str, headers: Any, problem: Any = None) -> Any:
    return print


def main() -> int:
    setup_testing_defaults(ENVIRON)
    tally, off = Tally(), Tally(enabled=False)
    meters, tracers, spans = MeterProvider([InMemoryMetricReader()]), TracerProvider(), InMemorySpanExporter()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    served: list[Any] = [hello]

    def call() -> None:
        answer = served[0](ENVIRON.copy(), start_response)
        for _ in answer:
            pass
        if hasattr(answer, "close"):
            answer.close()

    def around(app: Any) -> Way:
        @contextmanager
        def way() -> Iterator[None]:
            served[0] = app
            yield
            served[0] = hello
            spans.clear()

        return way

    def route(environ: Any) -> str:
        return "/users/{id}"

    ways = {
        OURS: around(WSGIMiddleware(hello, tally, route=route)),
        "tallygate, switched off": around(WSGIMiddleware(hello, off, route=route)),
        THEIRS: around(OpenTelemetryMiddleware(hello, tracer_provider=tracers, meter_provider=meters)),
    }
    found = added(call, ways, rounds=60, times=200)
    met = report(
        "What a request to a WSGI application takes (bare), and what each adds", found, Reach(OURS, 5, THEIRS, 10)
    )
    tally.close()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
