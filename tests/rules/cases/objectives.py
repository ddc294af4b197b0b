"""Cases of the burn rates: of 100 calls a minute, so many are bad."""

from tests.rules.case import Case
from tests.rules.series import Dialect, Series, together

ours = Dialect("tallygate")

JOB = {"job": "tallygate"}
MINUTES = 80


def failing(failed: str | float, calls: str | float = "0+100x80", domain: str = "provider") -> Series:
    if not isinstance(failed, str):
        failed = f"0+{failed:g}x{MINUTES}"
    return together(
        ours("tallygate_llm_errors_total", failed, domain=domain, provider="openai"),
        ours("tallygate_llm_calls_total", calls, provider="openai"),
    )


def slow(family: str, quick: float, beyond: float, good: float, bad: float, **labels: str) -> Series:
    return ours.histogram(family, {quick: good, beyond: bad}, MINUTES, **labels)


def latency(good: float, bad: float, stream: str = "false") -> Series:
    return slow("tallygate_llm_call_duration_seconds", 1, 45, good, bad, stream=stream)


def first_token(good: float, bad: float) -> Series:
    return slow("tallygate_llm_time_to_first_token_seconds", 0.5, 4, good, bad)


CASES = (
    Case(
        "TallygateAvailabilityBurnFast",
        failing(4),
        JOB,
        "Many LLM calls fail by fault of a provider or the gateway",
        "4% of them, where the objective of 99.5 % allows 0.5 %: a month's allowance is gone in days.",
        {
            "2.9 % in six hours, 2.9 % in half an hour": failing(2.9),
            "callers did it": failing(90, domain="caller"),
            "half of all calls failed, but that is over": failing("0+50x20 1000x60"),
            "four calls in an hour": failing("0+0.06x80", "0+0.06x80"),
            "nobody calls": failing("0x80", "0x80"),
        },
        at="70m",
        severity="critical",
    ),
    Case(
        "TallygateAvailabilityBurnSlow",
        failing(0.6),
        JOB,
        "More LLM calls fail by fault of a provider or the gateway than the objective allows",
        "0.6% of them, where the objective of 99.5 % allows 0.5 %, for a day or more.",
        {"0.4 %": failing(0.4), "four calls in a day": failing("0+0.003x80", "0+0.003x80")},
        at="40m",
    ),
    Case(
        "TallygateLatencyBurnFast",
        latency(65, 35),
        JOB,
        "Many LLM calls without streaming take longer than 30 s",
        "35% of them, where the objective of 95 % allows 5 %: a month's allowance is gone in days.",
        {"29 %": latency(71, 29), "streams may take long": latency(0, 100, stream="true"), "few": latency(0, 0.06)},
        at="40m",
        severity="critical",
    ),
    Case(
        "TallygateLatencyBurnSlow",
        latency(94, 6),
        JOB,
        "More LLM calls without streaming take longer than 30 s than the objective allows",
        "6% of them, where the objective of 95 % allows 5 %, for a day or more.",
        {"4 %": latency(96, 4)},
        at="40m",
    ),
    Case(
        "TallygateFirstTokenBurnFast",
        first_token(65, 35),
        JOB,
        "Many streams have no token within 2.5 s",
        "35% of them, where the objective of 95 % allows 5 %: a month's allowance is gone in days.",
        {"29 %": first_token(71, 29), "few": first_token(0, 0.06)},
        at="40m",
        severity="critical",
    ),
    Case(
        "TallygateFirstTokenBurnSlow",
        first_token(94, 6),
        JOB,
        "More streams have no token within 2.5 s than the objective allows",
        "6% of them, where the objective of 95 % allows 5 %, for a day or more.",
        {"4 %": first_token(96, 4)},
        at="40m",
    ),
)
