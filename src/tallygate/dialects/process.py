"""The process families that Prometheus users know from every client library. Several dialects hold them alike."""

from tallygate.dialects.families import Counter, Gauge
from tallygate.facts import Process

PROCESS = (
    Counter(
        "process_cpu_seconds_total",
        Process.cpu_user + Process.cpu_system,
        help="User and system CPU time spent by the workers, in seconds",
    ),
    Gauge("process_resident_memory_bytes", Process.resident_memory, help="Resident memory of the workers, in bytes"),
    Gauge("process_virtual_memory_bytes", Process.virtual_memory, help="Virtual memory of the workers, in bytes"),
    Gauge("process_open_fds", Process.open_fds, help="Open file descriptors of the workers"),
    Gauge("process_max_fds", Process.max_fds, help="Open file descriptors that one worker may have"),
    Gauge(
        "process_start_time_seconds",
        Process.start_time,
        help="When the oldest live worker started, in seconds since the Unix epoch",
    ),
)

CPU_BY_MODE = (
    Counter("process_cpu_user_seconds_total", Process.cpu_user, help="User CPU time spent by the workers, in seconds"),
    Counter(
        "process_cpu_system_seconds_total", Process.cpu_system, help="System CPU time spent by the workers, in seconds"
    ),
)
