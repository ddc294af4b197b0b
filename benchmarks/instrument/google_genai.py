"""instrument.google_genai against the bare SDK and OpenLLMetry's instrumentation of it, in one run.

    python -m benchmarks.instrument.google_genai

The SDK's transport answers from memory, so that there is no network in the figures. OpenLLMetry writes to the
OpenTelemetry SDK's meters and spans, exported to memory.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from google.genai import Client, types
from google.genai._api_client import BaseApiClient
from google.genai.models import Models
from opentelemetry.instrumentation.google_generativeai import GoogleGenerativeAiInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.instrument.comparing import Reach, added, alone, report
from tallygate import instrument
from tallygate.tally import Tally

ASK: Any = {"model": "gemini-2.5-flash", "contents": "What is the weather like?"}
USAGE = {
    "promptTokenCount": 1000,
    "candidatesTokenCount": 150,
    "thoughtsTokenCount": 50,
    "cachedContentTokenCount": 500,
    "totalTokenCount": 1200,
}
CHUNKS = 50
OURS, THEIRS = "tallygate", "OpenLLMetry"


def document(text: str, finish_reason: str | None) -> bytes:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish_reason is not None:
        candidate["finishReason"] = finish_reason
    document = {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "gemini-2.5-flash"}
    return json.dumps(document).encode()


def client_of(content: bytes, content_type: str) -> Client:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=content, headers={"content-type": content_type})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return Client(api_key="key", http_options=types.HttpOptions(httpx_client=http))


def whole() -> Callable[[], object]:
    client = client_of(document("Sunny.", "STOP"), "application/json")
    return lambda: client.models.generate_content(**ASK)


def streamed() -> Callable[[], object]:
    chunks = [document("word ", None)] * (CHUNKS - 1) + [document("word.", "STOP")]
    client = client_of(b"".join(b"data: " + chunk + b"\n\n" for chunk in chunks), "text/event-stream")
    return lambda: list(client.models.generate_content_stream(**ASK))


def openllmetry() -> Callable[[], Any]:
    meters, tracers, spans = MeterProvider([InMemoryMetricReader()]), TracerProvider(), InMemorySpanExporter()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    instrumentor = GoogleGenerativeAiInstrumentor()  # type: ignore[no-untyped-call]  # it has no types

    @contextmanager
    def way() -> Iterator[None]:
        instrumentor.instrument(tracer_provider=tracers, meter_provider=meters)
        try:
            yield
        finally:
            instrumentor.uninstrument()
            spans.clear()

    return way


def in_the_caches(tally: Tally) -> float:
    """Microseconds that a call takes longer when the SDK itself does nothing, over and over."""
    reply_of_sdk, client = whole()(), client_of(b"", "")

    def send(self: Any, http_request: Any, stream: bool = False) -> Any:
        return None

    def generate(self: Any, **given: Any) -> Any:
        self._api_client._request_once(None)
        return reply_of_sdk

    def call() -> object:
        return client.models._generate_content(**ASK)

    own = Models._generate_content, BaseApiClient._request_once
    Models._generate_content, BaseApiClient._request_once = generate, send  # type: ignore[method-assign]  # until the end
    try:
        bare = alone(call)
        with instrument.google_genai(tally=tally):
            return alone(call) - bare
    finally:
        Models._generate_content, BaseApiClient._request_once = own  # type: ignore[method-assign]  # as they were


def main() -> int:
    warnings.simplefilter("ignore")
    tally, off = Tally(), Tally(enabled=False)
    idle = in_the_caches(tally)
    ways = {
        OURS: lambda: instrument.google_genai(tally=tally),
        "tallygate, switched off": lambda: instrument.google_genai(tally=off),
        THEIRS: openllmetry(),
    }
    call = added(whole(), ways) | {"tallygate, the SDK left out": idle}
    stream = added(streamed(), ways, rounds=5, times=15)
    met = report(
        "What a call of google-genai takes (bare), and what instrumentation adds", call, Reach(OURS, 5, THEIRS, 10)
    )
    report(f"The same for a stream of {CHUNKS} chunks", stream, Reach(OURS, 5 + CHUNKS, THEIRS, 10))
    tally.close()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
