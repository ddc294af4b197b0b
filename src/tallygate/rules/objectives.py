"""Objectives of the gateway's service: availability, latency, time to first token."""

from __future__ import annotations

from tallygate.rules.burning import Objective, burning
from tallygate.rules.given import Given
from tallygate.rules.model import Group
from tallygate.rules.targets import FIRST_TOKEN, LATENCY

OURS = "provider|gateway|other"
"""Domains of errors that are not the caller's doing, or a policy's."""


def groups(given: Given) -> tuple[Group, ...]:
    """One for each objective."""
    targets = given.targets
    latency, first_token = given(LATENCY).where(stream="false"), given(FIRST_TOKEN)
    return (
        burning(
            given,
            "tallygate-availability",
            Objective(
                "TallygateAvailability",
                targets.availability_objective,
                given("tallygate_llm_errors_total").like(domain=OURS).rate().sum("job"),
                "tallygate_llm_calls_failed",
                given("tallygate_llm_calls_total").rate().sum("job"),
                "tallygate_llm_calls",
                "LLM calls fail by fault of a provider or the gateway",
            ),
        ),
        burning(
            given,
            "tallygate-latency",
            Objective(
                "TallygateLatency",
                targets.latency_objective,
                latency.beyond(f"{targets.latency_seconds:g}", "job"),
                "tallygate_llm_calls_slow",
                latency.rate().sum("job"),
                "tallygate_llm_calls_whole",
                f"LLM calls without streaming take longer than {targets.latency_seconds:g} s",
            ),
        ),
        burning(
            given,
            "tallygate-first-token",
            Objective(
                "TallygateFirstToken",
                targets.first_token_objective,
                first_token.beyond(f"{targets.first_token_seconds:g}", "job"),
                "tallygate_llm_streams_slow",
                first_token.rate().sum("job"),
                "tallygate_llm_streams",
                f"streams have no token within {targets.first_token_seconds:g} s",
            ),
        ),
    )
