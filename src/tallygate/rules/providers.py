"""Providers that are away, fail, or tell us to slow down."""

from __future__ import annotations

from tallygate.rules.given import Given
from tallygate.rules.model import Alert, Group

PROVIDER = ("job", "provider")
DEPLOYMENT = (*PROVIDER, "model")


def groups(given: Given) -> tuple[Group, ...]:
    """One."""
    attempts = given("tallygate_upstream_attempts_total")
    failed = attempts.like(error_type="provider_.+").unlike(error_type="provider_rate_limit")
    breaker = given("tallygate_breaker_state").unlike(tallygate_breaker_state="closed")
    return (
        Group(
            "tallygate-providers",
            (
                Alert(
                    "TallygateProviderDown",
                    # Half of them are enough: one that nobody calls, such as a stand-by, sees no failure.
                    given("tallygate_provider_available").now.average(*PROVIDER).below(0.6),
                    "critical",
                    "Provider {{ $labels.provider }} is down",
                    "{{ $value | humanizePercentage }} of the gateways of {{ $labels.job }} get good answers from"
                    " {{ $labels.provider }}.",
                    wait="2m",
                    keep="5m",
                ),
                Alert(
                    "TallygateProviderDegraded",
                    given.share_above(0.1, failed, attempts, *PROVIDER),
                    "warning",
                    "Provider {{ $labels.provider }} fails often",
                    "{{ $value | humanizePercentage }} of the requests to {{ $labels.provider }} fail,"
                    " rate limits not counted.",
                    wait="5m",
                    keep="5m",
                ),
                Alert(
                    "TallygateBreakerOpen",
                    breaker.now.max(*DEPLOYMENT).equal(1),
                    "warning",
                    "{{ $labels.model }} at {{ $labels.provider }} is out of service",
                    "The circuit breaker of {{ $labels.model }} at {{ $labels.provider }} is open in a worker:"
                    " its calls go elsewhere, or are refused.",
                    wait="2m",
                    keep="5m",
                ),
                Alert(
                    "TallygateProviderRateLimiting",
                    given.share_above(
                        0.05, attempts.where(error_type="provider_rate_limit"), attempts, *PROVIDER, window="10m"
                    ),
                    "warning",
                    "Provider {{ $labels.provider }} tells us to slow down",
                    "{{ $value | humanizePercentage }} of the requests to {{ $labels.provider }} get a 429.",
                    wait="5m",
                    keep="5m",
                ),
            ),
        ),
    )
