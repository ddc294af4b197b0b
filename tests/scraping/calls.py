"""Calls of models, recorded with all their numbers known."""

from __future__ import annotations

from typing import NamedTuple

from tallygate.facts import LLMCall
from tallygate.tally import Tally


class Call(NamedTuple):
    """A call that is recorded."""

    provider: str
    model: str
    error_type: str
    outside: int
    read: int
    written: int
    output: int
    cents: int
    duration: float

    def record(self, tally: Tally) -> None:
        failed = bool(self.error_type)
        told = {
            "provider": self.provider,
            "model": self.model,
            "operation": "chat",
            "endpoint": "/chat/completions",
            "stream": "true",
            "status_code": "500" if failed else "200",
            "outcome": "failed" if failed else "completed",
            "error_type": self.error_type,
        }
        measures = {
            "duration": self.duration,
            "time_to_first_token": self.duration / 2,
            "output_tokens_per_second": self.output / self.duration,
            "input_tokens": self.outside + self.read + self.written,
            "uncached_input_tokens": self.outside,
            "cache_read_tokens": self.read,
            "cache_write_tokens": self.written,
            "output_tokens": self.output,
            "total_tokens": self.outside + self.read + self.written + self.output,
            "cost": self.cents / 100,
        }
        table = tally.tables[LLMCall]
        row = table.row(*[told.get(name, "") for name in table.schema.dimensions])
        row.record(*[measures.get(measure.name) for measure in table.schema.measures])
