"""Aurora's three alerts. The one on P99 latency asked every series by itself; here it is one alert for a provider."""

from __future__ import annotations

from tallygate.rules.given import Given
from tallygate.rules.model import Alert, Group


def groups(given: Given) -> tuple[Group, ...]:
    """As its parent's repository names them."""
    requests = given("aurora_requests_total")
    duration = given("aurora_request_duration_seconds")
    enough = duration.increase(given.span("5m")).sum("provider").above(20)
    return (
        Group(
            "aurora_alerts",
            (
                Alert(
                    "HighErrorRate",
                    given.share_above(0.05, requests.where(status_type="error"), requests),
                    "critical",
                    "Error rate above 5% for 5 minutes",
                    "{{ $value | humanizePercentage }} of requests failed.",
                    wait="5m",
                ),
                Alert(
                    "HighP99Latency",
                    duration.quantile(0.99, "provider").above(10).and_(enough),
                    "warning",
                    "P99 latency of {{ $labels.provider }} above 10 s",
                    "1 % of the requests to {{ $labels.provider }} take longer than {{ $value | humanizeDuration }}.",
                    wait="5m",
                ),
                Alert(
                    "HighConcurrency",
                    given("aurora_requests_in_flight").now.sum("provider").above(100),
                    "warning",
                    "More than 100 requests in flight to {{ $labels.provider }}",
                    "{{ $value | humanize }} requests are in flight to {{ $labels.provider }}.",
                    wait="1m",
                ),
            ),
        ),
    )
