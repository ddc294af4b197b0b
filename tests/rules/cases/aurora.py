"""Cases of Aurora's alerts."""

from tests.rules.case import Case
from tests.rules.series import Dialect, Series, together

aurora = Dialect("aurora")

GPT = {"provider": "openai", "model": "gpt-4o"}
OPENAI = {"provider": "openai"}


def requests(failed: float, well: float) -> Series:
    return together(
        aurora("aurora_requests_total", failed, **GPT, status_code="500", status_type="error"),
        aurora("aurora_requests_total", well, **GPT, status_code="200", status_type="success"),
    )


def taking(quick: float, long: float) -> Series:
    """In 1.5 and 20 seconds."""
    return aurora.histogram("aurora_request_duration_seconds", {1.5: quick, 20: long}, **GPT)


def in_flight(streams: int, others: int) -> Series:
    return together(
        aurora("aurora_requests_in_flight", f"{streams}x40", **OPENAI, stream="true"),
        aurora("aurora_requests_in_flight", f"{others}x40", **OPENAI, stream="false"),
    )


CASES = (
    Case(
        "HighErrorRate",
        requests(6, 94),
        {},
        "Error rate above 5% for 5 minutes",
        "6% of requests failed.",
        {"4 %": requests(4, 96), "three a minute": requests(3, 0)},
        severity="critical",
    ),
    Case(
        "HighP99Latency",
        taking(98, 2),
        OPENAI,
        "P99 latency of openai above 10 s",
        "1 % of the requests to openai take longer than 20s.",
        {"one in two hundred": taking(199, 1), "three a minute": taking(0, 3)},
    ),
    Case(
        "HighConcurrency",
        in_flight(60, 41),
        OPENAI,
        "More than 100 requests in flight to openai",
        "101 requests are in flight to openai.",
        {"100": in_flight(60, 40)},
    ),
)
