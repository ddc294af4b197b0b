"""instrument.openai against the bare SDK and OpenLLMetry's opentelemetry-instrumentation-openai, in one run.

    python -m benchmarks.instrument.openai

The SDK's transport answers from memory, so that there is no network in the figures. OpenLLMetry writes to the
OpenTelemetry SDK's meters and spans, exported to memory.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import httpx2
from openai import OpenAI
from openai._base_client import SyncAPIClient
from openai.resources.chat.completions import Completions
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.instrument.comparing import Reach, added, alone, report
from tallygate import instrument
from tallygate.tally import Tally

MESSAGES: Any = [{"role": "user", "content": "What is the weather like?"}]
USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "total_tokens": 1200,
    "prompt_tokens_details": {"cached_tokens": 500},
    "completion_tokens_details": {"reasoning_tokens": 50},
}
CHUNKS = 50
OURS, THEIRS = "tallygate", "OpenLLMetry"


def reply() -> bytes:
    message = {"role": "assistant", "content": "Sunny."}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return json.dumps(
        {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice], "usage": USAGE}
    ).encode()


def events() -> bytes:
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    choices: list[dict[str, Any]] = [{"index": 0, "delta": {"content": "word "}} for _ in range(CHUNKS)]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks = [{**head, "choices": [choice]} for choice in choices] + [{**head, "choices": [], "usage": USAGE}]
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def client_of(content: bytes, content_type: str) -> OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=content, headers={"content-type": content_type})

    return OpenAI(api_key="key", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))


def whole() -> Callable[[], object]:
    client = client_of(reply(), "application/json")
    return lambda: client.chat.completions.create(model="gpt-4o", messages=MESSAGES)


def streamed() -> Callable[[], object]:
    client = client_of(events(), "text/event-stream")
    usage: Any = {"include_usage": True}
    return lambda: list(
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, stream_options=usage)
    )


def openllmetry() -> Callable[[], Any]:
    meters, tracers, spans = MeterProvider([InMemoryMetricReader()]), TracerProvider(), InMemorySpanExporter()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    bare = vars(Completions)["create"]
    OpenAIInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters)
    # Changed by hand from here on: its uninstrument() takes back one layer less than instrument() puts on.
    wrapped = vars(Completions)["create"]
    Completions.create = bare  # type: ignore[method-assign]  # as said

    @contextmanager
    def way() -> Iterator[None]:
        Completions.create = wrapped  # type: ignore[method-assign]  # as said
        try:
            yield
        finally:
            Completions.create = bare  # type: ignore[method-assign]  # as said
            spans.clear()

    return way


def in_the_caches(tally: Tally) -> float:
    """Microseconds that a call takes longer when the SDK itself does nothing, over and over."""
    reply_of_sdk, client = whole()(), client_of(b"", "")
    options: Any = SimpleNamespace(url="/chat/completions", method="post", json_data={"model": "gpt-4o"})
    sent = SimpleNamespace(status_code=200, is_closed=True)

    def send(self: Any, request: Any, **further: Any) -> Any:
        return sent

    def request(self: Any, cast_to: Any, options: Any, **further: Any) -> Any:
        SyncAPIClient._send_request(self, options, stream=False)
        return reply_of_sdk

    def call() -> object:
        return SyncAPIClient.request(client, object, options)

    own = {name: vars(SyncAPIClient)[name] for name in ("request", "_send_request")}
    SyncAPIClient.request, SyncAPIClient._send_request = request, send  # type: ignore[method-assign]  # until the end
    try:
        bare = alone(call)
        with instrument.openai(tally=tally):
            return alone(call) - bare
    finally:
        for name, method in own.items():
            setattr(SyncAPIClient, name, method)


def main() -> int:
    warnings.simplefilter("ignore")
    tally, off = Tally(), Tally(enabled=False)
    idle = in_the_caches(tally)
    ways = {
        OURS: lambda: instrument.openai(tally=tally),
        "tallygate, switched off": lambda: instrument.openai(tally=off),
        THEIRS: openllmetry(),
    }
    call = added(whole(), ways) | {"tallygate, the SDK left out": idle}
    stream = added(streamed(), ways, rounds=5, times=15)
    met = report("What a call of openai takes (bare), and what instrumentation adds", call, Reach(OURS, 5, THEIRS, 10))
    report(f"The same for a stream of {CHUNKS} chunks", stream, Reach(OURS, 5 + CHUNKS, THEIRS, 10))
    tally.close()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
