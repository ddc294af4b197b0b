"""What callers see: models, providers, HTTP, and traffic that is not as usual."""

from __future__ import annotations

from collections.abc import Iterator

from tallygate.rules.given import Given
from tallygate.rules.model import Alert, Group, Recording

MODEL = ("provider", "model")


def groups(given: Given) -> tuple[Group, ...]:
    """Four."""
    return (
        Group("gatewayz-models", tuple(_models(given))),
        Group("gatewayz-providers", tuple(_providers(given))),
        Group("gatewayz-http", tuple(_http(given))),
        Group("gatewayz-anomalies", tuple(_anomalies(given))),
    )


def _models(given: Given) -> Iterator[Alert | Recording]:
    requests, duration = given("model_inference_requests_total"), given("model_inference_duration_seconds")
    enough = duration.increase().sum(*MODEL).above(20)
    yield Alert(
        "HighModelErrorRate",
        given.share_above(0.1, requests.where(status="error"), requests, *MODEL),
        "critical",
        "{{ $labels.model }} of {{ $labels.provider }} fails often",
        "{{ $value | humanizePercentage }} of the requests to {{ $labels.model }} of {{ $labels.provider }} fail.",
        wait="5m",
    )
    yield Alert(
        "ModelLatencyHigh",
        duration.quantile(0.95, *MODEL).above(30).and_(enough),
        "warning",
        "{{ $labels.model }} of {{ $labels.provider }} is slow",
        "One request in twenty to {{ $labels.model }} takes {{ $value | humanizeDuration }} or more.",
        wait="5m",
    )
    yield Alert(
        "ModelLatencyCritical",
        (duration.beyond("60", *MODEL) / duration.rate().sum(*MODEL)).above(0.05).and_(enough),
        "critical",
        "{{ $labels.model }} of {{ $labels.provider }} takes longer than a minute",
        "{{ $value | humanizePercentage }} of the requests to {{ $labels.model }} take longer than 60 s.",
        wait="5m",
    )
    yield Alert(
        "NoInferenceRequests",
        requests.increase(given.span("15m"))
        .sum()
        .equal(0)
        .and_(requests.ago(given.span("15m")).increase(given.span("6h")).sum().above(0)),
        "warning",
        "No model is asked any more",
        "There was no request to a model in the last 15 minutes; in the six hours before there were some.",
    )
    tokens = Recording("gatewayz:tokens_used:rate5m", given("tokens_used_total").rate().sum())
    yield tokens
    yield Alert(
        "TokenUsageSpike",
        given.spike(2, tokens.series, window="10m", least=10_000),
        "warning",
        "More tokens are used than usual",
        "{{ $value | humanize }} times as many tokens are used as in the mean of the day before.",
        wait="10m",
    )


def _providers(given: Given) -> Iterator[Alert]:
    failing = given("provider_error_rate").now.max("provider")
    away = given("provider_availability").now.min("provider").equal(0)
    yield Alert(
        "ProviderUnhealthy",
        failing.above(0.5),
        "critical",
        "Provider {{ $labels.provider }} is unhealthy",
        "{{ $value | humanizePercentage }} of the requests to {{ $labels.provider }} fail: its health is below 50.",
        wait="5m",
    )
    yield Alert(
        "ProviderDegraded",
        failing.above(0.2).unless(failing.above(0.5)),
        "warning",
        "Provider {{ $labels.provider }} is degraded",
        "{{ $value | humanizePercentage }} of the requests to {{ $labels.provider }} fail: its health is below 80.",
        wait="10m",
    )
    yield Alert(
        "CircuitBreakerOpen",
        away,
        "critical",
        "Provider {{ $labels.provider }} is not available",
        "{{ $labels.provider }} gave no good answer several times in a row, which is what opens its circuit breakers.",
        wait="2m",
    )
    yield Alert(
        "MultipleCircuitBreakersOpen",
        away.number().above(3),
        "critical",
        "Several providers are not available",
        "{{ $value }} providers gave no good answer several times in a row.",
        wait="5m",
    )


def _http(given: Given) -> Iterator[Alert]:
    requests, duration = given("http_requests_total"), given("http_request_duration_seconds")
    before = requests.ago(given.span("5m")).increase(given.span("1h")).sum("endpoint").above(600)
    yield Alert(
        "HighHTTP5xxRate",
        given.share_above(0.05, requests.where(status_class="5xx"), requests),
        "critical",
        "Many requests fail",
        "{{ $value | humanizePercentage }} of HTTP requests are answered with 5xx.",
        wait="5m",
    )
    yield Alert(
        "HighHTTP4xxRate",
        given.share_above(0.2, requests.where(status_class="4xx"), requests),
        "warning",
        "Many requests are refused",
        "{{ $value | humanizePercentage }} of HTTP requests are answered with 4xx.",
        wait="10m",
    )
    yield Alert(
        "APIEndpointDown",
        requests.increase().sum("endpoint").equal(0).and_(before),
        "critical",
        "Nobody asks {{ $labels.endpoint }} any more",
        "{{ $labels.endpoint }} had no request in 5 minutes; in the hour before it had more than 600.",
    )
    yield Alert(
        "HighRequestLatency",
        (duration.beyond("5") / duration.rate().sum()).above(0.05).and_(duration.increase().sum().above(20)),
        "warning",
        "HTTP requests take long",
        "{{ $value | humanizePercentage }} of HTTP requests take longer than 5 s.",
        wait="5m",
    )


def _anomalies(given: Given) -> Iterator[Alert | Recording]:
    requests = given("http_requests_total")
    every = Recording("gatewayz:http_requests:rate5m", requests.rate().sum())
    failed = Recording("gatewayz:http_requests_failed:rate5m", requests.where(status_class="5xx").rate().sum())
    yield from (every, failed)
    yield Alert(
        "TrafficAnomalyDetected",
        given.spike(3, every.series, window="5m", least=100),
        "warning",
        "More requests come than usual",
        "{{ $value | humanize }} times as many requests come as in the mean of the day before.",
        wait="5m",
    )
    yield Alert(
        "UnusualErrorPattern",
        given.spike(5, failed.series, window="5m", least=20),
        "critical",
        "More requests fail than usual",
        "{{ $value | humanize }} times as many requests fail as in the mean of the day before.",
        wait="5m",
    )
