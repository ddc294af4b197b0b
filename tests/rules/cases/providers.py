"""Cases of providers that are away, fail, or tell us to slow down."""

from tests.rules.case import Case
from tests.rules.series import Dialect, Series, together

ours = Dialect("tallygate")

OPENAI = {"job": "tallygate", "provider": "openai"}
GPT = {**OPENAI, "model": "gpt-4o"}


def available(values: str, elsewhere: str) -> Series:
    """As two gateways see it."""
    return together(
        ours("tallygate_provider_available", values, provider="openai"),
        ours("tallygate_provider_available", elsewhere, provider="openai", instance="gateway:4001"),
    )


def attempts(failed: float, well: float, error_type: str = "provider_server_error") -> Series:
    return together(
        ours("tallygate_upstream_attempts_total", failed, provider="openai", error_type=error_type, status_code="500"),
        ours("tallygate_upstream_attempts_total", well, provider="openai", error_type="", status_code="200"),
    )


def breaker(closed: str, open_: str, half_open: str = "0x40") -> Series:
    labels = {"provider": "openai", "model": "gpt-4o"}
    states = {"closed": closed, "open": open_, "half_open": half_open}
    return together(
        *(
            ours("tallygate_breaker_state", values, **labels, tallygate_breaker_state=state)
            for state, values in states.items()
        )
    )


CASES = (
    Case(
        "TallygateProviderDown",
        available("1x9 0x30", "1x40"),
        OPENAI,
        "Provider openai is down",
        "50% of the gateways of tallygate get good answers from openai.",
        {
            "for a minute only": available("1x28 0x10", "1x28 0x10"),
            "two of three reach it": together(
                available("0x40", "1x40"),
                ours("tallygate_provider_available", "1x40", provider="openai", instance="gateway:4002"),
            ),
        },
        severity="critical",
    ),
    Case(
        "TallygateProviderDown",
        available("0x25 1x14", "0x25 1x14"),
        OPENAI,
        "Provider openai is down",
        "0% of the gateways of tallygate get good answers from openai.",
        {"back for six minutes": available("0x23 1x16", "0x23 1x16")},
        at="29m",
        severity="critical",
    ),
    Case(
        "TallygateProviderDegraded",
        attempts(11, 89),
        OPENAI,
        "Provider openai fails often",
        "11% of the requests to openai fail, rate limits not counted.",
        {
            "9 %": attempts(9, 91),
            "rate limits": attempts(40, 60, "provider_rate_limit"),
            "callers did it": attempts(40, 60, "caller_invalid_request"),
            "three attempts a minute": attempts(3, 0),
            "no attempts": attempts(0, 0),
        },
    ),
    Case(
        "TallygateBreakerOpen",
        breaker("1x9 0x30", "0x9 1x4 0 1x4 0 1x4 0 1x15", "0x14 1 0x4 1 0x4 1 0x14"),
        GPT,
        "gpt-4o at openai is out of service",
        "The circuit breaker of gpt-4o at openai is open in a worker: its calls go elsewhere, or are refused.",
        {"open for a minute": breaker("1x28 0x10", "0x28 1x10"), "closed": breaker("1x40", "0x40")},
    ),
    Case(
        "TallygateProviderRateLimiting",
        attempts(6, 94, "provider_rate_limit"),
        OPENAI,
        "Provider openai tells us to slow down",
        "6% of the requests to openai get a 429.",
        {
            "4 %": attempts(4, 96, "provider_rate_limit"),
            "other failures": attempts(40, 60),
            "15 attempts in ten minutes": attempts(1.5, 0, "provider_rate_limit"),
        },
    ),
)
