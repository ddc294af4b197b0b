"""The row about PostgreSQL that boards of applications end with, for each of those who may export its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Panel
from grafana_foundation_sdk.models.prometheus import Dataquery

from tallygate.dashboards.board import Row
from tallygate.dashboards.exporters import AZURE, CLOUDSQL, DATABASE_CLOUDSQL, DATABASE_OTEL, EXPORTERS
from tallygate.dashboards.panels import gauge, stat, timeseries
from tallygate.dashboards.variables import WINDOW
from tallygate.promql import Query, Vocabulary

Lines = tuple[tuple[str, Query], ...]
"""Legends and queries."""


@dataclass(frozen=True)
class Figures:
    """What a provider tells, by the titles of the panels; what it does not tell has no panel.

    note: who tells it, and what has to be set up there.
    step: how often there are new figures, where that is not with each scrape.
    """

    note: str
    lines: Mapping[str, Lines]
    step: str = ""


@dataclass(frozen=True)
class Shape:
    """What a panel is about, whoever tells it. kind: stat, gauge or timeseries."""

    kind: str
    unit: str
    means: str
    when_bad: str
    thresholds: Mapping[float, str] | None = None


SHAPES: Mapping[str, Shape] = {
    "Active Connections": Shape(
        "stat",
        units.Short,
        "Connections that are open now, idle ones included.",
        "Compare with Max Connections: at the limit, new connections are refused. Look for a pool that leaks.",
    ),
    "Max Connections": Shape(
        "stat",
        units.Short,
        "How many connections the server allows.",
        "Raise max_connections, or put a pooler such as PgBouncer in front, when utilization stays high.",
    ),
    "Connection Utilization": Shape(
        "gauge",
        units.PercentUnit,
        "Open connections over those that the server allows.",
        "Above 0.9 new connections are about to be refused: use smaller pools, or a pooler.",
        {0.7: "yellow", 0.9: "red"},
    ),
    "WAL Size": Shape(
        "stat",
        units.BytesIEC,
        "Size of the write-ahead log on disk.",
        "It grows when a replica or a replication slot lags, or archiving fails: look at pg_replication_slots.",
        {2**29: "yellow", 2**30: "red"},
    ),
    "WAL Age": Shape(
        "stat",
        units.Seconds,
        "Age of the oldest file of the write-ahead log. Told only where there is a replica.",
        "It grows when a replica or a replication slot lags: look at pg_replication_slots.",
    ),
    "WAL Write Rate": Shape(
        "stat",
        units.BytesPerSecondIEC,
        "Bytes per second written to the write-ahead log.",
        "More than usual is more writes: see Row Operations.",
    ),
    "Transaction Log Storage": Shape(
        "stat",
        units.BytesIEC,
        "Storage that the transaction logs use.",
        "It grows when a replica or a replication slot lags: look at pg_replication_slots.",
    ),
    "Active Connections Over Time": Shape(
        "timeseries",
        units.Short,
        "Open connections over time.",
        "Steps that do not go back are pools that leak, or more workers than before.",
    ),
    "Database Size": Shape(
        "timeseries",
        units.BytesIEC,
        "What the data takes on disk.",
        "Sudden growth: look for the table that grew, and whether old rows are removed and vacuumed.",
    ),
    "Transactions": Shape(
        "timeseries",
        units.OpsPerSecond,
        "Transactions per second that were committed, and that were rolled back.",
        "More rollbacks than usual are errors or conflicts: look at the program's log of statements.",
    ),
    "Cache Hit Ratio": Shape(
        "timeseries",
        units.PercentUnit,
        "Share of blocks that were found in memory, of all that were read.",
        "Below 0.9 for long, the working set does not fit shared_buffers: more memory, or better indexes.",
    ),
    "Row Operations": Shape(
        "timeseries",
        units.OpsPerSecond,
        "Rows per second, by what was done to them.",
        "Many returned for few fetched are scans of whole tables: look for a missing index.",
    ),
    "Locks by Mode": Shape(
        "timeseries",
        units.Short,
        "Locks that are held or waited for, by mode.",
        "Many AccessExclusiveLock or ExclusiveLock hold up others: look at pg_locks for who waits for whom.",
    ),
    "Deadlocks": Shape(
        "timeseries",
        units.OpsPerSecond,
        "Deadlocks per second.",
        "Any at all: transactions lock the same rows in different orders. The server's log names them.",
    ),
    "Temp Bytes Written": Shape(
        "timeseries",
        units.BytesPerSecondIEC,
        "Bytes per second written to temporary files, by sorts and joins that do not fit work_mem.",
        "Raise work_mem, or find the statement with log_temp_files.",
    ),
    "Temp Files Created": Shape(
        "timeseries",
        units.OpsPerSecond,
        "Temporary files per second, of sorts and joins that do not fit work_mem.",
        "Raise work_mem, or find the statement with log_temp_files.",
    ),
}


def postgresql(provider: str) -> Row:
    """The row for one of ``POSTGRES_PROVIDERS``."""
    figures = FIGURES[provider]()
    return Row("PostgreSQL", tuple(_panel(title, lines, figures) for title, lines in figures.lines.items()))


def _helm() -> Figures:
    ask = Vocabulary(EXPORTERS["helm"], window=WINDOW)
    connections = ask("pg_stat_activity_count").now
    database = "{{datname}}"

    def rate(what: str) -> Query:
        shared = ""  # what is shared by all databases stands under no name
        return ask(f"pg_stat_database_{what}").unlike(datname=shared).rate().sum("datname")

    most = ask("pg_settings_max_connections").now.max("instance")
    return Figures(
        "From postgres_exporter, 0.13 or newer for the size of the write-ahead log.",
        {
            "Active Connections": (("{{instance}}", connections.sum("instance")),),
            "Max Connections": (("{{instance}}", most),),
            "Connection Utilization": (("{{instance}}", connections.sum("instance") / most),),
            "WAL Size": (("{{instance}}", ask("pg_wal_size_bytes").now.max("instance")),),
            "Active Connections Over Time": ((database, connections.sum("datname")),),
            "Database Size": ((database, ask("pg_database_size_bytes").now.max("datname")),),
            "Transactions": (
                (f"commits - {database}", rate("xact_commit")),
                (f"rollbacks - {database}", rate("xact_rollback")),
            ),
            "Cache Hit Ratio": ((f"hit ratio - {database}", _share(rate("blks_hit"), rate("blks_read"))),),
            "Row Operations": tuple(
                (f"{what} - {database}", rate(f"tup_{what}"))
                for what in ("inserted", "updated", "deleted", "returned", "fetched")
            ),
            "Locks by Mode": ((f"{{{{mode}}}} - {database}", ask("pg_locks_count").now.sum("mode", "datname")),),
            "Deadlocks": ((database, rate("deadlocks")),),
            "Temp Bytes Written": ((database, rate("temp_bytes")),),
        },
    )


def _otel() -> Figures:
    ask = Vocabulary(EXPORTERS["otel"], window=WINDOW)
    backends = ask("postgresql_backends").now
    database = "".join(f"{{{{{label}}}}}" for label in DATABASE_OTEL)

    def rate(what: str, **where: str) -> Query:
        return ask(f"postgresql_{what}_total").where(**where).rate().sum(*DATABASE_OTEL)

    most = ask("postgresql_connection_max").now.max("instance")
    found, read = (rate("blocks_read", source=f"heap_{what}") for what in ("hit", "read"))
    return Figures(
        "From the OpenTelemetry Collector's PostgreSQL receiver; turn on resource_to_telemetry_conversion in its"
        " Prometheus exporter, and postgresql.deadlocks, postgresql.database.locks and postgresql.temp_files in the"
        " receiver.",
        {
            "Active Connections": (("{{instance}}", backends.sum("instance")),),
            "Max Connections": (("{{instance}}", most),),
            "Connection Utilization": (("{{instance}}", backends.sum("instance") / most),),
            "WAL Age": (("{{instance}}", ask("postgresql_wal_age_seconds").now.max("instance")),),
            "Active Connections Over Time": ((database, backends.sum(*DATABASE_OTEL)),),
            "Database Size": ((database, ask("postgresql_db_size_bytes").now.max(*DATABASE_OTEL)),),
            "Transactions": (
                (f"commits - {database}", rate("commits")),
                (f"rollbacks - {database}", rate("rollbacks")),
            ),
            "Cache Hit Ratio": ((f"hit ratio - {database}", _share(found, read)),),
            "Row Operations": tuple(
                (f"{what} - {database}", rate("operations", operation=operation))
                for what, operation in (
                    ("inserted", "ins"),
                    ("updated", "upd"),
                    ("deleted", "del"),
                    ("hot updated", "hot_upd"),
                )
            ),
            "Locks by Mode": (
                (
                    f"{{{{mode}}}} - {database}",
                    ask("postgresql_database_locks").now.sum("mode", *DATABASE_OTEL),
                ),
            ),
            "Deadlocks": ((database, rate("deadlocks")),),
            "Temp Files Created": ((database, rate("temp_files")),),
        },
    )


def _cloudsql() -> Figures:
    ask = Vocabulary(EXPORTERS["cloudsql"], window=WINDOW)
    backends = ask(f"{CLOUDSQL}_postgresql_num_backends").now
    server, database = "{{database_id}}", "{{database_id}} {{database}}"

    def rate(what: str, **where: str) -> Query:
        return ask(f"{CLOUDSQL}_postgresql_{what}_count").where(**where).rate().sum(*DATABASE_CLOUDSQL)

    blocks = ask(f"{CLOUDSQL}_postgresql_blocks_read_count")
    all_blocks, from_disk = (each.rate().sum(*DATABASE_CLOUDSQL) for each in (blocks, blocks.where(source="disk")))
    processed = ask(f"{CLOUDSQL}_postgresql_tuples_processed_count").rate().sum(*DATABASE_CLOUDSQL, "operation_type")
    return Figures(
        "From stackdriver_exporter, which needs --monitoring.aggregate-deltas. Cloud SQL tells neither the most"
        " connections nor locks.",
        {
            "Active Connections": ((server, backends.sum("database_id")),),
            "WAL Write Rate": (
                (
                    server,
                    ask(f"{CLOUDSQL}_postgresql_write_ahead_log_inserted_bytes_count").rate().sum("database_id"),
                ),
            ),
            "Active Connections Over Time": ((database, backends.sum(*DATABASE_CLOUDSQL)),),
            "Database Size": ((server, ask(f"{CLOUDSQL}_disk_bytes_used").now.max("database_id")),),
            "Transactions": (
                (f"commits - {database}", rate("transaction", transaction_type="commit")),
                (f"rollbacks - {database}", rate("transaction", transaction_type="rollback")),
            ),
            "Cache Hit Ratio": ((f"hit ratio - {database}", 1 - from_disk / all_blocks.at_least(1e-9)),),
            "Row Operations": (
                (f"{{{{operation_type}}}} - {database}", processed),
                (f"returned - {database}", rate("tuples_returned")),
                (f"fetched - {database}", rate("tuples_fetched")),
            ),
            "Deadlocks": ((database, rate("deadlock")),),
            "Temp Bytes Written": ((database, rate("temp_bytes_written")),),
        },
        step="1m",
    )


def _azure() -> Figures:
    ask = Vocabulary(EXPORTERS["azure"], window=WINDOW)
    server = "{{resourceName}}"

    def now(what: str) -> Query:
        return ask(f"{AZURE}_{what}").now.sum("resourceName")

    def per_second(what: str) -> Query:
        return now(what) / 60  # Azure tells what happened in each minute

    active, most = now("active_connections_average_count"), now("max_connections_maximum_count")
    found, read = now("blks_hit_total_count"), now("blks_read_total_count")
    return Figures(
        "From azure-metrics-exporter in Grafana Alloy: metrics of Microsoft.DBforPostgreSQL/flexibleServers by the"
        " minute (interval PT1M), the server's parameter metrics.collector_database_activity on. Azure tells no locks.",
        {
            "Active Connections": ((server, active),),
            "Max Connections": ((server, most),),
            "Connection Utilization": ((server, active / most),),
            "Transaction Log Storage": ((server, now("txlogs_storage_used_average_bytes")),),
            "Active Connections Over Time": ((server, active),),
            "Database Size": ((server, now("storage_used_average_bytes")),),
            "Transactions": (
                (f"commits - {server}", per_second("xact_commit_total_count")),
                (f"rollbacks - {server}", per_second("xact_rollback_total_count")),
            ),
            "Cache Hit Ratio": ((f"hit ratio - {server}", _share(found, read)),),
            "Row Operations": tuple(
                (f"{what} - {server}", per_second(f"tup_{what}_total_count"))
                for what in ("inserted", "updated", "deleted", "returned", "fetched")
            ),
            "Deadlocks": ((server, per_second("deadlocks_total_count")),),
            "Temp Bytes Written": ((server, per_second("temp_bytes_total_bytes")),),
        },
        step="1m",
    )


FIGURES: Mapping[str, Callable[[], Figures]] = {
    "helm": _helm,
    "otel": _otel,
    "cloudsql": _cloudsql,
    "azure": _azure,
}


def _share(part: Query, rest: Query) -> Query:
    """A part of itself and the rest; 0 where there is neither."""
    return part / (part + rest).at_least(1e-9)


def _panel(title: str, lines: Lines, figures: Figures) -> Panel:
    shape = SHAPES[title]
    means = f"{shape.means} {figures.note}"
    match shape.kind:
        case "stat":
            panel = stat(title, means, shape.when_bad, *lines, unit=shape.unit, thresholds=shape.thresholds, width=6)
        case "gauge":
            panel = gauge(title, means, shape.when_bad, *lines, unit=shape.unit, thresholds=shape.thresholds, width=6)
        case _:
            panel = timeseries(title, means, shape.when_bad, *lines, unit=shape.unit, thresholds=shape.thresholds)
    for target in panel.targets or ():
        if isinstance(target, Dataquery) and figures.step:
            target.interval = figures.step  # of which Grafana makes $__rate_interval
    return panel
