"""instrument.httpx against the bare client and opentelemetry-instrumentation-httpx, in one run.

    python -m benchmarks.instrument.httpx

The transport answers from memory, so that there is no network in the figures. OpenTelemetry's knows nothing of models:
it records an HTTP request, to its SDK's meters and spans, exported to memory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.instrument.comparing import Reach, Way, added, report
from tallygate import instrument
from tallygate.tally import Tally

OURS, THEIRS = "tallygate", "OpenTelemetry"
CHAT, MODELS = "https://api.openai.com/v1/chat/completions", "https://example.com/models"
ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "What is the weather like?"}]}
USAGE = {"prompt_tokens": 500, "completion_tokens": 200, "total_tokens": 700}
REPLY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Sunny."}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
).encode()
DELTAS = 50


def events() -> list[bytes]:
    choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": [choice]}
    told = [*[chunk] * DELTAS, {**chunk, "choices": [], "usage": USAGE}]
    return [*[f"data: {json.dumps(event)}\n\n".encode() for event in told], b"data: [DONE]\n\n"]


def opentelemetry(client: httpx.Client) -> Callable[[], AbstractContextManager[None]]:
    meters, tracers, spans = MeterProvider([InMemoryMetricReader()]), TracerProvider(), InMemorySpanExporter()
    tracers.add_span_processor(SimpleSpanProcessor(spans))

    @contextmanager
    def way() -> Iterator[None]:
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=tracers, meter_provider=meters)
        try:
            yield
        finally:
            HTTPXClientInstrumentor.uninstrument_client(client)
            spans.clear()

    return way


def main() -> int:
    pieces = events()

    def answer(request: httpx.Request) -> httpx.Response:
        if b'"stream"' in request.content:
            return httpx.Response(200, content=iter(pieces), headers={"content-type": "text/event-stream"})
        return httpx.Response(200, content=iter([REPLY]), headers={"content-type": "application/json"})

    tally, off = Tally(), Tally(enabled=False)
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        ways: dict[str, Way] = {
            OURS: lambda: instrument.httpx(client, tally=tally),
            "tallygate, switched off": lambda: instrument.httpx(client, tally=off),
            THEIRS: opentelemetry(client),
        }

        def stream() -> None:
            with client.stream("POST", CHAT, json={**ASK, "stream": True}) as response:
                for _ in response.iter_bytes():
                    pass

        call = added(lambda: client.post(CHAT, json=ASK), ways)
        streamed = added(stream, ways, rounds=10)
        other = added(lambda: client.get(MODELS), ways)
    met = report("What an LLM call takes with httpx (bare), and what each adds", call, Reach(OURS, 50, THEIRS, 3))
    report(f"The same for a stream of {DELTAS} deltas", streamed, Reach(OURS, 50 + 3 * DELTAS))
    report("What a request that is none takes, and what each adds", other, Reach(OURS, 5, THEIRS, 10))
    tally.close()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
