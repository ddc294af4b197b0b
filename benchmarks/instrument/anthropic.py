"""instrument.anthropic against the bare SDK and OpenLLMetry's opentelemetry-instrumentation-anthropic, in one run.

    python -m benchmarks.instrument.anthropic

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
from anthropic import Anthropic
from anthropic._base_client import SyncAPIClient
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.instrument.comparing import Reach, added, alone, report
from tallygate import instrument
from tallygate.tally import Tally

ASK: Any = {
    "model": "claude-haiku-4-5",
    "max_tokens": 500,
    "messages": [{"role": "user", "content": "What is the weather like?"}],
}
USAGE = {
    "input_tokens": 500,
    "output_tokens": 200,
    "cache_read_input_tokens": 400,
    "cache_creation_input_tokens": 100,
    "output_tokens_details": {"thinking_tokens": 50},
}
DELTAS = 50
OURS, THEIRS = "tallygate", "OpenLLMetry"


def message(content: list[Any], stop_reason: str | None) -> dict[str, Any]:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_sequence": None}
    return {**head, "content": content, "stop_reason": stop_reason, "usage": USAGE}


def reply() -> bytes:
    return json.dumps(message([{"type": "text", "text": "Sunny."}], "end_turn")).encode()


def events() -> bytes:
    text = {"type": "text_delta", "text": "word "}
    told: list[dict[str, Any]] = [
        {"type": "message_start", "message": message([], None)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, "delta": text} for _ in range(DELTAS)],
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE},
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in told)


def client_of(content: bytes, content_type: str) -> Anthropic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=content, headers={"content-type": content_type})

    return Anthropic(api_key="key", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))


def whole() -> Callable[[], object]:
    client = client_of(reply(), "application/json")
    return lambda: client.messages.create(**ASK)


def streamed() -> Callable[[], object]:
    client = client_of(events(), "text/event-stream")
    return lambda: list(client.messages.create(stream=True, **ASK))


def openllmetry() -> Callable[[], Any]:
    meters, tracers, spans = MeterProvider([InMemoryMetricReader()]), TracerProvider(), InMemorySpanExporter()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    instrumentor = AnthropicInstrumentor()

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
    options: Any = SimpleNamespace(url="/v1/messages", method="post", json_data=ASK)
    sent = SimpleNamespace(status_code=200, is_closed=True)

    def attempt(self: Any, options: Any, **further: Any) -> Any:
        return sent, options

    def request(self: Any, cast_to: Any, options: Any, **further: Any) -> Any:
        SyncAPIClient._attempt_request(self, options, stream=False)
        return reply_of_sdk

    def call() -> object:
        return SyncAPIClient.request(client, object, options)

    own = {name: vars(SyncAPIClient)[name] for name in ("request", "_attempt_request")}
    SyncAPIClient.request, SyncAPIClient._attempt_request = request, attempt  # type: ignore[method-assign]  # until the end
    try:
        bare = alone(call)
        with instrument.anthropic(tally=tally):
            return alone(call) - bare
    finally:
        for name, method in own.items():
            setattr(SyncAPIClient, name, method)


def main() -> int:
    warnings.simplefilter("ignore")
    tally, off = Tally(), Tally(enabled=False)
    idle = in_the_caches(tally)
    ways = {
        OURS: lambda: instrument.anthropic(tally=tally),
        "tallygate, switched off": lambda: instrument.anthropic(tally=off),
        THEIRS: openllmetry(),
    }
    call = added(whole(), ways) | {"tallygate, the SDK left out": idle}
    stream = added(streamed(), ways, rounds=5, times=15)
    met = report(
        "What a call of anthropic takes (bare), and what instrumentation adds", call, Reach(OURS, 5, THEIRS, 10)
    )
    report(f"The same for a stream of {DELTAS} deltas", stream, Reach(OURS, 5 + DELTAS, THEIRS, 10))
    tally.close()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
