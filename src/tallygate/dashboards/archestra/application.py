"""Application Metrics: HTTP traffic, runtime, infrastructure, task queue and PostgreSQL.

The runtime row asks for the ``nodejs_`` families as the dialect gives them, of CPython and asyncio. Mended: event loop
lag is asked as the gauges it is. Left out: Heap Usage by Space and external memory, which CPython does not have.
"""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import stat, timeseries
from tallygate.dashboards.postgresql import postgresql
from tallygate.dashboards.variables import chained, sources, vocabulary
from tallygate.promql import Scalar

ask = vocabulary("archestra")
http, collections = ask("http_request_duration_seconds"), ask("nodejs_gc_duration_seconds")
enqueued, completed = ask("task_queue_tasks_enqueued_total"), ask("task_queue_tasks_completed_total")
failed, dead = ask("task_queue_tasks_failed_total"), ask("task_queue_tasks_dead_total")
active = ask("task_queue_active_tasks").now

HTTP = Row(
    "HTTP",
    (
        timeseries(
            "Request Rate",
            "HTTP requests per second by route. OPTIONS, HEAD and health checks do not count.",
            "A fall to 0 is a lost load balancer or a deployment; a jump, a new caller or retries.",
            http.rate().sum("route"),
            unit=units.RequestsPerSecond,
        ),
        timeseries(
            "Request Duration",
            "P95 and median of the time from the first byte of a request to the last of its answer.",
            "Streams last as long as their answers: look at Top Slowest Routes before you look for a fault.",
            *((f"p{share:g}", http.quantile(share / 100)) for share in (95, 50)),
            unit=units.Seconds,
        ),
        timeseries(
            "Error Rate",
            "Answers with a 4xx or 5xx status, per second, by route and status.",
            "4xx are callers' mistakes and limits; 5xx are providers' failures and ours: read the log of errors.",
            ("{{route}} ({{status_code}})", http.like(status_code="[45]..").rate().sum("route", "status_code")),
            unit=units.RequestsPerSecond,
        ),
        timeseries(
            "Top Slowest Routes (P95)",
            "The ten routes with the longest P95.",
            "A route of models is as slow as its provider: see GenAI Observability.",
            http.quantile(0.95, "route").top(10),
            unit=units.Seconds,
        ),
        timeseries(
            "Request Rate by Status Code",
            "HTTP requests per second by status.",
            "429 are limits of ours or of a provider; 499, callers that left; 502 to 504, providers.",
            http.rate().sum("status_code"),
            unit=units.RequestsPerSecond,
            stacked=True,
            width=24,
        ),
    ),
)
RUNTIME = Row(
    "Runtime",
    (
        timeseries(
            "Event Loop Lag",
            "How late the asyncio event loop ran its timers in the latest minute, in the worst worker.",
            "Above 0.1 s something blocks the loop: a slow disk, a large body, or too few processors.",
            *((name, ask(f"nodejs_eventloop_lag_{name}_seconds").now.max()) for name in ("p99", "p90", "p50")),
            unit=units.Seconds,
            thresholds={0.1: "yellow", 1: "red"},
        ),
        timeseries(
            "GC Pause Duration",
            "Seconds per second that garbage collection took: of generation 2 (major) and of 0 and 1 (minor).",
            "Above 0.05: many objects live long. Look for a cache without a bound.",
            ("All kinds", collections.rate(part="sum").sum()),
            ("{{kind}}", collections.rate(part="sum").sum("kind")),
            unit=units.PercentUnit,
            thresholds={0.05: "yellow", 0.1: "red"},
        ),
        timeseries(
            "Heap Usage",
            "Memory that belongs to no file: in use, and set aside by the processes.",
            "It climbs for days: a leak, or a cache without a bound.",
            ("Used", ask("nodejs_heap_size_used_bytes").now.sum()),
            ("Total", ask("nodejs_heap_size_total_bytes").now.sum()),
            unit=units.BytesIEC,
        ),
        timeseries(
            "Active Handles & Requests",
            "Open file descriptors of the workers, and HTTP requests being served now.",
            "Descriptors that climb without requests are connections that nobody closes.",
            ("Active Handles", ask("nodejs_active_handles_total").now.sum()),
            ("Active Requests", ask("nodejs_active_requests_total").now.sum()),
            unit=units.Short,
        ),
    ),
)
INFRASTRUCTURE = Row(
    "Infrastructure",
    (
        timeseries(
            "CPU Usage",
            "Processors in use by all workers, user and system time together.",
            "Near the number of workers: more workers, or more machines.",
            ("{{instance}}", ask("process_cpu_seconds_total").rate().sum("instance")),
            unit=units.PercentUnit,
            width=8,
        ),
        timeseries(
            "Memory Usage",
            "Resident memory of all workers, and memory set aside for data.",
            "It climbs for days: a leak, or a cache without a bound.",
            ("Resident (RSS)", ask("process_resident_memory_bytes").now.sum()),
            ("Heap Total", ask("process_heap_bytes").now.sum()),
            unit=units.BytesIEC,
            width=8,
        ),
        stat(
            "Process Uptime",
            "How long the oldest worker has been running.",
            "Short and shorter: it restarts. Read why it ended in its log.",
            (
                "{{instance}}",
                (ask("process_start_time_seconds").now.min("instance") - Scalar("time()")) * -1,
            ),
            unit=units.DurationSeconds,
            width=8,
            height=8,
        ),
    ),
)
TASKS = Row(
    "Task Queue",
    (
        stat(
            "Active Tasks",
            "Tasks running now.",
            "0 while tasks wait: no worker takes them. Near the number of workers: the queue grows.",
            active.sum(),
            unit=units.Short,
            width=5,
        ),
        *(
            stat(title, means, when_bad, family.increase("$__range").sum(), unit=units.Short, whole_range=True, width=5)
            for title, family, means, when_bad in (
                (
                    "Total Enqueued",
                    enqueued,
                    "Tasks put into the queue in the chosen time.",
                    "Much more than Total Completed: the queue grows. Add workers.",
                ),
                (
                    "Total Completed",
                    completed,
                    "Runs of tasks that came to a good end in the chosen time.",
                    "0 while tasks are enqueued: workers are down or stuck.",
                ),
            )
        ),
        stat(
            "Dead-Lettered",
            "Tasks given up in the chosen time, all retries used.",
            "Any at all: read the task's last error, mend it, and enqueue it again.",
            dead.increase("$__range").sum(),
            unit=units.Short,
            thresholds={1: "red"},
            whole_range=True,
            width=5,
        ),
        stat(
            "Stuck Tasks Reset",
            "Tasks taken in the chosen time from workers that lost them.",
            "Workers were killed or hung: look at their memory and their log.",
            ask("task_queue_stuck_tasks_reset_total").increase("$__range").sum(),
            unit=units.Short,
            thresholds={1: "yellow"},
            whole_range=True,
        ),
        timeseries(
            "Task Throughput",
            "Tasks per second by type: enqueued, completed, failed.",
            "Enqueued above completed for long: add workers, or find what slowed them.",
            *(
                (f"{name} - {{{{task_type}}}}", family.rate().sum("task_type"))
                for name, family in (("enqueued", enqueued), ("completed", completed), ("failed", failed))
            ),
            unit=units.OpsPerSecond,
        ),
        timeseries(
            "Task Processing Duration (P95)",
            "P95 of the duration of runs that came to a good end, by type of task.",
            "One type alone: its source or model is slow. All: the workers are short of processors.",
            ("p95 - {{task_type}}", ask("task_queue_task_duration_seconds").quantile(0.95, "task_type")),
            unit=units.Seconds,
        ),
        timeseries(
            "Active Tasks Over Time",
            "Tasks running, by type.",
            "A type that never comes down: its runs hang.",
            active.sum("task_type"),
            unit=units.Short,
        ),
        timeseries(
            "Failed & Dead Tasks",
            "Runs that failed and tasks that were given up, per second, by type.",
            "Failed ones are tried again; dead ones are lost until somebody enqueues them.",
            ("failed - {{task_type}}", failed.rate().sum("task_type")),
            ("dead - {{task_type}}", dead.rate().sum("task_type")),
            unit=units.OpsPerSecond,
        ),
    ),
)


def application(postgres_provider: str) -> Board:
    """The board, its PostgreSQL row for one of ``POSTGRES_PROVIDERS``."""
    return Board(
        uid="tallygate-archestra-application",
        title="Archestra Application Metrics",
        help="HTTP traffic, runtime, task queue and PostgreSQL, in Archestra's names.",
        dialect="archestra",
        variables=(*sources(), *chained(http)),
        time="now-1h",
        rows=(HTTP, RUNTIME, INFRASTRUCTURE, TASKS, postgresql(postgres_provider)),
    )
