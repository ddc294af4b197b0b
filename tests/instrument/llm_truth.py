"""What a page says of LLM calls, against what the simulator served."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.request import urlopen

from tallygate.simulator import Simulator
from tallygate.tally import Tally
from tests.gateway.running import Page, parsed

KINDS = ("input", "output", "cache_read", "cache_write", "reasoning")
_numbers = count()


def new_model(family: str, behaviour: str = "") -> str:
    """A model name that no other test asks for, as the simulator counts by it."""
    name = f"{family}-{next(_numbers)}"
    return f"{name}+{behaviour}" if behaviour else name


def page_of(tally: Tally) -> Page:
    """The samples now."""
    return Page(parsed(tally.render().decode()))


def pages_by_model(tally: Tally) -> dict[str, Page]:
    """The samples now, apart for each model; '' has those that are about none."""
    pages: dict[str, Page] = defaultdict(lambda: Page({}))
    for (name, labels), value in page_of(tally).samples.items():
        pages[dict(labels).get("model", "")].samples[name, labels] = value
    return pages


def served(simulator: Simulator, *models: str) -> list[dict[str, Any]]:
    """The groups of calls of these models, once nothing is in progress any more."""
    with urlopen(f"{simulator.url}/served?settle=5") as answer:
        return [call for call in json.load(answer)["calls"] if call["model"] in models]


@dataclass(frozen=True)
class Expected:
    """How the calls of a test are labelled, and how each ended."""

    provider: str
    operation: str
    endpoint: str
    stream: bool
    outcome: str = "completed"
    error_type: str = ""
    calls: int = 1

    def check(self, tally: Tally, truth: list[dict[str, Any]]) -> Page:
        """Each call ended once, in this way, and has the tokens, deltas and requests that were served."""
        page = page_of(tally)
        self.check_page(page, truth)
        return page

    def check_page(self, page: Page, truth: list[dict[str, Any]]) -> None:
        """The same of a page, say the part about one model."""
        stream = str(self.stream).lower()
        labels = {"provider": self.provider, "operation": self.operation, "endpoint": self.endpoint, "stream": stream}
        assert page.total("tallygate_llm_calls_total") == self.calls
        shown = {"outcome": self.outcome, **labels}
        assert page.total("tallygate_llm_calls_total", **shown) == self.calls, page.samples
        failed = self.calls if self.error_type else 0
        assert page.total("tallygate_llm_errors_total") == failed
        if failed:
            assert page.total("tallygate_llm_errors_total", error_type=self.error_type) == failed, page.samples
        assert page.total("tallygate_llm_calls_in_flight") == 0
        assert page.total("tallygate_llm_call_duration_seconds_count") == self.calls
        assert page.total("tallygate_dropped_observations_total") == 0
        told = {kind: sum(call[f"{kind}_tokens"] for call in truth) for kind in KINDS}
        assert {kind: page.total("tallygate_llm_tokens_total", type=kind) for kind in KINDS} == told
        requests = sum(call["requests"] for call in truth)
        assert page.total("tallygate_upstream_attempts_total") == requests
        assert page.total("tallygate_upstream_attempt_duration_seconds_count") == requests
        limited = sum(call["requests"] for call in truth if call["status"] == 429)
        assert page.total("tallygate_llm_rate_limit_events_total") == limited
        silent = self.calls if self.outcome == "completed" and not any(call["reported_usage"] for call in truth) else 0
        assert page.total("tallygate_llm_unmetered_calls_total") == silent
        if self.outcome != "cancelled":
            deltas = sum(call["content_deltas"] for call in truth) if self.stream else 0
            assert page.total("tallygate_llm_time_to_first_token_seconds_count") == min(deltas, self.calls)
            assert page.total("tallygate_llm_output_chunk_gap_seconds_count") == max(0, deltas - self.calls)
