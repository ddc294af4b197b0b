"""The numbers that people set: objectives, bounds and budgets."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from tallygate.dialects.families import Histogram
from tallygate.dialects.tallygate import TALLYGATE
from tallygate.rules.model import RuleError

LEAST_OBJECTIVE, MOST_OBJECTIVE = 94, 99.99
"""Percent. Below, an alert that asks for 14.4 times the allowed failures would want more than all calls to fail."""

LATENCY, FIRST_TOKEN = "tallygate_llm_call_duration_seconds", "tallygate_llm_time_to_first_token_seconds"


@dataclass(frozen=True)
class Targets:
    """What is promised and what may be spent. Raises RuleError for a value that cannot be."""

    availability_objective: float = 99.5
    """Percent of LLM calls that do not fail by fault of a provider or the gateway."""
    latency_objective: float = 95
    """Percent of LLM calls without streaming that end within ``latency_seconds``."""
    latency_seconds: float = 30
    """A bucket of tallygate_llm_call_duration_seconds."""
    first_token_objective: float = 95
    """Percent of streams whose first token comes within ``first_token_seconds``."""
    first_token_seconds: float = 2.5
    """A bucket of tallygate_llm_time_to_first_token_seconds."""
    spend_per_hour: float = 50
    """USD."""
    daily_budget: float | None = None
    """USD in 24 hours; None: no alerts about it."""
    monthly_budget: float | None = None
    """USD in 30 days; None: no alerts about it."""
    memory_bytes: float | None = None
    """What a gateway may use; None: no alert about it. For the dialect gatewayz, which has no family for it."""
    cpus: float | None = None
    """How many processors a gateway has; None: no alert about it. For the dialect gatewayz."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None:
                _check(each.name, value)
        _check_bucket("latency_seconds", self.latency_seconds, LATENCY)
        _check_bucket("first_token_seconds", self.first_token_seconds, FIRST_TOKEN)


def _check(field: str, value: float) -> None:
    if not math.isfinite(value) or value <= 0:
        raise RuleError(field, value, "is not above 0", "give a number that is")
    if field.endswith("_objective") and not LEAST_OBJECTIVE <= value <= MOST_OBJECTIVE:
        mend = f"give a percentage from {LEAST_OBJECTIVE} to {MOST_OBJECTIVE}"
        raise RuleError(field, value, "is no objective that can be alerted on", mend)


def _check_bucket(field: str, value: float, name: str) -> None:
    (family,) = (family for family in TALLYGATE if family.name == name)
    assert isinstance(family, Histogram)
    if value not in [float(bound) for bound in family.bounds]:
        bounds = ", ".join(f"{bound:g}" for bound in family.buckets)
        raise RuleError(field, value, f"is no bucket of {name}", f"take one of {bounds}")
