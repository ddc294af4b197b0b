"""What others expose of PostgreSQL: the families that the boards' PostgreSQL rows ask for, under each exporter's names.

Names and types are those that the exporters have by themselves:

- ``helm``: postgres_exporter, as Helm charts of PostgreSQL bring it along.
- ``otel``: the OpenTelemetry Collector's PostgreSQL receiver behind its Prometheus exporter. A database is told by
  ``db_namespace`` or, before the receiver had it, by the resource attribute ``postgresql_database_name``, which is a
  label once ``resource_to_telemetry_conversion`` is on. Deadlocks, locks and temporary files are off by default there.
- ``cloudsql``: stackdriver_exporter with ``--monitoring.aggregate-deltas``; without it, what happened in a minute is a
  gauge and has no rate.
- ``azure``: azure-metrics-exporter in Grafana Alloy, with Alloy's names. Azure tells what happened in each minute, so
  its totals are gauges.
"""

from tallygate.dialects.families import BareCounter, Counter, Gauge
from tallygate.promql import Exporter, foreign

DATABASE_CLOUDSQL = ("database_id", "database")
DATABASE_OTEL = ("db_namespace", "postgresql_database_name")
CLOUDSQL = "stackdriver_cloudsql_database_cloudsql_googleapis_com_database"
AZURE = "azure_microsoft_dbforpostgresql_flexibleservers"

EXPORTERS = {
    "helm": Exporter(
        "postgres_exporter",
        (
            foreign(Gauge, "pg_stat_activity_count", "datname", "state"),
            foreign(Gauge, "pg_settings_max_connections"),
            foreign(Gauge, "pg_wal_size_bytes"),
            foreign(Gauge, "pg_database_size_bytes", "datname"),
            *(
                foreign(BareCounter, f"pg_stat_database_{what}", "datname")
                for what in (
                    "xact_commit",
                    "xact_rollback",
                    "blks_hit",
                    "blks_read",
                    "tup_inserted",
                    "tup_updated",
                    "tup_deleted",
                    "tup_returned",
                    "tup_fetched",
                    "deadlocks",
                    "temp_bytes",
                )
            ),
            foreign(Gauge, "pg_locks_count", "datname", "mode"),
        ),
    ),
    "otel": Exporter(
        "postgresqlreceiver",
        (
            foreign(Gauge, "postgresql_backends", *DATABASE_OTEL),
            foreign(Gauge, "postgresql_connection_max"),
            foreign(Gauge, "postgresql_wal_age_seconds"),
            foreign(Gauge, "postgresql_db_size_bytes", *DATABASE_OTEL),
            *(
                foreign(Counter, f"postgresql_{what}_total", *DATABASE_OTEL)
                for what in ("commits", "rollbacks", "deadlocks", "temp_files")
            ),
            foreign(Counter, "postgresql_blocks_read_total", *DATABASE_OTEL, "source"),
            foreign(Counter, "postgresql_operations_total", *DATABASE_OTEL, "operation"),
            foreign(Gauge, "postgresql_database_locks", *DATABASE_OTEL, "mode"),
        ),
    ),
    "cloudsql": Exporter(
        "stackdriver_exporter",
        (
            foreign(Gauge, f"{CLOUDSQL}_postgresql_num_backends", *DATABASE_CLOUDSQL),
            foreign(Gauge, f"{CLOUDSQL}_disk_bytes_used", "database_id"),
            foreign(BareCounter, f"{CLOUDSQL}_postgresql_write_ahead_log_inserted_bytes_count", "database_id"),
            foreign(BareCounter, f"{CLOUDSQL}_postgresql_transaction_count", *DATABASE_CLOUDSQL, "transaction_type"),
            foreign(BareCounter, f"{CLOUDSQL}_postgresql_blocks_read_count", *DATABASE_CLOUDSQL, "source"),
            foreign(BareCounter, f"{CLOUDSQL}_postgresql_tuples_processed_count", *DATABASE_CLOUDSQL, "operation_type"),
            *(
                foreign(BareCounter, f"{CLOUDSQL}_postgresql_{what}_count", *DATABASE_CLOUDSQL)
                for what in ("tuples_returned", "tuples_fetched", "deadlock", "temp_bytes_written")
            ),
        ),
    ),
    "azure": Exporter(
        "azure-metrics-exporter",
        tuple(
            foreign(Gauge, f"{AZURE}_{what}", "resourceName")
            for what in (
                "active_connections_average_count",
                "max_connections_maximum_count",
                "txlogs_storage_used_average_bytes",
                "storage_used_average_bytes",
                "xact_commit_total_count",
                "xact_rollback_total_count",
                "blks_hit_total_count",
                "blks_read_total_count",
                "tup_inserted_total_count",
                "tup_updated_total_count",
                "tup_deleted_total_count",
                "tup_returned_total_count",
                "tup_fetched_total_count",
                "deadlocks_total_count",
                "temp_bytes_total_bytes",
            )
        ),
    ),
}
"""By the providers of ``POSTGRES_PROVIDERS``."""
