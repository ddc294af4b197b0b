"""Cases of calls: refused, cut, left, failed as nobody foresaw, slow by our own doing."""

from tests.rules.case import Case
from tests.rules.series import Dialect, Series, together

ours = Dialect("tallygate")

JOB = {"job": "tallygate"}
OPENAI = {**JOB, "provider": "openai"}
GPT = {**OPENAI, "model": "gpt-4o"}
OVERHEAD = "tallygate_gateway_overhead_seconds"


def failing(error_type: str, failed: str | float, calls: str | float = 100, stream: str = "true") -> Series:
    domain = error_type.partition("_")[0]
    return together(
        ours("tallygate_llm_errors_total", failed, provider="openai", error_type=error_type, domain=domain),
        ours("tallygate_llm_calls_total", calls, provider="openai", stream=stream),
    )


def left(cancelled: float, completed: float) -> Series:
    labels = {"provider": "openai", "model": "gpt-4o", "stream": "true"}
    return together(
        ours("tallygate_llm_calls_total", cancelled, **labels, outcome="cancelled"),
        ours("tallygate_llm_calls_total", completed, **labels, outcome="completed"),
    )


CASES = (
    Case(
        "TallygateCallsRefused",
        failing("policy_budget", 12),
        JOB,
        "Limits of ours refuse many calls",
        "12% of LLM calls are refused by a rate limit or a budget of ours.",
        {
            "9 %": failing("policy_rate_limit", 9),
            "another policy": failing("policy_content_filter", 50),
            "15 calls in ten minutes": failing("policy_rate_limit", 1.5, 1.5),
        },
    ),
    Case(
        "TallygateStreamsCut",
        failing("provider_stream_cut", 3),
        OPENAI,
        "Streams of openai break off",
        "3% of the streams of openai break off before their end.",
        {
            "1 %": failing("provider_stream_cut", 1),
            "15 streams in a quarter of an hour": failing("provider_stream_cut", 1, 1),
            "no streams": failing("provider_stream_cut", 0, 100, stream="false"),
        },
    ),
    Case(
        "TallygateStreamsCancelled",
        left(25, 75),
        GPT,
        "Callers leave streams of gpt-4o",
        "25% of the streams of gpt-4o at openai are left by their callers: they may have waited too long.",
        {"19 %": left(19, 81), "45 streams in a quarter of an hour": left(3, 0)},
        at="35m",
        severity="info",
    ),
    Case(
        "TallygateUnknownErrors",
        failing("other", "0x25 3x14"),
        OPENAI,
        "Calls to openai fail in a way that is not known",
        "3 calls to openai failed in 15 minutes with the error type other.",
        {"none since half an hour": failing("other", "7x40"), "errors that are known": failing("provider_timeout", 50)},
    ),
    Case(
        "TallygateInternalErrors",
        failing("gateway_internal", "0x25 1x14"),
        {**JOB, "error_type": "gateway_internal"},
        "Calls fail by fault of the gateway: gateway_internal",
        "1 calls failed in 15 minutes with the error type gateway_internal.",
        {
            "none since half an hour": failing("gateway_internal", "9x40"),
            "the provider did it": failing("provider_server_error", 50),
        },
        severity="critical",
    ),
    Case(
        "TallygateOverheadHigh",
        ours.histogram(OVERHEAD, {0.002: 90, 0.3: 10}),
        JOB,
        "The gateway takes long itself",
        "One call in twenty spends 300ms or more in the gateway, waiting for providers not counted.",
        {
            "one in twenty-five": ours.histogram(OVERHEAD, {0.002: 96, 0.3: 4}),
            "three calls a minute": ours.histogram(OVERHEAD, {0.3: 3}),
        },
    ),
)
