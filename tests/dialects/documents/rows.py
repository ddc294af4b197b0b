"""What a row is, and the rows that several vocabularies share."""

Row = tuple[str, str, str, str]
"""Type, labels, unit, buckets or quantiles."""

PROCESS: dict[str, Row] = {
    "process_cpu_seconds_total": ("counter", "", "seconds", ""),
    "process_resident_memory_bytes": ("gauge", "", "bytes", ""),
    "process_virtual_memory_bytes": ("gauge", "", "bytes", ""),
    "process_open_fds": ("gauge", "", "", ""),
    "process_max_fds": ("gauge", "", "", ""),
    "process_start_time_seconds": ("gauge", "", "seconds", ""),
}
