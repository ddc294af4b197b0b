"""Application Metrics: HTTP, the runtime, tasks, databases, caches, and what the measuring itself costs."""

from dataclasses import replace

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import PER_SECOND, bars, heatmap, percentiles, stat, table, timeseries
from tallygate.dashboards.tallygate.health import CACHES, OWN_HEALTH
from tallygate.dashboards.variables import chained, sources, vocabulary

ask = vocabulary("tallygate", "instance")
requests, request_duration = ask("tallygate_http_requests_total"), ask("tallygate_http_request_duration_seconds")
failed_requests = requests.like(status_code="5..").rate()
lag = ask("tallygate_event_loop_lag_seconds")
runs, queries = ask("tallygate_task_runs_total"), ask("tallygate_db_queries_total")
query_duration = ask("tallygate_db_query_duration_seconds")

NOW = Row(
    "Now",
    (
        stat(
            "Requests",
            "HTTP requests per second.",
            "0: nobody reaches the program; look at what stands before it.",
            requests.rate().sum(),
            unit=units.RequestsPerSecond,
        ),
        stat(
            "Server errors",
            "Share of HTTP requests that were answered with 5xx; 0 when there were none.",
            "See Server errors by route, then the log.",
            failed_requests.sum().share_of(requests.rate().sum()),
            unit=units.PercentUnit,
            thresholds={0.01: "yellow", 0.05: "red"},
        ),
        stat(
            "Event loop lag, P99",
            "How late the event loops ran a timer.",
            "Something blocks a loop: a long computation, or blocking calls in async code.",
            lag.quantile(0.99),
            unit=units.Seconds,
            thresholds={0.05: "yellow", 0.25: "red"},
        ),
        stat(
            "Workers",
            "Live worker processes.",
            "Fewer than configured: workers crash; read the log, then Memory.",
            ask("tallygate_workers").now.sum(),
            unit=units.Short,
        ),
        stat(
            "Memory",
            "Resident memory of the workers.",
            "It climbs for days: see Memory for the part that is no file's.",
            ask("process_resident_memory_bytes").now.sum(),
            unit=units.BytesIEC,
        ),
        stat(
            "Oldest worker",
            "When the oldest live worker started.",
            "Minutes ago without a deployment: the program restarts by itself.",
            ask("process_start_time_seconds").now.min() * 1000,
            unit=units.DateTimeFromNow,
        ),
    ),
)

HTTP = Row(
    "HTTP",
    (
        timeseries(
            "Requests by route",
            "HTTP requests per second; unmatched is what no route fits.",
            "Many unmatched ones: a scanner, or a client with a wrong base URL.",
            requests.rate().sum("method", "route"),
            unit=units.RequestsPerSecond,
            width=8,
        ),
        timeseries(
            "Requests by status",
            "HTTP requests per second; 499 is a client that left before an answer.",
            "401: keys. 429: limits. 499: clients that time out. 5xx: see Server errors by route.",
            requests.rate().sum("status_code"),
            unit=units.RequestsPerSecond,
            stacked=True,
            width=8,
        ),
        timeseries(
            "Server errors by route",
            "Share of the requests of a route that were answered with 5xx; 0 when there were none.",
            "One route: what it depends on. All: the program or its database.",
            (failed_requests.sum("route").or_(requests.rate().sum("route") * 0)).share_of(requests.rate().sum("route")),
            unit=units.PercentUnit,
            thresholds={0.05: "red"},
            width=8,
        ),
        timeseries(
            "Duration",
            "From the first byte of a request to the last byte of its answer.",
            "For the gateway this is mostly the provider's time: see Gateway overhead in GenAI Observability.",
            *percentiles(request_duration),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "Duration by route, P95",
            "19 of 20 requests of a route are faster.",
            "A route that does not ask a provider and is slow: the database or the event loop.",
            request_duration.quantile(0.95, "route"),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "In flight",
            "HTTP requests being served now.",
            "It climbs while Requests does not: requests hang.",
            ask("tallygate_http_requests_in_flight").now.sum("instance"),
            unit=units.Short,
            width=8,
        ),
        timeseries(
            "Size of requests by route, P95",
            "Bodies of requests.",
            "Megabytes: clients send documents or images; memory and time to first token go with it.",
            ask("tallygate_http_request_size_bytes").quantile(0.95, "route"),
            unit=units.BytesIEC,
        ),
        timeseries(
            "Size of answers by route, P95",
            "Bodies of answers.",
            "A route that grew: it lists without a limit.",
            ask("tallygate_http_response_size_bytes").quantile(0.95, "route"),
            unit=units.BytesIEC,
        ),
    ),
)

RUNTIME = Row(
    "Runtime",
    (
        timeseries(
            "Event loop lag",
            "How late the event loops ran a timer.",
            "P99 above 0.1 s: something blocks a loop; its time is missing from every stream.",
            *percentiles(lag),
            unit=units.Seconds,
            thresholds={0.1: "red"},
            width=8,
        ),
        heatmap(
            "Event loop lag, spread",
            "How often a timer was how late.",
            "A second band: a job that runs at intervals; compare with Garbage collection.",
            lag.rate(part="bucket").sum("le"),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "Event loops, busy",
            "CPU time of the threads that run the loops, per worker: 1 is a full core.",
            "Near 1: add workers, or move computation to other processes.",
            ask("tallygate_event_loop_busy_seconds_total")
            .rate()
            .sum("instance")
            .share_of(ask("tallygate_workers").now.sum("instance")),
            unit=units.PercentUnit,
            thresholds={0.8: "red"},
            width=8,
        ),
        timeseries(
            "Tasks and callbacks",
            "Live asyncio tasks, and callbacks that waited when sampled (asyncio's own loops tell those).",
            "Tasks that only climb are never awaited.",
            ("tasks {{instance}}", ask("tallygate_event_loop_tasks").now.sum("instance")),
            ("ready {{instance}}", ask("tallygate_event_loop_ready_callbacks").now.sum("instance")),
            unit=units.Short,
            width=8,
        ),
        timeseries(
            "Threads",
            "Threads of the workers, of the loops' executors, and calls that wait for one (asyncio's own loops tell).",
            "Calls wait: blocking work outruns the executor; make it larger or the work smaller.",
            ("all {{instance}}", ask("process_threads").now.sum("instance")),
            ("executors {{instance}}", ask("tallygate_executor_threads").now.sum("instance")),
            ("waiting {{instance}}", ask("tallygate_executor_queue_size").now.sum("instance")),
            unit=units.Short,
            width=8,
        ),
        timeseries(
            "CPU",
            "CPU time of the workers per second: 1 is a full core.",
            "Full cores without more requests: profile it; large bodies and compression are usual.",
            ask("process_cpu_seconds_total").rate().sum("instance"),
            unit=units.Short,
            width=8,
        ),
        timeseries(
            "Memory",
            "Resident memory, the part of it that is no file's, what is set aside for data, and the address space.",
            "What is no file's climbs for days: a leak; restart the workers one by one, then look for it.",
            ("resident {{instance}}", ask("process_resident_memory_bytes").now.sum("instance")),
            ("anonymous {{instance}}", ask("tallygate_process_anonymous_memory_bytes").now.sum("instance")),
            ("data {{instance}}", ask("tallygate_process_data_memory_bytes").now.sum("instance")),
            ("virtual {{instance}}", ask("process_virtual_memory_bytes").now.sum("instance")),
            unit=units.BytesIEC,
            width=8,
        ),
        timeseries(
            "File descriptors",
            "Open ones of all workers as a share of what they may have together.",
            "Near 1: connections are not closed, or the limit is too low (ulimit -n).",
            ask("process_open_fds")
            .now.sum("instance")
            .share_of(ask("process_max_fds").now.min("instance") * ask("tallygate_workers").now.sum("instance")),
            unit=units.PercentUnit,
            thresholds={0.8: "red"},
            width=8,
        ),
        timeseries(
            "Garbage collection",
            "Share of time spent in the collector, by generation.",
            "Generation 2 above some percent: large object graphs; freeze them after start-up (gc.freeze).",
            ask("tallygate_gc_duration_seconds").rate(part="sum").sum("generation"),
            unit=units.PercentUnit,
            width=8,
        ),
        timeseries(
            "Garbage collection, P99",
            "How long a pass took, by generation: a pause of its worker.",
            "Above 0.05 s it is seen in streams.",
            ask("tallygate_gc_duration_seconds").quantile(0.99, "generation"),
            unit=units.Seconds,
            thresholds={0.05: "red"},
            width=8,
        ),
        timeseries(
            "Objects collected",
            "Objects that the collector freed per second, and those that it could not free.",
            "Uncollectable ones should be 0: an extension module has a defect.",
            ("freed, {{generation}}", ask("tallygate_gc_objects_collected_total").rate().sum("generation")),
            ("not freed, {{generation}}", ask("tallygate_gc_objects_uncollectable_total").rate().sum("generation")),
            unit=PER_SECOND,
            width=8,
        ),
        table(
            "Builds",
            "What runs.",
            "Two versions for long: a deployment is stuck. ledger python: the compiled core was not built.",
            (
                "Workers",
                ask("tallygate_build_info").now.max(
                    "instance", "version", "python", "ledger", "environment", "service", "deployment_version"
                ),
            ),
            units=[units.Short],
            width=8,
        ),
    ),
)

TASKS = Row(
    "Task queue",
    (
        timeseries(
            "Runs by outcome",
            "Runs of tasks per second; a task that is tried again has several.",
            "failed: see Failed share by task, then the log.",
            runs.rate().sum("outcome"),
            unit=PER_SECOND,
            stacked=True,
            width=8,
        ),
        timeseries(
            "Failed share by task",
            "Failed runs of all runs; 0 when there were none.",
            "One task: its code or its data. All of them: the database or the broker.",
            runs.where(outcome="failed").rate().sum("task_type").share_of(runs.rate().sum("task_type")),
            unit=units.PercentUnit,
            thresholds={0.2: "red"},
            width=8,
        ),
        timeseries(
            "Duration of runs, P95",
            "From start to end of a run.",
            "Near the time-out: split the task.",
            ask("tallygate_task_duration_seconds").quantile(0.95, "task_type"),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "Time in queue, P95",
            "From enqueued, or due, to the start of the run.",
            "It climbs: more workers, or fewer tasks.",
            ask("tallygate_task_time_in_queue_seconds").quantile(0.95, "task_type"),
            unit=units.Seconds,
            thresholds={60: "red"},
            width=8,
        ),
        timeseries(
            "Queues",
            "How many wait in each queue, and how long the oldest has waited (on the right).",
            "The oldest gets older in a straight line: nobody takes from the queue.",
            ("{{queue}}", ask("tallygate_queue_size").now.sum("queue")),
            ("oldest {{queue}}", ask("tallygate_queue_oldest_age_seconds").now.max("queue")),
            unit=units.Short,
            right={"/^oldest/": units.Seconds},
            width=8,
        ),
        timeseries(
            "Running",
            "Tasks running now.",
            "At the number of workers all the time: the queue will grow.",
            ask("tallygate_tasks_active").now.sum("task_type"),
            unit=units.Short,
            width=8,
        ),
        timeseries(
            "Enqueued, dead, stuck",
            "What happened to tasks outside of their runs, per second.",
            "dead: given up, its work is not done; mend and enqueue it again. stuck_reset: a worker died in its run.",
            ask("tallygate_task_events_total").rate().sum("event"),
            unit=PER_SECOND,
            width=24,
        ),
    ),
)

DATABASE = Row(
    "Database, as the program sees it",
    (
        timeseries(
            "Queries by status",
            "Statements per second and how they ended.",
            "error: see Failing queries.",
            queries.rate().sum("system", "status"),
            unit=PER_SECOND,
            stacked=True,
            width=8,
        ),
        timeseries(
            "Duration of queries",
            "From sent to executed.",
            "P99 alone: locks or one bad plan; all: the database is out of memory or connections.",
            *percentiles(query_duration),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "Connections",
            "Connections of the workers that are open now.",
            "At the size of the pool: requests wait for one.",
            ask("tallygate_connections_open").now.sum("connection_type"),
            unit=units.Short,
            width=8,
        ),
        bars(
            "Slow queries",
            "Mean duration of the slowest statements in the time that is shown.",
            "Explain the first one; a hash is a statement without a registered name.",
            query_duration.mean("query", window="$__range").top(10),
            unit=units.Seconds,
        ),
        bars(
            "Time by table",
            "Seconds spent in statements, by table, in the time that is shown.",
            "The first table is where an index or a cache pays most.",
            query_duration.increase("$__range", "sum").sum("table").top(10),
            unit=units.Seconds,
        ),
        bars(
            "Failing queries",
            "Statements that failed in the time that is shown.",
            "Constraint errors are the program's; connection errors the database's.",
            queries.where(status="error").increase("$__range").sum("query").top(10),
            unit=units.Short,
        ),
    ),
)


def application(postgresql: Row) -> Board:
    """The board, with a row about the PostgreSQL server itself, closed: not everybody has one, and its exporter."""
    return Board(
        uid="tallygate-application",
        title="Application Metrics",
        help="The program around the models: HTTP, event loops, memory, tasks, databases, caches, and the ledger.",
        dialect="tallygate",
        variables=(*sources(), *chained(ask("tallygate_workers"), "instance")),
        rows=(NOW, HTTP, RUNTIME, TASKS, DATABASE, replace(postgresql, collapsed=True), CACHES, OWN_HEALTH),
    )
