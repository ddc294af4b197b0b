"""The worker processes, and the metrics' own upkeep."""

from tallygate.dialects.families import Computed, Counter, Gauge, Histogram, Info
from tallygate.dialects.process import PROCESS
from tallygate.dialects.tallygate.buckets import BYTES, PAUSE_SECONDS
from tallygate.facts import BuildInfo, Dropped, EventLoop, GarbageCollection, LoopQueues, Process, Scrape

RUNTIME = (
    Info(
        "tallygate_build_info",
        BuildInfo.present,
        by=(
            BuildInfo.version,
            BuildInfo.python,
            BuildInfo.ledger,
            BuildInfo.environment,
            BuildInfo.service,
            BuildInfo.deployment_version,
        ),
        help="This build and where it runs",
    ),
    *PROCESS,
    Gauge("process_threads", Process.threads, help="Threads of the workers"),
    Gauge(
        "tallygate_process_anonymous_memory_bytes",
        Process.anonymous_memory,
        help="Resident memory of the workers that is no file's, in bytes",
    ),
    Gauge(
        "tallygate_process_data_memory_bytes",
        Process.data_memory,
        help="Memory the workers have set aside for data, in bytes",
    ),
    Gauge("tallygate_workers", Process.workers, help="Live worker processes"),
    Histogram(
        "tallygate_event_loop_lag_seconds",
        EventLoop.lag,
        buckets=PAUSE_SECONDS,
        help="How late the asyncio event loops ran a timer, in seconds",
    ),
    Gauge("tallygate_event_loop_tasks", EventLoop.tasks, help="Live asyncio tasks"),
    Gauge("tallygate_event_loop_ready_callbacks", LoopQueues.ready, help="Callbacks that waited to run when sampled"),
    Gauge("tallygate_executor_threads", LoopQueues.executor_threads, help="Threads of the loops' default executors"),
    Gauge("tallygate_executor_queue_size", LoopQueues.executor_queue, help="Calls that wait for such a thread"),
    Counter(
        "tallygate_event_loop_busy_seconds_total",
        EventLoop.busy,
        help="CPU time of the threads that run the event loops, in seconds",
    ),
    Histogram(
        "tallygate_gc_duration_seconds",
        GarbageCollection.duration,
        by=(GarbageCollection.generation.from_zero(),),
        buckets=PAUSE_SECONDS,
        help="Time that a pass of the garbage collector took, in seconds",
    ),
    Counter(
        "tallygate_gc_objects_collected_total",
        GarbageCollection.collected,
        by=(GarbageCollection.generation.from_zero(),),
        help="Objects that the garbage collector freed",
    ),
    Counter(
        "tallygate_gc_objects_uncollectable_total",
        GarbageCollection.uncollectable,
        by=(GarbageCollection.generation.from_zero(),),
        help="Objects that the garbage collector found and could not free",
    ),
)

OWN_HEALTH = (
    Histogram(
        "tallygate_scrape_duration_seconds",
        Scrape.duration,
        by=(Scrape.dialect, Scrape.format),
        buckets=PAUSE_SECONDS,
        help="Time to make a metrics page, in seconds",
    ),
    Histogram(
        "tallygate_scrape_size_bytes",
        Scrape.size,
        by=(Scrape.dialect, Scrape.format),
        buckets=BYTES,
        help="Size of a metrics page before compression, in bytes",
    ),
    Counter(
        "tallygate_dropped_observations_total",
        Dropped.count,
        by=(Dropped.fact, Dropped.reason.from_zero()),
        help="Observations that were not recorded, so that the program could go on",
    ),
    Gauge("tallygate_ledger_rows", Computed("rows"), help="Rows of the ledger: distinct label sets of all facts"),
    Counter(
        "tallygate_ledger_overflowed_rows_total",
        Computed("overflowed"),
        help="Label sets that found no room; their records count, exactly, under the label value 'other'",
    ),
    Counter(
        "tallygate_ledger_dropped_values_total",
        Computed("dropped"),
        help="Values that cannot be counted: not a number, infinite, or out of range",
    ),
    Gauge("tallygate_ledger_used_bytes", Computed("used_bytes"), help="Bytes of the ledger in use", unit="bytes"),
    Gauge(
        "tallygate_ledger_capacity_bytes", Computed("capacity_bytes"), help="Bytes the ledger can have", unit="bytes"
    ),
    Gauge("tallygate_ledger_workers", Computed("workers"), help="Processes that have the ledger open"),
)
