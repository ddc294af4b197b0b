"""What is wrong with calls, beside their provider: streams, limits of ours, errors nobody foresaw, our own time."""

from __future__ import annotations

from tallygate.rules.given import Given
from tallygate.rules.model import Alert, Group

PROVIDER = ("job", "provider")
DEPLOYMENT = (*PROVIDER, "model")


def groups(given: Given) -> tuple[Group, ...]:
    """One."""
    calls, errors = given("tallygate_llm_calls_total"), given("tallygate_llm_errors_total")
    streams, overhead = calls.where(stream="true"), given("tallygate_gateway_overhead_seconds")
    quarter = given.span("15m")
    return (
        Group(
            "tallygate-calls",
            (
                Alert(
                    "TallygateCallsRefused",
                    given.share_above(
                        0.1, errors.like(error_type="policy_rate_limit|policy_budget"), calls, "job", window="10m"
                    ),
                    "warning",
                    "Limits of ours refuse many calls",
                    "{{ $value | humanizePercentage }} of LLM calls are refused by a rate limit or a budget of ours.",
                    wait="5m",
                    keep="5m",
                ),
                Alert(
                    "TallygateStreamsCut",
                    given.share_above(
                        0.02, errors.where(error_type="provider_stream_cut"), streams, *PROVIDER, window="15m"
                    ),
                    "warning",
                    "Streams of {{ $labels.provider }} break off",
                    "{{ $value | humanizePercentage }} of the streams of {{ $labels.provider }} break off before their"
                    " end.",
                    wait="5m",
                    keep="5m",
                ),
                Alert(
                    "TallygateStreamsCancelled",
                    given.share_above(
                        0.2, streams.where(outcome="cancelled"), streams, *DEPLOYMENT, window="15m", least=50
                    ),
                    "info",
                    "Callers leave streams of {{ $labels.model }}",
                    "{{ $value | humanizePercentage }} of the streams of {{ $labels.model }} at"
                    " {{ $labels.provider }} are left by their callers: they may have waited too long.",
                    wait="15m",
                    keep="15m",
                ),
                Alert(
                    "TallygateUnknownErrors",
                    errors.where(error_type="other").increase(quarter).sum(*PROVIDER).above(0),
                    "warning",
                    "Calls to {{ $labels.provider }} fail in a way that is not known",
                    "{{ $value | humanize }} calls to {{ $labels.provider }} failed in 15 minutes with the error type"
                    " other.",
                    keep="15m",
                ),
                Alert(
                    "TallygateInternalErrors",
                    errors.where(domain="gateway").increase(quarter).sum("job", "error_type").above(0),
                    "critical",
                    "Calls fail by fault of the gateway: {{ $labels.error_type }}",
                    "{{ $value | humanize }} calls failed in 15 minutes with the error type {{ $labels.error_type }}.",
                    keep="15m",
                ),
                Alert(
                    "TallygateOverheadHigh",
                    overhead.quantile(0.95, "job")
                    .above(0.05)
                    .and_(overhead.increase(given.span("5m")).sum("job").above(20)),
                    "warning",
                    "The gateway takes long itself",
                    "One call in twenty spends {{ $value | humanizeDuration }} or more in the gateway, waiting for"
                    " providers not counted.",
                    wait="10m",
                    keep="10m",
                ),
            ),
        ),
    )
