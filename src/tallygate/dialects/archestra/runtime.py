"""Archestra's families of HTTP, and what of its runtime families is true of Python."""

from functools import partial

from tallygate.dialects.families import Gauge, Histogram, Info, Summary
from tallygate.dialects.process import CPU_BY_MODE, PROCESS
from tallygate.facts import BuildInfo, EventLoop, GarbageCollection, HTTPInFlight, HTTPRequest, Process

HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
HTTP_QUANTILES = (0.01, 0.05, 0.5, 0.9, 0.95, 0.99, 0.999)
GC_SECONDS = (0.001, 0.01, 0.1, 1, 2, 5)

request = (HTTPRequest.method, HTTPRequest.route, HTTPRequest.status_code)
seen = HTTPRequest.method.not_among("OPTIONS", "HEAD") & HTTPRequest.route.not_among("/health", "/ready")

HTTP = (
    Histogram(
        "http_request_duration_seconds",
        HTTPRequest.duration.where(seen),
        by=request,
        buckets=HTTP_SECONDS,
        help="Request duration in seconds, without OPTIONS, HEAD and health checks",
    ),
    Summary(
        "http_request_summary_seconds",
        HTTPRequest.duration.where(seen),
        by=request,
        quantiles=HTTP_QUANTILES,
        within=(0.001, 60),
        help="Quantiles of request duration in seconds since the counts began, without OPTIONS, HEAD and health checks",
    ),
)

kind = GarbageCollection.generation.as_({"0": "minor", "1": "minor", "2": "major"}).named("kind").from_zero()

LAG = tuple(
    Gauge(f"nodejs_eventloop_lag{name}_seconds", measure, help=f"{what}, the worst of the workers, in seconds")
    for name, measure, what in (
        ("", EventLoop.latest_lag, "How late the asyncio event loop ran its latest timer"),
        ("_min", EventLoop.lag_min, "Least lag of the event loop in the latest minute"),
        ("_max", EventLoop.lag_max, "Greatest lag of the event loop in the latest minute"),
        ("_mean", EventLoop.lag_mean, "Mean lag of the event loop in the latest minute"),
        ("_stddev", EventLoop.lag_stddev, "Standard deviation of the event loop's lag in the latest minute"),
        ("_p50", EventLoop.lag_p50, "Median lag of the event loop in the latest minute"),
        ("_p90", EventLoop.lag_p90, "90th percentile of the event loop's lag in the latest minute"),
        ("_p99", EventLoop.lag_p99, "99th percentile of the event loop's lag in the latest minute"),
    )
)


def part_of_version(index: int, version: str) -> str:
    """Major, minor or patch number of a version; '' when it has none."""
    parts = version.split(".")
    return parts[index] if index < len(parts) else ""


RUNTIME = (
    *PROCESS,
    *CPU_BY_MODE,
    Gauge("process_heap_bytes", Process.data_memory, help="Memory the workers have set aside for data, in bytes"),
    *LAG,
    Gauge(
        "nodejs_heap_size_used_bytes",
        Process.anonymous_memory,
        help="Resident memory of the workers that is no file's, in bytes: the heap in use",
    ),
    Gauge(
        "nodejs_heap_size_total_bytes",
        Process.data_memory,
        help="Memory the workers have set aside for data, in bytes: the heap in all",
    ),
    Histogram(
        "nodejs_gc_duration_seconds",
        GarbageCollection.duration,
        by=(kind,),
        buckets=GC_SECONDS,
        help="Garbage collection duration in seconds; major is generation 2, minor are 0 and 1",
    ),
    Gauge("nodejs_active_handles_total", Process.open_fds, help="Open file descriptors of the workers"),
    Gauge("nodejs_active_requests_total", HTTPInFlight.now, zeros=({},), help="HTTP requests being served now"),
    Info(
        "nodejs_version_info",
        BuildInfo.present,
        by=(
            BuildInfo.python.named("version"),
            *(
                BuildInfo.python.as_(partial(part_of_version, index)).named(name)
                for index, name in enumerate(("major", "minor", "patch"))
            ),
        ),
        help="Version of the Python interpreter",
    ),
)
