"""Cases of Gatewayz' alerts."""

from tests.rules.case import Case
from tests.rules.series import Dialect, Series, together

gatewayz = Dialect("gatewayz")

JOB = {"job": "tallygate"}
GPT = {"provider": "openai", "model": "gpt-4o"}
OPENAI = {"provider": "openai"}
CHAT = {"endpoint": "/v1/chat/completions"}
MACHINE = {"job": "tallygate", "instance": "gateway:4000"}
DAY = 1440


def inference(failed: float, well: float) -> Series:
    return together(
        gatewayz("model_inference_requests_total", failed, **GPT, status="error"),
        gatewayz("model_inference_requests_total", well, **GPT, status="success"),
    )


def taking(quick: float, long: float, seconds: float) -> Series:
    return gatewayz.histogram("model_inference_duration_seconds", {2: quick, seconds: long}, **GPT)


def then(usual: float, now: float) -> str:
    """So many a minute for a day, and then for an hour."""
    return f"0+{usual:g}x{DAY} {usual * DAY + now:g}+{now:g}x60"


def health(*error_rates: float) -> Series:
    return together(
        *(
            gatewayz("provider_error_rate", f"{rate:g}x40", **OPENAI, instance=f"gateway:400{n}")
            for n, rate in enumerate(error_rates)
        )
    )


def available(*values: str) -> Series:
    """One provider each."""
    return together(
        *(gatewayz("provider_availability", each, provider=f"provider-{n}") for n, each in enumerate(values))
    )


def http(status: str, these: float, well: float) -> Series:
    return together(
        gatewayz("http_requests_total", these, **CHAT, status_code=status, status_class=f"{status[0]}xx"),
        gatewayz("http_requests_total", well, **CHAT, status_code="200", status_class="2xx"),
    )


def http_taking(quick: float, long: float) -> Series:
    return gatewayz.histogram("http_request_duration_seconds", {0.2: quick, 20: long}, **CHAT)


def limited(these: float, all_: float) -> Series:
    return together(
        gatewayz("rate_limited_requests_total", these, limit_type="key_requests"),
        gatewayz("http_requests_total", all_, **CHAT),
    )


def statements(quick: float, long: float, seconds: float) -> Series:
    return gatewayz.histogram("database_query_duration_seconds", {0.01: quick, seconds: long}, table="users")


def looks(hits: float, misses: float) -> Series:
    return together(
        gatewayz("cache_hits_total", hits, cache_name="answers"),
        gatewayz("cache_misses_total", misses, cache_name="answers"),
    )


def memory(used: float, **elsewhere: str) -> Series:
    return together(
        gatewayz("process_resident_memory_bytes", f"{used:.0f}x40", **elsewhere),
        gatewayz("model_inference_requests_total", 1, **GPT),
    )


def cpu(seconds: float, **elsewhere: str) -> Series:
    return together(
        gatewayz("process_cpu_seconds_total", seconds, **elsewhere),
        gatewayz("model_inference_requests_total", 1, **GPT),
    )


def connections(open_: int, connection_type: str = "db") -> Series:
    return gatewayz("active_connections", f"{open_}x40", connection_type=connection_type)


def answered(failed: float, all_: float, endpoint: str = "/v1/chat/completions") -> Series:
    return together(
        gatewayz("http_requests_total", f"0+{failed:g}x80", endpoint=endpoint, status_class="5xx"),
        gatewayz("http_requests_total", f"0+{all_ - failed:g}x80", endpoint=endpoint, status_class="2xx"),
    )


ADMIN = "/admin/users"

CASES = (
    Case(
        "HighModelErrorRate",
        inference(11, 89),
        GPT,
        "gpt-4o of openai fails often",
        "11% of the requests to gpt-4o of openai fail.",
        {"9 %": inference(9, 91), "three a minute": inference(3, 0)},
        severity="critical",
    ),
    Case(
        "ModelLatencyHigh",
        taking(90, 10, 40),
        GPT,
        "gpt-4o of openai is slow",
        "One request in twenty to gpt-4o takes 42.5s or more.",
        {"one in twenty-five": taking(96, 4, 40), "three a minute": taking(0, 3, 40)},
    ),
    Case(
        "ModelLatencyCritical",
        taking(94, 6, 90),
        GPT,
        "gpt-4o of openai takes longer than a minute",
        "6% of the requests to gpt-4o take longer than 60 s.",
        {"4 %": taking(96, 4, 90), "a minute": taking(50, 50, 60), "three a minute": taking(0, 3, 90)},
        severity="critical",
    ),
    Case(
        "NoInferenceRequests",
        gatewayz("model_inference_requests_total", "0+5x10 50x30", **GPT, status="success"),
        {},
        "No model is asked any more",
        "There was no request to a model in the last 15 minutes; in the six hours before there were some.",
        {
            "one ten minutes ago": gatewayz("model_inference_requests_total", "0+5x10 50x10 51x20", **GPT),
            "nobody ever asked": gatewayz("model_inference_requests_total", "0x40", **GPT),
        },
    ),
    Case(
        "TokenUsageSpike",
        gatewayz("tokens_used_total", then(1000, 2500), **GPT, token_type="input"),
        {},
        "More tokens are used than usual",
        "2.462 times as many tokens are used as in the mean of the day before.",
        {
            "1.8 times as many": gatewayz("tokens_used_total", then(1000, 1800), **GPT, token_type="input"),
            "ten times few": gatewayz("tokens_used_total", then(50, 500), **GPT, token_type="input"),
            "on the first day": gatewayz("tokens_used_total", "_x1000 0+1000x400 400000+9000x99", **GPT),
        },
        at="1465m",
        every="5m",
    ),
    Case(
        "ProviderUnhealthy",
        health(0.1, 0.6),
        OPENAI,
        "Provider openai is unhealthy",
        "60% of the requests to openai fail: its health is below 50.",
        {"half of them": health(0.1, 0.5)},
        severity="critical",
    ),
    Case(
        "ProviderDegraded",
        health(0.3),
        OPENAI,
        "Provider openai is degraded",
        "30% of the requests to openai fail: its health is below 80.",
        {"20 %": health(0.2), "worse than that": health(0.6)},
    ),
    Case(
        "CircuitBreakerOpen",
        together(
            available("1x20 0x20", "1x40"),
            gatewayz("provider_availability", "1x40", provider="provider-0", instance="gateway:4001"),
        ),
        {"provider": "provider-0"},
        "Provider provider-0 is not available",
        "provider-0 gave no good answer several times in a row, which is what opens its circuit breakers.",
        {"for a minute": available("1x28 0x12", "1x40")},
        severity="critical",
    ),
    Case(
        "MultipleCircuitBreakersOpen",
        available("0x40", "0x40", "0x40", "0x40", "1x40"),
        {},
        "Several providers are not available",
        "4 providers gave no good answer several times in a row.",
        {"three": available("0x40", "0x40", "0x40", "1x40", "1x40")},
        severity="critical",
    ),
    Case(
        "HighHTTP5xxRate",
        http("502", 6, 94),
        {},
        "Many requests fail",
        "6% of HTTP requests are answered with 5xx.",
        {"4 %": http("502", 4, 96), "three a minute": http("502", 3, 0)},
        severity="critical",
    ),
    Case(
        "HighHTTP4xxRate",
        http("429", 21, 79),
        {},
        "Many requests are refused",
        "21% of HTTP requests are answered with 4xx.",
        {"19 %": http("429", 19, 81), "three a minute": http("429", 3, 0)},
    ),
    Case(
        "APIEndpointDown",
        gatewayz("http_requests_total", "0+20x60 1200x20", **CHAT),
        CHAT,
        "Nobody asks /v1/chat/completions any more",
        "/v1/chat/completions had no request in 5 minutes; in the hour before it had more than 600.",
        {
            "one three minutes ago": gatewayz("http_requests_total", "0+20x60 1200x6 1201x20", **CHAT),
            "eight a minute before": gatewayz("http_requests_total", "0+8x60 480x20", **CHAT),
        },
        at="70m",
        severity="critical",
    ),
    Case(
        "HighRequestLatency",
        http_taking(94, 6),
        {},
        "HTTP requests take long",
        "6% of HTTP requests take longer than 5 s.",
        {"4 %": http_taking(96, 4), "three a minute": http_taking(0, 3)},
    ),
    Case(
        "TrafficAnomalyDetected",
        gatewayz("http_requests_total", then(100, 350), **CHAT),
        {},
        "More requests come than usual",
        "3.411 times as many requests come as in the mean of the day before.",
        {
            "2.8 times as many": gatewayz("http_requests_total", then(100, 280), **CHAT),
            "ten times few": gatewayz("http_requests_total", then(1, 10), **CHAT),
        },
        at="1460m",
        every="5m",
    ),
    Case(
        "UnusualErrorPattern",
        gatewayz("http_requests_total", then(1, 6), **CHAT, status_code="500", status_class="5xx"),
        {},
        "More requests fail than usual",
        "5.704 times as many requests fail as in the mean of the day before.",
        {
            "4.5 times as many": gatewayz("http_requests_total", then(2, 9), **CHAT, status_class="5xx"),
            "of few": gatewayz("http_requests_total", then(0.1, 2), **CHAT, status_class="5xx"),
        },
        at="1460m",
        every="5m",
        severity="critical",
    ),
    Case(
        "DatabaseQuerySlow",
        statements(90, 10, 4),
        {"table": "users"},
        "Statements on users are slow",
        "One statement in twenty on users takes 3.75s or more.",
        {"two seconds": statements(90, 10, 2), "three a minute": statements(0, 3, 4)},
    ),
    Case(
        "DatabaseQueryCritical",
        statements(80, 20, 8),
        {"table": "users"},
        "Statements on users are very slow",
        "One statement in twenty on users takes 8.75s or more.",
        {"five seconds": statements(80, 20, 5), "three a minute": statements(0, 3, 8)},
        severity="critical",
    ),
    Case(
        "LowCacheHitRate",
        looks(65, 35),
        {"cache_name": "answers"},
        "The cache answers hits rarely",
        "65% of the looks into answers hit.",
        {"71 %": looks(71, 29), "five a minute": looks(0, 5)},
        at="40m",
    ),
    Case(
        "HighRateLimitHitRate",
        limited(11, 100),
        {},
        "Rate limits refuse many requests",
        "11% of HTTP requests are refused by a rate limit.",
        {"9 %": limited(9, 100), "three a minute": limited(3, 3)},
    ),
    Case(
        "RateLimitSystemOverload",
        limited(26, 100),
        {},
        "Rate limits refuse a quarter of all requests or more",
        "26% of HTTP requests are refused by a rate limit.",
        {"24 %": limited(24, 100), "three a minute": limited(3, 3)},
        severity="critical",
    ),
    Case(
        "CreditCostSpike",
        gatewayz("credits_used_total", then(1, 2.5), **GPT),
        {},
        "More credits are used than usual",
        "2.437 times as many credits are used as in the mean of the day before.",
        {
            "1.8 times as many": gatewayz("credits_used_total", then(1, 1.8), **GPT),
            "ten times few": gatewayz("credits_used_total", then(0.05, 0.5), **GPT),
        },
        at="1480m",
        every="5m",
    ),
    Case(
        "HighMemoryUsage",
        memory(1.9e9),
        MACHINE,
        "gateway:4000 is short of memory",
        "gateway:4000 uses 95% of its memory.",
        {"85 %": memory(1.7e9), "another program": memory(1.9e9, job="node")},
        severity="critical",
    ),
    Case(
        "HighCPUUsage",
        cpu(204),
        MACHINE,
        "gateway:4000 is short of processors",
        "gateway:4000 uses 85% of its processors.",
        {"75 %": cpu(180), "another program": cpu(204, job="node")},
    ),
    Case(
        "HTTPAvailabilityBurnFast",
        answered(7, 100),
        JOB,
        "Many HTTP requests are answered with 5xx",
        "7% of them, where the objective of 99 % allows 1 %: a month's allowance is gone in days.",
        {"5 %": answered(5, 100), "few": answered(0.06, 0.06)},
        at="40m",
        severity="critical",
    ),
    Case(
        "HTTPAvailabilityBurnSlow",
        answered(2, 100),
        JOB,
        "More HTTP requests are answered with 5xx than the objective allows",
        "2% of them, where the objective of 99 % allows 1 %, for a day or more.",
        {"0.9 %": answered(0.9, 100)},
        at="40m",
    ),
    Case(
        "AdminAvailabilityBurnFast",
        answered(1, 100, ADMIN),
        JOB,
        "Many requests to admin endpoints are answered with 5xx",
        "1% of them, where the objective of 99.9 % allows 0.1 %: a month's allowance is gone in days.",
        {"0.5 %": answered(0.5, 100, ADMIN), "other endpoints": answered(50, 100)},
        at="40m",
        severity="critical",
    ),
    Case(
        "AdminAvailabilityBurnSlow",
        answered(0.2, 100, ADMIN),
        JOB,
        "More requests to admin endpoints are answered with 5xx than the objective allows",
        "0.2% of them, where the objective of 99.9 % allows 0.1 %, for a day or more.",
        {"0.09 %": answered(0.09, 100, ADMIN), "other endpoints": answered(50, 100)},
        at="40m",
    ),
    Case(
        "TooManyOpenConnections",
        connections(81),
        {"instance": "gateway:4000", "connection_type": "db"},
        "Many connections of the type db are open",
        "gateway:4000 has 81 connections of the type db.",
        {"80": connections(80), "to providers": connections(500, "provider")},
    ),
)
