"""The worker processes themselves, and the metrics' own upkeep."""

from tallygate.declare import Dimension, Distribution, Fact, Gauge, Sum
from tallygate.facts.words import SECONDS
from tallygate.ledger.schema import Combine


def lag_gauge(help: str) -> Gauge:
    """A gauge of the event loop's lag: of several workers, the worst."""
    return Gauge("seconds", f"{help}, the worst of the workers", exponent=SECONDS, combine=Combine.MAX)


class BuildInfo(Fact):
    """This build and where it runs: always 1."""

    version = Dimension("version of the package")
    python = Dimension("version of the interpreter")
    ledger = Dimension("which core counts", values=("native", "python"))
    environment = Dimension("as configured; development when not told")
    service = Dimension("name of the service, as configured")
    deployment_version = Dimension("as configured; unknown when not told")

    present = Gauge("", "always 1", combine=Combine.MAX)


class Process(Fact):
    """The worker processes, sampled by each of them."""

    cpu_user = Sum("seconds", "user CPU time", exponent=-6)
    cpu_system = Sum("seconds", "system CPU time", exponent=-6)
    resident_memory = Gauge("bytes", "resident memory, summed over the workers")
    virtual_memory = Gauge("bytes", "virtual memory, summed over the workers")
    open_fds = Gauge("", "open file descriptors, summed over the workers")
    anonymous_memory = Gauge("bytes", "resident memory that is no file's: the heap in use, summed over the workers")
    data_memory = Gauge("bytes", "memory set aside for data: the heap as the system sees it, summed over the workers")
    max_fds = Gauge("", "limit of open file descriptors of one worker", combine=Combine.MIN)
    threads = Gauge("", "threads, summed over the workers")
    start_time = Gauge("seconds", "Unix time at which the oldest live worker started", exponent=-6, combine=Combine.MIN)
    workers = Gauge("", "live worker processes")


class EventLoop(Fact):
    """The asyncio event loops of the workers, sampled by each of them."""

    lag = Distribution("seconds", "how late the loop ran a timer", exponent=SECONDS)
    tasks = Gauge("", "live tasks, summed over the workers")
    busy = Sum("seconds", "CPU time of the threads that run the loops", exponent=-6)
    latest_lag = lag_gauge("how late the loop ran its latest timer")
    lag_min = lag_gauge("least lag of the latest minute")
    lag_max = lag_gauge("greatest lag of the latest minute")
    lag_mean = lag_gauge("mean lag of the latest minute")
    lag_stddev = lag_gauge("standard deviation of the lag in the latest minute")
    lag_p50 = lag_gauge("median lag of the latest minute")
    lag_p90 = lag_gauge("90th percentile of the lag in the latest minute")
    lag_p99 = lag_gauge("99th percentile of the lag in the latest minute")


class LoopQueues(Fact):
    """What waits for the event loops: asyncio's own loops tell it, others, such as uvloop's, do not."""

    ready = Gauge("", "callbacks ready to run when sampled, summed over the workers")
    executor_threads = Gauge("", "threads of the loops' default executors")
    executor_queue = Gauge("", "calls that wait for such a thread, summed over the workers")


class GarbageCollection(Fact):
    """One pass of CPython's cyclic garbage collector."""

    generation = Dimension("which generation", values=("0", "1", "2"))

    duration = Distribution("seconds", "time the pass took", exponent=SECONDS)
    collected = Sum("", "objects freed")
    uncollectable = Sum("", "objects found but not freed")


class Scrape(Fact):
    """One rendering of the metrics, ours counted like everybody's."""

    dialect = Dimension("which dialect was read; several are joined by '+'")
    format = Dimension("text, openmetrics or protobuf")

    duration = Distribution("seconds", "plan, render and compress", exponent=SECONDS)
    size = Distribution("bytes", "size of the page before compression")


class Dropped(Fact):
    """An observation that was not recorded, so that the program watched could go on."""

    fact = Dimension("the fact it was meant for")
    reason = Dimension(
        "why", values=("invalid_value", "invalid_dimension", "name_clash", "no_space", "closed", "internal")
    )
