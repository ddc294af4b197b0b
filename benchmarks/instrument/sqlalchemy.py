"""instrument.sqlalchemy against a bare engine and opentelemetry-instrumentation-sqlalchemy, in one run.

    python -m benchmarks.instrument.sqlalchemy

A statement by its key on SQLite in memory. OpenTelemetry's writes to the meters and spans of its SDK, exported to
memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Engine, create_engine, text

from benchmarks.instrument.comparing import Reach, added, report
from tallygate import instrument
from tallygate.tally import Tally

OURS, THEIRS = "tallygate", "OpenTelemetry"


def opentelemetry(engine: Engine) -> Callable[[], Any]:
    meters, tracers, spans = MeterProvider([InMemoryMetricReader()]), TracerProvider(), InMemorySpanExporter()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    instrumentor = SQLAlchemyInstrumentor()

    @contextmanager
    def way() -> Iterator[None]:
        # It says that it is for older versions of SQLAlchemy; it works all the same.
        instrumentor.instrument(engine=engine, skip_dep_check=True, tracer_provider=tracers, meter_provider=meters)
        try:
            yield
        finally:
            instrumentor.uninstrument()
            spans.clear()

    return way


def main() -> int:
    tally, off = Tally(), Tally(enabled=False)
    engine = create_engine("sqlite://")
    statement = text("SELECT title FROM chats WHERE id = :id")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE chats (id INTEGER PRIMARY KEY, title TEXT)"))
        connection.execute(text("INSERT INTO chats VALUES (1, 'Weather')"))
        ways = {
            OURS: lambda: instrument.sqlalchemy(engine, tally=tally),
            "tallygate, switched off": lambda: instrument.sqlalchemy(engine, tally=off),
            THEIRS: opentelemetry(engine),
        }
        query = added(lambda: connection.execute(statement, {"id": 1}).all(), ways, rounds=40, times=100)
    engine.dispose()
    met = report(
        "What a statement through SQLAlchemy takes (bare), and what instrumentation adds",
        query,
        Reach(OURS, 3, THEIRS, 10),
    )
    tally.close()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
