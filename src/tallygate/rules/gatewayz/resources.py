"""What requests use up: databases, caches, limits, credits, the machine."""

from __future__ import annotations

from collections.abc import Iterator

from tallygate.promql import Query
from tallygate.rules.given import Given
from tallygate.rules.model import Alert, Group, Recording


def groups(given: Given) -> tuple[Group, ...]:
    """Five; the system's needs to be told what the machine has for two of its alerts."""
    return (
        Group("gatewayz-database", tuple(_database(given))),
        Group("gatewayz-cache", tuple(_cache(given))),
        Group("gatewayz-rate-limits", tuple(_rate_limits(given))),
        Group("gatewayz-business", tuple(_business(given))),
        Group("gatewayz-system", tuple(_system(given))),
    )


def _database(given: Given) -> Iterator[Alert]:
    duration = given("database_query_duration_seconds")

    def slower(seconds: float) -> Query:
        return duration.quantile(0.95, "table").above(seconds).and_(duration.increase().sum("table").above(20))

    yield Alert(
        "DatabaseQuerySlow",
        slower(2),
        "warning",
        "Statements on {{ $labels.table }} are slow",
        "One statement in twenty on {{ $labels.table }} takes {{ $value | humanizeDuration }} or more.",
        wait="5m",
    )
    yield Alert(
        "DatabaseQueryCritical",
        slower(5),
        "critical",
        "Statements on {{ $labels.table }} are very slow",
        "One statement in twenty on {{ $labels.table }} takes {{ $value | humanizeDuration }} or more.",
        wait="5m",
    )


def _cache(given: Given) -> Iterator[Alert]:
    hits, misses = (
        given(f"cache_{result}_total").rate(given.span("15m")).sum("cache_name") for result in ("hits", "misses")
    )
    looks = (hits + misses) * given.seconds("15m")
    yield Alert(
        "LowCacheHitRate",
        (hits / (hits + misses)).below(0.7).and_(looks.above(100)),
        "warning",
        "The cache {{ $labels.cache_name }} hits rarely",
        "{{ $value | humanizePercentage }} of the looks into {{ $labels.cache_name }} hit.",
        wait="15m",
    )


def _rate_limits(given: Given) -> Iterator[Alert]:
    limited, requests = given("rate_limited_requests_total"), given("http_requests_total")
    yield Alert(
        "HighRateLimitHitRate",
        given.share_above(0.1, limited, requests),
        "warning",
        "Rate limits refuse many requests",
        "{{ $value | humanizePercentage }} of HTTP requests are refused by a rate limit.",
        wait="10m",
    )
    yield Alert(
        "RateLimitSystemOverload",
        given.share_above(0.25, limited, requests),
        "critical",
        "Rate limits refuse a quarter of all requests or more",
        "{{ $value | humanizePercentage }} of HTTP requests are refused by a rate limit.",
        wait="5m",
    )


def _business(given: Given) -> Iterator[Alert | Recording]:
    credits = Recording("gatewayz:credits_used:rate5m", given("credits_used_total").rate().sum())
    yield credits
    yield Alert(
        "CreditCostSpike",
        given.spike(2, credits.series, window="15m", least=10),
        "warning",
        "More credits are used than usual",
        "{{ $value | humanize }} times as many credits are used as in the mean of the day before.",
        wait="15m",
    )


def _system(given: Given) -> Iterator[Alert]:
    memory, cpus = given.targets.memory_bytes, given.targets.cpus
    machine = ("job", "instance")
    ours = given("model_inference_requests_total").now.sum(*machine)  # other programs have process families, too
    if memory is not None:
        yield Alert(
            "HighMemoryUsage",
            (given("process_resident_memory_bytes").now.sum(*machine) / memory).above(0.9).and_(ours),
            "critical",
            "{{ $labels.instance }} is short of memory",
            "{{ $labels.instance }} uses {{ $value | humanizePercentage }} of its memory.",
            wait="10m",
        )
    if cpus is not None:
        yield Alert(
            "HighCPUUsage",
            (given("process_cpu_seconds_total").rate().sum(*machine) / cpus).above(0.8).and_(ours),
            "warning",
            "{{ $labels.instance }} is short of processors",
            "{{ $labels.instance }} uses {{ $value | humanizePercentage }} of its processors.",
            wait="10m",
        )
    # Those to providers are as many as there are requests: no sign of trouble.
    connections = given("active_connections").unlike(connection_type="provider")
    yield Alert(
        "TooManyOpenConnections",
        connections.now.sum("instance", "connection_type").above(80),
        "warning",
        "Many connections of the type {{ $labels.connection_type }} are open",
        "{{ $labels.instance }} has {{ $value }} connections of the type {{ $labels.connection_type }}.",
        wait="5m",
    )
